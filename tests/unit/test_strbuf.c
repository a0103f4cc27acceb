/*
 * Tests of base/strbuf.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"

static void an_empty_buffer_allocates_nothing_and_gives_no_text(void **state)
{
        struct strbuf buf;
        size_t len = 7;

        (void)state;
        strbuf_init(&buf, 100);
        assert_null(buf.data);
        assert_null(strbuf_take(&buf, &len));
        assert_int_equal(len, 7);
        strbuf_done(&buf);
}

static void appends_add_up_to_one_terminated_text(void **state)
{
        struct strbuf buf;

        (void)state;
        strbuf_init(&buf, 100);
        assert_int_equal(strbuf_append(&buf, "", 0), 0);
        assert_string_equal(buf.data, "");
        assert_int_equal(strbuf_puts(&buf, "one"), 0);
        assert_int_equal(strbuf_append(&buf, ", two, three", 5), 0);
        assert_int_equal(strbuf_printf(&buf, " and %d", 3), 0);
        assert_string_equal(buf.data, "one, two and 3");
        assert_int_equal(buf.len, strlen("one, two and 3"));
        strbuf_done(&buf);
}

static void growth_keeps_every_byte(void **state)
{
        struct strbuf buf;

        (void)state;
        strbuf_init(&buf, 100000);
        for (unsigned i = 0; i < 20000; i++)
                assert_int_equal(strbuf_append(&buf, &"0123456789"[i % 10], 1), 0);
        assert_int_equal(buf.len, 20000);
        for (unsigned i = 0; i < 20000; i++)
                assert_int_equal(buf.data[i], '0' + (int)(i % 10));
        strbuf_done(&buf);
}

static void the_ceiling_itself_is_reached_but_not_passed(void **state)
{
        struct strbuf buf;

        (void)state;
        strbuf_init(&buf, 10);
        assert_int_equal(strbuf_puts(&buf, "0123456789"), 0);
        assert_int_equal(strbuf_append(&buf, "", 0), 0);
        assert_int_equal(strbuf_puts(&buf, "x"), -EMSGSIZE);
        assert_true(buf.failed);
        assert_string_equal(buf.data, "0123456789");
        strbuf_done(&buf);
}

static void after_a_failure_every_append_fails_and_take_gives_nothing(void **state)
{
        struct strbuf buf;

        (void)state;
        strbuf_init(&buf, 4);
        assert_int_equal(strbuf_puts(&buf, "ab"), 0);
        assert_int_equal(strbuf_printf(&buf, "%s", "cdefg"), -EMSGSIZE);
        assert_int_equal(strbuf_puts(&buf, "c"), -EMSGSIZE);
        assert_int_equal(strbuf_append(&buf, "", 0), -EMSGSIZE);
        assert_int_equal(strbuf_reserve(&buf, 1), -EMSGSIZE);
        assert_string_equal(buf.data, "ab");
        assert_null(strbuf_take(&buf, NULL));
        assert_false(buf.failed);
        assert_int_equal(strbuf_puts(&buf, "abcd"), 0);
        strbuf_done(&buf);
}

static void a_length_near_the_largest_does_not_wrap_around(void **state)
{
        struct strbuf buf;

        (void)state;
        strbuf_init(&buf, 10);
        assert_int_equal(strbuf_puts(&buf, "ab"), 0);
        assert_int_equal(strbuf_append(&buf, "x", SIZE_MAX), -EMSGSIZE);
        assert_string_equal(buf.data, "ab");
        strbuf_done(&buf);
}

static void long_formatted_text_is_whole(void **state)
{
        struct strbuf buf;
        char digits[1001];

        (void)state;
        memset(digits, '7', 1000);
        digits[1000] = '\0';
        strbuf_init(&buf, 2000);
        assert_int_equal(strbuf_printf(&buf, "<%s>", digits), 0);
        assert_int_equal(buf.len, 1002);
        assert_int_equal(buf.data[0], '<');
        assert_memory_equal(buf.data + 1, digits, 1000);
        assert_string_equal(buf.data + 1001, ">");
        assert_int_equal(strbuf_printf(&buf, "%s", digits), -EMSGSIZE);
        assert_int_equal(buf.len, 1002);
        strbuf_done(&buf);
}

static void reserved_room_is_filled_without_moving(void **state)
{
        struct strbuf buf;

        (void)state;
        strbuf_init(&buf, 1000);
        assert_int_equal(strbuf_reserve(&buf, 1000), 0);
        const char *data = buf.data;
        for (int i = 0; i < 1000; i++)
                assert_int_equal(strbuf_puts(&buf, "x"), 0);
        assert_ptr_equal(buf.data, data);
        assert_int_equal(strbuf_reserve(&buf, 1001), -EMSGSIZE);
        strbuf_done(&buf);
}

static void take_gives_the_text_away_and_empties_the_buffer(void **state)
{
        struct strbuf buf;
        size_t len = 0;

        (void)state;
        strbuf_init(&buf, 100);
        assert_int_equal(strbuf_append(&buf, "a\0b", 3), 0);
        char *text = strbuf_take(&buf, &len);
        assert_int_equal(len, 3);
        assert_memory_equal(text, "a\0b", 4);
        assert_null(buf.data);
        assert_int_equal(buf.len, 0);
        assert_int_equal(buf.max_bytes, 100);
        free(text);
        strbuf_done(&buf);
}

static void json_strings_are_escaped_and_always_well_formed(void **state)
{
        static const struct {
                const char *text;
                size_t len;
                const char *json;
        } cases[] = {
                {"", 0, "\"\""},
                {"plain", 5, "\"plain\""},
                {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
                {"\n\r\t", 3, "\"\\n\\r\\t\""},
                {"\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\""},
                {"Stra\xc3\x9f"
                 "e",
                 7,
                 "\"Stra\xc3\x9f"
                 "e\""},
                {"\xf0\x9f\x9a\x8c", 4, "\"\xf0\x9f\x9a\x8c\""},
                {"\xff", 1, "\"\xef\xbf\xbd\""},
                {"\xc3", 1, "\"\xef\xbf\xbd\""},
                {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct strbuf buf;
                strbuf_init(&buf, 100);
                assert_int_equal(strbuf_append_json_string(&buf, cases[i].text, cases[i].len), 0);
                assert_string_equal(buf.data, cases[i].json);
                strbuf_done(&buf);
        }
}

static void a_json_string_past_the_ceiling_fails(void **state)
{
        struct strbuf buf;

        (void)state;
        strbuf_init(&buf, 6);
        assert_int_equal(strbuf_append_json_string(&buf, "12345", 5), -EMSGSIZE);
        assert_true(buf.failed);
        strbuf_done(&buf);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_buffer_allocates_nothing_and_gives_no_text),
                cmocka_unit_test(appends_add_up_to_one_terminated_text),
                cmocka_unit_test(growth_keeps_every_byte),
                cmocka_unit_test(the_ceiling_itself_is_reached_but_not_passed),
                cmocka_unit_test(after_a_failure_every_append_fails_and_take_gives_nothing),
                cmocka_unit_test(a_length_near_the_largest_does_not_wrap_around),
                cmocka_unit_test(long_formatted_text_is_whole),
                cmocka_unit_test(reserved_room_is_filled_without_moving),
                cmocka_unit_test(take_gives_the_text_away_and_empties_the_buffer),
                cmocka_unit_test(json_strings_are_escaped_and_always_well_formed),
                cmocka_unit_test(a_json_string_past_the_ceiling_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
