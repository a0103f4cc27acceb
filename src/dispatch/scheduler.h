/*
 * scheduler: what waits, what is under way, and who sends next, for the whole gateway.
 *
 * One mutex guards all purchases that are not final with their jobs, the queue, and what every
 * account has under way, so that joining, cancelling, and matching a free slot with a waiting
 * purchase are each one step. A purchase holds a slot from the moment it is taken until the
 * upstream has finished with it: the upstream limits jobs, and counts those that it has queued.
 *
 * No wake-up can be lost: whoever adds a job or gives back a slot calls scheduler_take()
 * afterwards on its own thread, until that has nothing more, and comes back when it says.
 *
 * Thread: any. Under the mutex, the locks after it in docs/architecture.md ("Locks") may be taken.
 *
 * Its parts, which share scheduler_private.h:
 *
 * scheduler_state       how it begins and ends, room for jobs, the modes, the stop
 * scheduler_mail        the mail by which it goes on in another turn of a loop
 * scheduler_turns       a purchase is sent: takes a slot, and is over or goes back to the queue
 * scheduler_match       which purchase goes to which account
 * scheduler_accounts    accounts: reloads, breakers; with _slots (what an account at the service
 *                       has room for) and _ids (which job has which of its ids)
 * scheduler_show        what operators see
 * scheduler_unfinished  the list of all jobs that are not final, and those by deadline
 * submission            jobs that come
 * entry                 purchases with their jobs
 * entry_wanted          whether a job is still to be sent
 * end_job               why a job ends apart from its purchase, and what follows
 * entry_cancel, entry_expire, entry_review
 *                       end jobs: by an order, overdue, or since a reload; by entry_walk
 * payment               who pays
 * keep                  makes jobs durable before their IDs are returned
 * journal               a purchase's steps, stored before they are seen
 */
#ifndef SOLVEGATE_DISPATCH_SCHEDULER_H
#define SOLVEGATE_DISPATCH_SCHEDULER_H

#include "base/loop.h"
#include "base/metrics.h"
#include "job/job.h"
#include "upstream/breaker.h"
#include "upstream/request_counts.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account;
struct account_slots;
struct account_terms;
struct accounts;
struct arbiter;
struct audit;
struct body;
struct charges;
struct client;
struct config;
struct policy;
struct purchase;
struct queue_flow;
struct quota_figures;
struct results;
struct scheduler;
struct store;

/* How many jobs entry_cancel_unwanted() has ended, or given up. */
struct entry_unwanted_counts {
        size_t cancelled; /* never sent, or surely turned away */
        size_t given_up;  /* ended in doubt: an earlier attempt may have been charged */
};

/* All of it outlives the scheduler. */
struct scheduler_setup {
        struct accounts *accounts;
        struct results *results;
        struct arbiter *arbiter;
        struct store *store; /* NULL: nothing is kept */
        struct charges *charges;
        struct audit *audit; /* NULL: there is none (in tests) */
};

/* It takes no jobs before scheduler_reconfigure(). Returns 0 or -ENOMEM. */
int scheduler_new(const struct scheduler_setup *setup, struct scheduler **ret_scheduler);

/* Drops what is left in memory. Takes NULL. */
void scheduler_free(struct scheduler *scheduler);

/* The mutex, for an arbiter that hands a decision over later. Thread: any that does not have it. */
void scheduler_lock(struct scheduler *scheduler);
void scheduler_unlock(struct scheduler *scheduler);

/* A client may have so many jobs even if others have filled the queue; or its share of the limit,
 * if that is more. */
#define SCHEDULER_CLIENT_ROOM 16

/*
 * Tells whether a job of this client (NULL: anybody's) would be taken now: 0, -ENOBUFS (queue
 * full), -ESHUTDOWN (draining), -EBUSY (an operator has said so), -EIO (nothing can be stored),
 * -EROFS (nothing can be audited) or -EHOSTUNREACH (every account is refused upstream).
 */
int scheduler_check(struct scheduler *scheduler, const struct client *client);

/* A purchase that was taken, with its slot, and what its flight needs without taking the mutex. */
struct scheduler_turn {
        struct purchase *purchase; /* with the queue's reference; its state is sending */
        struct account *account;
        struct account_terms *terms; /* a reference, until the slot is given back: how it is sent */
        struct account_slots *slots; /* likewise: whose slot it is */
        unsigned health;             /* the account's, when it was taken */
        struct queue_flow *flow;     /* of the client whose turn it is */
        struct job *payer;           /* a reference, likewise: the job that pays */
        int attempts;                /* how often the purchase was sent, this time included; a
                                        breaker's probes apart */
        bool probe;                  /* the breaker's */
        bool retried;                /* it was turned away before */
        bool retry;                  /* that costs budget, unless it is a probe */
        bool counted;                /* among the purchase's attempts */

        /* As it was when the turn was taken, or at the last scheduler_wants(), scheduler_note() or
         * scheduler_terms(): a job that joins may have a later deadline, and a reload may bring
         * fewer attempts. */
        int64_t deadline_ms; /* monotonic: when the last of the purchase's jobs is too late */
        int64_t time_ms;     /* how long that job has in all */
        bool attempt_left;   /* retry.attempts and retry.on_unknown allow this one */
};

/* Who takes purchases, on a loop. */
struct scheduler_taker {
        struct loop *loop;
        struct mail mail;    /* its deliver() clears posted and then comes back to take */
        _Atomic bool posted; /* set with the mutex, when the mail is posted, which is not to be
                                posted again or freed before its delivery */
        bool told;           /* the loop's: it comes because of the mail */
        bool waits;          /* guarded by the mutex: for an answer of the arbiter */
        struct scheduler_taker *next; /* likewise; valid while it waits */
};

/*
 * Takes the next purchase that may be sent now, and a slot of the account that is to send it: the
 * first by priority with a free slot, the freest within one priority, but one that has turned the
 * purchase away only when no other may have it. Returns false when there is none; *ret_again_ms
 * then is when to come back (monotonic), or INT64_MAX. Where the arbiter answers later whose turn
 * it is, the mail of each taker that was sent away is posted then. The taker may be NULL, who is
 * not told. Thread: the taker's loop.
 */
bool scheduler_take(struct scheduler *scheduler, struct scheduler_taker *taker,
                    struct scheduler_turn *ret_turn, int64_t *ret_again_ms);

/* Takes a purchase that an upstream had accepted before the start, likewise. To be called before
 * the first reload. */
bool scheduler_take_accepted(struct scheduler *scheduler, struct scheduler_turn *ret_turn);

/* The upstream has answered, or could not be asked; see breaker_end(). Says nothing about an
 * account that a reload has changed meanwhile. */
void scheduler_note(struct scheduler *scheduler, struct scheduler_turn *turn,
                    enum breaker_result result, int64_t retry_after_ms);

/*
 * The upstream has the turn's purchase under an id, which is its own until the flight is over.
 * Returns 0; -EEXIST if a purchase with another task, at the same account at the service, is not
 * final and has the id already; or -ENOMEM.
 */
int scheduler_claim_id(struct scheduler *scheduler, const struct scheduler_turn *turn,
                       const char *upstream_id);

/* Whether claiming it would fail with -EEXIST. */
bool scheduler_has_id(struct scheduler *scheduler, const struct scheduler_turn *turn,
                      const char *upstream_id);

/* Gives back the slot, of the account and of the client, and the turn's terms and payer. */
void scheduler_release(struct scheduler *scheduler, const struct scheduler_turn *turn);

/*
 * It may have been charged and is to be sent again, which may be charged once more: reserves for
 * that. Returns false when its client has nothing left for it.
 */
bool scheduler_reserve_again(struct scheduler *scheduler, struct purchase *purchase);

/* Gives the clients the weights and limits of a policy; what is sent from now on goes by it. */
void scheduler_apply(struct scheduler *scheduler, struct policy *policy);

/* An upstream of the configuration. */
struct scheduler_upstream {
        struct account *account;
        struct account_terms *terms; /* NULL: they stay as they are */
        bool anew;                   /* what is known of its health is forgotten */
        struct account_slots *spare; /* zeroed, by calloc(); not NULL. Taken over if it is needed,
                                        and then NULL */
};

/*
 * Puts a configuration in force, which lives as long as it is: limits, and the accounts, of which
 * those that are not among the upstreams are retired. Takes over the references to their terms;
 * those that were in force until now stand in their places then. Thread: main.
 */
void scheduler_reconfigure(struct scheduler *scheduler, const struct config *config,
                           struct scheduler_upstream *upstreams, size_t count);

/* A retired account that has nothing in flight any more is not told of from now on, and has no
 * terms: its credential is wiped. Thread: main. */
void scheduler_forget_retired(struct scheduler *scheduler);

/* What a client has used, and has under way. */
struct scheduler_usage {
        int in_flight; /* of its turns */
        int max_in_flight;
        size_t queued;     /* its jobs that wait for their turn */
        size_t unfinished; /* its jobs that are not final */
        int64_t saved_cache;
        int64_t saved_collapsed;
};

void scheduler_usage(struct scheduler *scheduler, struct client *client,
                     struct scheduler_usage *ret_usage, struct quota_figures *ret_figures);

/* The stop waits for no decision of the arbiter any more. */
void scheduler_give_up(struct scheduler *scheduler);

/* Whether another account than the turn's may be used, now or later; or the same, since a reload
 * has changed it. */
bool scheduler_has_other(struct scheduler *scheduler, const struct scheduler_turn *turn);

/* The terms by which a turn's job is asked for: those of its account now, unless they are about
 * another url; else its own. A reference. */
struct account_terms *scheduler_terms(struct scheduler *scheduler, struct scheduler_turn *turn);

/* The terms of an account, a reference, and its health; NULL: it is retired. */
struct account_terms *scheduler_account_terms(struct scheduler *scheduler,
                                              const struct account *account, unsigned *ret_health);

/* The index of the first account by priority that is not retired. */
size_t scheduler_first_account(struct scheduler *scheduler);

/*
 * The flight of a purchase is over: it is final, or left as it is for the next start. Takes the
 * reference.
 */
void scheduler_land(struct scheduler *scheduler, struct purchase *purchase);

/* An account that is to be asked for its balance, as its breaker's free probe. */
struct scheduler_probe {
        struct account *account;
        struct account_terms *terms; /* a reference, until scheduler_end_probe() */
        unsigned health;             /* the account's, when it was taken */
};

/*
 * Takes a free probe that is due, to be ended by scheduler_end_probe(). Returns false when there is
 * none; *ret_again_ms then is when to come back (monotonic), or INT64_MAX.
 */
bool scheduler_take_probe(struct scheduler *scheduler, struct scheduler_probe *ret_probe,
                          int64_t *ret_again_ms);

/* Its result; see breaker_end_free_probe(). Drops the reference to the terms. */
void scheduler_end_probe(struct scheduler *scheduler, const struct scheduler_probe *probe,
                         enum breaker_result result, int64_t retry_after_ms);

/* What became of a turn that ends in the queue. */
enum scheduler_try {
        SCHEDULER_NOT_TRIED,   /* the purchase was not sent */
        SCHEDULER_REFUSED,     /* the account is to blame, and the turn cost nothing */
        SCHEDULER_TURNED_AWAY, /* it was not taken: the next turn is a retry */
        SCHEDULER_IN_DOUBT,    /* the same, but this one may have been charged */
};

/*
 * Puts a purchase back into the queue, with its reference: its state is queued again. It may be
 * sent again after pause_ms, or when the breaker of the account says when. Returns false when
 * nobody will take it any more, since nothing is kept and solvegate is being stopped. Thread: the
 * loop's.
 */
bool scheduler_requeue(struct scheduler *scheduler, struct loop *loop,
                       const struct scheduler_turn *turn, enum scheduler_try tried,
                       int64_t pause_ms);

/* Returns false if a purchase that was taken must not be sent: its payer has left; a reload has
 * removed the payer's client or the site, or changed the account; or solvegate is being stopped. */
bool scheduler_wants(struct scheduler *scheduler, struct scheduler_turn *turn);

/* A purchase that was taken ends unsent: what its turn cost is given back, to the budget too. To be
 * called before scheduler_release(). */
void scheduler_unuse(struct scheduler *scheduler, const struct scheduler_turn *turn);

/* Keeps why a purchase was turned away, for who asks for a job that ends by its deadline. */
void scheduler_set_trouble(struct scheduler *scheduler, struct purchase *purchase,
                           const char *trouble);

/* Gives a purchase the body that was read back; takes it over. */
void scheduler_set_body(struct scheduler *scheduler, struct purchase *purchase, struct body *body);

/*
 * Takes no more jobs and sends none from now on. Those who wait for a job that is queued are told
 * to look at it. Posts idle to loop once nothing is under way. Call it once. Returns whether the
 * next start finds what is queued; if not, the caller cancels it.
 */
bool scheduler_drain(struct scheduler *scheduler, struct loop *loop, struct mail *idle);

/* Whether jobs are taken. */
enum scheduler_mode {
        SCHEDULER_TAKING,
        SCHEDULER_DRAINED,  /* none, by an operator's order; those it has go on */
        SCHEDULER_STOPPING, /* none, and none is sent, for ever: scheduler_drain() */
};

enum scheduler_mode scheduler_mode(struct scheduler *scheduler);

/* An operator's order: takes no more jobs, or takes them again. Returns the mode from then on. */
enum scheduler_mode scheduler_set_drained(struct scheduler *scheduler, bool drained);

/* Whether a record of a job or a purchase is on its way to the store. */
bool scheduler_writes(struct scheduler *scheduler);

#define SCHEDULER_SOURCES (JOB_FROM_CACHE + 1)
#define SCHEDULER_ENDS    (JOB_OUTCOME_UNKNOWN + 1)

/* What there is at one moment, and what there was since the start. */
struct scheduler_figures {
        size_t queued_purchases;
        size_t queued_jobs;                /* theirs */
        int64_t solved[SCHEDULER_SOURCES]; /* jobs by enum job_source */
        int64_t ended[SCHEDULER_ENDS];     /* jobs by enum job_error; those without one are
                                              solved */
        struct metric_histogram solve_s;   /* from taking a job to its solution; of those from the
                                              cache there is none */
};

/* The bounds of solve_s, in seconds. */
extern const struct metric_buckets scheduler_solve_buckets;

void scheduler_figures(struct scheduler *scheduler, struct scheduler_figures *ret_figures);

#define SCHEDULER_URL_BYTES_MAX 512 /* as the table of keys bounds it */

/* The same of one account. */
struct scheduler_account {
        const char *name; /* lives as long as the process */
        char url[SCHEDULER_URL_BYTES_MAX + 1];
        int api;
        int priority;
        int max_in_flight;
        int in_flight;
        bool open;    /* its breaker: it gets probes only */
        bool out;     /* open because the account is refused */
        bool retired; /* it is not in the configuration any more */
        struct request_figures requests;
};

/*
 * The account with this index among those that are not gone, from 0 on. Returns false behind the
 * last. Thread: main, for which they stay the same as long as it does not reload nor forget.
 */
bool scheduler_account(struct scheduler *scheduler, size_t index,
                       struct scheduler_account *ret_account);

/* A job as it is at one moment. */
struct scheduler_job {
        struct job *job; /* a reference */
        enum job_state state;
        const char *upstream; /* which account has it, or had; NULL: none, or it is not known any
                                 more. Lives as long as the scheduler */
        int attempts;         /* how often its purchase was sent */
        char *trouble;        /* what came of the last try; owned; or NULL */
        const char *trouble_upstream; /* at which account, likewise; NULL without trouble */
};

void scheduler_describe(struct scheduler *scheduler, struct job *job,
                        struct scheduler_job *ret_job);
void scheduler_job_done(struct scheduler_job *job);

/* Which jobs are listed. */
struct scheduler_choice {
        const char *client; /* this client's, by name; NULL: everybody's */
        bool any_state;
        enum job_state state; /* valid without any_state */
        size_t limit;         /* no more than so many; above 0 */
};

struct scheduler_list {
        struct scheduler_job *jobs; /* the oldest at the head */
        size_t count;
        size_t total; /* how many there are, whatever the limit */
};

/*
 * Lists jobs that are not final: the oldest, where there are more than the limit. The caller frees
 * with scheduler_list_done(). Returns 0 or -ENOMEM.
 */
int scheduler_jobs(struct scheduler *scheduler, const struct scheduler_choice *choice,
                   struct scheduler_list *ret_list);
void scheduler_list_done(struct scheduler_list *list);

#endif
