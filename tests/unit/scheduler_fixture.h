/*
 * scheduler_fixture: a scheduler with up to three accounts for the tests, that keeps nothing on
 * disk unless open_store() comes first, and the steps that a gateway and a flight take with it.
 */
#ifndef SOLVEGATE_TESTS_SCHEDULER_FIXTURE_H
#define SOLVEGATE_TESTS_SCHEDULER_FIXTURE_H

#include "access/clients.h"
#include "base/loop.h"
#include "config/config.h"
#include "dispatch/charges.h"
#include "dispatch/entry.h"
#include "dispatch/scheduler.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"
#include "store/store.h"
#include "upstream/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ACCOUNTS_MAX 3
#define JOBS_MAX     32   /* in the queue */
#define CROWD_MAX    2048 /* in all */
#define DEADLINE_MS  60000
#define LONG_MS      600000 /* does not pass in a test */

struct fixture {
        struct config config;                           /* to be changed before open_scheduler() */
        struct config_upstream upstreams[ACCOUNTS_MAX]; /* likewise; 2 slots each */
        struct accounts accounts;                       /* made by open_scheduler() */
        struct account *account[ACCOUNTS_MAX];          /* the same */
        struct loop *loop;
        struct results *results;
        struct arbiter *arbiter;
        struct charges *charges;
        struct clients *clients;
        struct scheduler *scheduler;
        struct store *store;         /* NULL: nothing is kept */
        char directory[32];          /* valid with store */
        int64_t number;              /* of the last purchase */
        enum quota_verdict refused;  /* of the last order */
        struct submission *pending;  /* likewise; valid with -EINPROGRESS */
        struct job *jobs[CROWD_MAX]; /* references to all that were submitted */
        size_t job_count;
        struct scheduler_turn flying[JOBS_MAX]; /* taken, and neither ended nor given back */
        size_t flying_count;
};

/* Setup and teardown of a test. */
int make_engine(void **state);
int free_engine(void **state);

#define ON_ENGINE(test) cmocka_unit_test_setup_teardown(test, make_engine, free_engine)

/* Opens a store in a directory of its own, to be called before open_scheduler(). Its writer does
 * not run until store_start(): what it is given waits. */
void open_store(struct fixture *f);

/* Makes the scheduler, with so many accounts. */
void open_scheduler(struct fixture *f, size_t accounts);

/* Puts another configuration in force, in which there are so many of the upstreams, from the first
 * one on. */
void reconfigure(struct fixture *f, size_t accounts);

/* A job as a client orders it. Two orders with the same task are identical. */
struct order {
        const char *task;
        const char *client;  /* NULL: "ci" */
        const char *key;     /* NULL: none */
        int64_t deadline_ms; /* from now; 0: DEADLINE_MS */
        bool fresh;
};

/*
 * Returns what submit_job() does. When that is 0 or -EINPROGRESS, *ret_job is the job, else if
 * -EEXIST the older one; the fixture holds the reference. f->refused says why when it is -EDQUOT.
 */
int submit_order(struct fixture *f, const struct order *order, struct job **ret_job);

/* The client of that name. */
struct client *client_named(struct fixture *f, const char *name);

/* Submits a job that is taken, and returns it. */
struct job *submit(struct fixture *f, const char *task);

/* Takes the next purchase, which is this job's, and begins to send it. */
struct scheduler_turn take(struct fixture *f, const struct job *job);

/* There is nothing to be taken. Returns when to come again. */
int64_t take_nothing(struct fixture *f);

/* What a flight does when the upstream has queued the purchase, when it ended, and when it is to be
 * sent again. */
void accept_turn(struct fixture *f, const struct scheduler_turn *turn);
void end_turn(struct fixture *f, const struct scheduler_turn *turn, struct outcome *outcome);
void end_turn_as(struct fixture *f, const struct scheduler_turn *turn, struct outcome *outcome,
                 enum store_charge charge);
void solve_turn(struct fixture *f, const struct scheduler_turn *turn);
bool give_back(struct fixture *f, const struct scheduler_turn *turn, enum scheduler_try tried,
               int64_t pause_ms);

/* The free probe that is due ends with that result. */
void probe_ends(struct fixture *f, enum breaker_result result);

enum job_state state_of(struct fixture *f, struct job *job);

/* The job's outcome, which must be there. */
const struct outcome *outcome_of(struct fixture *f, struct job *job);

#endif
