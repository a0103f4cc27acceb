/*
 * Tests of http/tally.
 */
#include "http/tally.h"

#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define PAGE_BYTES_MAX 65536

static const char head[] =
        "# HELP solvegate_http_requests_total Requests that were answered, by what was asked for "
        "and the code of HTTP.\n"
        "# TYPE solvegate_http_requests_total counter\n";

static void expect_page(struct tally *tally, const char *rows)
{
        struct strbuf text;

        strbuf_init(&text, PAGE_BYTES_MAX);
        tally_write(tally, &text);
        assert_false(text.failed);
        assert_memory_equal(text.data, head, strlen(head));
        assert_string_equal(text.data + strlen(head), rows);
        strbuf_done(&text);
}

static void the_parts_are_summed_up(void **state)
{
        struct tally *tally = NULL;

        (void)state;
        assert_int_equal(tally_new(&tally), 0);
        expect_page(tally, "");
        struct tally_part *one = tally_join(tally), *other = tally_join(tally);
        assert_non_null(one);
        assert_non_null(other);
        tally_count(one, TALLY_SOLVE, 200);
        tally_count(other, TALLY_SOLVE, 200);
        tally_count(other, TALLY_OTHER, 404);
        expect_page(tally, "solvegate_http_requests_total{endpoint=\"other\",code=\"404\"} 1\n"
                           "solvegate_http_requests_total{endpoint=\"solve\",code=\"200\"} 2\n");
        tally_free(tally);
}

static void a_code_that_is_not_known_makes_no_label_of_its_own(void **state)
{
        struct tally *tally = NULL;

        (void)state;
        assert_int_equal(tally_new(&tally), 0);
        struct tally_part *part = tally_join(tally);
        assert_non_null(part);
        for (unsigned code = 600; code < 700; code++)
                tally_count(part, TALLY_STATUS, code);
        expect_page(tally,
                    "solvegate_http_requests_total{endpoint=\"status\",code=\"other\"} 100\n");
        tally_free(tally);
}

static void every_endpoint_has_a_name_of_its_own(void **state)
{
        (void)state;
        for (int i = 0; i < TALLY_ENDPOINTS; i++) {
                const char *name = tally_endpoint_name((enum tally_endpoint)i);
                assert_non_null(name);
                for (int j = 0; j < i; j++)
                        assert_string_not_equal(name, tally_endpoint_name((enum tally_endpoint)j));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_parts_are_summed_up),
                cmocka_unit_test(a_code_that_is_not_known_makes_no_label_of_its_own),
                cmocka_unit_test(every_endpoint_has_a_name_of_its_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
