/*
 * signals: the signals of a program that must not end by chance (signal(7)).
 *
 * By default most signals end a process, and a parent may leave others ignored or blocked. A
 * program calls signals_begin() first; later it reads its signals one by one, with signals_open()
 * as events of a loop, or with signals_wait(). All threads that are started after that have them
 * blocked. Faults of the program itself (SIGSEGV and the like) and job control at a terminal
 * (SIGTSTP) keep their default action.
 *
 * Thread: main.
 */
#ifndef SOLVEGATE_BASE_SIGNALS_H
#define SOLVEGATE_BASE_SIGNALS_H

#include <stdbool.h>

struct loop;
struct signals;

#define SIGNALS_NAME_BYTES_MAX 16

/*
 * Makes what a parent ignored or blocked the default again, but for signals that a system call
 * reports as an error where they are ignored: SIGPIPE (EPIPE), SIGXFSZ (EFBIG), SIGTTIN (EIO); and
 * SIGTTOU, with which a terminal may stop a background process that writes its log. Blocks the
 * signals that signals_open() and signals_wait() read, but for SIGTERM, SIGINT and SIGQUIT, which
 * end the process at once until then.
 */
void signals_begin(void);

/* Writes the name of a signal: "SIGTERM", "SIGRTMIN+3". */
void signals_name(int number, char ret_name[static SIGNALS_NAME_BYTES_MAX]);

/*
 * Reads signals as events of a loop. Calls take(arg, number) for a signal that stops the program,
 * and for SIGHUP. Every other one is logged, a few lines a second at most, and has no effect.
 * Returns 0 or -errno. The caller frees with signals_free(), before the loop.
 */
int signals_open(struct loop *loop, void (*take)(void *arg, int number), void *arg,
                 struct signals **ret_signals);

/* Reads SIGHUP no more: it stays blocked to the end of the process. */
void signals_drop_hangup(struct signals *signals);

/* From now on SIGTERM, SIGINT and SIGQUIT end the process at once; all others stay blocked. Takes
 * NULL. */
void signals_free(struct signals *signals);

/*
 * Blocks SIGTERM, SIGINT and SIGQUIT too, until signals_wait() reads them. Called before the first
 * thread is started.
 */
void signals_block(void);

/*
 * Waits for a signal that stops the program, or for SIGHUP, and returns its number; logs every
 * other one as above. For a program whose main thread has no loop. Requires signals_block().
 */
int signals_wait(void);

#endif
