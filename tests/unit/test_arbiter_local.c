/*
 * The local arbiter: which job answers for a key, and which one for an identity.
 */
#include "access/clients.h"
#include "base/clock.h"
#include "dispatch/arbiter.h"
#include "dispatch/arbiter_local.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include <cmocka.h>

#define LARGE  (64 << 20)
#define TTL_MS 60000 /* does not pass in a test */

/* The arbiter, and the results that tell it what they drop. */
struct fixture {
        struct results *results;
        struct arbiter *arbiter;
        struct clients *clients;
};

static void on_forgotten(void *arg, struct job *gone)
{
        struct fixture *f = arg;
        struct job *job;

        DL_FOREACH2 (gone, job, expiry_next)
                arbiter_forget(f->arbiter, job);
}

static int make_arbiter(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);
        const struct results_setup setup = {
                .ttl_ms = TTL_MS, .max_bytes = LARGE, .forget = on_forgotten, .arg = f};

        *state = f;
        return !f || results_new(&setup, &f->results) < 0 ||
               arbiter_local_new(f->results, &f->arbiter) < 0 || clients_new(&f->clients) < 0;
}

static int free_arbiter(void **state)
{
        struct fixture *f = *state;

        arbiter_free(f->arbiter);
        results_free(f->results);
        clients_free(f->clients);
        free(f);
        return 0;
}

static struct job *new_keyed_job(const char *client, const char *key)
{
        static const unsigned char digest[JOB_DIGEST_BYTES];
        const struct job_parts parts = {
                .client = client,
                .target_json = "\"bus\"",
                .key = key,
                .key_digest = digest,
                .created_wall_ms = clock_wall_ms(),
                .deadline_wall_ms = clock_wall_ms() + 1000,
        };
        struct job *job;

        assert_int_equal(job_new(&parts, &job), 0);
        return job;
}

/* A job of a purchase of its own, whose task has this name. */
static struct job *new_job_of(const char *task)
{
        struct task_identity identity = {0};
        struct job *job = new_keyed_job("ci", NULL);

        memcpy(identity.bytes, task, strlen(task));
        assert_int_equal(purchase_new(1, &identity, strdup("a.example"), NULL, &job->purchase), 0);
        return job;
}

static int add(struct fixture *f, struct job *job, struct job **ret_other)
{
        int r = arbiter_claim_key_locked(f->arbiter, job, ret_other);

        if (r == 0)
                assert_int_equal(results_add(f->results, job), 0);
        return r;
}

static void add_new(struct fixture *f, struct job *job)
{
        struct job *other = NULL;

        assert_int_equal(add(f, job, &other), 0);
        assert_null(other);
}

static void finish(struct fixture *f, struct job *job, struct outcome *outcome, int64_t finished_ms)
{
        results_move(f->results, job, JOB_SENDING);
        if (outcome->state == JOB_SOLVED && job->purchase)
                arbiter_solved_locked(f->arbiter, job);
        results_finish(f->results, job, outcome, finished_ms);
        outcome_unref(outcome);
}

static void solve(struct fixture *f, struct job *job)
{
        finish(f, job, outcome_solved(calloc(1, 10), 10), clock_monotonic_ms());
}

/* ---- by key ---- */

static void a_key_leads_to_the_job_that_came_first_until_that_expires(void **state)
{
        struct fixture *f = *state;
        struct job *first = new_keyed_job("ci", "key"), *second = new_keyed_job("ci", "key");
        struct job *other = NULL;

        add_new(f, first);
        assert_int_equal(add(f, second, &other), -EEXIST);
        assert_ptr_equal(other, first);
        job_unref(other);
        solve(f, first);
        assert_int_equal(add(f, second, &other), -EEXIST);
        assert_ptr_equal(other, first);
        job_unref(other);
        results_sweep(f->results, clock_monotonic_ms() + 5 * TTL_MS);
        add_new(f, second);
        job_unref(first);
        job_unref(second);
}

static void a_key_is_free_again_when_its_job_is_forgotten(void **state)
{
        struct fixture *f = *state;
        struct job *job = new_keyed_job("ci", "key"), *again = new_keyed_job("ci", "key");

        add_new(f, job);
        results_remove(f->results, job);
        arbiter_forget(f->arbiter, job);
        add_new(f, again);
        job_unref(job);
        job_unref(again);
}

static void a_key_is_its_owners_alone(void **state)
{
        static const char *const others[][2] = {
                {"ci", "key2"}, {"qa", "key"}, {"c", "ikey"}, {"cik", "ey"}, {"ci", NULL}};
        struct fixture *f = *state;
        struct job *job = new_keyed_job("ci", "key");

        add_new(f, job);
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                struct job *other = new_keyed_job(others[i][0], others[i][1]);
                add_new(f, other);
                job_unref(other);
        }
        job_unref(job);
}

/* The next key, after *number, of which uthash's own hash, with the client's name, has the lowest
 * bits 0. */
static void craft_key(char key[static 16], unsigned *number)
{
        char text[20] = "ci";
        unsigned hash;
        int len;

        do {
                len = snprintf(text + 3, sizeof text - 3, "%u", ++*number);
                HASH_JEN(text, 3 + (size_t)len, hash);
        } while (hash % 1024 != 0);
        memcpy(key, text + 3, (size_t)len + 1);
}

static void crafted_keys_do_not_share_a_chain(void **state)
{
        enum { KEYS = 400 };
        struct fixture *f = *state;
        const struct UT_hash_table *table = NULL;
        unsigned number = 0, longest = 0;

        for (int i = 0; i < KEYS; i++) {
                char key[16];
                craft_key(key, &number);
                struct job *job = new_keyed_job("ci", key);
                add_new(f, job);
                table = job->by_key.tbl;
                job_unref(job);
        }
        assert_int_equal(table->num_items, KEYS);
        for (unsigned i = 0; i < table->num_buckets; i++)
                longest = table->buckets[i].count > longest ? table->buckets[i].count : longest;
        assert_true(longest <= 2 * HASH_BKT_CAPACITY_THRESH);
}

/* ---- by identity ---- */

static void on_decided(struct arbiter_admission *admission)
{
        (void)admission;
}

/* What answers for the identity of a job's task; NULL: the next one has to buy it. */
static struct job *find_solved(struct fixture *f, const struct job *like)
{
        struct arbiter_admission admission = {
                .job = new_keyed_job("ci", NULL),
                .client = clients_need(f->clients, "ci"),
                .candidate = like->purchase,
                .may_join = true,
                .then_locked = on_decided,
        };

        arbiter_admit_locked(f->arbiter, &admission);
        assert_int_equal(admission.decision, admission.other ? ARBITER_CACHED : ARBITER_NO_ROOM);
        job_unref(admission.job);
        job_unref(admission.other); /* the results keep it */
        return admission.other;
}

/* Solves a job whose time is over in a moment, and waits for that; nothing sweeps meanwhile. */
static void solve_and_expire(struct fixture *f, struct job *job)
{
        int64_t almost_ms = clock_monotonic_ms() - TTL_MS + 20;

        finish(f, job, outcome_solved(calloc(1, 1), 1), almost_ms);
        while (clock_monotonic_ms() < almost_ms + TTL_MS)
                ;
}

static void a_solved_job_answers_for_its_identity_until_it_expires(void **state)
{
        struct fixture *f = *state;
        struct job *job = new_job_of("bus"), *other = new_job_of("bicycle");

        add_new(f, job);
        assert_null(find_solved(f, job));
        solve(f, job);
        assert_ptr_equal(find_solved(f, job), job);
        assert_null(find_solved(f, other));
        results_sweep(f->results, clock_monotonic_ms() + 5 * TTL_MS);
        assert_null(find_solved(f, job));
        job_unref(job);
        job_unref(other);
}

static void an_expired_job_answers_no_more_even_before_the_sweep(void **state)
{
        struct fixture *f = *state;
        struct job *job = new_job_of("bus");

        add_new(f, job);
        solve_and_expire(f, job);
        assert_null(find_solved(f, job));
        job_unref(job);
}

static void a_job_that_was_not_solved_answers_for_nothing(void **state)
{
        struct fixture *f = *state;
        struct job *failed = new_job_of("bus");

        add_new(f, failed);
        finish(f, failed, outcome_failed(JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, "lost"),
               clock_monotonic_ms());
        assert_null(find_solved(f, failed));
        job_unref(failed);
}

static void the_youngest_answers_and_goes_on_when_an_older_one_is_forgotten(void **state)
{
        struct fixture *f = *state;
        struct job *older = new_job_of("bus"), *younger = new_job_of("bus");
        int64_t now_ms = clock_monotonic_ms();

        add_new(f, older);
        add_new(f, younger);
        finish(f, older, outcome_solved(calloc(1, 1), 1), now_ms - TTL_MS * 3 / 4);
        assert_ptr_equal(find_solved(f, older), older);
        finish(f, younger, outcome_solved(calloc(1, 1), 1), now_ms);
        assert_ptr_equal(find_solved(f, older), younger);
        results_sweep(f->results, now_ms + TTL_MS / 2);
        assert_ptr_equal(find_solved(f, older), younger);
        job_unref(older);
        job_unref(younger);
}

#define ON_ARBITER(test) cmocka_unit_test_setup_teardown(test, make_arbiter, free_arbiter)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ARBITER(a_key_leads_to_the_job_that_came_first_until_that_expires),
                ON_ARBITER(a_key_is_free_again_when_its_job_is_forgotten),
                ON_ARBITER(a_key_is_its_owners_alone),
                ON_ARBITER(crafted_keys_do_not_share_a_chain),
                ON_ARBITER(a_solved_job_answers_for_its_identity_until_it_expires),
                ON_ARBITER(an_expired_job_answers_no_more_even_before_the_sweep),
                ON_ARBITER(a_job_that_was_not_solved_answers_for_nothing),
                ON_ARBITER(the_youngest_answers_and_goes_on_when_an_older_one_is_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
