/*
 * arbiter: decides what must be decided once for all gateways that share an account: which job or
 * purchase answers for an Idempotency-Key or the identity of a task, whether a client's limits have
 * room for one more charge, and which client is next.
 *
 * An interface. arbiter_local is the backend of a gateway that is alone.
 *
 * Admissions and turns are requests: then_locked() hands the answer over, before the call returns
 * or later. The other functions are complete when they return. Each is called with the scheduler's
 * mutex held, but where it says otherwise, and before there is a second thread or after.
 */
#ifndef SOLVEGATE_DISPATCH_ARBITER_H
#define SOLVEGATE_DISPATCH_ARBITER_H

#include "access/quota.h"

#include <stdbool.h>
#include <stdint.h>

struct account;
struct arbiter;
struct client;
struct job;
struct purchase;
struct queue_flow;
struct scheduler;

enum arbiter_decision {
        ARBITER_OWN,         /* the candidate is to be bought: a charge is reserved, and the
                                candidate answers for its identity from now on */
        ARBITER_JOINED,      /* purchase answers for the identity; the job is free */
        ARBITER_CACHED,      /* other, which was solved, answers for it; likewise */
        ARBITER_REPEATED,    /* other is the client's older job with the same key */
        ARBITER_LIMITED,     /* the client's limits have no room */
        ARBITER_NO_ROOM,     /* it would need what may_join or may_buy does not allow */
        ARBITER_NO_MEMORY,   /* nothing is changed */
        ARBITER_UNAVAILABLE, /* the arbiter does not answer any more; nothing is changed */
};

/* May this job come in, and as what? */
struct arbiter_admission {
        /* the question's; all of it lives until the decision is handed over */
        struct job *job;
        struct client *client; /* whose it is */
        struct purchase *candidate;
        bool fresh;    /* neither a purchase under way nor a solved job answers for it */
        bool may_join; /* this gateway has room for a job */
        bool may_buy;  /* and for a purchase */
        bool counted;  /* it was admitted before, and has taken its token of the client's rate */
        /*
         * Called once, with the mutex held, by any thread. Decisions are handed over in the order
         * in which they were made: who is told to join a purchase, or that it repeats a job, finds
         * it in the engine, unless it has gone since or has not come in.
         */
        void (*then_locked)(struct arbiter_admission *admission);

        /* the decision's */
        enum arbiter_decision decision;
        struct purchase *purchase;    /* JOINED: a reference, which is the owner's then */
        struct job *other;            /* CACHED, REPEATED: likewise */
        enum quota_verdict refused;   /* LIMITED: why */
        int64_t reserved_day;         /* OWN: of the reservation, since 1970, UTC */
        struct quota_figures figures; /* of the client, with LIMITED */
};

/* Which client may send a purchase to an account next? */
struct arbiter_turn {
        /* the question's */
        const struct account *account;
        struct queue_flow *only; /* this client, whoever is next; NULL: any that wants a turn */
        /* Whether this client has something to be sent there. Not called with only. */
        bool (*may_locked)(struct arbiter_turn *turn, const struct queue_flow *flow);
        void (*then_locked)(struct arbiter_turn *turn); /* as that of an admission */

        /* The answer: whose turn it is, which is in flight from now on; NULL: nobody's. */
        struct queue_flow *flow;
};

struct arbiter_backend {
        void (*admit)(struct arbiter *arbiter, struct arbiter_admission *admission);
        void (*undo)(struct arbiter *arbiter, const struct arbiter_admission *admission);
        int (*reserve)(struct arbiter *arbiter, struct client *client, int64_t *ret_day);
        void (*settle)(struct arbiter *arbiter, struct client *client, int64_t day);
        void (*release)(struct arbiter *arbiter, struct client *client, int64_t day);
        void (*open_purchase)(struct arbiter *arbiter, struct purchase *purchase);
        void (*close_purchase)(struct arbiter *arbiter, struct purchase *purchase);
        void (*solved)(struct arbiter *arbiter, struct job *job);
        int (*claim_key)(struct arbiter *arbiter, struct job *job, struct job **ret_other);
        void (*release_key)(struct arbiter *arbiter, struct job *job);
        void (*forget)(struct arbiter *arbiter, struct job *job);
        void (*wants)(struct arbiter *arbiter, struct queue_flow *flow, bool wants);
        void (*turn)(struct arbiter *arbiter, struct arbiter_turn *turn);
        void (*turn_resumed)(struct arbiter *arbiter, struct queue_flow *flow,
                             const struct account *account);
        void (*turn_over)(struct arbiter *arbiter, struct queue_flow *flow,
                          const struct account *account);
        void (*turn_unused)(struct arbiter *arbiter, struct queue_flow *flow);
        void (*limits_changed)(struct arbiter *arbiter);
        void (*close)(struct arbiter *arbiter);
        void (*give_up)(struct arbiter *arbiter);
        void (*free)(struct arbiter *arbiter);
};

/* What each backend begins with. */
struct arbiter {
        const struct arbiter_backend *backend;
        struct scheduler *scheduler; /* whose mutex it is: a backend that hands a decision over
                                        later takes it by scheduler_lock() */
};

/* Asks. The admission is the backend's until then_locked() is called, maybe before this returns. */
static inline void arbiter_admit_locked(struct arbiter *arbiter,
                                        struct arbiter_admission *admission)
{
        arbiter->backend->admit(arbiter, admission);
}

/* What was decided (OWN, JOINED, CACHED) is not used after all: the reservation is given back, and
 * the candidate and the job answer for nothing. The token of the rate stays taken. */
static inline void arbiter_undo_locked(struct arbiter *arbiter,
                                       const struct arbiter_admission *admission)
{
        arbiter->backend->undo(arbiter, admission);
}

/* Reserves one more charge of a client, without its rate; *ret_day is the day on which it counts.
 * Returns 0 or -EDQUOT. */
static inline int arbiter_reserve_locked(struct arbiter *arbiter, struct client *client,
                                         int64_t *ret_day)
{
        return arbiter->backend->reserve(arbiter, client, ret_day);
}

/* A reservation of that day became a charge, or is given back. Each requires that there is one. */
static inline void arbiter_settle_locked(struct arbiter *arbiter, struct client *client,
                                         int64_t day)
{
        arbiter->backend->settle(arbiter, client, day);
}

static inline void arbiter_release_locked(struct arbiter *arbiter, struct client *client,
                                          int64_t day)
{
        arbiter->backend->release(arbiter, client, day);
}

/* A purchase of before the start answers for its identity again, in place of an older one. Without
 * memory it does not: identical jobs then pay for themselves. */
static inline void arbiter_open_locked(struct arbiter *arbiter, struct purchase *purchase)
{
        arbiter->backend->open_purchase(arbiter, purchase);
}

/* Nobody joins a purchase any more. No effect if nobody could. */
static inline void arbiter_close_locked(struct arbiter *arbiter, struct purchase *purchase)
{
        arbiter->backend->close_purchase(arbiter, purchase);
}

/* A job of this purchase, about to be final, was solved, and answers for its identity until it is
 * forgotten, in place of an older one. */
static inline void arbiter_solved_locked(struct arbiter *arbiter, struct job *job)
{
        arbiter->backend->solved(arbiter, job);
}

/* A job of before the start has its key again. Returns 0, -ENOMEM, or -EEXIST: another one has the
 * key, and *ret_other is a reference to that. */
static inline int arbiter_claim_key_locked(struct arbiter *arbiter, struct job *job,
                                           struct job **ret_other)
{
        return arbiter->backend->claim_key(arbiter, job, ret_other);
}

/* A later job of the same client is to have the key. */
static inline void arbiter_release_key_locked(struct arbiter *arbiter, struct job *job)
{
        arbiter->backend->release_key(arbiter, job);
}

/* A job answers neither for its key nor for its identity any more. Thread: any, with the mutex held
 * or without. */
static inline void arbiter_forget(struct arbiter *arbiter, struct job *job)
{
        arbiter->backend->forget(arbiter, job);
}

/* A client has jobs that wait for a turn from now on, or no more. */
static inline void arbiter_wants_locked(struct arbiter *arbiter, struct queue_flow *flow,
                                        bool wants)
{
        arbiter->backend->wants(arbiter, flow, wants);
}

/* Asks for a turn. It is the backend's until then_locked() is called, maybe before this returns. */
static inline void arbiter_turn_locked(struct arbiter *arbiter, struct arbiter_turn *turn)
{
        arbiter->backend->turn(arbiter, turn);
}

/* A purchase of a client was accepted by an account before the start: it has a turn. */
static inline void arbiter_turn_resumed_locked(struct arbiter *arbiter, struct queue_flow *flow,
                                               const struct account *account)
{
        arbiter->backend->turn_resumed(arbiter, flow, account);
}

/* A turn is over; and what one cost that was not used is given back. */
static inline void arbiter_turn_over_locked(struct arbiter *arbiter, struct queue_flow *flow,
                                            const struct account *account)
{
        arbiter->backend->turn_over(arbiter, flow, account);
}

static inline void arbiter_turn_unused_locked(struct arbiter *arbiter, struct queue_flow *flow)
{
        arbiter->backend->turn_unused(arbiter, flow);
}

/* The weights and limits of clients may be others than before. */
static inline void arbiter_limits_changed_locked(struct arbiter *arbiter)
{
        arbiter->backend->limits_changed(arbiter);
}

/* Solvegate is being stopped and waits no longer: what is asked, and what is going to be, is
 * answered with ARBITER_UNAVAILABLE, or with nobody's turn. */
static inline void arbiter_give_up_locked(struct arbiter *arbiter)
{
        arbiter->backend->give_up(arbiter);
}

/* From when this returns, no thread of its own uses the scheduler. Without the mutex. Takes NULL.
 */
static inline void arbiter_close(struct arbiter *arbiter)
{
        if (arbiter)
                arbiter->backend->close(arbiter);
}

/* Requires that nothing is asked, and that no thread uses it. Takes NULL. */
static inline void arbiter_free(struct arbiter *arbiter)
{
        if (arbiter)
                arbiter->backend->free(arbiter);
}

#endif
