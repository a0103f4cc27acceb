/*
 * Tests of base/json_value: the text of each kind of value, and what happens without memory.
 */
#include "base/json_value.h"
#include "base/strbuf.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_json(struct json_object *value, const char *expected)
{
        struct strbuf text;

        strbuf_init(&text, 1024);
        json_write(value, &text);
        assert_false(text.failed);
        assert_string_equal(text.data, expected);
        strbuf_done(&text);
}

static struct json_object *array_of(struct json_object *one, struct json_object *other)
{
        struct json_object *array = json_new_array();

        json_append(&array, one);
        json_append(&array, other);
        return array;
}

static void members_and_elements_keep_their_order(void **state)
{
        (void)state;
        assert_json(JSON_OBJECT({"z", json_new_array()},
                                {"a", array_of(json_new_integer(-1), json_new_string("{"))},
                                {"n", NULL}, {"o", array_of(NULL, json_new_object())},
                                {"b", json_new_bool(true)}, {"last", json_new_bool(false)}),
                    "{\"z\":[],\"a\":[-1,\"{\"],\"n\":null,\"o\":[null,{}],\"b\":true,"
                    "\"last\":false}");
}

static void a_string_is_escaped_and_null_without_one(void **state)
{
        (void)state;
        assert_json(array_of(json_new_string("a\"\\\n\x1b</b>"), json_new_string(NULL)),
                    "[\"a\\\"\\\\\\n\\u001b</b>\",null]");
        assert_json(array_of(json_new_string(""), json_new_string("\u2028\u00e9\U0001F600")),
                    "[\"\",\"\u2028\u00e9\U0001F600\"]");
}

static void invalid_utf8_is_replaced(void **state)
{
        (void)state;
        assert_json(json_new_string("\xff"), "\"\xef\xbf\xbd\"");
        assert_json(json_new_string("a\xc3\u00e9\xed\xa0\x80"
                                    "b"),
                    "\"a\xef\xbf\xbd\u00e9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                    "b\"");
}

static void numbers_are_written_in_any_locale_as_programs_read_them(void **state)
{
        (void)state;
        (void)setlocale(LC_ALL, "");
        assert_json(array_of(json_new_number(2.5), json_new_number(10)), "[2.5,10]");
        assert_json(array_of(json_new_number(0.1), json_new_number(-1e300)), "[0.1,-1e+300]");
        assert_json(array_of(json_new_number(INFINITY), json_new_number(NAN)), "[null,null]");
        assert_json(array_of(json_new_integer(INT64_MIN), json_new_integer(INT64_MAX)),
                    "[-9223372036854775808,9223372036854775807]");
        assert_json(array_of(json_new_seconds(1250), json_new_seconds(7)), "[1.250,0.007]");
        assert_json(array_of(json_new_seconds(-7), json_new_seconds(INT64_C(86400000))),
                    "[-0.007,86400.000]");
}

static void moments_are_written_in_utc(void **state)
{
        (void)state;
        assert_json(array_of(json_new_time(INT64_C(1795363545123)),
                             json_new_date(INT64_C(1795363545123))),
                    "[\"2026-11-22T16:05:45Z\",\"2026-11-22\"]");
}

static void a_raw_object_is_written_as_it_is(void **state)
{
        struct strbuf members, none;

        (void)state;
        strbuf_init(&members, 64);
        strbuf_init(&none, 64);
        (void)strbuf_puts(&members, "\"x\": 1.50,\"x\":\"\\/\"");
        assert_json(JSON_OBJECT({"a", json_new_raw_object(&members)},
                                {"b", json_new_raw_object(&none)}),
                    "{\"a\":{\"x\": 1.50,\"x\":\"\\/\"},\"b\":{}}");
        strbuf_done(&members);
        members.failed = true;
        assert_ptr_equal(json_new_raw_object(&members), JSON_FAILED);
}

static void a_failed_value_makes_what_it_is_put_into_fail(void **state)
{
        struct strbuf text;

        (void)state;
        strbuf_init(&text, 64);
        json_write(JSON_OBJECT({"a", json_new_integer(1)},
                               {"b", array_of(JSON_FAILED, json_new_string("c"))},
                               {"d", json_new_object()}),
                   &text);
        assert_true(text.failed);
        assert_null(text.data);
}

static void a_value_past_the_ceiling_is_not_written(void **state)
{
        struct strbuf text;

        (void)state;
        strbuf_init(&text, 8);
        json_write(json_new_string("1234567"), &text);
        assert_true(text.failed);
        strbuf_done(&text);
}

/* ---- without memory ---- */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *memory);

static long left = -1; /* how many allocations succeed before all others fail; -1: all succeed */
static bool only_one;  /* and the others after the failed one succeed */
static volatile long taken; /* allocations that were not freed */

static bool refuse(void)
{
        if (left < 0)
                return false;
        if (left > 0) {
                left--;
                return false;
        }
        if (only_one)
                left = -1;
        errno = ENOMEM;
        return true;
}

#define SHOWN __attribute__((visibility("default")))

SHOWN void *malloc(size_t size)
{
        void *memory = refuse() ? NULL : __libc_malloc(size);

        taken += memory != NULL;
        return memory;
}

SHOWN void *calloc(size_t count, size_t size)
{
        void *memory = refuse() ? NULL : __libc_calloc(count, size);

        taken += memory != NULL;
        return memory;
}

SHOWN void *realloc(void *old, size_t size)
{
        void *memory = refuse() ? NULL : __libc_realloc(old, size);

        taken += memory && !old;
        return memory;
}

SHOWN void free(void *memory)
{
        taken -= memory != NULL;
        __libc_free(memory);
}

static struct json_object *some_of_everything(void)
{
        struct json_object *list = json_new_array();
        struct strbuf members;

        strbuf_init(&members, 64);
        (void)strbuf_puts(&members, "\"x\":1");
        for (int i = 0; i < 40; i++)
                json_append(&list, JSON_OBJECT({"i", json_new_integer(i)},
                                               {"s", json_new_string("some text \xff of a length "
                                                                     "that takes memory \n")}));
        struct json_object *value = JSON_OBJECT(
                {"list", list}, {"raw", json_new_raw_object(&members)},
                {"number", json_new_number(2.5)}, {"seconds", json_new_seconds(1250)},
                {"time", json_new_time(0)}, {"bool", json_new_bool(true)}, {"null", NULL},
                {"a", json_new_integer(1)}, {"b", json_new_integer(2)}, {"c", json_new_integer(3)},
                {"d", json_new_integer(4)}, {"e", json_new_integer(5)}, {"f", json_new_integer(6)});
        strbuf_done(&members);
        return value;
}

/* Returns whether it was written without an error. */
static bool write_with(long allocations, bool one, struct strbuf *text)
{
        strbuf_init(text, 65536);
        only_one = one;
        left = allocations;
        json_write(some_of_everything(), text);
        left = -1;
        return !text->failed;
}

static void without_memory_nothing_is_left_out_unnoticed_and_nothing_leaks(void **state)
{
        struct strbuf whole, text;
        long allocations = 0, before;

        (void)state;
        if (write_with(0, true, &text)) { /* valgrind has an allocator of its own */
                strbuf_done(&text);
                skip();
        }
        strbuf_done(&text);
        assert_true(write_with(-1, false, &whole));
        for (int one = 0; one < 2; one++) {
                bool written = false;
                for (allocations = 0; !written; allocations++) {
                        before = taken;
                        written = write_with(allocations, one, &text);
                        if (written)
                                assert_string_equal(text.data, whole.data);
                        strbuf_done(&text);
                        assert_int_equal(taken, before);
                }
                assert_true(allocations > 200);
        }
        strbuf_done(&whole);
}

#endif

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(members_and_elements_keep_their_order),
                cmocka_unit_test(a_string_is_escaped_and_null_without_one),
                cmocka_unit_test(invalid_utf8_is_replaced),
                cmocka_unit_test(numbers_are_written_in_any_locale_as_programs_read_them),
                cmocka_unit_test(moments_are_written_in_utc),
                cmocka_unit_test(a_raw_object_is_written_as_it_is),
                cmocka_unit_test(a_failed_value_makes_what_it_is_put_into_fail),
                cmocka_unit_test(a_value_past_the_ceiling_is_not_written),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
                cmocka_unit_test(without_memory_nothing_is_left_out_unnoticed_and_nothing_leaks),
#endif
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
