/*
 * Tests of daemon/operator: who waits for a reload is told of his own, whatever comes meanwhile.
 */
#include "daemon/operator.h"

#include "base/loop.h"
#include "daemon/reload.h"
#include "job/waiter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WAITERS 2

struct fixture {
        struct loop *loop;
        struct operator_state state;
        bool under_way;
        int begun;
        struct waiter waiters[WAITERS];
        int told, wanted; /* waiters; the loop ends with the last that is wanted */
};

static struct fixture *fixture; /* mail brings no more than itself */

static void on_told(struct mail *mail)
{
        (void)mail;
        if (++fixture->told == fixture->wanted)
                loop_stop(fixture->loop);
}

static void begin(void *arg)
{
        struct fixture *f = arg;

        f->begun++;
        f->under_way = true;
}

static bool under_way(void *arg)
{
        const struct fixture *f = arg;

        return f->under_way;
}

static int set_up(void **state)
{
        static struct fixture f;

        f = (struct fixture){0};
        assert_int_equal(loop_new(&f.loop), 0);
        operator_init(&f.state, "solvegate.conf", NULL);
        f.state.reloader = (struct operator_reloader){&f, begin, under_way};
        for (int i = 0; i < WAITERS; i++)
                f.waiters[i] = (struct waiter){
                        .mail.deliver = on_told, .loop = f.loop, .level = WAITER_FINAL};
        *state = fixture = &f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        operator_done(&f->state);
        loop_free(f->loop);
        return 0;
}

static int64_t ask(struct fixture *f, struct waiter *waiter)
{
        int64_t number = 0;

        assert_true(f->state.hooks.reload(&f->state, waiter, &number));
        return number;
}

static void end(struct fixture *f, bool ok, const char *message)
{
        const struct reload_report report = {.ok = ok, .message = message, .restart = ""};

        f->under_way = false;
        operator_reload_ended(&report, &f->state);
}

static void wait_for(struct fixture *f, int wanted)
{
        f->wanted = wanted;
        if (f->told < wanted)
                loop_run(f->loop);
        assert_int_equal(f->told, wanted);
}

static int outcome(struct fixture *f, int64_t number, struct operator_reload *ret_reload)
{
        return f->state.hooks.outcome(&f->state, number, ret_reload);
}

static void who_waits_reads_his_report_though_the_next_reload_has_ended(void **state)
{
        struct fixture *f = *state;
        struct operator_reload reload;

        int64_t first = ask(f, &f->waiters[0]), second = ask(f, &f->waiters[1]);
        assert_int_equal(second, first + 1);
        end(f, true, "good");
        assert_int_equal(outcome(f, second, &reload), -EINPROGRESS);
        end(f, false, "bad"); /* at once, before anybody was told */
        wait_for(f, 2);
        assert_int_equal(outcome(f, first, &reload), 0);
        assert_true(reload.ok);
        assert_string_equal(reload.message, "good");
        assert_int_equal(outcome(f, second, &reload), 0);
        assert_false(reload.ok);
        assert_string_equal(reload.message, "bad");
}

static void a_report_is_kept_for_a_while(void **state)
{
        struct fixture *f = *state;
        struct operator_reload reload;

        for (int i = 0; i <= OPERATOR_REPORTS_KEPT; i++) {
                (void)ask(f, NULL);
                end(f, true, "");
        }
        assert_int_equal(outcome(f, 1, &reload), -ENOENT);
        assert_int_equal(outcome(f, 2, &reload), 0);
}

static void a_stop_tells_all_who_wait_at_once(void **state)
{
        struct fixture *f = *state;
        struct operator_reload reload;
        int64_t number;

        int64_t first = ask(f, &f->waiters[0]), second = ask(f, &f->waiters[1]);
        operator_stop(&f->state);
        wait_for(f, 2);
        assert_int_equal(outcome(f, first, &reload), -ESHUTDOWN);
        assert_int_equal(outcome(f, second, &reload), -ESHUTDOWN);
        assert_false(f->state.hooks.reload(&f->state, NULL, &number));
        assert_int_equal(f->begun, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        who_waits_reads_his_report_though_the_next_reload_has_ended, set_up,
                        tear_down),
                cmocka_unit_test_setup_teardown(a_report_is_kept_for_a_while, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_stop_tells_all_who_wait_at_once, set_up,
                                                tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
