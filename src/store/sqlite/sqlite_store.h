/*
 * sqlite_store: the embedded backend of the store, for one gateway on one machine, whose number is
 * 0 (job/number.h).
 *
 * Two databases in the state directory: jobs.db has the rows, in WAL mode; bodies.db the bodies of
 * what waits to be sent. One thread writes both, with synchronous=FULL: whatever records came while
 * the last transaction was committed go into the next, their bodies first. Records without a body
 * are written first, and those with one take turns by client (store_queue.c has the rules).
 */
#ifndef SOLVEGATE_STORE_SQLITE_SQLITE_STORE_H
#define SOLVEGATE_STORE_SQLITE_SQLITE_STORE_H

struct store;
struct strbuf;

/*
 * Locks the state directory (made with mode 0700 if it is missing), opens its files or makes them,
 * and brings older ones up to date. A directory that another daemon holds, or a file that is
 * damaged or not ours, is left untouched; so is one whose other half is missing while jobs need it.
 * On failure returns -errno and writes one sentence for the operator to problem.
 */
int sqlite_store_open(const char *directory, struct store **ret_store, struct strbuf *problem);

#endif
