/*
 * A store that commits when a test says so: until then nothing that must be durable is visible, and
 * nothing is sent.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "dispatch/journal.h"
#include "dispatch/keep.h"
#include "dispatch/scheduler_private.h"
#include "endings_fixture.h"
#include "job/waiter.h"
#include "manual_store.h"
#include "store/sqlite/sqlite_store.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* ---- the engine on it ---- */

/* Wraps the store of the fixture, and starts it. Without options it releases by hand. */
static void hold_store(struct fixture *f, const struct manual_store_options *options)
{
        open_store(f);
        f->store = manual_store_new(f->store, options);
        assert_int_equal(store_start(f->store), 0);
}

/* A job, and a scheduler on a store that holds everything. */
static struct job *submit_held(struct fixture *f)
{
        f->config.retry.on_unknown = ON_UNKNOWN_FAIL; /* so no record needs a body */
        hold_store(f, NULL);
        open_scheduler(f, 1);
        return submit(f, "a");
}

static void on_stop(struct mail *mail)
{
        struct watched *watched = (struct watched *)((char *)mail - offsetof(struct watched, mail));

        loop_stop(watched->f->loop);
}

/* Delivers the mail that is on its way. */
static void turn_loop(struct fixture *f)
{
        struct watched turn = {.f = f, .mail.deliver = on_stop};

        loop_post(f->loop, &turn.mail);
        loop_run(f->loop);
}

/* Releases the oldest record, and runs the loop until it is written and its caller notified. */
static void release_one(struct fixture *f)
{
        size_t records = f->scheduler->records;

        manual_store_release_one(f->store);
        while (f->scheduler->records == records)
                turn_loop(f);
}

/* What a step has told. */
struct told {
        int count;
        int error;
};

static void on_step(void *arg, int error)
{
        struct told *told = arg;

        told->count++;
        told->error = error;
}

static struct journal take_next(struct fixture *f, struct scheduler_turn *ret_turn)
{
        int64_t again_ms;

        assert_true(scheduler_take(f->scheduler, NULL, ret_turn, &again_ms));
        f->flying[f->flying_count++] = *ret_turn;
        return (struct journal){f->scheduler, f->loop, ret_turn->purchase, ret_turn->account};
}

/* Takes the job's purchase, which may be sent when this returns. */
static struct journal send_released(struct fixture *f, struct scheduler_turn *ret_turn)
{
        struct journal journal = take_next(f, ret_turn);
        struct told told = {0};

        assert_int_equal(journal_sending(&journal, on_step, &told), 0);
        release_one(f);
        assert_int_equal(told.count, 1);
        assert_int_equal(told.error, 0);
        return journal;
}

static void count_waiting(void *arg, const struct charges_row *row)
{
        *(int64_t *)arg += row->charged;
}

static int64_t count_charges(struct fixture *f)
{
        int64_t count = 0;

        charges_each(f->charges, count_waiting, &count);
        return count;
}

static void an_id_is_not_returned_before_its_job_is_durable(void **state)
{
        struct fixture *f = *state;
        struct job *job = submit_held(f);
        struct waiter waiter = {.loop = f->loop, .mail.deliver = ignore_mail};

        assert_true(keep_wait(f->scheduler, f->loop, job, &waiter));
        turn_loop(f);
        assert_int_equal(manual_store_held(f->store), 1);
        assert_true(waiter.armed);
        assert_false(keep_done(f->scheduler, job));
        release_one(f);
        assert_false(waiter.armed);
        assert_true(keep_done(f->scheduler, job));
        turn_loop(f); /* the waiter's mail */
}

static void nothing_is_sent_before_its_sending_is_durable(void **state)
{
        struct fixture *f = *state;
        struct scheduler_turn turn;
        struct told told = {0};

        (void)submit_held(f);
        const struct journal journal = take_next(f, &turn);
        assert_int_equal(journal_sending(&journal, on_step, &told), 0);
        turn_loop(f);
        assert_int_equal(told.count, 0);
        release_one(f);
        assert_int_equal(told.count, 1);
        assert_int_equal(told.error, 0);
}

static void what_cannot_be_written_is_not_sent(void **state)
{
        struct fixture *f = *state;
        struct scheduler_turn turn;
        struct told told = {0};

        (void)submit_held(f);
        const struct journal journal = take_next(f, &turn);
        assert_int_equal(journal_sending(&journal, on_step, &told), 0);
        manual_store_fail_one(f->store);
        while (told.count == 0)
                turn_loop(f);
        assert_int_equal(told.error, -EIO);
        assert_int_equal(count_charges(f), 0);
        assert_int_equal(manual_store_held(f->store), 0);
}

static void a_job_is_accepted_and_charged_when_that_is_durable(void **state)
{
        struct fixture *f = *state;
        struct job *job = submit_held(f);
        struct scheduler_turn turn;

        (void)send_released(f, &turn);
        accept_turn(f, &turn);
        turn_loop(f);
        assert_int_not_equal(state_of(f, job), JOB_ACCEPTED);
        assert_int_equal(count_charges(f), 0);
        assert_int_equal(reserved_by(f, "ci"), 1);
        release_one(f);
        assert_int_equal(state_of(f, job), JOB_ACCEPTED);
        assert_int_equal(count_charges(f), 1);
        assert_int_equal(reserved_by(f, "ci"), 0);
}

static void an_outcome_is_visible_when_it_is_durable(void **state)
{
        struct fixture *f = *state;
        struct job *job = submit_held(f);
        struct scheduler_turn turn;
        struct told told = {0};
        char *members = strdup("\"solution\":[1]");

        const struct journal journal = send_released(f, &turn);
        journal_final(&journal, outcome_solved(members, strlen(members)), STORE_CHARGE_CHARGED,
                      on_step, &told);
        turn_loop(f);
        assert_int_equal(told.count, 0);
        assert_false(job_state_final(state_of(f, job)));
        release_one(f);
        assert_int_equal(told.count, 1);
        assert_int_equal(outcome_of(f, job)->state, JOB_SOLVED);
}

static void jobs_of_one_purchase_are_durable_each_by_itself(void **state)
{
        struct fixture *f = *state;
        struct waiter waiters[2];
        struct job *jobs[2] = {submit_held(f)};

        jobs[1] = submit(f, "a");
        assert_ptr_equal(jobs[0]->purchase, jobs[1]->purchase);
        for (int i = 0; i < 2; i++) {
                waiters[i] = (struct waiter){.loop = f->loop, .mail.deliver = ignore_mail};
                assert_true(keep_wait(f->scheduler, f->loop, jobs[i], &waiters[i]));
        }
        release_one(f);
        assert_true(keep_done(f->scheduler, jobs[0]));
        assert_false(keep_done(f->scheduler, jobs[1]));
        release_one(f);
        assert_true(keep_done(f->scheduler, jobs[1]));
        turn_loop(f);
}

static void a_cancelled_job_ends_when_that_is_durable(void **state)
{
        struct fixture *f = *state;
        struct job *job = submit_held(f);
        struct waiter waiter = {.loop = f->loop, .mail.deliver = ignore_mail};

        assert_true(keep_wait(f->scheduler, f->loop, job, &waiter));
        release_one(f);
        assert_int_equal(entry_cancel(f->scheduler, f->loop, job, END_BY_OWNER), ENTRY_CANCELLED);
        turn_loop(f);
        assert_false(job_state_final(state_of(f, job)));
        assert_int_equal(take_nothing(f), INT64_MAX);
        release_one(f);
        assert_int_equal(state_of(f, job), JOB_CANCELLED);
}

static void the_stop_waits_for_what_is_held(void **state)
{
        struct fixture *f = *state;
        struct job *job = submit_held(f);
        struct waiter waiter = {.loop = f->loop, .mail.deliver = ignore_mail};

        assert_true(keep_wait(f->scheduler, f->loop, job, &waiter));
        store_give_up(f->store);
        turn_loop(f);
        assert_true(scheduler_writes(f->scheduler));
        release_one(f);
        assert_false(scheduler_writes(f->scheduler));
        turn_loop(f);
}

static void a_kill_before_the_release_leaves_nothing(void **state)
{
        struct fixture *f = *state;
        struct job *job = submit_held(f);
        struct waiter waiter = {.loop = f->loop, .mail.deliver = ignore_mail};
        int64_t rows = 0;

        assert_true(keep_wait(f->scheduler, f->loop, job, &waiter));
        assert_int_equal(manual_store_held(f->store), 1);
        manual_store_discard(f->store);
        turn_loop(f);
        assert_int_equal(store_close(f->store), 0);
        struct strbuf problem;
        strbuf_init(&problem, 1000);
        assert_int_equal(sqlite_store_open(f->directory, &f->store, &problem), 0);
        const struct store_visitor visitor = {.arg = &rows}; /* which is not called */
        assert_int_equal(store_load(f->store, NULL, 0, &visitor, &problem), 0);
        strbuf_done(&problem);
}

/* ---- the order ---- */

#define PURCHASES 8
#define RECORDS   200

/* What was written of one purchase. */
struct seen {
        struct purchase *purchase;
        int given, done, failed;
        bool in_order;
};

struct order_check {
        struct fixture *f;
        struct seen seen[PURCHASES];
        int sequence[PURCHASES]; /* of what was completed, by the number of the purchase */
        int completed;
        int overtaken; /* purchases that came before one whose record was given earlier */
        int last_given;
};

struct given {
        struct order_check *check;
        size_t which;
        int number; /* among the records of its purchase */
        int total;  /* among all */
};

static void on_written(struct store_record *record, int error, void *arg)
{
        struct given *given = arg;
        struct order_check *check = given->check;
        struct seen *seen = &check->seen[given->which];

        assert_int_equal(record->must ? error : 0, 0);
        if (error < 0) {
                assert_int_equal(error, -EIO);
                seen->failed++;
        } else {
                assert_true(given->number > check->sequence[given->which]);
                check->sequence[given->which] = given->number;
                check->overtaken += given->total < check->last_given;
                check->last_given = given->total;
        }
        if (++check->completed == RECORDS)
                loop_stop(check->f->loop);
}

static void write_randomly(struct order_check *check, struct given given[])
{
        for (int i = 0; i < RECORDS; i++) {
                size_t which = (size_t)(i * 7 % 11) % PURCHASES;
                struct store_record *record = store_record_new();
                assert_non_null(record);
                given[i] = (struct given){check, which, ++check->seen[which].given, i};
                record->done = on_written;
                record->arg = &given[i];
                record->loop = check->f->loop;
                record->must = i % 3 == 0;
                record->move = STORE_PURCHASE_MOVE;
                record->state = JOB_QUEUED;
                record->purchase = purchase_ref(check->seen[which].purchase);
                store_write(check->f->store, record);
        }
}

static struct order_check check_order(struct fixture *f, int failures_per_mille)
{
        static struct given given[RECORDS];
        const struct task_identity identity = {0};
        struct order_check check = {.f = f};

        hold_store(f, &(struct manual_store_options){.seed = 1,
                                                     .delay_max_ms = 20,
                                                     .failures_per_mille = failures_per_mille});
        for (int i = 0; i < PURCHASES; i++)
                assert_int_equal(purchase_new(i + 1, &identity, strdup("a.example"), NULL,
                                              &check.seen[i].purchase),
                                 0);
        write_randomly(&check, given);
        loop_run(f->loop);
        assert_int_equal(manual_store_held(f->store), 0);
        for (int i = 0; i < PURCHASES; i++)
                purchase_drop(check.seen[i].purchase);
        return check;
}

static void records_of_one_purchase_keep_their_order(void **state)
{
        struct order_check check = check_order(*state, 0);

        assert_true(check.overtaken > 0); /* between purchases there is none */
        for (int i = 0; i < PURCHASES; i++)
                assert_int_equal(check.sequence[i], check.seen[i].given);
}

static void only_records_that_may_fail_do(void **state)
{
        struct order_check check = check_order(*state, 100);
        int failed = 0;

        for (int i = 0; i < PURCHASES; i++)
                failed += check.seen[i].failed;
        assert_true(failed > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_ENGINE(an_id_is_not_returned_before_its_job_is_durable),
                ON_ENGINE(nothing_is_sent_before_its_sending_is_durable),
                ON_ENGINE(what_cannot_be_written_is_not_sent),
                ON_ENGINE(a_job_is_accepted_and_charged_when_that_is_durable),
                ON_ENGINE(an_outcome_is_visible_when_it_is_durable),
                ON_ENGINE(jobs_of_one_purchase_are_durable_each_by_itself),
                ON_ENGINE(a_cancelled_job_ends_when_that_is_durable),
                ON_ENGINE(the_stop_waits_for_what_is_held),
                ON_ENGINE(a_kill_before_the_release_leaves_nothing),
                ON_ENGINE(records_of_one_purchase_keep_their_order),
                ON_ENGINE(only_records_that_may_fail_do),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
