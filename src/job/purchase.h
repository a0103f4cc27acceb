/*
 * purchase: what is bought upstream at most once, for one or more identical jobs.
 *
 * The first job makes the purchase; identical ones that come before it is final join it. The body
 * is that of the first, and goes upstream byte for byte. A purchase is referenced by its jobs, by
 * whoever moves it on (the queue, a flight), and by records on their way to the store.
 *
 * What purchase_new() sets is immutable. The rest says who guards it.
 */
#ifndef SOLVEGATE_JOB_PURCHASE_H
#define SOLVEGATE_JOB_PURCHASE_H

#include "base/hash_table.h"
#include "base/heap.h"
#include "base/small_set.h"
#include "job/state.h"
#include "job/store_line.h"
#include "job/task.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct body;
struct client;
struct job;
struct outcome;
struct upstream_id;

/* Who moves a purchase on. */
enum purchase_place {
        PURCHASE_WAITS,   /* the scheduler's queue */
        PURCHASE_FLIES,   /* a flight, which sends it and follows it */
        PURCHASE_IS_DONE, /* nobody: it is final, or was dropped unsent */
};

struct purchase {
        _Atomic unsigned references;

        /* immutable */
        int64_t number; /* in order of arrival, over restarts too */
        struct task_identity identity;
        char *host; /* of its site */
        int64_t created_wall_ms;

        /* guarded by the scheduler's mutex */
        enum purchase_place place;
        enum job_state state;
        struct job *jobs;  /* the payer at the head */
        size_t job_count;  /* of those that the scheduler has attached */
        struct job *payer; /* a reference, from when it was taken to be sent until it is final or
                              queued again: who pays, even if that job has left. From the store only
                              where it has left */
        bool unpaid;       /* it is of before the start, and the recorded payer has left */
        struct client *reserved_by; /* whose quota has reservations for it; or NULL */
        int reservations;           /* valid with reserved_by; 2 before it is sent again in doubt */
        int64_t reserved_day; /* valid with reserved_by: of the last reservation, since 1970 */
        int64_t charge_day;   /* on which its last attempt counts; valid as the next */
        int64_t sent_wall_ms; /* when it was last sent; valid while sending and accepted */
        int64_t deadline_ms;  /* monotonic: the latest of its jobs' */
        int64_t time_ms;      /* how long the job with that deadline has in all */
        bool joinable;        /* an identical job may join it */
        bool listed;          /* the local arbiter's: it answers for its identity */
        UT_hash_handle by_identity;
        enum end_reason given_up; /* why its jobs end in batches: then it is aside, and the links
                                     are valid. END_NOT: they do not */
        struct purchase *given_up_prev, *given_up_next;
        bool queued;  /* it is in the queue */
        bool delayed; /* there it waits for not_before_ms first */
        bool put_off; /* valid while delayed: until then it is no probe either */
        bool aside;   /* there it is not to be taken any more */
        union {
                struct heap_node by_moment; /* valid while delayed */
                struct {
                        struct purchase *queue_prev, *queue_next; /* valid while aside; and at the
                                                                     start: accepted, or not decided
                                                                     about yet */
                };
        };
        int64_t not_before_ms; /* monotonic; valid while delayed */
        /* Its history is this, turned_away_by and doubtful; it does not change in the queue. */
        bool retried;                    /* it waits for a retry, which may cost budget */
        struct small_set turned_away_by; /* the indexes of accounts that have not taken it */
        int64_t retry_at_ms; /* monotonic: not sent to one of these before, while there is another
                              */
        bool doubtful;       /* an earlier try may have been charged */
        bool recorded;       /* a record of it was given to the store */
        bool charged;        /* the upstream has taken it, and charges for it */
        struct upstream_id *id_in_use; /* the scheduler's note of the upstream's id; NULL: none */
        const char *account; /* the name of the one that has it, or had it last; or NULL. Lives
                                as long as the scheduler */
        char *trouble; /* what came of the last try that was not taken, for the client; or NULL */
        /* Which account had it then, as above; valid with trouble. */
        const char *trouble_account;
        struct body *body;              /* NULL: on disk only, or not needed any more */
        bool body_stored;               /* the store has the body */
        bool sent_stored;               /* the store has it as sending, accepted or final; without a
                                           store: it is being sent, or was */
        struct store_group store_group; /* the store's: what waits there of it */
        int attempts; /* how often it was sent, a breaker's probes that were turned away apart */

        /* valid where the store gave it back as accepted */
        char *upstream;    /* the account's name */
        char *upstream_id; /* what to poll */
        char *asked_at;    /* where, as account_place() wrote it; NULL: an older version took it */
};

/*
 * Makes a queued purchase with one reference. Takes over host and body when it succeeds. Returns
 * 0 or -ENOMEM.
 */
int purchase_new(int64_t number, const struct task_identity *identity, char *host,
                 struct body *body, struct purchase **ret_purchase);

/* What a client is told of the money, where no result comes: a part of a sentence. */
const char *purchase_charge_note(const struct purchase *purchase);

/* Takes another reference. Thread: any who holds one. */
struct purchase *purchase_ref(struct purchase *purchase);

/* Drops one; the last frees the purchase. Requires that it has no jobs then. Takes NULL. */
void purchase_unref(struct purchase *purchase);

/* The same for one that is in no list or table: lets its jobs and its payer go first. */
void purchase_drop(struct purchase *purchase);

#endif
