/*
 * results: every job that can be asked for by its id, and the movers of a job's state.
 *
 * The ids are sharded, each shard under its own mutex; the list of final jobs has one. Neither is
 * held together with another, and nothing else is locked while one is held, but a mailbox. Final
 * jobs stay for a time and under a limit of memory (see job/retention.h); jobs that are not final
 * stay whatever happens (the scheduler limits their number).
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_JOB_RESULTS_H
#define SOLVEGATE_JOB_RESULTS_H

#include "job/job.h"
#include "job/waiter.h"

struct results;

#define RESULTS_BATCH 100 /* jobs that go at once */

struct results_setup {
        int64_t ttl_ms;    /* final jobs are kept so long */
        int64_t max_bytes; /* and in no more memory than this */
        /*
         * Is told of final jobs that nobody can ask for any more, RESULTS_BATCH of them at most, as
         * a list by expiry_next that is valid during the call. May be NULL. Called by whichever
         * thread makes room.
         */
        void (*forget)(void *arg, struct job *gone);
        void *arg;
};

/* Returns 0 or -ENOMEM. */
int results_new(const struct results_setup *setup, struct results **ret_results);

/* Other limits than in the setup, for what is there already too: what is over them goes at the next
 * sweeps. */
void results_limit(struct results *results, int64_t ttl_ms, int64_t max_bytes);

/* Drops every job. Requires that no other thread uses the results any more. Takes NULL. */
void results_free(struct results *results);

/*
 * Makes a job findable; takes a reference of its own. Returns 0 or -ENOMEM.
 */
int results_add(struct results *results, struct job *job);

/* Forgets a job that was added and is not final. */
void results_remove(struct results *results, struct job *job);

/* Finds a job by id. Returns it with a reference for the caller, or NULL: unknown or expired. */
struct job *results_find(struct results *results, const char *id);

/* Whether a job was added, and neither removed nor dropped since. */
bool results_has(struct results *results, struct job *job);

/* Whether a job is final and has been for too long to be found. */
bool results_has_expired(struct results *results, struct job *job);

/*
 * The movers, the only places where a job's state changes. Both require job_state_may_become() and
 * wake those who waited for it. results_move() is for states that are not final. results_finish()
 * takes another reference to outcome, whose state it is; the job then expires by the time at which
 * it finished (monotonic, now or before). job->paid is final from then on.
 */
void results_move(struct results *results, struct job *job, enum job_state to);
void results_finish(struct results *results, struct job *job, struct outcome *outcome,
                    int64_t finished_ms);

/* Tells those who wait for a job to look at it, though it has not changed. */
void results_nudge(struct results *results, struct job *job);

/* The state now. When it is final, job->outcome may be read without a lock from then on. */
enum job_state results_state(struct results *results, struct job *job);

/*
 * Arms a waiter. Returns true when it is armed, or false when the job has come so far already and
 * no mail will be sent. The caller holds a reference to the job while the waiter is armed.
 */
bool results_wait(struct results *results, struct job *job, struct waiter *waiter);

/* Disarms a waiter. Returns false when its mail is on the way. */
bool results_unwait(struct results *results, struct job *job, struct waiter *waiter);

/*
 * Drops what has expired by now_ms (monotonic), and what is over the limit of memory. Returns
 * whether there is more: one call drops RESULTS_SWEEP jobs at most, so that it is short.
 */
#define RESULTS_SWEEP 5000
bool results_sweep(struct results *results, int64_t now_ms);

struct results_figures {
        int64_t bytes;       /* of memory that final jobs take */
        int64_t freed_bytes; /* of those that have gone since the start */
        int64_t paid_early;  /* paid jobs that have gone before their time, since the start */
};

void results_read(struct results *results, struct results_figures *ret_figures);

#endif
