/*
 * How the limit of open files is shared out.
 */
#include "daemon/files.h"

#include "base/strbuf.h"
#include "config/config.h"
#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#define LEAST 65 /* with the configuration below */

static char address[] = "127.0.0.1";
static struct config_upstream upstream = {.max_in_flight = 10};

static struct config make_config(int connections)
{
        return (struct config){
                .workers = 2,
                .listen_count = 1,
                .admin.address = address,
                .upstreams = &upstream,
                .upstreams_count = 1,
                .limits.connections = connections,
        };
}

static struct files_plan share(size_t limit, const struct config *config)
{
        const struct files files = {.limit = limit, .inherited = 3};
        struct files_plan plan = {0};

        assert_int_equal(files_share(&files, config, &plan, NULL), 0);
        return plan;
}

static int all_of(const struct files_plan *plan)
{
        return plan->connections + plan->beyond + 2 * (plan->operators + plan->operators_beyond);
}

static void a_high_limit_gives_all_that_is_configured(void **state)
{
        struct config config = make_config(10000);
        struct files_plan plan = share(SIZE_MAX, &config);

        (void)state;
        assert_int_equal(plan.connections, 10000);
        assert_int_equal(plan.beyond, SERVER_CONNECTIONS_BEYOND_LIMIT);
        assert_int_equal(plan.operators, 32);
        assert_false(plan.scarce);
        plan = share(plan.wanted, &config);
        assert_int_equal(plan.connections, 10000);
        assert_false(plan.scarce);
}

static void every_limit_leaves_room_for_what_is_no_tools_connection(void **state)
{
        struct config config = make_config(10000);
        int before = 0;

        (void)state;
        for (size_t limit = LEAST; limit < 12000; limit++) {
                struct files_plan plan = share(limit, &config);
                assert_true(plan.connections >= 4 && plan.connections >= before - 5);
                assert_true(plan.beyond >= 2 && plan.operators >= 1 && plan.operators_beyond >= 1);
                /* What is open at the start, the pools and four connections of upstreams. */
                assert_true((size_t)all_of(&plan) + 37 + 8 + 4 <= limit);
                assert_int_equal(plan.scarce, plan.connections < 10000);
                before = plan.connections;
        }
}

static void many_workers_leave_room_for_tools_too(void **state)
{
        struct config config = make_config(10000);
        struct files_plan plan;
        size_t least = LEAST;

        (void)state;
        config.workers = 64;
        while (files_share(&(struct files){.limit = least, .inherited = 3}, &config, &plan, NULL) <
               0)
                least++;
        for (size_t limit = least; limit < 12000; limit++) {
                plan = share(limit, &config);
                assert_in_range(plan.connections, 4, 10000);
                assert_true((size_t)all_of(&plan) + least - 10 <= limit);
                assert_int_equal(plan.scarce, plan.connections < 10000);
        }
}

static void an_upstream_has_no_more_than_half(void **state)
{
        struct config config = make_config(10000);

        (void)state;
        upstream.max_in_flight = 100000;
        assert_true(share(1024, &config).connections >= 256);
        upstream.max_in_flight = 10;
}

static void a_limit_that_is_too_low_is_named(void **state)
{
        const struct files files = {.limit = LEAST - 1, .inherited = 3};
        struct config config = make_config(10);
        struct files_plan plan;
        struct strbuf problem;

        (void)state;
        strbuf_init(&problem, 1000);
        assert_int_equal(files_share(&files, &config, &plan, &problem), -EMFILE);
        assert_non_null(strstr(problem.data, "64 open files are allowed (EMFILE)"));
        assert_non_null(strstr(problem.data, "at least 65"));
        strbuf_done(&problem);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_high_limit_gives_all_that_is_configured),
                cmocka_unit_test(every_limit_leaves_room_for_what_is_no_tools_connection),
                cmocka_unit_test(many_workers_leave_room_for_tools_too),
                cmocka_unit_test(an_upstream_has_no_more_than_half),
                cmocka_unit_test(a_limit_that_is_too_low_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
