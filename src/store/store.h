/*
 * store: jobs, purchases and the ledger of charges on disk, so that nothing accepted is lost and
 * nothing is paid twice. sqlite/ has all of SQLite.
 *
 * Two databases in the state directory: jobs.db has the rows, in WAL mode; bodies.db the bodies of
 * what waits to be sent. One thread writes both, with synchronous=FULL: whatever records came while
 * the last transaction was committed go into the next, their bodies first. A record is written
 * whole or not at all, and its caller is told on his loop when it is durable.
 *
 * The records of a purchase are written in the order in which they were given. Between purchases
 * there is no order: records without a body come first, and those with one take turns by client
 * (store_queue.c has the rules).
 *
 * A record either may fail, and the caller is told why; or it must be written, and then it is kept
 * and tried again until it is. After a failed commit the store is sick until one succeeds: records
 * that may fail then fail at once, and the others wait.
 *
 * The store is detached as long as one of its files, which are open, is not at its path any more:
 * it was removed, renamed or replaced, or the directory was. Records that may fail then fail with
 * -ESTALE. The others are written to the open files, so that jobs that were sent end as ever, and
 * nothing is missing once the same files are back.
 */
#ifndef SOLVEGATE_STORE_STORE_H
#define SOLVEGATE_STORE_STORE_H

#include "base/loop.h"
#include "job/state.h"
#include "job/store_line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct body;
struct body_pool;
struct job;
struct outcome;
struct purchase;
struct store;
struct strbuf;

#define STORE_UPSTREAM_ID_BYTES_MAX 256

/* What becomes of the purchase's row. */
enum store_purchase {
        STORE_PURCHASE_NONE, /* nothing */
        STORE_PURCHASE_ADD,  /* it is added as state says; one that is there stays as it is */
        STORE_PURCHASE_MOVE, /* it is added or becomes what state says */
};

/* What becomes of the charge that is open, if there is one. Kept in the database. */
enum store_charge {
        STORE_CHARGE_NONE = 0,        /* nothing */
        STORE_CHARGE_OPEN = 1,        /* a new attempt begins: a row is added */
        STORE_CHARGE_CHARGED = 2,     /* the upstream took the job */
        STORE_CHARGE_NOT_CHARGED = 3, /* it surely did not */
        STORE_CHARGE_UNKNOWN = 4,     /* it may have */
};

/* A job that ended by itself, with its outcome: references. */
struct store_ending {
        struct job *job;
        struct outcome *outcome;
};

/*
 * Something to be written in one transaction, its parts in the order below. Made by
 * store_record_new(), filled in, given to store_write(), and freed by the store: after done() was
 * called, or after it was written where done is NULL. Its references are the record's own.
 */
struct store_record {
        bool must;
        /* Called on the loop's thread; error is 0 or -errno. One that must be written fails only
         * after store_give_up(), or with -EPROTO when it can never be written (it contradicts
         * what is there). NULL: nobody is told. */
        void (*done)(struct store_record *record, int error, void *arg);
        void *arg;
        struct loop *loop; /* valid with done */

        enum store_purchase move;
        struct purchase *purchase; /* a reference, or NULL */
        enum job_state state;
        const char *upstream; /* sending and later: the account's name; outlives the store */
        char upstream_id[STORE_UPSTREAM_ID_BYTES_MAX + 1]; /* accepted */
        char *asked_at;              /* accepted: where it is polled, allocated; or NULL */
        struct outcome *outcome;     /* a reference, when final: the purchase's, or the job's own */
        struct body *body;           /* a reference: stored with the purchase; NULL: not now */
        struct store_line *lines[2]; /* with a body: of the client that pays, and of the one whose
                                        job it is. The shorter one is used; a purchase that waits
                                        already moves if less waits before it there. NULL: the
                                        common line. They outlive the store */
        struct job **jobs;           /* references: rows to be added where they are not there yet */
        size_t job_count;
        enum store_charge charge; /* of purchase, at upstream, for the first of its jobs */
        char charge_job[40];      /* CHARGE_OPEN: the payer's id */
        int64_t charge_wall_ms;   /* CHARGE_OPEN: now */
        int64_t charge_day;       /* CHARGE_OPEN: the day on which it counts, since 1970, UTC */
        char payer[40];           /* the id of the job that pays from now on; "": as before */
        char *audit;              /* an entry for the audit file, allocated; or NULL */
        struct job *ended; /* a reference: a job that ended by itself, not with its purchase: its
                              row is added or becomes final with outcome */
        struct store_ending *endings; /* the same for several, each with an outcome of its own */
        size_t ending_count;
        struct purchase *
                *dropped; /* references: each becomes cancelled, as by STORE_PURCHASE_MOVE */
        size_t dropped_count;
        char (*forget)[40]; /* ids of jobs whose rows are deleted at once, as store_forget() does:
                               of jobs of purchase, so that it comes after what adds them */
        size_t forget_count;

        /* the store's */
        struct store_item item;
        bool body_needed; /* the writer's: valid in a batch */
        struct mail mail;
        int error;
        int64_t entry; /* the number of audit; valid once it is written; 0: it has none */
        bool told;     /* the audit file has that charge already */
};

/* Returns an empty record, or NULL. store_record_free() drops its references. */
struct store_record *store_record_new(void);
void store_record_free(struct store_record *record);

/*
 * Locks the state directory (made with mode 0700 if it is missing), opens its files or makes them,
 * and brings older ones up to date. A directory that another daemon holds, or a file that is
 * damaged or not ours, is left untouched; so is one whose other half is missing while jobs need it.
 * On failure returns -errno and writes one sentence for the operator to problem.
 */
int store_open(const char *directory, struct store **ret_store, struct strbuf *problem);

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
bool store_log_is_lost(const struct store *store);

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

/*
 * Reads everything that did not finish before finished_after_wall_ms and fits. Purchases that wait
 * without a body, whose ids never left, are deleted; the rest of what is not read is left to the
 * writer, which deletes it when it has time. Bodies stay on disk. To be called once, before
 * store_start(). Entries for the audit file come last. Returns 0 or -errno, with a sentence in
 * problem.
 */
int store_load(struct store *store, int64_t finished_after_wall_ms,
               const struct store_visitor *visitor, struct strbuf *problem);

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

/* The next number for a purchase. Thread: any. */
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

/* Copies what SQLite said last that went wrong, or an empty text. Thread: any. */
void store_problem(struct store *store, char *ret_text, size_t size);

/*
 * A body that is read back: fetched by the writer, in order with the records of the purchase. done
 * is called on the loop with the body, counted in the pool even beyond its ceiling, or with an
 * -errno (-ENOENT: there is none).
 */
struct store_fetch {
        int64_t number;            /* of the purchase */
        struct purchase *purchase; /* the caller's reference; NULL: it has no records that wait */
        struct store_line *line;   /* of the client that pays; NULL: the common line */
        struct body_pool *pool;
        struct loop *loop;
        void (*done)(struct store_fetch *fetch, int error, struct body *body);

        /* the store's */
        struct mail mail;
        struct store_item item;
        int error;
        struct body *body;
};

/* The fetch belongs to the caller, and stays alive until done is called. Thread: any. */
void store_fetch_body(struct store *store, struct store_fetch *fetch);

/* The ledger: how many charges there are in all, gone by attempts. */
struct store_ledger_row {
        const char *client;
        const char *upstream;
        enum store_charge charge;
        int64_t count;
};

/* Calls row(…, arg) for each client, upstream and outcome. Before store_start() only. */
int store_ledger(struct store *store, void (*row)(void *arg, const struct store_ledger_row *row),
                 void *arg);

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

int store_usage(struct store *store, void (*row)(void *arg, const struct store_usage_row *row),
                void *arg);

/*
 * The time to stop has come: from now on a record that cannot be written is tried once and given
 * up, and its caller is told, even if it must be written. Thread: any.
 */
void store_give_up(struct store *store);

/*
 * Tries once to write what is left, ends the thread, and closes. Requires that nobody waits for a
 * record any more. Returns how many records could not be written. Takes NULL.
 */
size_t store_close(struct store *store);

#endif
