/*
 * The breaker: when an upstream may be sent a job.
 */
#include "upstream/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PROBE_MS   2000
#define RECHECK_MS 60000
#define START_MS   1000000

static struct breaker closed(void)
{
        struct breaker breaker;

        breaker_init(&breaker, PROBE_MS, RECHECK_MS);
        return breaker;
}

/* Sends a job that is no probe. Returns what breaker_end() says. */
static bool send_job(struct breaker *breaker, enum breaker_result result, int64_t now_ms)
{
        int64_t again_ms;

        assert_true(breaker_allows(breaker, now_ms, &again_ms));
        assert_false(breaker_begin(breaker));
        return breaker_end(breaker, false, result, 0, now_ms);
}

/* The free probe. alone: there is no other upstream to send jobs to. */
static void ask_balance(struct breaker *breaker, enum breaker_result result, bool alone,
                        int64_t now_ms)
{
        int64_t again_ms;

        assert_true(breaker_wants_free_probe(breaker, now_ms, &again_ms));
        breaker_begin_free_probe(breaker);
        assert_false(breaker_wants_free_probe(breaker, now_ms, &again_ms));
        assert_true(again_ms == INT64_MAX);
        breaker_end_free_probe(breaker, result, alone, 0, now_ms);
}

/* Begins the job that is the probe, after the free one. */
static void begin_probe(struct breaker *breaker, int64_t now_ms)
{
        int64_t again_ms;

        ask_balance(breaker, BREAKER_WELL, false, now_ms);
        assert_true(breaker_allows(breaker, now_ms, &again_ms));
        assert_true(breaker_begin(breaker));
}

/* Sends a job as the probe. Returns what breaker_end() says. */
static bool send_probe(struct breaker *breaker, enum breaker_result result, int64_t now_ms)
{
        begin_probe(breaker, now_ms);
        return breaker_end(breaker, true, result, 0, now_ms);
}

/* The same without a free one before. */
static bool send_probe_again(struct breaker *breaker, enum breaker_result result, int64_t now_ms)
{
        int64_t again_ms;

        assert_true(breaker_allows(breaker, now_ms, &again_ms));
        assert_true(breaker_begin(breaker));
        return breaker_end(breaker, true, result, 0, now_ms);
}

static struct breaker opened_at(int64_t now_ms)
{
        struct breaker breaker = closed();

        for (int i = 1; i < BREAKER_FAILURES; i++)
                assert_false(send_job(&breaker, BREAKER_UNREACHABLE, now_ms));
        assert_true(send_job(&breaker, BREAKER_UNREACHABLE, now_ms));
        assert_true(breaker.open);
        return breaker;
}

typedef bool ask_fn(const struct breaker *breaker, int64_t now_ms, int64_t *ret_again_ms);

static void assert_false_until(ask_fn *ask, const struct breaker *breaker, int64_t now_ms,
                               int64_t again_ms)
{
        int64_t told_ms = -1;

        assert_false(ask(breaker, now_ms, &told_ms));
        assert_int_equal(told_ms, again_ms);
        assert_false(ask(breaker, again_ms - 1, &told_ms));
        assert_int_equal(told_ms, again_ms);
        assert_true(ask(breaker, again_ms, &told_ms));
}

/* Closed: no job before again_ms, and one then. Open: the same of the free probe, and no job. */
static void assert_waits_until(const struct breaker *breaker, int64_t now_ms, int64_t again_ms)
{
        int64_t told_ms = -1;

        assert_false(breaker_is_healthy(breaker, now_ms));
        if (!breaker->open) {
                assert_false_until(breaker_allows, breaker, now_ms, again_ms);
                return;
        }
        assert_false_until(breaker_wants_free_probe, breaker, now_ms, again_ms);
        assert_false(breaker_allows(breaker, again_ms, &told_ms));
        assert_true(told_ms == INT64_MAX);
}

static void failures_in_a_row_open_it_for_the_pause_before_a_probe(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        (void)state;

        assert_false(breaker.out);
        assert_waits_until(&breaker, START_MS, START_MS + PROBE_MS);
}

static void each_kind_of_failure_counts(void **state)
{
        static const enum breaker_result failures[] = {BREAKER_LATER, BREAKER_UNREACHABLE,
                                                       BREAKER_UNCLEAR};
        (void)state;

        for (int shift = 0; shift < 3; shift++) {
                struct breaker breaker = closed();
                for (int i = 1; i < BREAKER_FAILURES; i++)
                        assert_false(send_job(&breaker, failures[(i + shift) % 3], START_MS));
                assert_true(send_job(&breaker, failures[shift], START_MS));
        }
}

static void an_answer_about_the_job_starts_the_count_anew(void **state)
{
        struct breaker breaker = closed();
        (void)state;

        for (int round = 0; round < 3; round++) {
                for (int i = 1; i < BREAKER_FAILURES; i++)
                        assert_false(send_job(&breaker, BREAKER_LATER, START_MS));
                assert_false(send_job(&breaker, BREAKER_WELL, START_MS));
        }
        assert_false(breaker.open);
}

static void a_job_that_was_not_sent_after_all_says_nothing(void **state)
{
        struct breaker breaker = closed();
        (void)state;

        for (int i = 1; i < BREAKER_FAILURES; i++)
                assert_false(send_job(&breaker, BREAKER_LATER, START_MS));
        for (int i = 0; i < BREAKER_FAILURES; i++)
                assert_false(send_job(&breaker, BREAKER_NOTHING, START_MS));
        assert_true(send_job(&breaker, BREAKER_LATER, START_MS));
}

static void half_open_lets_one_probe_through_and_no_other_job(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS, again_ms = 0;
        (void)state;

        begin_probe(&breaker, now_ms);
        assert_false(breaker_allows(&breaker, now_ms, &again_ms));
        assert_true(again_ms == INT64_MAX);
        assert_false(breaker_allows(&breaker, now_ms + 1000 * RECHECK_MS, &again_ms));
        assert_true(again_ms == INT64_MAX);
        assert_false(breaker_wants_free_probe(&breaker, now_ms + 1000 * RECHECK_MS, &again_ms));
        assert_true(again_ms == INT64_MAX);
}

static void no_job_is_sent_while_the_free_probe_is_under_way(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS, again_ms = 0;
        (void)state;

        breaker_begin_free_probe(&breaker);
        assert_false(breaker_allows(&breaker, now_ms, &again_ms));
        assert_true(again_ms == INT64_MAX);
}

static void a_free_probe_does_not_close_it(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS, again_ms;
        (void)state;

        ask_balance(&breaker, BREAKER_WELL, false, now_ms);
        assert_true(breaker.open);
        assert_false(breaker_is_healthy(&breaker, now_ms));
        assert_false(breaker_wants_free_probe(&breaker, now_ms + RECHECK_MS, &again_ms));
        assert_true(breaker_allows(&breaker, now_ms, &again_ms));
}

static void while_it_is_not_reached_no_job_is_risked(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS;
        (void)state;

        for (int i = 0; i < 10 * BREAKER_VAGUE_MAX; i++) {
                now_ms += PROBE_MS;
                ask_balance(&breaker, BREAKER_UNREACHABLE, i % 2, now_ms);
                assert_waits_until(&breaker, now_ms, now_ms + PROBE_MS);
        }
}

static void the_third_free_probe_that_does_not_tell_lets_a_job_find_out(void **state)
{
        static const enum breaker_result vague[] = {BREAKER_UNCLEAR, BREAKER_LATER};
        int64_t now_ms = START_MS, again_ms;
        (void)state;

        for (size_t kind = 0; kind < 2; kind++) {
                struct breaker breaker = opened_at(now_ms);
                for (int round = 0; round < 2; round++) {
                        for (int i = 1; i < BREAKER_VAGUE_MAX; i++) {
                                now_ms += PROBE_MS;
                                ask_balance(&breaker, vague[kind], false, now_ms);
                                assert_waits_until(&breaker, now_ms, now_ms + PROBE_MS);
                        }
                        now_ms += PROBE_MS;
                        ask_balance(&breaker, vague[kind], false, now_ms);
                        assert_true(breaker_allows(&breaker, now_ms, &again_ms));
                        assert_false(send_probe_again(&breaker, BREAKER_LATER, now_ms));
                }
        }
}

static void without_another_upstream_a_job_is_risked_after_a_later_but_not_after_silence(
        void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS, again_ms;
        (void)state;

        ask_balance(&breaker, BREAKER_UNCLEAR, true, now_ms);
        assert_waits_until(&breaker, now_ms, now_ms + PROBE_MS);
        now_ms += PROBE_MS;
        ask_balance(&breaker, BREAKER_LATER, true, now_ms);
        assert_true(breaker_allows(&breaker, now_ms, &again_ms));
}

static void the_refusal_of_an_account_that_is_not_out_lets_a_job_find_out(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS, again_ms;
        (void)state;

        ask_balance(&breaker, BREAKER_REFUSED, false, now_ms);
        assert_false(breaker.out);
        assert_true(breaker_allows(&breaker, now_ms, &again_ms));
}

static void an_account_that_is_out_and_refused_still_waits_for_the_slow_recheck(void **state)
{
        struct breaker breaker = closed();
        int64_t now_ms = START_MS, again_ms;
        (void)state;

        (void)send_job(&breaker, BREAKER_REFUSED, now_ms);
        for (int i = 1; i < BREAKER_VAGUE_MAX; i++) {
                now_ms += RECHECK_MS;
                ask_balance(&breaker, BREAKER_REFUSED, false, now_ms);
                assert_waits_until(&breaker, now_ms, now_ms + RECHECK_MS);
        }
        now_ms += RECHECK_MS;
        ask_balance(&breaker, BREAKER_REFUSED, false, now_ms);
        assert_true(breaker_allows(&breaker, now_ms, &again_ms));
}

static void a_free_probe_that_was_not_sent_is_tried_again_soon(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS;
        (void)state;

        ask_balance(&breaker, BREAKER_NOTHING, true, now_ms);
        assert_waits_until(&breaker, now_ms, now_ms + BREAKER_AGAIN_MS);
}

static void the_pause_that_a_free_probe_is_told_is_kept(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS;
        (void)state;

        breaker_begin_free_probe(&breaker);
        breaker_end_free_probe(&breaker, BREAKER_LATER, true, 3 * PROBE_MS, now_ms);
        assert_false_until(breaker_allows, &breaker, now_ms, now_ms + 3 * PROBE_MS);
}

static void a_probe_that_succeeds_closes_it(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS;
        (void)state;

        assert_true(send_probe(&breaker, BREAKER_WELL, now_ms));
        assert_false(breaker.open);
        for (int i = 1; i < BREAKER_FAILURES; i++)
                assert_false(send_job(&breaker, BREAKER_LATER, now_ms));
        assert_true(send_job(&breaker, BREAKER_LATER, now_ms));
}

static void a_probe_that_fails_keeps_it_open_for_another_pause(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS;
        (void)state;

        for (int i = 0; i < 20; i++) {
                now_ms += PROBE_MS;
                assert_false(
                        send_probe(&breaker, i % 2 ? BREAKER_LATER : BREAKER_UNREACHABLE, now_ms));
                assert_waits_until(&breaker, now_ms, now_ms + PROBE_MS);
        }
}

static void a_probe_that_was_not_sent_leaves_its_turn_to_the_next_job(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS;
        (void)state;

        assert_false(send_probe(&breaker, BREAKER_NOTHING, now_ms));
        assert_true(send_probe_again(&breaker, BREAKER_WELL, now_ms));
}

static void probes_that_may_have_been_charged_become_rarer_up_to_the_slow_recheck(void **state)
{
        static const int64_t pauses_ms[] = {4000, 8000, 16000, 32000, RECHECK_MS, RECHECK_MS};
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS;
        (void)state;

        for (size_t i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++) {
                assert_false(send_probe(&breaker, BREAKER_UNCLEAR, now_ms));
                assert_waits_until(&breaker, now_ms, now_ms + pauses_ms[i]);
                now_ms += pauses_ms[i];
        }
        assert_false(send_probe(&breaker, BREAKER_LATER, now_ms));
        assert_waits_until(&breaker, now_ms, now_ms + PROBE_MS);
}

static void a_recheck_shorter_than_the_probe_s_pause_does_not_shorten_it(void **state)
{
        struct breaker breaker;
        (void)state;

        breaker_init(&breaker, 2000, 500);
        for (int i = 0; i < BREAKER_FAILURES; i++)
                (void)send_job(&breaker, BREAKER_UNCLEAR, START_MS);
        assert_false(send_probe(&breaker, BREAKER_UNCLEAR, START_MS + 2000));
        assert_waits_until(&breaker, START_MS + 2000, START_MS + 4000);
}

static void a_refused_account_is_out_at_once_until_the_slow_recheck(void **state)
{
        struct breaker breaker = closed();
        (void)state;

        assert_true(send_job(&breaker, BREAKER_REFUSED, START_MS));
        assert_true(breaker.open && breaker.out);
        assert_waits_until(&breaker, START_MS, START_MS + RECHECK_MS);
}

static void an_account_that_is_out_stays_so_until_a_probe_is_answered_well(void **state)
{
        static const enum breaker_result bad[] = {BREAKER_REFUSED, BREAKER_LATER,
                                                  BREAKER_UNREACHABLE, BREAKER_UNCLEAR};
        struct breaker breaker = closed();
        int64_t now_ms = START_MS;
        (void)state;

        (void)send_job(&breaker, BREAKER_REFUSED, now_ms);
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                now_ms += RECHECK_MS;
                assert_false(send_probe(&breaker, bad[i], now_ms));
                assert_true(breaker.out);
                assert_waits_until(&breaker, now_ms, now_ms + RECHECK_MS);
        }
        assert_true(send_probe(&breaker, BREAKER_WELL, now_ms + RECHECK_MS));
        assert_false(breaker.open || breaker.out);
}

static void a_probe_that_finds_the_account_refused_puts_it_out(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS;
        (void)state;

        assert_false(send_probe(&breaker, BREAKER_REFUSED, now_ms));
        assert_true(breaker.out);
        assert_waits_until(&breaker, now_ms, now_ms + RECHECK_MS);
}

static void jobs_under_way_when_it_opened_neither_close_it_nor_count(void **state)
{
        static const enum breaker_result results[] = {BREAKER_WELL, BREAKER_LATER, BREAKER_UNCLEAR,
                                                      BREAKER_UNREACHABLE, BREAKER_NOTHING};
        struct breaker breaker = opened_at(START_MS);
        (void)state;

        for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
                assert_false(breaker_end(&breaker, false, results[i], 0, START_MS + 1));
        assert_false(breaker.out);
        assert_waits_until(&breaker, START_MS + 1, START_MS + PROBE_MS);
}

static void what_they_say_of_a_longer_pause_or_the_account_counts(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        (void)state;

        assert_false(breaker_end(&breaker, false, BREAKER_LATER, PROBE_MS * 3, START_MS + 1));
        assert_waits_until(&breaker, START_MS + 1, START_MS + 1 + PROBE_MS * 3);
        assert_false(breaker_end(&breaker, false, BREAKER_REFUSED, 0, START_MS + 2));
        assert_true(breaker.out);
        assert_waits_until(&breaker, START_MS + 2, START_MS + 2 + RECHECK_MS);
}

static void a_job_under_way_does_not_end_the_probe(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS, again_ms = 0;
        (void)state;

        begin_probe(&breaker, now_ms);
        assert_false(breaker_end(&breaker, false, BREAKER_WELL, 0, now_ms));
        assert_false(breaker_allows(&breaker, now_ms, &again_ms));
        assert_true(breaker_end(&breaker, true, BREAKER_WELL, 0, now_ms));
}

static void while_closed_the_upstream_is_left_alone_as_long_as_it_asks_for(void **state)
{
        struct breaker breaker = closed();
        (void)state;

        assert_false(breaker_end(&breaker, breaker_begin(&breaker), BREAKER_LATER, 3000, START_MS));
        assert_false(breaker.open);
        assert_waits_until(&breaker, START_MS, START_MS + 3000);
        /* A second answer that asks for less, and one about a job, do not shorten it. */
        assert_false(breaker_end(&breaker, false, BREAKER_LATER, 1000, START_MS));
        assert_false(breaker_end(&breaker, false, BREAKER_WELL, 0, START_MS));
        assert_waits_until(&breaker, START_MS, START_MS + 3000);
}

static void a_probe_waits_as_long_as_the_upstream_asks_for(void **state)
{
        struct breaker breaker = opened_at(START_MS);
        int64_t now_ms = START_MS + PROBE_MS;
        (void)state;

        begin_probe(&breaker, now_ms);
        assert_false(breaker_end(&breaker, true, BREAKER_LATER, PROBE_MS + 1, now_ms));
        assert_waits_until(&breaker, now_ms, now_ms + PROBE_MS + 1);
        now_ms += PROBE_MS + 1;
        begin_probe(&breaker, now_ms);
        assert_false(breaker_end(&breaker, true, BREAKER_LATER, PROBE_MS - 1, now_ms));
        assert_waits_until(&breaker, now_ms, now_ms + PROBE_MS);
}

static void a_wish_from_before_it_opened_still_holds(void **state)
{
        struct breaker breaker = closed();
        (void)state;

        for (int i = 0; i < BREAKER_FAILURES; i++)
                (void)breaker_end(&breaker, false, BREAKER_LATER, i == 0 ? 10 * PROBE_MS : 0,
                                  START_MS);
        assert_true(breaker.open);
        assert_waits_until(&breaker, START_MS, START_MS + 10 * PROBE_MS);
}

static void no_wish_is_followed_beyond_its_ceiling(void **state)
{
        struct breaker breaker = closed();
        (void)state;

        assert_false(breaker_end(&breaker, false, BREAKER_LATER, INT64_MAX, START_MS));
        assert_waits_until(&breaker, START_MS, START_MS + BREAKER_RETRY_AFTER_MAX_MS);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(failures_in_a_row_open_it_for_the_pause_before_a_probe),
                cmocka_unit_test(each_kind_of_failure_counts),
                cmocka_unit_test(an_answer_about_the_job_starts_the_count_anew),
                cmocka_unit_test(a_job_that_was_not_sent_after_all_says_nothing),
                cmocka_unit_test(half_open_lets_one_probe_through_and_no_other_job),
                cmocka_unit_test(no_job_is_sent_while_the_free_probe_is_under_way),
                cmocka_unit_test(a_free_probe_does_not_close_it),
                cmocka_unit_test(while_it_is_not_reached_no_job_is_risked),
                cmocka_unit_test(the_third_free_probe_that_does_not_tell_lets_a_job_find_out),
                cmocka_unit_test(
                        without_another_upstream_a_job_is_risked_after_a_later_but_not_after_silence),
                cmocka_unit_test(the_refusal_of_an_account_that_is_not_out_lets_a_job_find_out),
                cmocka_unit_test(
                        an_account_that_is_out_and_refused_still_waits_for_the_slow_recheck),
                cmocka_unit_test(a_free_probe_that_was_not_sent_is_tried_again_soon),
                cmocka_unit_test(the_pause_that_a_free_probe_is_told_is_kept),
                cmocka_unit_test(a_probe_that_succeeds_closes_it),
                cmocka_unit_test(a_probe_that_fails_keeps_it_open_for_another_pause),
                cmocka_unit_test(a_probe_that_was_not_sent_leaves_its_turn_to_the_next_job),
                cmocka_unit_test(
                        probes_that_may_have_been_charged_become_rarer_up_to_the_slow_recheck),
                cmocka_unit_test(a_recheck_shorter_than_the_probe_s_pause_does_not_shorten_it),
                cmocka_unit_test(a_refused_account_is_out_at_once_until_the_slow_recheck),
                cmocka_unit_test(an_account_that_is_out_stays_so_until_a_probe_is_answered_well),
                cmocka_unit_test(a_probe_that_finds_the_account_refused_puts_it_out),
                cmocka_unit_test(jobs_under_way_when_it_opened_neither_close_it_nor_count),
                cmocka_unit_test(what_they_say_of_a_longer_pause_or_the_account_counts),
                cmocka_unit_test(a_job_under_way_does_not_end_the_probe),
                cmocka_unit_test(while_closed_the_upstream_is_left_alone_as_long_as_it_asks_for),
                cmocka_unit_test(a_probe_waits_as_long_as_the_upstream_asks_for),
                cmocka_unit_test(a_wish_from_before_it_opened_still_holds),
                cmocka_unit_test(no_wish_is_followed_beyond_its_ceiling),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
