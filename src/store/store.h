/*
 * store: durable records of jobs, purchases and charges, so that nothing accepted is lost and
 * nothing is paid twice. This is the interface; the daemon opens a backend (sqlite/sqlite_store.h)
 * and passes the struct store on. A backend provides the functions of backend.h.
 *
 * A record is written whole or not at all, and its caller is notified on its loop when it is
 * durable. That may be at any time after store_write() has returned, and never before.
 *
 * The records of a purchase are written in the order in which they were given. Between purchases
 * there is no order.
 *
 * A record either may fail, with an error for its caller; or it must be written, and then it is
 * kept and tried again until it is. After a failed commit the store is unhealthy until one
 * succeeds: records that may fail then fail at once, and the others wait.
 *
 * A store in files can suffer two things more. It is detached while one of its open files is no
 * longer at its path, because the file or its directory was removed, renamed or replaced. Records
 * that may fail then fail with -ESTALE. The others are written to the open files, so jobs that were
 * sent end as usual, and nothing is missing once the same files are back. And it may have lost its
 * last records, if a file was exchanged while no daemon ran. The functions for both are at the end;
 * a store without files has nothing to report.
 */
#ifndef SOLVEGATE_STORE_STORE_H
#define SOLVEGATE_STORE_STORE_H

#include "store/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;
struct outcome;
struct purchase;
struct store;
struct strbuf;

/* What store_load() finds: first what is final, then the rest in the order of numbers and, within a
 * purchase, of arrival; but the job that pays is the first, if it is still there. */
struct store_visitor {
        /*
         * A purchase with its jobs attached. outcome is that of a final one (a reference that is
         * taken over), else NULL; has_body tells whether its body is stored. Jobs that ended by
         * themselves are not attached; they come through ended(). Where such a one paid for what is
         * sending or accepted, purchase->payer is a job made for that: it has the id, the client
         * and, if known, the address, and is in no list. Takes over the reference to the purchase.
         * Returns 0 or -errno, which ends the reading.
         */
        int (*purchase)(void *arg, struct purchase *purchase, struct outcome *outcome,
                        int64_t finished_wall_ms);
        /* A job that ended by itself. Takes over both references. */
        int (*ended)(void *arg, struct job *job, struct outcome *outcome, int64_t finished_wall_ms);
        void *arg;
        /* What is final is read up to about as much memory, the newest first, and as much again of
         * answers from the cache; it is given in order all the same, beginning with the oldest. 0:
         * all of it. */
        int64_t bytes_max;
        /* Called again and again while rows are read, if it is not NULL. all is 0 as long as they
         * are counted. */
        void (*progress)(void *arg, int64_t done, int64_t all);
};

/* Whose rows a function reads: those of one gateway. NULL in its place: everybody's. */
struct store_filter {
        int64_t gateway; /* its number (job/number.h) */
};

/*
 * Reads everything that did not finish before finished_after_wall_ms and fits. Purchases that wait
 * without a body, whose IDs were never returned, are deleted; the rest of what is not read is left
 * to the writer, which deletes it when it has time. Bodies stay on disk. A start reads the rows of
 * its own gateway, or everybody's where the store has no other; a takeover those of the gateway
 * that died. The embedded store is read once, before store_start(). Its jobs that ended by
 * themselves have no number, and come with those of gateway 0. Entries for the audit file come
 * last. Returns 0 or -errno, with a sentence in problem.
 */
int store_load(struct store *store, const struct store_filter *filter,
               int64_t finished_after_wall_ms, const struct store_visitor *visitor,
               struct strbuf *problem);

/*
 * Where entries for the audit file go. Each is kept in the database from the transaction of its
 * record on until last_entry() says that it is elsewhere, and given to entry() after the commit, or
 * by store_load() if an earlier run left it. They have rising numbers, which go on
 * after last_entry() and after the highest that the database has given. The first two are called by
 * the thread that loads, and by the writer, and do not wait; flush() is called by the one that
 * closes.
 */
struct store_audit {
        /* The text is the caller's. Returns 0, or a negative errno if it cannot be taken now: then
         * it and all after it are given again, after a second and at the next start, as long as
         * last_entry() stays below it. */
        int (*entry)(void *arg, int64_t number, const char *text);
        int64_t (*last_entry)(void *arg); /* this one, and all before it, are on disk; 0: none */
        /* Waits until what was given so far is on disk, or cannot be now: so that store_close()
         * leaves no row of an entry that is. NULL: it leaves those that are on their way. */
        void (*flush)(void *arg);
        void *arg; /* outlives the store */
};

/* To be called before store_load(). Without it a record with an entry fails with -EPROTO, and what
 * an earlier run left stays. */
void store_set_audit(struct store *store, const struct store_audit *audit);

/* The next number for a purchase, after those that were loaded. Thread: any. */
int64_t store_next_number(struct store *store);

/* Starts the writer. Signals are blocked by the caller. Returns 0 or -errno. */
int store_start(struct store *store);

/* Gives a record to the writer; never blocks on the disk. Thread: any. */
void store_write(struct store *store, struct store_record *record);

/*
 * Deletes the rows of final jobs that nobody can ask for any more, a list by expiry_next whose IDs
 * are copied, with purchases that nobody needs. This has time: records that are given later may be
 * written before, those given earlier are. What is left when the store is closed may stay: the next
 * start reads it again, unless it has expired by then. Returns 0, or -ENOMEM: then all of it stays.
 * Thread: any.
 */
int store_forget(struct store *store, const struct job *gone);

/* Whether rows wait to be deleted by store_forget(). Thread: any. */
bool store_forgets(struct store *store);

/* Whether the last commit succeeded, and the store is not detached. Thread: any. */
bool store_healthy(struct store *store);

/* Copies what went wrong last, or an empty text. Thread: any. */
void store_problem(struct store *store, char *ret_text, size_t size);

/* The fetch belongs to the caller, and stays alive until done is called. Thread: any. */
void store_fetch_body(struct store *store, struct store_fetch *fetch);

/* The ledger: how many charges there are in all, gone by attempts. */
struct store_ledger_row {
        const char *client;
        const char *upstream;
        enum store_charge charge;
        int64_t count;
};

/* Calls row(…, arg) for each client, upstream and outcome. Charges of jobs that are gone are
 * counted by day, without a number: they are gateway 0's. Before store_start() only. */
int store_ledger(struct store *store, const struct store_filter *filter,
                 void (*row)(void *arg, const struct store_ledger_row *row), void *arg);

/*
 * How many jobs were charged, or may have been, for each client and each day (since 1970, UTC);
 * what is open counts. Before store_start() only; calls row(…, arg), the latest day first. Needs
 * memory for the clients and days of stored jobs, however many older days there are.
 */
struct store_usage_row {
        const char *client;
        int64_t day;
        int64_t count;
};

int store_usage(struct store *store, const struct store_filter *filter,
                void (*row)(void *arg, const struct store_usage_row *row), void *arg);

/*
 * The daemon stops: from now on a record that cannot be written is tried once and fails, even if it
 * must be written. Thread: any.
 */
void store_give_up(struct store *store);

/*
 * Tries once to write what is left, ends the thread, and closes. Requires that no caller waits
 * for a record. Returns how many records could not be written. Takes NULL.
 */
size_t store_close(struct store *store);

/* ---- stores in files ---- */

/* Whether it is detached; store_problem() says why. Thread: any. */
bool store_detached(struct store *store);

/*
 * Compares the open files with their paths, which the writer does once a second, so that
 * store_detached(), store_loss() and store_problem() are about this moment. A lock that is missing
 * is created again. Thread: any.
 */
void store_look(struct store *store);

/* Whether the lock was removed or replaced, and was created again; true once for each time. Thread:
 * any.
 */
bool store_lock_was_made(struct store *store);

/* What of a detached store the next start does not find. */
enum store_loss {
        STORE_LOSES_NOTHING, /* it is not detached, or a stop saves what is in the open files */
        STORE_LOSES_FILES,   /* the files, unless they are put back before */
        STORE_LOSES_BODIES,  /* the bodies of jobs that wait: no path leads to bodies.db any more */
        STORE_LOSES_ROWS,    /* everything: none leads to jobs.db */
};

/* Thread: any. */
enum store_loss store_loss(struct store *store);

/*
 * The highest number of an entry (see struct store_audit) that the database knows; -1 where an
 * older version has not noted it. If the audit file has a higher one, the database has lost its
 * last transactions. Before store_load() only. Returns 0 or -errno.
 */
int store_last_entry(struct store *store, int64_t *ret_entry);

/*
 * Whether the database is without the write-ahead log that the last run was using: the log was
 * removed, or an older copy of jobs.db was put in place. What was in flight at a crash is missing
 * then, even if the audit file has no higher number. Before store_start() only.
 */
bool store_log_is_lost(struct store *store);

/* A charge that the audit file has, and the database has lost. The texts are the caller's. */
struct store_lost_charge {
        int64_t entry;
        int64_t wall_ms;
        int64_t day;  /* on which it counts, since 1970, UTC */
        bool charged; /* else it may have been */
        const char *job;
        const char *client;
        const char *upstream;
};

struct store_losses {
        int64_t last_entry; /* of the audit file: up to this one nothing is missing from now on */
        bool resend;        /* jobs that wait may be sent, although they may have been already */
        /* Gives the next charge, in any order. Returns 1, 0 when there are no more, or -errno. */
        int (*next)(void *arg, struct store_lost_charge *ret_charge);
        void *arg;
};

struct store_restored {
        int64_t ended; /* purchases that waited, or were being sent, and are unknown now */
};

/*
 * Writes charges into the ledger again, all in one transaction. A job that is still in the database
 * has its charge there; if it waits to be sent or was being sent, it ends as JOB_UNKNOWN. So does
 * each other one that waits; with resend, only if its body was deleted. Before store_load() only.
 * Returns 0 or -errno.
 */
int store_restore(struct store *store, const struct store_losses *losses,
                  struct store_restored *ret_restored);

#endif
