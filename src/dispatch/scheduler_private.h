/*
 * scheduler_private: what the parts of the scheduler share; nobody else includes it.
 */
#ifndef SOLVEGATE_DISPATCH_SCHEDULER_PRIVATE_H
#define SOLVEGATE_DISPATCH_SCHEDULER_PRIVATE_H

#include "base/heap.h"
#include "base/loop.h"
#include "dispatch/arbiter.h"
#include "dispatch/budget.h"
#include "dispatch/scheduler.h"
#include "job/purchase.h"
#include "job/queue.h"

#include <pthread.h>

struct client;
struct job;
struct outcome;
struct policy;
struct walk_kind;

/* Jobs that end while the mutex is held once, see end_job.h. */
#define ENDINGS_BATCH      64
#define ENDINGS_STORED_MAX 256 /* on their way to the store, but for those that clients cancel */

/* A place in the list of unfinished jobs, which stays valid while jobs come and end. */
struct unfinished_cursor {
        struct job *next;                /* NULL: the end */
        struct unfinished_cursor *other; /* of the same list */
};

/* The jobs that are not final. */
struct unfinished {
        struct job *jobs; /* in the order in which they were added */
        size_t count;
        struct heap by_deadline; /* but for those that are parked */
        struct unfinished_cursor *cursors;
};

/* Ends overdue jobs, and those of purchases that were given up, some in each turn of a loop; see
 * entry_expire(). */
struct expiry {
        struct loop *loop;
        int64_t now_ms; /* what is overdue then is ended */
        bool posted;    /* there is more: the mail is on its way */
        struct mail mail;
};

/* A walk through all unfinished jobs, some in each turn of a loop; see entry_walk.h. */
struct walk {
        struct scheduler *scheduler;         /* immutable */
        const struct walk_kind *kind;        /* NULL: none is under way */
        struct loop *loop;                   /* valid with kind */
        struct unfinished_cursor cursor;     /* likewise: what comes next */
        struct entry_unwanted_counts counts; /* likewise: what it has ended */
        bool waits;                          /* likewise: for the store, to end the next one */
        bool again;                          /* likewise: once more when it has ended */
        void (*done)(void *arg,
                     const struct entry_unwanted_counts *counts); /* at the end, without
                                                                     the mutex; or NULL */
        void *arg;
        bool posted; /* the mail is on its way */
        struct mail mail;
};

/* What is asked of each purchase in the queue, for one account. */
struct candidate {
        const struct scheduler *scheduler;
        const struct account *account;
        int64_t now_ms;
        bool budget;     /* there may be a retry */
        bool other;      /* another account is healthy */
        bool passed;     /* some purchase may go, but not there, or not now */
        int64_t next_ms; /* when one of these may go there by the passing of time; or INT64_MAX */
};

/*
 * A round of questions to the arbiter: for one account after the other whose turn it is. It goes on
 * where it was when an answer comes later, and ends when a purchase was found, or there is nothing
 * for any account.
 */
struct turn_round {
        struct arbiter_turn turn; /* about candidate.account */
        struct scheduler *scheduler;
        struct candidate candidate;
        struct account *account;
        struct scheduler_taker *takers; /* who are told of a late answer */
        struct small_set tried;         /* the indexes of accounts asked for in this round */
        enum { TURN_IDLE, TURN_ASKED, TURN_GIVEN } state;
        bool late;         /* valid while asked or given: the answer is not there at once */
        bool again;        /* something has changed since it began: once more when it ends */
        int64_t next_ms;   /* when something may go by the passing of time */
        struct job *found; /* valid where the answer was not late: what may go */
};

struct scheduler {
        struct scheduler_setup setup; /* immutable */

        pthread_mutex_t mutex;        /* guards all below */
        const struct config *config;  /* in force; a reload replaces it */
        size_t queued_max;            /* purchases */
        size_t unfinished_max;        /* jobs */
        struct queue queue;           /* what waits */
        struct purchase *accepted;    /* from before the start, not followed yet (queue links) */
        struct account_slots *slots;  /* all that have a reference */
        int64_t slots_number;         /* of the last of them */
        struct upstream_id *ids;      /* in use at the services */
        struct purchase *given_up;    /* their jobs end some at once; in order */
        struct unfinished unfinished; /* jobs that are attached to a purchase */
        size_t busy_clients;          /* clients with jobs that are not final */
        int64_t arrivals;             /* of jobs, in order */
        struct policy *policy;        /* a reference; NULL before scheduler_apply() */
        unsigned policies;            /* how many there have been */
        size_t admissions;            /* jobs about which the arbiter was asked */
        struct turn_round round;
        struct budget budget;
        size_t waiting_jobs; /* of the purchases that wait */
        size_t unkept_jobs;  /* of these: the store has no row of them, nor is going to */
        size_t flying;       /* purchases that were taken */
        size_t records;      /* whose callback is still to come */
        size_t endings;      /* jobs that ended by themselves, in these records */
        struct expiry expiry;
        struct walk withdrawal;            /* entry_withdraw_unkept() */
        struct walk review;                /* entry_cancel_unwanted() */
        int64_t solved[SCHEDULER_SOURCES]; /* see struct scheduler_figures */
        int64_t ended[SCHEDULER_ENDS];
        struct metric_histogram solve_s;
        bool drained; /* an operator has said so */
        bool draining;
        bool queue_stays;       /* valid while draining: the next start finds what waits */
        struct loop *idle_loop; /* valid while draining */
        struct mail *idle;      /* NULL once posted */
};

/* ---- scheduler_state.c ---- */

/* Whether a client's job would be taken that needs no purchase of its own; and what one that makes
 * a purchase needs besides. The client may be NULL: anybody. */
int scheduler_check_alive_locked(const struct scheduler *scheduler, const struct client *client);
int scheduler_check_room_locked(const struct scheduler *scheduler, const struct client *client);

/* ---- scheduler_mail.c ---- */

/* Between two batches of a long walk: releases the mutex for a moment, long enough for a thread
 * that waits for it to wake up and take it, and takes it again. */
void scheduler_let_others_in_locked(struct scheduler *scheduler);

/* Posts idle when the time has come. */
void scheduler_tell_idle_locked(struct scheduler *scheduler);

/* Whether there is a store that can write. */
bool scheduler_store_writes(const struct scheduler *scheduler);

/* Lets overdue jobs, and those of purchases that were given up, end in another turn of the loop, if
 * there are any and the store has few of them. At the stop nothing is begun but by a tick. */
void scheduler_expire_more_locked(struct scheduler *scheduler);

/* Lets a walk go on that has waited for the store, if it may. Takes one that is not under way. */
void scheduler_walk_on_locked(struct walk *walk);

/* ---- scheduler_unfinished.c ---- */

/* Adds a job at the end, and by its deadline; and removes it from both. */
void unfinished_add(struct unfinished *unfinished, struct job *job);
void unfinished_remove(struct unfinished *unfinished, struct job *job);

/* The job with the earliest deadline that is not parked, or NULL. */
struct job *unfinished_first_due(const struct unfinished *unfinished);

/* The same, if it is overdue by now_ms. */
struct job *unfinished_first_overdue(const struct unfinished *unfinished, int64_t now_ms);

/* A job that its deadline cannot end is parked, until it is expected again. Both have no effect if
 * it is already. */
void unfinished_park(struct unfinished *unfinished, struct job *job);
void unfinished_expect(struct unfinished *unfinished, struct job *job);

/*
 * Begins a walk through the list, in which each job that stays is visited once. The mutex may be
 * released during the walk: a job that ends is skipped. To be closed in the end.
 */
void unfinished_cursor_open(struct unfinished *unfinished, struct unfinished_cursor *cursor);
void unfinished_cursor_close(struct unfinished *unfinished, struct unfinished_cursor *cursor);

/* Returns the next job, or NULL at the end, and moves on. */
struct job *unfinished_cursor_next(struct unfinished_cursor *cursor);

/* ---- scheduler_accounts.c ---- */

/* Whether any account may be used, now or soon. */
bool scheduler_any_usable_locked(const struct scheduler *scheduler);

/* Whether an account may be sent a job now; else *again_ms is lowered to when it may by the passing
 * of time alone. */
bool scheduler_is_free_locked(const struct account *account, int64_t now_ms, int64_t *again_ms);

/* Notes in a turn what may change during its flight. */
void scheduler_look_locked(const struct scheduler *scheduler, struct scheduler_turn *turn);

/* Whether there is a healthy account but those in the set. */
bool scheduler_healthy_but_locked(const struct scheduler *scheduler, const struct small_set *but,
                                  int64_t now_ms);

/* The account that is to be sent the next job, but for those in the set, or NULL; *again_ms is
 * lowered to when one may become free by the passing of time alone. */
struct account *scheduler_free_account_locked(const struct scheduler *scheduler,
                                              const struct small_set *but, int64_t now_ms,
                                              int64_t *again_ms);

/* ---- scheduler_ids.c ---- */

/* A purchase does not use its id any more, if it did. */
void scheduler_release_id_locked(struct scheduler *scheduler, struct purchase *purchase);

/* ---- scheduler_slots.c ---- */

/*
 * Gives each account of a configuration the slots of its account at the service: those that it has
 * or others have, or else the spare ones, which are taken over. Sets what they have room for.
 */
void scheduler_slots_assign_locked(struct scheduler *scheduler,
                                   struct scheduler_upstream *upstreams, size_t count);

/* Whether there is a free slot for an account. */
bool scheduler_slots_free_locked(const struct account *account);

/* Takes a slot of an account; what is returned is a reference. And gives it back. */
struct account_slots *scheduler_slots_take_locked(struct account *account);
void scheduler_slots_release_locked(struct scheduler *scheduler, struct account *account,
                                    struct account_slots *slots);

/* The account loses its reference to its slots. */
void scheduler_slots_drop_locked(struct scheduler *scheduler, struct account *account);

/* Whether a reload has replaced, since the turn was taken, whom its job would go to. */
bool scheduler_is_outdated_locked(const struct scheduler_turn *turn);

/* ---- scheduler_match.c ---- */

/* A purchase taken from the queue, and the account that it goes to. */
struct scheduler_match {
        struct account *account;
        struct purchase *purchase; /* with the queue's reference */
        struct queue_flow *flow;   /* of the client whose turn it is */
        bool retry;                /* it costs budget, unless it is a probe */
};

/* Finds what may be sent now, and where. Returns false if there is nothing; *ret_again_ms then is
 * when to look again. The taker, who may be NULL, is told when the arbiter answers later. */
bool scheduler_match_locked(struct scheduler *scheduler, struct scheduler_taker *taker,
                            int64_t now_ms, struct scheduler_match *ret_match,
                            int64_t *ret_again_ms);

/* A turn that was given is not used after all. */
void scheduler_return_turn_locked(struct scheduler *scheduler, struct queue_flow *flow,
                                  const struct account *account);

/* Nobody is going to take a turn that was given. */
void scheduler_return_given_locked(struct scheduler *scheduler);

/* ---- entry.c ---- */

/* Adds a job to a purchase that is not final, and takes it away again; then the purchase's
 * reference to the job goes over to the caller. */
void entry_attach_locked(struct scheduler *scheduler, struct purchase *purchase, struct job *job);
void entry_detach_locked(struct scheduler *scheduler, struct job *job);

/* Notes whether a job would survive a crash. */
void entry_set_kept_locked(struct scheduler *scheduler, struct job *job, enum job_kept kept);

/* Lets nobody join a purchase any more. */
void entry_unlist_locked(struct scheduler *scheduler, struct purchase *purchase);

/* Makes a job final that is not attached. */
void entry_finish_now_locked(struct scheduler *scheduler, struct job *job, struct outcome *outcome);

/* Says who moves a purchase on from now on. */
void entry_place_locked(struct scheduler *scheduler, struct purchase *purchase,
                        enum purchase_place place);

/* Moves all jobs of a purchase along with it. */
void entry_move_locked(struct scheduler *scheduler, struct purchase *purchase,
                       enum job_state state);

/* Tells those who wait for its jobs to look at them, though nothing has changed. */
void entry_nudge_locked(struct scheduler *scheduler, const struct purchase *purchase);

/* Makes a purchase and all its jobs final by now. */
void entry_finish_locked(struct scheduler *scheduler, struct purchase *purchase,
                         struct outcome *outcome, int64_t finished_ms);

/* Drops a purchase that was not sent and whose jobs have all gone, with one reference to it. */
void entry_drop_locked(struct scheduler *scheduler, struct purchase *purchase);

/* ---- end_job.c ---- */

/*
 * What the store has, or is about to have, of a purchase that was dropped, and of a job that is
 * forgotten (NULL: none): both go.
 */
void entry_write_drop_locked(struct scheduler *scheduler, struct purchase *purchase,
                             const struct job *forgotten);

/* ---- entry_cancel.c ---- */

/* See entry_withdraw(). */
bool entry_withdraw_locked(struct scheduler *scheduler, struct loop *loop, struct job *job);

/* ---- entry_review.c ---- */

/* Why a job of this client for this host is not to be sent any more, by the policy; NULL: it is. */
const char *entry_why_unwanted_locked(const struct scheduler *scheduler,
                                      const struct client *client, const char *host);

/* Whether a job is still to be sent, by the policy. */
bool entry_wanted_locked(const struct scheduler *scheduler, const struct job *job);

/* Whether a purchase that was sent so often before may be sent: as often as retry.attempts says,
 * and what may have been charged only where retry.on_unknown says so. */
bool entry_has_tries_locked(const struct scheduler *scheduler, const struct purchase *purchase,
                            int attempts);

/*
 * A purchase has come back to the queue. What a reload has taken off meanwhile ends; payer_left:
 * who was to pay has left, so another one does.
 */
void entry_settle_returned_locked(struct scheduler *scheduler, struct loop *loop,
                                  struct purchase *purchase, bool payer_left);

#endif
