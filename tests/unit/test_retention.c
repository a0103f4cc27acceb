/*
 * Which final jobs go first, and what their memory counts for.
 */
#include "base/clock.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "job/results.h"
#include "job/retention.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TTL_MS 60000 /* does not pass in a test */
#define LARGE  ((int64_t)1 << 30)
#define TEXT   2000 /* bytes of a result; the allocator gives some of them a little more */

static struct results *open_results(int64_t max_bytes)
{
        const struct results_setup setup = {.ttl_ms = TTL_MS, .max_bytes = max_bytes};
        struct results *results;

        assert_int_equal(results_new(&setup, &results), 0);
        return results;
}

static struct results_figures figures_of(struct results *results)
{
        struct results_figures figures;

        results_read(results, &figures);
        return figures;
}

static int64_t bytes_of(struct results *results)
{
        return figures_of(results).bytes;
}

/* A job in the results. The caller holds a reference. */
static struct job *add(struct results *results, const char *client, struct purchase *purchase,
                       const char *key)
{
        static const unsigned char digest[JOB_DIGEST_BYTES];
        const struct job_parts parts = {
                .client = client,
                .target_json = "\"Please click each image containing a bus\"",
                .key = key,
                .key_digest = digest,
                .created_wall_ms = clock_wall_ms(),
                .deadline_wall_ms = clock_wall_ms() + 1000,
        };
        struct job *job;

        assert_int_equal(job_new(&parts, &job), 0);
        job->purchase = purchase_ref(purchase);
        assert_int_equal(results_add(results, job), 0);
        return job;
}

static struct purchase *new_purchase(void)
{
        static int64_t number;

        number++;
        const struct task_identity identity = {
                .bytes = {(unsigned char)number, (unsigned char)(number >> 8)}};
        struct purchase *purchase;

        assert_int_equal(purchase_new(number, &identity, strdup("a.example"), NULL, &purchase), 0);
        return purchase;
}

static struct outcome *new_outcome(size_t bytes)
{
        return outcome_solved(calloc(1, bytes), bytes);
}

static void finish(struct results *results, struct job *job, struct outcome *outcome)
{
        results_move(results, job, JOB_SENDING);
        results_finish(results, job, outcome, clock_monotonic_ms());
}

/* A final job with a purchase and an outcome of its own. */
static struct job *end_job(struct results *results, const char *client, bool paid, size_t bytes)
{
        struct purchase *purchase = new_purchase();
        struct outcome *outcome = new_outcome(bytes);
        struct job *job = add(results, client, purchase, NULL);

        job->paid = paid;
        finish(results, job, outcome);
        outcome_unref(outcome);
        purchase_unref(purchase);
        return job;
}

static void end_jobs(struct results *results, const char *client, bool paid, struct job **jobs,
                     size_t count)
{
        for (size_t i = 0; i < count; i++)
                jobs[i] = end_job(results, client, paid, TEXT);
}

/* How many are still there; an older one never goes before a younger one of its kind. */
static size_t count_kept(struct results *results, struct job **jobs, size_t count)
{
        size_t kept = 0;

        for (size_t i = 0; i < count; i++) {
                struct job *found = results_find(results, jobs[i]->id);
                assert_true(found || kept == 0);
                kept += found != NULL;
                job_unref(found);
        }
        return kept;
}

static void let_go(struct job **jobs, size_t count)
{
        for (size_t i = 0; i < count; i++)
                job_unref(jobs[i]);
}

/* ---- who goes ---- */

static void the_client_that_holds_the_most_makes_room_first(void **state)
{
        struct results *results = open_results(LARGE);
        struct job *few[20], *many[200], *more[100];

        (void)state;
        end_jobs(results, "few", false, few, 20); /* the oldest of all */
        int64_t few_bytes = bytes_of(results);
        end_jobs(results, "many", false, many, 200);
        results_limit(results, TTL_MS, 3 * few_bytes);
        while (results_sweep(results, clock_monotonic_ms()))
                ;
        assert_int_equal(count_kept(results, few, 20), 20);
        assert_in_range(count_kept(results, many, 200), 39, 41);
        end_jobs(results, "many", false, more, 100);
        assert_int_equal(count_kept(results, few, 20), 20);
        assert_int_equal(count_kept(results, many, 200), 0);
        assert_in_range(count_kept(results, more, 100), 39, 41);
        assert_true(bytes_of(results) <= 3 * few_bytes);
        let_go(few, 20);
        let_go(many, 200);
        let_go(more, 100);
        results_free(results);
}

/* The heap: of clients with different amounts, each is cut down to what the others have. */
static void of_many_clients_none_below_its_share_loses_anything(void **state)
{
        enum { CLIENTS = 40 };
        struct results *results = open_results(LARGE);
        struct job *jobs[CLIENTS][CLIENTS];
        char name[8];

        (void)state;
        int64_t one = 0;
        for (size_t i = 0; i < CLIENTS; i++) { /* 1 to 40 jobs, in no order */
                size_t client = (i * 17) % CLIENTS;
                (void)snprintf(name, sizeof name, "c%zu", client);
                end_jobs(results, name, false, jobs[client], client + 1);
                if (i == 0)
                        one = bytes_of(results); /* client 0 */
        }
        /* 1 + 2 + … + 10 and then 10 for each of the other 30. */
        results_limit(results, TTL_MS, (55 + 300) * one);
        while (results_sweep(results, clock_monotonic_ms()))
                ;
        for (size_t i = 0; i < CLIENTS; i++) {
                size_t kept = count_kept(results, jobs[i], i + 1);
                assert_in_range(kept, i < 10 ? i + 1 : 9, i < 10 ? i + 1 : 11);
                let_go(jobs[i], i + 1);
        }
        results_free(results);
}

static void paid_jobs_stay_when_free_ones_fill_the_memory(void **state)
{
        struct results *results = open_results(LARGE);
        struct job *paid[50], *own[50], *others[300];

        (void)state;
        end_jobs(results, "payer", true, paid, 50);
        results_limit(results, TTL_MS, 2 * bytes_of(results));
        end_jobs(results, "payer", false, own, 50);
        end_jobs(results, "flooder", false, others, 300);
        assert_int_equal(count_kept(results, paid, 50), 50);
        assert_in_range(count_kept(results, own, 50), 20, 30); /* half of what is free, each */
        assert_in_range(count_kept(results, others, 300), 20, 30);
        assert_int_equal(figures_of(results).paid_early, 0);
        let_go(paid, 50);
        let_go(own, 50);
        let_go(others, 300);
        results_free(results);
}

static void paid_jobs_go_last_the_oldest_of_the_largest_client_first(void **state)
{
        struct results *results = open_results(LARGE);
        struct job *few[10], *many[100], *more[100], *freed[100];

        (void)state;
        end_jobs(results, "few", true, few, 10);
        end_jobs(results, "many", true, many, 100);
        int64_t limit = bytes_of(results);
        results_limit(results, TTL_MS, limit);
        end_jobs(results, "many", true, more, 100);
        assert_int_equal(count_kept(results, few, 10), 10);
        assert_in_range(count_kept(results, many, 100), 0, 1);
        assert_in_range(count_kept(results, more, 100), 99, 100);
        assert_in_range(figures_of(results).paid_early, 99, 101);
        end_jobs(results, "few", false, freed, 100); /* these have a part for them alone */
        assert_int_equal(count_kept(results, few, 10), 10);
        assert_in_range(count_kept(results, freed, 100), 12, 15);
        assert_in_range(count_kept(results, more, 100), 84, 88);
        let_go(few, 10);
        let_go(many, 100);
        let_go(more, 100);
        let_go(freed, 100);
        results_free(results);
}

static void what_has_expired_goes_whoever_holds_it(void **state)
{
        struct results *results = open_results(LARGE);
        struct job *jobs[3];

        (void)state;
        jobs[0] = end_job(results, "a", true, TEXT);
        jobs[1] = end_job(results, "b", false, TEXT);
        jobs[2] = end_job(results, "a", false, TEXT);
        (void)results_sweep(results, clock_monotonic_ms() + 2 * TTL_MS);
        assert_int_equal(count_kept(results, jobs, 3), 0);
        assert_int_equal(bytes_of(results), 0);
        assert_int_equal(figures_of(results).paid_early, 0);
        assert_true(figures_of(results).freed_bytes > 3 * TEXT);
        let_go(jobs, 3);
        results_free(results);
}

/* As the store may give them back: from the newest on, or in pieces. */
static void jobs_expire_in_the_order_of_their_ends_however_they_come(void **state)
{
        static const int64_t ages_ms[] = {100, 200, 300, 300, 250, 0, 400, 50, 300, 350};
        enum { JOBS = sizeof ages_ms / sizeof ages_ms[0] };
        struct results *results = open_results(LARGE);
        int64_t now_ms = clock_monotonic_ms();
        struct job *jobs[JOBS];

        (void)state;
        for (size_t i = 0; i < JOBS; i++) {
                struct purchase *purchase = new_purchase();
                struct outcome *outcome = new_outcome(TEXT);
                jobs[i] = add(results, "ci", purchase, NULL);
                results_move(results, jobs[i], JOB_SENDING);
                results_finish(results, jobs[i], outcome, now_ms - ages_ms[i]);
                outcome_unref(outcome);
                purchase_unref(purchase);
        }
        for (int64_t age_ms = 400; age_ms >= 0; age_ms -= 50) {
                (void)results_sweep(results, now_ms - age_ms + TTL_MS);
                for (size_t i = 0; i < JOBS; i++)
                        assert_int_equal(jobs[i]->share == NULL, ages_ms[i] >= age_ms);
        }
        let_go(jobs, JOBS);
        results_free(results);
}

/* ---- how many at once ---- */

struct batches {
        size_t largest, count;
};

static void on_batch(void *arg, struct job *gone)
{
        struct batches *batches = arg;
        size_t count = 0;

        for (const struct job *job = gone; job; job = job->expiry_next)
                count++;
        batches->count += count;
        if (count > batches->largest)
                batches->largest = count;
}

static void a_sweep_drops_so_many_and_says_whether_there_are_more(void **state)
{
        enum { JOBS = 2 * RESULTS_SWEEP + 1 };
        struct batches batches = {0};
        const struct results_setup setup = {
                .ttl_ms = TTL_MS, .max_bytes = LARGE, .forget = on_batch, .arg = &batches};
        struct results *results;
        int64_t later_ms = clock_monotonic_ms() + 5 * TTL_MS;

        (void)state;
        assert_int_equal(results_new(&setup, &results), 0);
        for (size_t i = 0; i < JOBS; i++) {
                job_unref(end_job(results, "ci", false, 10));
        }
        assert_true(results_sweep(results, later_ms));
        assert_int_equal(batches.count, RESULTS_SWEEP);
        assert_true(results_sweep(results, later_ms));
        assert_false(results_sweep(results, later_ms));
        assert_int_equal(batches.count, JOBS);
        assert_int_equal(batches.largest, RESULTS_BATCH);
        assert_int_equal(bytes_of(results), 0);
        results_free(results);
}

static void a_job_that_becomes_final_drops_few_when_the_limit_was_lowered(void **state)
{
        struct batches batches = {0};
        const struct results_setup setup = {
                .ttl_ms = TTL_MS, .max_bytes = LARGE, .forget = on_batch, .arg = &batches};
        struct results *results;

        (void)state;
        assert_int_equal(results_new(&setup, &results), 0);
        for (size_t i = 0; i < 2000; i++) {
                if (i == 1999)
                        results_limit(results, TTL_MS, 0);
                job_unref(end_job(results, "ci", false, 10));
        }
        assert_in_range(batches.count, 1, 2 * RESULTS_BATCH);
        assert_false(results_sweep(results, clock_monotonic_ms()));
        assert_int_equal(batches.count, 2000);
        results_free(results);
}

/* ---- what counts ---- */

static void an_outcome_counts_once_and_for_the_next_job_when_the_first_goes(void **state)
{
        enum { BYTES = 100000, JOBS = 50 };
        struct results *results = open_results(LARGE);
        struct purchase *purchase = new_purchase();
        struct outcome *outcome = new_outcome(BYTES);
        struct job *jobs[JOBS];

        (void)state;
        for (size_t i = 0; i < JOBS; i++) {
                jobs[i] = add(results, i == 0 ? "first" : "other", purchase, NULL);
                finish(results, jobs[i], outcome);
        }
        assert_in_range(bytes_of(results), BYTES, BYTES + JOBS * 2000);
        int64_t before = bytes_of(results);
        int64_t own = (int64_t)jobs[0]->own_bytes;
        assert_true(jobs[0]->share->bytes > BYTES);
        results_limit(results, TTL_MS, before - 1);
        (void)results_sweep(results, clock_monotonic_ms());
        assert_null(jobs[0]->share); /* its client held the most */
        assert_int_equal(bytes_of(results), before - own);
        assert_true(jobs[1]->share->bytes > BYTES);
        results_limit(results, TTL_MS, BYTES);
        (void)results_sweep(results, clock_monotonic_ms());
        assert_int_equal(bytes_of(results), 0); /* the last one takes the outcome along */
        let_go(jobs, JOBS);
        outcome_unref(outcome);
        purchase_unref(purchase);
        results_free(results);
}

static size_t allocated(void)
{
        struct mallinfo2 info = mallinfo2();

        return info.uordblks + info.hblkhd;
}

static void assert_counted(struct results *results, size_t before)
{
        int64_t real = (int64_t)(allocated() - before), counted = bytes_of(results);

        print_message("counted %lld of %lld bytes\n", (long long)counted, (long long)real);
        assert_in_range(counted * 100 / real, 90, 110);
}

/* Jobs with a result each, then as many that share them, with keys. */
static void what_is_counted_is_what_the_allocator_gives(void **state)
{
        enum { JOBS = 3000 };
        char key[24];

        (void)state;
        if (allocated() == 0)
                skip(); /* a sanitizer has replaced the allocator */
        struct results *results = open_results(LARGE);
        struct job **jobs = calloc(JOBS, sizeof(*jobs));
        size_t before = allocated();
        for (size_t i = 0; i < JOBS; i++) {
                jobs[i] = end_job(results, "ci", true, 60 + i % 300);
                job_unref(jobs[i]); /* the results keep it */
        }
        assert_counted(results, before);
        for (size_t i = 0; i < JOBS; i++) {
                (void)snprintf(key, sizeof key, "a-key-of-a-client-%zu", i);
                struct job *job = add(results, "other", jobs[i]->purchase, key);
                finish(results, job, jobs[i]->outcome);
                job_unref(job);
        }
        assert_counted(results, before);
        results_free(results);
        free(jobs);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_client_that_holds_the_most_makes_room_first),
                cmocka_unit_test(of_many_clients_none_below_its_share_loses_anything),
                cmocka_unit_test(paid_jobs_stay_when_free_ones_fill_the_memory),
                cmocka_unit_test(paid_jobs_go_last_the_oldest_of_the_largest_client_first),
                cmocka_unit_test(what_has_expired_goes_whoever_holds_it),
                cmocka_unit_test(jobs_expire_in_the_order_of_their_ends_however_they_come),
                cmocka_unit_test(a_sweep_drops_so_many_and_says_whether_there_are_more),
                cmocka_unit_test(a_job_that_becomes_final_drops_few_when_the_limit_was_lowered),
                cmocka_unit_test(an_outcome_counts_once_and_for_the_next_job_when_the_first_goes),
                cmocka_unit_test(what_is_counted_is_what_the_allocator_gives),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
