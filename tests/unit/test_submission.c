/*
 * Jobs that wait for the arbiter's decision, and for their turn, with an arbiter that decides late
 * and tells later.
 */
#include "access/policy.h"
#include "delayed_arbiter.h"
#include "dispatch/arbiter.h"
#include "dispatch/submission.h"
#include "scheduler_fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static void open_delayed(struct fixture *f)
{
        f->arbiter = delayed_arbiter_new(f->arbiter, &(struct delayed_arbiter_options){0});
        open_scheduler(f, 1);
}

/* A job whose decision is awaited. */
struct pending {
        struct submission *submission;
        struct job *job; /* the fixture's */
};

static struct pending begin(struct fixture *f, const struct order *order)
{
        struct job *job = NULL;

        assert_int_equal(submit_order(f, order, &job), -EINPROGRESS);
        return (struct pending){f->pending, job};
}

static struct pending begin_task(struct fixture *f, const char *task)
{
        return begin(f, &(struct order){.task = task});
}

static void decide(struct fixture *f)
{
        assert_true(delayed_arbiter_decide(f->arbiter));
}

static void hand_over(struct fixture *f)
{
        assert_true(delayed_arbiter_hand_over(f->arbiter));
}

static void run_arbiter(struct fixture *f)
{
        while (delayed_arbiter_decide(f->arbiter) || delayed_arbiter_hand_over(f->arbiter))
                ;
}

static void expect_undecided(const struct pending *pending)
{
        struct submission_result result;

        assert_int_equal(submission_end(pending->submission, &result), -EINPROGRESS);
}

/* Takes the answer, which must be there. */
static int end(const struct pending *pending)
{
        struct submission_result result;

        int r = submission_end(pending->submission, &result);
        assert_int_not_equal(r, -EINPROGRESS);
        if (r == -EEXIST)
                job_unref(result.other);
        job_unref(result.job);
        return r;
}

static bool is_known(struct fixture *f, const struct job *job)
{
        struct job *found = results_find(f->results, job->id);

        job_unref(found);
        return found != NULL;
}

static void expect_reserved(struct fixture *f, const char *client, int64_t count)
{
        struct scheduler_usage usage;
        struct quota_figures figures;

        scheduler_usage(f->scheduler, client_named(f, client), &usage, &figures);
        assert_int_equal(figures.day.reserved, count);
}

/* ---- waiting ---- */

static void nothing_of_a_job_is_seen_before_its_decision_is_handed_over(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending pending = begin_task(f, "a");
        (void)take_nothing(f);
        decide(f);
        expect_undecided(&pending);
        assert_false(is_known(f, pending.job));
        (void)take_nothing(f);
        hand_over(f);
        assert_true(is_known(f, pending.job));
        assert_int_equal(end(&pending), 0);
        struct scheduler_turn turn = take(f, pending.job);
        solve_turn(f, &turn);
}

static void stop_loop(struct mail *mail)
{
        const struct waiter *waiter = (struct waiter *)mail;

        loop_stop(waiter->loop);
}

static void who_waits_is_told_of_the_decision(void **state)
{
        struct fixture *f = *state;
        struct waiter waiter = {.mail.deliver = stop_loop, .loop = f->loop, .level = WAITER_FINAL};

        open_delayed(f);
        struct pending pending = begin_task(f, "a");
        assert_true(submission_wait(pending.submission, &waiter));
        assert_true(submission_unwait(pending.submission, &waiter));
        assert_true(submission_wait(pending.submission, &waiter));
        run_arbiter(f);
        loop_run(f->loop); /* until the mail comes */
        assert_false(submission_unwait(pending.submission, &waiter));
        assert_false(submission_wait(pending.submission, &waiter));
        assert_int_equal(end(&pending), 0);
}

static void jobs_that_wait_for_admission_count_towards_the_queue(void **state)
{
        struct fixture *f = *state;
        f->config.limits.queue_jobs = 1;
        open_delayed(f);
        struct pending first = begin_task(f, "a");
        /* Nobody has jobs yet, so nobody has a share beyond the limit. */
        struct pending second = begin(f, &(struct order){.task = "b", .client = "qa"});
        run_arbiter(f);
        assert_int_equal(end(&first), 0);
        assert_int_equal(end(&second), -ENOBUFS);
        struct pending third = begin(f, &(struct order){.task = "b", .client = "qa"});
        run_arbiter(f);
        assert_int_equal(end(&third), 0);
}

/* ---- what answers ---- */

static void identical_jobs_share_a_purchase_though_both_wait(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending first = begin_task(f, "a"), second = begin_task(f, "a");
        decide(f);
        decide(f);
        hand_over(f);
        expect_undecided(&second);
        hand_over(f);
        assert_int_equal(end(&first), 0);
        assert_int_equal(end(&second), 0);
        assert_int_equal(second.job->source, JOB_FROM_COLLAPSED);
        assert_ptr_equal(second.job->purchase, first.job->purchase);
        expect_reserved(f, "ci", 1);
        struct scheduler_turn turn = take(f, first.job);
        solve_turn(f, &turn);
        assert_int_equal(state_of(f, second.job), JOB_SOLVED);
}

static void a_purchase_that_is_solved_meanwhile_answers_from_the_cache(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending first = begin_task(f, "a");
        run_arbiter(f);
        assert_int_equal(end(&first), 0);
        struct pending second = begin_task(f, "a");
        decide(f); /* it is to join */
        struct scheduler_turn turn = take(f, first.job);
        solve_turn(f, &turn);
        hand_over(f);
        expect_undecided(&second); /* it has asked again */
        run_arbiter(f);
        assert_int_equal(end(&second), 0);
        assert_int_equal(second.job->source, JOB_FROM_CACHE);
        assert_int_equal(state_of(f, second.job), JOB_SOLVED);
}

static void a_purchase_that_goes_meanwhile_is_bought_anew(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending first = begin_task(f, "a");
        run_arbiter(f);
        assert_int_equal(end(&first), 0);
        struct pending second = begin(f, &(struct order){.task = "a", .client = "qa"});
        decide(f);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, first.job, END_BY_OWNER),
                         ENTRY_CANCELLED);
        expect_reserved(f, "ci", 0);
        run_arbiter(f);
        assert_int_equal(end(&second), 0);
        assert_int_equal(second.job->source, JOB_FROM_UPSTREAM);
        expect_reserved(f, "qa", 1);
        (void)take(f, second.job);
}

static void who_has_to_ask_again_takes_one_token_of_the_rate(void **state)
{
        struct fixture *f = *state;
        const struct quota_limits limits = {.rate = 0.001, .burst = 2};

        open_delayed(f);
        quota_set_limits(&client_named(f, "ci")->quota, &limits, quota_now());
        struct pending first = begin_task(f, "a");
        run_arbiter(f);
        assert_int_equal(end(&first), 0);
        struct pending second = begin_task(f, "a");
        decide(f);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, first.job, END_BY_OWNER),
                         ENTRY_CANCELLED);
        run_arbiter(f);
        assert_int_equal(end(&second), 0);
        struct pending third = begin_task(f, "b");
        run_arbiter(f);
        assert_int_equal(end(&third), -EDQUOT);
}

static void a_repeat_finds_the_job_though_both_wait(void **state)
{
        struct fixture *f = *state;
        const struct order order = {.task = "a", .key = "key"};

        open_delayed(f);
        struct pending first = begin(f, &order), second = begin(f, &order);
        decide(f);
        decide(f);
        hand_over(f);
        hand_over(f);
        assert_int_equal(end(&first), 0);
        assert_int_equal(end(&second), -EEXIST);
        expect_reserved(f, "ci", 1);
}

static void a_repeat_of_what_was_not_let_in_takes_its_place(void **state)
{
        struct fixture *f = *state;
        const struct order order = {.task = "a", .key = "key"};

        open_delayed(f);
        struct pending first = begin(f, &order), second = begin(f, &order);
        decide(f);
        decide(f); /* it is a repeat */
        submission_abandon(first.submission);
        run_arbiter(f);
        assert_int_equal(end(&second), 0);
        assert_int_equal(second.job->source, JOB_FROM_UPSTREAM);
        expect_reserved(f, "ci", 1);
        (void)take(f, second.job);
}

/* Its purchase ends before it has come in, so it asks again; who repeats it waits behind it. */
static void a_repeat_waits_for_a_job_that_has_to_ask_again(void **state)
{
        struct fixture *f = *state;
        const struct order order = {.task = "a", .key = "key"};

        open_delayed(f);
        struct pending first = begin_task(f, "a");
        run_arbiter(f);
        assert_int_equal(end(&first), 0);
        struct scheduler_turn turn = take(f, first.job);
        struct pending joins = begin(f, &order), repeats = begin(f, &order);
        decide(f);
        decide(f);
        end_turn(f, &turn, outcome_failed(JOB_FAILED, JOB_UPSTREAM_REJECTED, "no"));
        hand_over(f);
        hand_over(f);
        expect_undecided(&joins);
        expect_undecided(&repeats);
        run_arbiter(f);
        assert_int_equal(end(&joins), 0);
        assert_int_equal(end(&repeats), -EEXIST);
        assert_true(is_known(f, joins.job));
        expect_reserved(f, "ci", 1);
}

static void a_client_waits_for_no_more_admissions_than_its_share(void **state)
{
        struct fixture *f = *state;
        struct pending pending[SCHEDULER_CLIENT_ROOM + 1];

        f->config.limits.queue_jobs = 1;
        open_delayed(f);
        struct pending other = begin(f, &(struct order){.task = "b", .client = "qa"});
        run_arbiter(f);
        assert_int_equal(end(&other), 0);
        for (int i = 0; i <= SCHEDULER_CLIENT_ROOM; i++) {
                char task[2] = {(char)('c' + i), '\0'};
                pending[i] = begin_task(f, task);
        }
        run_arbiter(f);
        for (int i = 0; i < SCHEDULER_CLIENT_ROOM; i++)
                assert_int_equal(end(&pending[i]), 0);
        assert_int_equal(end(&pending[SCHEDULER_CLIENT_ROOM]), -ENOBUFS);
}

/* ---- turns that are given later ---- */

static void open_with_late_turns(struct fixture *f)
{
        f->arbiter =
                delayed_arbiter_new(f->arbiter, &(struct delayed_arbiter_options){.turns = true});
        open_scheduler(f, 1);
}

static struct job *let_in(struct fixture *f, const char *task)
{
        struct pending pending = begin_task(f, task);

        run_arbiter(f);
        assert_int_equal(end(&pending), 0);
        return pending.job;
}

static void expect_in_flight(struct fixture *f, int count)
{
        struct scheduler_usage usage;
        struct quota_figures figures;

        scheduler_usage(f->scheduler, client_named(f, "ci"), &usage, &figures);
        assert_int_equal(usage.in_flight, count);
}

static void stop_on_turn(struct mail *mail)
{
        struct scheduler_taker *taker =
                (struct scheduler_taker *)((char *)mail - offsetof(struct scheduler_taker, mail));

        atomic_store(&taker->posted, false);
        loop_stop(taker->loop);
}

static void who_asked_for_a_turn_is_told_when_it_is_given(void **state)
{
        struct fixture *f = *state;
        struct scheduler_taker taker = {.loop = f->loop, .mail.deliver = stop_on_turn};
        struct scheduler_turn turn;
        int64_t again_ms;

        open_with_late_turns(f);
        struct job *job = let_in(f, "a");
        assert_false(scheduler_take(f->scheduler, &taker, &turn, &again_ms));
        assert_false(scheduler_take(f->scheduler, &taker, &turn, &again_ms)); /* asked once */
        decide(f);
        assert_false(delayed_arbiter_decide(f->arbiter));
        assert_false(scheduler_take(f->scheduler, &taker, &turn, &again_ms));
        assert_int_equal(state_of(f, job), JOB_QUEUED);
        hand_over(f);
        loop_run(f->loop); /* until the mail comes */
        (void)take(f, job);
        expect_in_flight(f, 1);
}

static int delivered;

static void count_mail(struct mail *mail)
{
        (void)mail;
        delivered++;
}

/* Who takes for another reason before the mail is delivered asks for the next turn. Mail that was
 * posted twice would cut off what is behind it. */
static void a_turn_that_is_given_before_the_mail_is_delivered_posts_no_other(void **state)
{
        struct fixture *f = *state;
        struct scheduler_taker taker = {.loop = f->loop, .mail.deliver = stop_on_turn};
        struct mail behind = {.deliver = count_mail};
        struct scheduler_turn turn;
        int64_t again_ms;

        open_with_late_turns(f);
        (void)let_in(f, "a");
        struct job *job = let_in(f, "b");
        assert_false(scheduler_take(f->scheduler, &taker, &turn, &again_ms));
        decide(f);
        hand_over(f);
        loop_post(f->loop, &behind);
        assert_true(scheduler_take(f->scheduler, &taker, &turn, &again_ms));
        f->flying[f->flying_count++] = turn;
        assert_false(scheduler_take(f->scheduler, &taker, &turn, &again_ms));
        decide(f);
        hand_over(f);
        delivered = 0;
        loop_run(f->loop);
        assert_int_equal(delivered, 1);
        (void)take(f, job);
}

static void ignore_mail(struct mail *mail)
{
        (void)mail;
}

/* The answer was given before it came, and is handed over after. */
static void what_comes_while_an_answer_is_awaited_is_asked_for(void **state)
{
        struct fixture *f = *state;
        struct scheduler_taker told = {.loop = f->loop, .mail.deliver = ignore_mail, .told = true};
        struct scheduler_turn turn;
        int64_t again_ms;

        open_with_late_turns(f);
        client_named(f, "ci")->flow.turns.max_in_flight = 1;
        struct job *first = let_in(f, "a");
        (void)take_nothing(f);
        run_arbiter(f);
        (void)take(f, first);
        (void)let_in(f, "b");
        struct pending other = begin(f, &(struct order){.task = "c", .client = "qa"});
        (void)take_nothing(f);
        decide(f); /* it may come in */
        decide(f); /* it is nobody's turn, before it is in */
        hand_over(f);
        assert_int_equal(end(&other), 0);
        (void)take_nothing(f);
        hand_over(f);
        assert_false(scheduler_take(f->scheduler, &told, &turn, &again_ms));
        run_arbiter(f); /* it has been asked once more */
        (void)take(f, other.job);
}

/* One of them may be kept from taking. */
static void everybody_who_was_sent_away_is_told(void **state)
{
        struct fixture *f = *state;
        struct scheduler_taker first = {.loop = f->loop, .mail.deliver = ignore_mail};
        struct scheduler_taker second = {.loop = f->loop, .mail.deliver = stop_on_turn};
        struct scheduler_turn turn;
        int64_t again_ms;

        open_with_late_turns(f);
        struct job *job = let_in(f, "a");
        assert_false(scheduler_take(f->scheduler, &first, &turn, &again_ms));
        assert_false(scheduler_take(f->scheduler, &second, &turn, &again_ms));
        run_arbiter(f);
        loop_run(f->loop); /* until the second one's mail comes */
        (void)take(f, job);
}

static void a_turn_goes_back_when_its_client_has_nothing_any_more(void **state)
{
        struct fixture *f = *state;

        open_with_late_turns(f);
        struct job *job = let_in(f, "a");
        (void)take_nothing(f);
        decide(f);
        expect_in_flight(f, 1);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
        hand_over(f);
        (void)take_nothing(f);
        expect_in_flight(f, 0);
        struct job *other = let_in(f, "b");
        (void)take_nothing(f);
        run_arbiter(f);
        (void)take(f, other);
}

static void another_client_is_asked_for_when_a_turn_goes_back(void **state)
{
        struct fixture *f = *state;

        open_with_late_turns(f);
        struct job *job = let_in(f, "a");
        struct pending other = begin(f, &(struct order){.task = "b", .client = "qa"});
        run_arbiter(f);
        assert_int_equal(end(&other), 0);
        (void)take_nothing(f);
        decide(f);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
        hand_over(f);
        (void)take_nothing(f);
        decide(f); /* it has been asked once more */
        hand_over(f);
        (void)take(f, other.job);
}

static void every_account_is_asked_for_though_each_answer_comes_later(void **state)
{
        struct fixture *f = *state;

        f->arbiter =
                delayed_arbiter_new(f->arbiter, &(struct delayed_arbiter_options){.turns = true});
        open_scheduler(f, 2);
        struct job *job = let_in(f, "a");
        (void)take_nothing(f);
        run_arbiter(f);
        struct scheduler_turn turn = take(f, job);
        struct account *first = turn.account;
        assert_true(give_back(f, &turn, SCHEDULER_TURNED_AWAY, LONG_MS)); /* not there again */
        for (int i = 0; i < 2; i++) { /* the first account has nothing, the second one the job */
                (void)take_nothing(f);
                run_arbiter(f);
        }
        turn = take(f, job);
        assert_ptr_not_equal(turn.account, first);
}

static void a_turn_for_an_account_that_is_full_by_then_goes_back(void **state)
{
        struct fixture *f = *state;

        f->upstreams[0].max_in_flight = 1;
        open_with_late_turns(f);
        struct job *first = let_in(f, "a"), *second = let_in(f, "b");
        (void)take_nothing(f);
        run_arbiter(f);
        struct scheduler_turn turn = take(f, first);
        (void)take_nothing(f);
        assert_false(delayed_arbiter_decide(f->arbiter)); /* without a slot nobody asks */
        solve_turn(f, &turn);
        (void)take_nothing(f);
        run_arbiter(f);
        (void)take(f, second);
        expect_in_flight(f, 1);
}

static void a_turn_that_nobody_takes_goes_back_at_a_drain(void **state)
{
        struct fixture *f = *state;
        struct mail idle = {.deliver = NULL};

        open_with_late_turns(f);
        (void)let_in(f, "a");
        (void)take_nothing(f);
        decide(f);
        (void)scheduler_drain(f->scheduler, f->loop, &idle);
        expect_in_flight(f, 1);
        hand_over(f);
        expect_in_flight(f, 0);
}

static void an_arbiter_that_gives_up_gives_nobody_a_turn(void **state)
{
        struct fixture *f = *state;

        open_with_late_turns(f);
        struct job *job = let_in(f, "a");
        (void)take_nothing(f);
        scheduler_give_up(f->scheduler);
        (void)take_nothing(f);
        assert_int_equal(state_of(f, job), JOB_QUEUED);
        expect_in_flight(f, 0);
}

/* ---- what changes meanwhile ---- */

static void an_abandoned_job_is_withdrawn_by_the_decision(void **state)
{
        struct fixture *f = *state;
        const struct order order = {.task = "a", .key = "key"};

        open_delayed(f);
        struct pending early = begin(f, &order);
        submission_abandon(early.submission);
        run_arbiter(f);
        struct pending decided = begin(f, &order); /* its key is free */
        decide(f);
        submission_abandon(decided.submission);
        hand_over(f);
        struct pending late = begin(f, &order);
        run_arbiter(f);
        submission_abandon(late.submission);
        expect_reserved(f, "ci", 0);
        assert_false(is_known(f, early.job) || is_known(f, decided.job) || is_known(f, late.job));
        (void)take_nothing(f);
}

/* Its result answers for its identity. */
static void what_is_being_sent_is_not_withdrawn_though_nothing_is_stored(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending pending = begin_task(f, "a");
        run_arbiter(f);
        struct scheduler_turn turn = take(f, pending.job);
        submission_abandon(pending.submission);
        assert_true(is_known(f, pending.job));
        solve_turn(f, &turn);
        struct pending other = begin(f, &(struct order){.task = "a", .client = "qa"});
        run_arbiter(f);
        assert_int_equal(end(&other), 0);
        assert_int_equal(other.job->source, JOB_FROM_CACHE);
}

static void another_one_pays_for_what_an_abandoned_job_has_made(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending first = begin_task(f, "a");
        struct pending second = begin(f, &(struct order){.task = "a", .client = "qa"});
        run_arbiter(f);
        submission_abandon(first.submission);
        assert_int_equal(end(&second), 0);
        expect_reserved(f, "ci", 0);
        expect_reserved(f, "qa", 1);
        (void)take(f, second.job);
}

static void who_joins_what_was_abandoned_before_buys_it(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending first = begin_task(f, "a");
        struct pending second = begin(f, &(struct order){.task = "a", .client = "qa"});
        submission_abandon(first.submission);
        decide(f);
        decide(f); /* it is to join */
        run_arbiter(f);
        assert_int_equal(end(&second), 0);
        expect_reserved(f, "ci", 0);
        expect_reserved(f, "qa", 1);
        (void)take(f, second.job);
}

static void a_drain_refuses_what_is_not_decided_yet(void **state)
{
        struct fixture *f = *state;
        struct mail idle = {.deliver = NULL};

        open_delayed(f);
        struct pending first = begin_task(f, "a"), second = begin_task(f, "a");
        decide(f);
        decide(f);
        (void)scheduler_drain(f->scheduler, f->loop, &idle);
        assert_null(idle.next); /* it waits for the decisions */
        run_arbiter(f);
        assert_int_equal(end(&first), -ESHUTDOWN);
        assert_int_equal(end(&second), -ESHUTDOWN);
        expect_reserved(f, "ci", 0);
        assert_false(is_known(f, first.job));
}

static void a_drain_by_the_operator_refuses_what_is_not_decided_yet(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending pending = begin_task(f, "a");
        scheduler_set_drained(f->scheduler, true);
        run_arbiter(f);
        assert_int_equal(end(&pending), -EBUSY);
        expect_reserved(f, "ci", 0);
}

static void an_arbiter_that_gives_up_refuses_what_it_was_asked(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        struct pending asked = begin_task(f, "a");
        scheduler_give_up(f->scheduler);
        assert_int_equal(end(&asked), -EIO);
        expect_reserved(f, "ci", 0);
        struct job *job = NULL;
        assert_int_equal(submit_order(f, &(struct order){.task = "b"}, &job), -EIO);
}

/* Puts a policy in force that knows the client "ci", and only this site. */
static void allow(struct fixture *f, const char *site)
{
        char name[] = "ci", digest[2 * 32 + 1], host[32];
        struct config_site sites[] = {{.site = host, .until_ms = INT64_MAX}};
        struct config_client clients[] = {{.name = name, .token_sha256 = digest, .weight = 1}};
        struct config config = f->config;
        struct policy *policy;

        (void)snprintf(host, sizeof host, "%s", site);
        memset(digest, 'a', sizeof digest - 1);
        digest[sizeof digest - 1] = '\0';
        config.clients = clients;
        config.clients_count = 1;
        config.sites.allow.items = sites;
        config.sites.allow.count = 1;
        assert_int_equal(policy_new(&config, f->clients, &policy), 0);
        scheduler_apply(f->scheduler, policy);
        policy_unref(policy);
}

static void a_reload_is_asked_once_more(void **state)
{
        struct fixture *f = *state;

        open_delayed(f);
        allow(f, "a.example");
        struct pending refused = begin_task(f, "a");
        decide(f);
        allow(f, "elsewhere.example");
        run_arbiter(f);
        assert_int_equal(end(&refused), -EACCES);
        expect_reserved(f, "ci", 0);
        struct pending taken = begin_task(f, "b");
        allow(f, "a.example");
        run_arbiter(f);
        assert_int_equal(end(&taken), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(nothing_of_a_job_is_seen_before_its_decision_is_handed_over),
                ON_ENGINE(who_waits_is_told_of_the_decision),
                ON_ENGINE(jobs_that_wait_for_admission_count_towards_the_queue),
                ON_ENGINE(identical_jobs_share_a_purchase_though_both_wait),
                ON_ENGINE(a_purchase_that_is_solved_meanwhile_answers_from_the_cache),
                ON_ENGINE(a_purchase_that_goes_meanwhile_is_bought_anew),
                ON_ENGINE(who_has_to_ask_again_takes_one_token_of_the_rate),
                ON_ENGINE(a_repeat_finds_the_job_though_both_wait),
                ON_ENGINE(a_repeat_of_what_was_not_let_in_takes_its_place),
                ON_ENGINE(who_asked_for_a_turn_is_told_when_it_is_given),
                ON_ENGINE(a_repeat_waits_for_a_job_that_has_to_ask_again),
                ON_ENGINE(a_client_waits_for_no_more_admissions_than_its_share),
                ON_ENGINE(what_comes_while_an_answer_is_awaited_is_asked_for),
                ON_ENGINE(everybody_who_was_sent_away_is_told),
                ON_ENGINE(a_drain_by_the_operator_refuses_what_is_not_decided_yet),
                ON_ENGINE(a_turn_that_is_given_before_the_mail_is_delivered_posts_no_other),
                ON_ENGINE(a_turn_goes_back_when_its_client_has_nothing_any_more),
                ON_ENGINE(another_client_is_asked_for_when_a_turn_goes_back),
                ON_ENGINE(every_account_is_asked_for_though_each_answer_comes_later),
                ON_ENGINE(a_turn_for_an_account_that_is_full_by_then_goes_back),
                ON_ENGINE(a_turn_that_nobody_takes_goes_back_at_a_drain),
                ON_ENGINE(an_arbiter_that_gives_up_gives_nobody_a_turn),
                ON_ENGINE(an_abandoned_job_is_withdrawn_by_the_decision),
                ON_ENGINE(what_is_being_sent_is_not_withdrawn_though_nothing_is_stored),
                ON_ENGINE(another_one_pays_for_what_an_abandoned_job_has_made),
                ON_ENGINE(who_joins_what_was_abandoned_before_buys_it),
                ON_ENGINE(a_drain_refuses_what_is_not_decided_yet),
                ON_ENGINE(an_arbiter_that_gives_up_refuses_what_it_was_asked),
                ON_ENGINE(a_reload_is_asked_once_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
