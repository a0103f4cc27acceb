/*
 * record: what is written to a store and read back from it, and what all backends do alike with
 * that.
 */
#ifndef SOLVEGATE_STORE_RECORD_H
#define SOLVEGATE_STORE_RECORD_H

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
        /* Called on the loop's thread; error is 0 or -errno. A record that must be written fails
         * only after store_give_up(), or with -EPROTO if it can never be written (it contradicts
         * what is there). NULL: nothing is called. */
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
        bool in_audit; /* the audit file has that charge already */
};

/* Returns an empty record, or NULL. store_record_free() drops its references. */
struct store_record *store_record_new(void);
void store_record_free(struct store_record *record);

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

/* ---- for backends ---- */

/* The record around an item that is not a fetch, and the fetch around an item that is. */
struct store_record *store_record_of(struct store_item *item);
struct store_fetch *store_fetch_of(struct store_item *item);

/* Calls the record's done() with the error on its loop, by mail, and then frees the record; without
 * done() it frees it at once. Thread: any. */
void store_record_complete(struct store_record *record, int error);

/* Calls the fetch's done() on its loop, by mail. Thread: any. */
void store_fetch_complete(struct store_fetch *fetch, int error);

#endif
