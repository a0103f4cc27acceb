/*
 * loop: an event loop (libuv) with a mailbox and timers; one for each worker, one for main.
 *
 * Everything on a loop belongs to the thread that runs it. Other threads reach it in one way
 * only: loop_post().
 */
#ifndef SOLVEGATE_BASE_LOOP_H
#define SOLVEGATE_BASE_LOOP_H

#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_watch;
struct loop_work;
struct uv_loop_s;

/*
 * Something to be told to a loop. It is part of whatever it is about, so posting allocates
 * nothing and cannot fail; its owner keeps it alive until it is delivered, and posts it again
 * only after that.
 */
struct mail {
        struct mail *next; /* guarded by the mailbox */
        void (*deliver)(struct mail *mail);
};

/* Makes a loop. The caller frees it with loop_free(). Returns 0 or -errno. */
int loop_new(struct loop **ret_loop);

/*
 * Frees a loop that does not run. Requires that whoever opened handles on it has closed them
 * (their close callbacks are run here) and that no thread posts to it any more. Mail not yet
 * delivered is dropped. Takes NULL.
 */
void loop_free(struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);

/* Makes loop_run() return after this turn. Thread: the loop's. */
void loop_stop(struct loop *loop);

/* Delivers mail on the loop's thread, in the order posted. Thread: any. */
void loop_post(struct loop *loop, struct mail *mail);

/* For handles of other kinds. Thread: the loop's, or any while the loop does not run. */
struct uv_loop_s *loop_uv(struct loop *loop);

/*
 * A timer that calls fire(arg) on the loop's thread. If the process was stopped when it was due,
 * the sockets and the mailbox are looked at first: a time-out never precedes what has arrived. It
 * is made stopped. loop_timer_free() may be called in the callback; nothing is called after it.
 * Takes NULL. Returns 0 or -ENOMEM.
 */
int loop_timer_new(struct loop *loop, void (*fire)(void *arg), void *arg,
                   struct loop_timer **ret_timer);
void loop_timer_free(struct loop_timer *timer);

/* (Re)starts: fires once after delay_ms, then each repeat_ms unless that is 0. */
void loop_timer_start(struct loop_timer *timer, int64_t delay_ms, int64_t repeat_ms);
void loop_timer_stop(struct loop_timer *timer);

/*
 * Watches a connected socket that somebody else reads and writes: calls gone(arg) on the loop's
 * thread when its peer has closed, or half closed. loop_watch_free() may be called in the callback
 * and must be called before the socket is closed; nothing is called after it. Takes NULL. Returns
 * 0 or -errno.
 */
int loop_watch_new(struct loop *loop, int fd, void (*gone)(void *arg), void *arg,
                   struct loop_watch **ret_watch);
void loop_watch_free(struct loop_watch *watch);

/*
 * Work for a thread of libuv's pool, which all loops share: loop_work_start() makes such a thread
 * call run(arg), and then the loop's thread done(arg), which may start the work again. Until then
 * the work is neither started again nor freed. loop_free() waits for it. The first start in the
 * process makes the pool's threads; libuv aborts the process where it cannot. loop_work_new()
 * returns 0 or -ENOMEM; loop_work_free() takes NULL. Thread: the loop's; new and free: any.
 */
int loop_work_new(void (*run)(void *arg), void (*done)(void *arg), void *arg,
                  struct loop_work **ret_work);
void loop_work_start(struct loop_work *work, struct loop *loop);
void loop_work_free(struct loop_work *work);

#endif
