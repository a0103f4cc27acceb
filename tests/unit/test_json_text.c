/*
 * Tests of base/json_text: commas, nulls, times.
 */
#include "base/json_text.h"
#include "base/strbuf.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_json(struct strbuf *json, const char *expected)
{
        assert_false(json->failed);
        assert_string_equal(json->data, expected);
        strbuf_done(json);
}

static void commas_stand_between_members_and_elements_only(void **state)
{
        struct strbuf json;

        (void)state;
        strbuf_init(&json, 512);
        json_open_object(&json, NULL);
        json_open_array(&json, "none");
        json_close_array(&json);
        json_open_array(&json, "some");
        json_add_integer(&json, NULL, -1);
        json_add_text(&json, NULL, "{");
        json_add_null(&json, NULL);
        json_open_object(&json, NULL);
        json_close_object(&json);
        json_open_array(&json, NULL);
        json_add_bool(&json, NULL, true);
        json_close_array(&json);
        json_close_array(&json);
        json_add_bool(&json, "last", false);
        json_close_object(&json);
        assert_json(&json, "{\"none\":[],\"some\":[-1,\"{\",null,{},[true]],\"last\":false}");
}

static void a_text_is_escaped_and_none_is_null(void **state)
{
        struct strbuf json;

        (void)state;
        strbuf_init(&json, 512);
        json_open_array(&json, NULL);
        json_add_text(&json, NULL, "a\"\\\n\x1b");
        json_add_text(&json, NULL, "\xff");
        json_add_text(&json, NULL, "[");
        json_add_text(&json, NULL, NULL);
        json_close_array(&json);
        assert_json(&json, "[\"a\\\"\\\\\\n\\u001b\",\"\xef\xbf\xbd\",\"[\",null]");
}

static void numbers_durations_and_moments_are_written_for_programs(void **state)
{
        struct strbuf json;

        (void)state;
        strbuf_init(&json, 512);
        json_open_array(&json, NULL);
        json_add_number(&json, NULL, 2.5);
        json_add_number(&json, NULL, INFINITY);
        json_add_number(&json, NULL, NAN);
        json_add_seconds(&json, NULL, 1250);
        json_add_seconds(&json, NULL, 7);
        json_add_seconds(&json, NULL, -7);
        json_add_time(&json, NULL, INT64_C(1795363545123));
        json_add_date(&json, NULL, INT64_C(1795363545123));
        json_close_array(&json);
        assert_json(&json, "[2.5,null,null,1.250,0.007,-0.007,\"2026-11-22T16:05:45Z\","
                           "\"2026-11-22\"]");
}

static void the_members_of_another_object_are_taken_as_they_are(void **state)
{
        struct strbuf json;

        (void)state;
        strbuf_init(&json, 512);
        json_open_object(&json, NULL);
        json_add_object_of(&json, "a", "\"x\":1", 5);
        json_add_object_of(&json, "b", "", 0);
        json_close_object(&json);
        assert_json(&json, "{\"a\":{\"x\":1},\"b\":{}}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(commas_stand_between_members_and_elements_only),
                cmocka_unit_test(a_text_is_escaped_and_none_is_null),
                cmocka_unit_test(numbers_durations_and_moments_are_written_for_programs),
                cmocka_unit_test(the_members_of_another_object_are_taken_as_they_are),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
