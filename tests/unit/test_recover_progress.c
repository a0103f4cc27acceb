/*
 * What is told while the store is read, by a clock of the test's own.
 */
#include "gateway/recover.h"
#include "gateway/recover_progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct calls {
        int count;
        int64_t done, all; /* of the last one */
};

static void on_call(void *arg, int64_t done, int64_t all)
{
        struct calls *calls = arg;

        *calls = (struct calls){calls->count + 1, done, all};
}

static void the_hook_is_called_at_once_and_with_each_second(void **state)
{
        struct calls calls = {0};
        const struct recover_hook hook = {on_call, &calls};
        struct recover_progress progress;

        (void)state;
        recover_progress_begin(&progress, &hook, 5000);
        recover_progress_note(&progress, 0, 0, 5000);
        assert_int_equal(calls.count, 1);
        recover_progress_note(&progress, 0, 0, 5010);
        assert_int_equal(calls.count, 1);
        recover_progress_note(&progress, 0, 700, 5020); /* the first number */
        assert_int_equal(calls.count, 2);
        recover_progress_note(&progress, 100, 700, 6019);
        assert_int_equal(calls.count, 2);
        recover_progress_note(&progress, 200, 700, 6020);
        assert_int_equal(calls.count, 3);
        assert_int_equal(calls.done, 200);
        assert_int_equal(calls.all, 700);
}

static void a_line_is_logged_after_two_seconds_and_then_each_five(void **state)
{
        struct recover_progress progress;

        (void)state;
        recover_progress_begin(&progress, NULL, 0);
        recover_progress_note(&progress, 1, 9, 1999);
        assert_int_equal(progress.log_at_ms, 2000);
        recover_progress_note(&progress, 2, 9, 2100);
        assert_int_equal(progress.log_at_ms, 7100);
        recover_progress_note(&progress, 3, 9, 7099);
        assert_int_equal(progress.log_at_ms, 7100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_hook_is_called_at_once_and_with_each_second),
                cmocka_unit_test(a_line_is_logged_after_two_seconds_and_then_each_five),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
