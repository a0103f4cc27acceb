/*
 * Jobs that come, share a purchase, leave by themselves, and come back after a start.
 */
#include "base/clock.h"
#include "scheduler_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct job *submit_as(struct fixture *f, const struct order *order)
{
        struct job *job = NULL;

        assert_int_equal(submit_order(f, order, &job), 0);
        return job;
}

static bool is_known(struct fixture *f, const struct job *job)
{
        struct job *found = results_find(f->results, job->id);

        job_unref(found);
        return found != NULL;
}

/* ---- sharing ---- */

static void identical_jobs_share_one_purchase_and_its_outcome(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *payer = submit(f, "a"), *early = submit(f, "a");
        struct scheduler_turn turn = take(f, payer);
        struct job *sending = submit(f, "a");
        assert_int_equal(state_of(f, early), JOB_SENDING);
        assert_int_equal(state_of(f, sending), JOB_SENDING);
        accept_turn(f, &turn);
        struct job *accepted = submit_as(f, &(struct order){.task = "a", .client = "qa"});
        assert_int_equal(state_of(f, accepted), JOB_ACCEPTED);
        (void)take_nothing(f);

        solve_turn(f, &turn);
        struct job *followers[] = {early, sending, accepted};
        assert_int_equal(payer->source, JOB_FROM_UPSTREAM);
        for (size_t i = 0; i < 3; i++) {
                assert_string_not_equal(followers[i]->id, payer->id);
                assert_int_equal(followers[i]->source, JOB_FROM_COLLAPSED);
                assert_ptr_equal(outcome_of(f, followers[i]), outcome_of(f, payer));
        }
}

static void count_charges(void *arg, const struct charges_row *row)
{
        int64_t *counts = arg;

        assert_string_equal(row->client, "ci");
        assert_string_equal(row->upstream, "first");
        counts[0] += row->charged;
        counts[1] += row->unknown;
}

static void a_shared_purchase_is_charged_once_and_to_the_payer(void **state)
{
        struct fixture *f = *state;
        int64_t counts[2] = {0};

        open_scheduler(f, 1);
        struct job *payer = submit(f, "a");
        (void)submit_as(f, &(struct order){.task = "a", .client = "qa"});
        struct scheduler_turn turn = take(f, payer);
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, 0); /* turned away: not charged */
        turn = take(f, payer);
        solve_turn(f, &turn);
        charges_each(f->charges, count_charges, counts);
        assert_int_equal(counts[0], 1);
        assert_int_equal(counts[1], 0);
}

static void a_solved_task_answers_the_next_one_at_once(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *first = submit(f, "a");
        struct scheduler_turn turn = take(f, first);
        solve_turn(f, &turn);
        struct job *second = submit(f, "a");
        assert_int_equal(second->source, JOB_FROM_CACHE);
        assert_ptr_equal(outcome_of(f, second), outcome_of(f, first));
        (void)take_nothing(f);
        assert_int_equal(submit(f, "b")->source, JOB_FROM_UPSTREAM);
}

static void a_failure_answers_nobody_else(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *first = submit(f, "a"), *follower = submit(f, "a");
        struct scheduler_turn turn = take(f, first);
        end_turn(f, &turn, outcome_failed(JOB_FAILED, JOB_UPSTREAM_REJECTED, "no"));
        assert_string_equal(outcome_of(f, follower)->text, "no");
        struct job *second = submit(f, "a");
        assert_int_equal(second->source, JOB_FROM_UPSTREAM);
        (void)take(f, second);
}

static void who_wants_a_fresh_one_pays_and_others_join_that(void **state)
{
        struct fixture *f = *state;
        const struct order fresh = {.task = "a", .fresh = true};

        open_scheduler(f, 1);
        struct job *first = submit(f, "a");
        struct scheduler_turn turn = take(f, first);
        struct job *second = submit_as(f, &fresh);
        assert_ptr_not_equal(second->purchase, first->purchase);
        struct job *third = submit(f, "a");
        assert_ptr_equal(third->purchase, second->purchase);
        solve_turn(f, &turn); /* the older one is over, and the younger still joined */
        assert_ptr_equal(submit(f, "a")->purchase, second->purchase);
        turn = take(f, second);
        solve_turn(f, &turn);
        assert_int_equal(submit_as(f, &fresh)->source, JOB_FROM_UPSTREAM);
        assert_int_equal(state_of(f, third), JOB_SOLVED);
}

static void the_same_key_leads_to_the_same_job_and_nothing_is_sent(void **state)
{
        struct fixture *f = *state;
        const struct order order = {.task = "a", .key = "key", .fresh = true};
        struct job *other = NULL;

        open_scheduler(f, 1);
        struct job *job = submit_as(f, &order);
        assert_int_equal(submit_order(f, &order, &other), -EEXIST);
        assert_ptr_equal(other, job);
        struct scheduler_turn turn = take(f, job);
        (void)take_nothing(f);
        solve_turn(f, &turn);
        assert_int_equal(submit_order(f, &order, &other), -EEXIST);
        assert_ptr_equal(other, job);
        (void)take_nothing(f);
}

/* ---- cancelling ---- */

static void a_job_that_waits_can_be_cancelled_and_is_not_sent(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a"), *next = submit(f, "b");
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
        assert_int_equal(outcome_of(f, job)->state, JOB_CANCELLED);
        assert_int_equal(outcome_of(f, job)->error, JOB_CANCELLED_ERROR);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
        (void)take(f, next);
        (void)take_nothing(f);
}

static void a_job_that_pauses_before_its_next_try_can_be_cancelled(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        (void)give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
        assert_int_equal(take_nothing(f), INT64_MAX);
}

static void a_job_that_may_have_been_charged_is_not_cancelled(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        (void)give_back(f, &turn, SCHEDULER_IN_DOUBT, LONG_MS);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_SENT);
        assert_int_equal(state_of(f, job), JOB_QUEUED);
        entry_cancel_waiting(f->scheduler, f->loop); /* the stop ends it as what it is */
        assert_int_equal(outcome_of(f, job)->state, JOB_UNKNOWN);
        assert_int_equal(outcome_of(f, job)->error, JOB_OUTCOME_UNKNOWN);
}

static void a_job_that_was_sent_cannot_be_cancelled(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a"), *follower = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_SENT);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, follower, END_BY_OWNER), ENTRY_SENT);
        accept_turn(f, &turn);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_SENT);
        solve_turn(f, &turn);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_SENT);
        assert_int_equal(state_of(f, job), JOB_SOLVED);
}

static void when_the_payer_is_cancelled_the_followers_keep_the_purchase(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *payer = submit(f, "a"), *follower = submit(f, "a");
        assert_int_equal(entry_cancel(f->scheduler, f->loop, payer, END_BY_OWNER), ENTRY_CANCELLED);
        assert_int_equal(state_of(f, follower), JOB_QUEUED);
        struct scheduler_turn turn = take(f, follower);
        solve_turn(f, &turn);
        assert_int_equal(state_of(f, follower), JOB_SOLVED);
        assert_int_equal(state_of(f, payer), JOB_CANCELLED);
}

static void nobody_joins_a_purchase_that_was_cancelled(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *first = submit(f, "a");
        assert_int_equal(entry_cancel(f->scheduler, f->loop, first, END_BY_OWNER), ENTRY_CANCELLED);
        struct job *second = submit(f, "a");
        assert_int_equal(second->source, JOB_FROM_UPSTREAM);
        (void)take(f, second);
}

static void a_job_that_could_not_be_kept_is_forgotten(void **state)
{
        struct fixture *f = *state;
        const struct order order = {.task = "a", .key = "key"};

        open_scheduler(f, 1);
        struct job *job = submit_as(f, &order);
        assert_true(entry_withdraw(f->scheduler, f->loop, job));
        assert_int_equal(job->kept, JOB_WITHDRAWN);
        assert_false(is_known(f, job));
        (void)take_nothing(f);
        (void)take(f, submit_as(f, &order)); /* its key is free again */
}

static void a_job_that_could_not_be_kept_is_not_sent_though_its_turn_had_come(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        turn.purchase->sent_stored = false; /* as where a store has not written it yet */
        assert_true(entry_withdraw(f->scheduler, f->loop, job));
        assert_false(is_known(f, job));
        assert_false(scheduler_wants(f->scheduler, &turn));
        (void)give_back(f, &turn, SCHEDULER_NOT_TRIED, 0);
        (void)take_nothing(f);
}

static void a_job_that_could_not_be_kept_but_was_sent_goes_on(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        turn.purchase->sent_stored = true;
        assert_false(entry_withdraw(f->scheduler, f->loop, job));
        assert_true(is_known(f, job));
        solve_turn(f, &turn);
        assert_int_equal(submit(f, "a")->source, JOB_FROM_CACHE);
}

/* ---- deadlines ---- */

static void expire(struct fixture *f, int64_t in_ms)
{
        entry_expire(f->scheduler, f->loop, clock_monotonic_ms() + in_ms);
}

static void a_job_whose_deadline_passes_while_it_waits_fails_and_the_others_stay(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *late = submit_as(f, &(struct order){.task = "a", .deadline_ms = 20000});
        struct job *later = submit_as(f, &(struct order){.task = "a", .deadline_ms = 40000});
        struct job *alone = submit_as(f, &(struct order){.task = "b", .deadline_ms = 10000});
        assert_int_equal(late->purchase->deadline_ms, later->deadline_ms);
        expire(f, 0);
        assert_int_equal(state_of(f, alone), JOB_QUEUED);
        expire(f, 30000);
        assert_int_equal(outcome_of(f, alone)->error, JOB_DEADLINE);
        assert_int_equal(outcome_of(f, late)->error, JOB_DEADLINE);
        assert_int_equal(state_of(f, later), JOB_QUEUED);
        (void)take(f, later);
        (void)take_nothing(f);
}

static void a_turn_has_what_may_change_from_its_last_call(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *early = submit_as(f, &(struct order){.task = "a", .deadline_ms = 20000});
        struct scheduler_turn turn = take(f, early);
        assert_ptr_equal(turn.payer, early);
        assert_int_equal(turn.deadline_ms, early->deadline_ms);
        assert_in_range(turn.time_ms, 20000 - 1, 20000 + 1); /* by two clocks */
        const struct job *late = submit_as(f, &(struct order){.task = "a", .deadline_ms = 40000});
        assert_int_equal(turn.deadline_ms, early->deadline_ms);
        assert_true(scheduler_wants(f->scheduler, &turn));
        assert_int_equal(turn.deadline_ms, late->deadline_ms);
        assert_in_range(turn.time_ms, 40000 - 1, 40000 + 1);
        const struct job *later = submit_as(f, &(struct order){.task = "a", .deadline_ms = 50000});
        scheduler_note(f->scheduler, &turn, BREAKER_WELL, 0);
        assert_int_equal(turn.deadline_ms, later->deadline_ms);
        const struct job *latest = submit_as(f, &(struct order){.task = "a", .deadline_ms = 60000});
        account_terms_unref(scheduler_terms(f->scheduler, &turn));
        assert_int_equal(turn.deadline_ms, latest->deadline_ms);
        assert_true(turn.attempt_left);
        f->config.retry.attempts = 0; /* as by a reload */
        assert_true(scheduler_wants(f->scheduler, &turn));
        assert_false(turn.attempt_left);
        solve_turn(f, &turn);
}

static void a_job_that_is_being_sent_does_not_expire(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job = submit(f, "a"), *follower = submit(f, "a");
        struct scheduler_turn turn = take(f, job);
        expire(f, LONG_MS);
        assert_int_equal(state_of(f, job), JOB_SENDING);
        assert_int_equal(state_of(f, follower), JOB_SENDING);
        solve_turn(f, &turn);
        assert_int_equal(state_of(f, job), JOB_SOLVED);
}

static void of_an_accepted_purchase_the_last_job_stays_with_its_flight(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *early = submit_as(f, &(struct order){.task = "a", .deadline_ms = 10000});
        struct job *late = submit(f, "a");
        struct scheduler_turn turn = take(f, early);
        accept_turn(f, &turn);
        expire(f, LONG_MS);
        assert_int_equal(outcome_of(f, early)->error, JOB_DEADLINE);
        assert_string_equal(outcome_of(f, early)->text,
                            "no result within limits.job_deadline; the upstream has the job and "
                            "may have charged it");
        assert_int_equal(state_of(f, late), JOB_ACCEPTED);
        solve_turn(f, &turn);
        assert_int_equal(state_of(f, late), JOB_SOLVED);
        assert_int_equal(state_of(f, early), JOB_FAILED);
}

/* ---- after a start ---- */

/* A job as the store gives it back; the fixture has a reference. */
static struct job *stored_job(struct fixture *f, struct purchase *purchase)
{
        const struct job_parts parts = {
                .client = "ci",
                .target_json = "\"bus\"",
                .created_wall_ms = clock_wall_ms(),
                .deadline_wall_ms = clock_wall_ms() + DEADLINE_MS,
        };
        struct job *job;

        assert_int_equal(job_new(&parts, &job), 0);
        job->flow = &client_named(f, "ci")->flow;
        f->jobs[f->job_count++] = job_ref(job);
        if (purchase) {
                job->purchase = purchase_ref(purchase);
                job->attached = true;
                job->sibling_prev = job; /* a list of one */
                purchase->jobs = job;
        }
        return job;
}

static struct purchase *stored_purchase(int64_t number, const char *task, enum job_state state)
{
        struct task_identity identity = {0};
        struct purchase *purchase;

        memcpy(identity.bytes, task, strlen(task));
        assert_int_equal(purchase_new(number, &identity, strdup("a.example"), NULL, &purchase), 0);
        purchase->state = state;
        return purchase;
}

static struct job *restore(struct fixture *f, struct purchase *purchase, struct outcome *outcome)
{
        struct job *job = stored_job(f, purchase);

        assert_int_equal(entry_restore(f->scheduler, purchase, outcome, clock_wall_ms()), 0);
        assert_int_equal(job->kept, JOB_KEPT);
        assert_true(is_known(f, job));
        return job;
}

static void what_waited_before_the_start_goes_first_and_can_be_joined(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *second = restore(f, stored_purchase(-1, "b", JOB_QUEUED), NULL);
        struct job *first = restore(f, stored_purchase(-2, "a", JOB_QUEUED), NULL);
        (void)submit(f, "c");
        assert_ptr_equal(submit(f, "b")->purchase, second->purchase);
        (void)take(f, first);
        (void)take(f, second);
}

static void what_was_accepted_before_the_start_is_followed_at_its_account(void **state)
{
        struct fixture *f = *state;
        struct purchase *purchase = stored_purchase(-1, "a", JOB_ACCEPTED);
        struct scheduler_turn turn;

        purchase->upstream = strdup("second");
        purchase->upstream_id = strdup("h-upstream");
        open_scheduler(f, 2);
        struct job *job = restore(f, purchase, NULL);
        (void)take_nothing(f); /* it is not sent again */
        assert_true(scheduler_take_accepted(f->scheduler, &turn));
        f->flying[f->flying_count++] = turn;
        assert_ptr_equal(turn.purchase, purchase);
        assert_ptr_equal(turn.account, f->account[1]);
        assert_int_equal(turn.account->in_flight, 1);
        assert_false(scheduler_take_accepted(f->scheduler, &turn));
        assert_int_equal(state_of(f, submit(f, "a")), JOB_ACCEPTED);
        solve_turn(f, &turn);
        assert_int_equal(state_of(f, job), JOB_SOLVED);
        assert_int_equal(f->account[1]->in_flight, 0);
}

static void what_was_solved_before_the_start_answers_for_its_identity(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job =
                restore(f, stored_purchase(-1, "a", JOB_SOLVED), outcome_solved(calloc(1, 1), 1));
        assert_int_equal(state_of(f, job), JOB_SOLVED);
        assert_int_equal(submit(f, "a")->source, JOB_FROM_CACHE);
        (void)take_nothing(f);
}

static void what_may_have_been_charged_before_the_start_is_told_and_not_sent(void **state)
{
        struct fixture *f = *state;

        open_scheduler(f, 1);
        struct job *job =
                restore(f, stored_purchase(-1, "a", JOB_UNKNOWN),
                        outcome_failed(JOB_UNKNOWN, JOB_OUTCOME_UNKNOWN, "it was being sent"));
        assert_int_equal(outcome_of(f, job)->error, JOB_OUTCOME_UNKNOWN);
        (void)take_nothing(f);
        assert_int_equal(submit(f, "a")->source, JOB_FROM_UPSTREAM);
}

static void a_job_that_ended_by_itself_before_the_start_is_known(void **state)
{
        struct fixture *f = *state;
        struct job *job = stored_job(f, NULL);

        open_scheduler(f, 1);
        assert_int_equal(
                entry_restore_ended(f->scheduler, job,
                                    outcome_failed(JOB_CANCELLED, JOB_CANCELLED_ERROR, "gone"),
                                    clock_wall_ms()),
                0);
        assert_true(is_known(f, job));
        assert_string_equal(outcome_of(f, job)->text, "gone");
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(identical_jobs_share_one_purchase_and_its_outcome),
                ON_ENGINE(a_shared_purchase_is_charged_once_and_to_the_payer),
                ON_ENGINE(a_solved_task_answers_the_next_one_at_once),
                ON_ENGINE(a_failure_answers_nobody_else),
                ON_ENGINE(who_wants_a_fresh_one_pays_and_others_join_that),
                ON_ENGINE(the_same_key_leads_to_the_same_job_and_nothing_is_sent),
                ON_ENGINE(a_job_that_waits_can_be_cancelled_and_is_not_sent),
                ON_ENGINE(a_job_that_pauses_before_its_next_try_can_be_cancelled),
                ON_ENGINE(a_job_that_may_have_been_charged_is_not_cancelled),
                ON_ENGINE(a_job_that_was_sent_cannot_be_cancelled),
                ON_ENGINE(when_the_payer_is_cancelled_the_followers_keep_the_purchase),
                ON_ENGINE(nobody_joins_a_purchase_that_was_cancelled),
                ON_ENGINE(a_job_that_could_not_be_kept_is_forgotten),
                ON_ENGINE(a_job_that_could_not_be_kept_is_not_sent_though_its_turn_had_come),
                ON_ENGINE(a_job_that_could_not_be_kept_but_was_sent_goes_on),
                ON_ENGINE(a_job_whose_deadline_passes_while_it_waits_fails_and_the_others_stay),
                ON_ENGINE(a_turn_has_what_may_change_from_its_last_call),
                ON_ENGINE(a_job_that_is_being_sent_does_not_expire),
                ON_ENGINE(of_an_accepted_purchase_the_last_job_stays_with_its_flight),
                ON_ENGINE(what_waited_before_the_start_goes_first_and_can_be_joined),
                ON_ENGINE(what_was_accepted_before_the_start_is_followed_at_its_account),
                ON_ENGINE(what_was_solved_before_the_start_answers_for_its_identity),
                ON_ENGINE(what_may_have_been_charged_before_the_start_is_told_and_not_sent),
                ON_ENGINE(a_job_that_ended_by_itself_before_the_start_is_known),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
