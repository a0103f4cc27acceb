/*
 * Tests of base/json. The texts of tests/data/json-test-suite are found below $SOLVEGATE_SOURCE,
 * or below the working directory.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/strbuf.h"

#define SUITE_GOOD       95
#define SUITE_BAD        188
#define SUITE_EITHER     35
#define FILE_BYTES_MAX   (1 << 20)
#define MUTATIONS_A_FILE 300
#define MUTATED_BYTES    4096 /* longer files are mutated no more */

static bool walk_value(struct json_reader *reader);

static bool walk_string(struct json_reader *reader)
{
        struct json_span text;
        struct strbuf decoded;

        if (json_reader_string(reader, &text) < 0)
                return false;
        strbuf_init(&decoded, text.len);
        assert_int_equal(json_string_decode(text, &decoded), 0);
        strbuf_done(&decoded);
        return true;
}

static bool walk_members(struct json_reader *reader)
{
        struct json_span name;
        int r = json_reader_enter_object(reader);

        if (r < 0)
                return false;
        while ((r = json_reader_next_member(reader, &name)) > 0) {
                if (!walk_value(reader))
                        return false;
        }
        return r == 0;
}

static bool walk_elements(struct json_reader *reader)
{
        int r = json_reader_enter_array(reader);

        if (r < 0)
                return false;
        while ((r = json_reader_next_element(reader)) > 0) {
                if (!walk_value(reader))
                        return false;
        }
        return r == 0;
}

/* Reads a value step by step, as a caller that knows nothing about it. */
static bool walk_value(struct json_reader *reader)
{
        enum json_type type;

        if (json_reader_peek(reader, &type) < 0)
                return false;
        switch (type) {
        case JSON_OBJECT:
                return walk_members(reader);
        case JSON_ARRAY:
                return walk_elements(reader);
        case JSON_STRING:
                return walk_string(reader);
        case JSON_NUMBER:
        case JSON_TRUE:
        case JSON_FALSE:
        case JSON_NULL:
                break;
        }
        return json_reader_skip(reader, NULL) == 0;
}

/*
 * Tells whether text is JSON: skipped at once and walked step by step, which must agree. The text
 * is copied to a block of its very size, so that the address sanitizer sees a byte read behind it.
 */
static bool is_json(const char *text, size_t len)
{
        struct json_reader skipping, walking;
        char *copy = malloc(len ? len : 1);

        assert_non_null(copy);
        memcpy(copy, text, len);
        json_reader_init(&skipping, copy, len);
        json_reader_init(&walking, copy, len);
        bool skipped = json_reader_skip(&skipping, NULL) == 0 && json_reader_end(&skipping) == 0;
        bool walked = walk_value(&walking) && json_reader_end(&walking) == 0;
        assert_int_equal(skipped, walked);
        assert_int_equal(skipped, skipping.error == NULL);
        assert_ptr_equal(skipping.error, walking.error);
        assert_int_equal(json_reader_offset(&skipping), json_reader_offset(&walking));
        assert_true(json_reader_offset(&skipping) <= len);
        free(copy);
        return skipped;
}

static bool is_json_text(const char *text)
{
        return is_json(text, strlen(text));
}

static void open_suite(DIR **ret_dir, char ret_path[static 4096])
{
        const char *source = getenv("SOLVEGATE_SOURCE");

        (void)snprintf(ret_path, 4096, "%s/tests/data/json-test-suite", source ? source : ".");
        *ret_dir = opendir(ret_path);
        if (!*ret_dir)
                fail_msg("%s: %s", ret_path, strerror(errno));
}

static void read_suite_file(const char *dir, const char *name, char *ret_text, size_t *ret_len)
{
        char path[8192];

        (void)snprintf(path, sizeof path, "%s/%s", dir, name);
        FILE *file = fopen(path, "rb");
        if (!file)
                fail_msg("%s: %s", path, strerror(errno));
        *ret_len = fread(ret_text, 1, FILE_BYTES_MAX, file);
        assert_int_equal(ferror(file), 0);
        assert_true(*ret_len < FILE_BYTES_MAX);
        (void)fclose(file);
}

static void every_file_of_the_suite_gets_its_verdict(void **state)
{
        char path[4096], *text = malloc(FILE_BYTES_MAX);
        int good = 0, bad = 0, either = 0;
        DIR *dir;

        (void)state;
        assert_non_null(text);
        open_suite(&dir, path);
        for (const struct dirent *entry; (entry = readdir(dir));) {
                size_t len;
                if (entry->d_name[0] == '.' || entry->d_name[1] != '_')
                        continue;
                read_suite_file(path, entry->d_name, text, &len);
                bool json = is_json(text, len);
                if (json == (entry->d_name[0] == 'n') && entry->d_name[0] != 'i')
                        fail_msg("%s: %s", entry->d_name, json ? "taken" : "refused");
                good += entry->d_name[0] == 'y';
                bad += entry->d_name[0] == 'n';
                either += entry->d_name[0] == 'i';
        }
        (void)closedir(dir);
        free(text);
        assert_int_equal(good, SUITE_GOOD);
        assert_int_equal(bad, SUITE_BAD);
        assert_int_equal(either, SUITE_EITHER);
}

/* xorshift64: the same numbers in every run. */
static unsigned next_random(uint64_t *random, unsigned below)
{
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        return (unsigned)((*random >> 33) % below);
}

/* Overwrites, removes or doubles a few bytes of text, which has room for len + 8. */
static size_t mutate(char *text, size_t len, uint64_t *random)
{
        static const char likely[] = "\"\\{}[],:0e-u\x01\x80\xc3\xf0 ";

        for (unsigned changes = 1 + next_random(random, 4); changes > 0 && len > 0; changes--) {
                size_t at = next_random(random, (unsigned)len);
                switch (next_random(random, 4)) {
                case 0:
                        text[at] = (char)next_random(random, 256);
                        break;
                case 1:
                        text[at] = likely[next_random(random, sizeof likely)];
                        break;
                case 2:
                        memmove(text + at, text + at + 1, len - at - 1);
                        len--;
                        break;
                default:
                        memmove(text + at + 1, text + at, len - at);
                        len++;
                        break;
                }
        }
        return len;
}

static void mutated_texts_are_read_alike_by_skipping_and_by_walking(void **state)
{
        char path[4096], *text = malloc(FILE_BYTES_MAX), mutated[MUTATED_BYTES + 8];
        uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
        size_t taken = 0, refused = 0;
        DIR *dir;

        (void)state;
        assert_non_null(text);
        open_suite(&dir, path);
        for (const struct dirent *entry; (entry = readdir(dir));) {
                size_t len;
                if (entry->d_name[0] == '.' || entry->d_name[1] != '_')
                        continue;
                read_suite_file(path, entry->d_name, text, &len);
                for (int i = 0; len <= MUTATED_BYTES && i < MUTATIONS_A_FILE; i++) {
                        memcpy(mutated, text, len);
                        if (is_json(mutated, mutate(mutated, len, &random)))
                                taken++;
                        else
                                refused++;
                }
        }
        (void)closedir(dir);
        free(text);
        assert_true(taken > 1000);
        assert_true(refused > 10000);
}

static void a_text_cut_at_any_byte_is_refused(void **state)
{
        static const char text[] = "{\"images\":{\"0\":\"iVBORw0KGgoAAAANSUhEUgAA\\/"
                                   "w==\",\"1\":\"\\u00e9\\ud83d\\ude8c\"},"
                                   "\"target\":\"Stra\xc3\x9f\x65 \xe6\xb0\xb4 "
                                   "\xf0\x9f\x9a\x8c\",\"n\":[-0.5e+10,12,true,"
                                   "false,null,[],{}] }";

        (void)state;
        assert_true(is_json_text(text));
        for (size_t len = 0; len < strlen(text); len++) {
                if (is_json(text, len))
                        fail_msg("%zu bytes were taken", len);
        }
}

static void each_error_is_told_with_its_place(void **state)
{
        static const struct {
                const char *text;
                size_t offset;
                const char *error;
        } cases[] = {
                {"", 0, "ends where a value"},
                {" ", 1, "ends where a value"},
                {"\xef\xbb\xbf{}", 0, "byte order mark"},
                {"{'a':1}", 1, "name in double quotes"},
                {"['a']", 1, "single quote"},
                {"{\"a\" 1}", 5, "colon"},
                {"{\"a\":1 \"b\":2}", 7, "comma or a closing brace"},
                {"{\"a\":1,}", 6, "comma before"},
                {"{\"a\":}", 5, "value is missing"},
                {"[1 2]", 3, "comma or a closing bracket"},
                {"[1,]", 2, "comma before"},
                {"[,1]", 1, "value is missing"},
                {"[1", 2, "inside an array"},
                {"{\"a\":1", 6, "inside an object"},
                {"{\"a\"", 4, "inside an object"},
                {"[1}", 2, "comma or a closing bracket"},
                {"\"a", 2, "inside a string"},
                {"\"a\nb\"", 2, "control character"},
                {"\"a\\x\"", 2, "unknown escape"},
                {"\"\\u12g4\"", 1, "unknown escape"},
                {"\"12345678\xc0\xaf\"", 9, "no UTF-8"},
                {"\"\xed\xa0\x80\"", 1, "no UTF-8"},
                {"-", 1, "digit"},
                {"-01", 1, "leading zero"},
                {"1.", 2, "behind the point"},
                {"1e+", 3, "exponent"},
                {".5", 0, "no value starts"},
                {"+1", 0, "no value starts"},
                {"NaN", 0, "no value starts"},
                {"nul", 0, "word"},
                {"truth", 0, "word"},
                {"{} x", 3, "follows"},
                {"1 2", 2, "follows"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct json_reader reader;
                assert_false(is_json_text(cases[i].text));
                json_reader_init(&reader, cases[i].text, strlen(cases[i].text));
                if (json_reader_skip(&reader, NULL) == 0)
                        assert_int_equal(json_reader_end(&reader), -EBADMSG);
                if (!strstr(reader.error, cases[i].error) ||
                    json_reader_offset(&reader) != cases[i].offset)
                        fail_msg("%s: %zu: %s", cases[i].text, json_reader_offset(&reader),
                                 reader.error);
        }
}

static void a_special_byte_is_found_at_every_place_of_a_string(void **state)
{
        static const char *const special[] = {"\x01", "\x1f", "\\q", "\x80", "\xff", "\n"};

        (void)state;
        for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
                for (size_t at = 0; at < 24; at++) {
                        char text[64];
                        (void)snprintf(text, sizeof text, "\"%.*s%s%s\"", (int)at,
                                       "~~~~!!!!####[[[[]]]]    ", special[i],
                                       "\x7f-----------------------");
                        struct json_reader reader;
                        json_reader_init(&reader, text, strlen(text));
                        assert_int_equal(json_reader_skip(&reader, NULL), -EBADMSG);
                        assert_int_equal(json_reader_offset(&reader), at + 1);
                }
        }
}

static void nesting_ends_at_the_ceiling(void **state)
{
        char text[2 * (JSON_DEPTH_MAX + 1) + 1];

        (void)state;
        for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
                memset(text, '[', depth);
                memset(text + depth, ']', depth);
                assert_int_equal(is_json(text, 2 * depth), depth == JSON_DEPTH_MAX);
        }
}

static void containers_entered_by_the_caller_count_for_the_ceiling(void **state)
{
        char text[2 * (JSON_DEPTH_MAX + 1) + 1];
        struct json_reader reader;

        (void)state;
        memset(text, '[', JSON_DEPTH_MAX + 1);
        memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
        json_reader_init(&reader, text, 2 * (JSON_DEPTH_MAX + 1));
        assert_int_equal(json_reader_enter_array(&reader), 0);
        assert_int_equal(json_reader_next_element(&reader), 1);
        assert_int_equal(json_reader_skip(&reader, NULL), -EBADMSG);
        assert_int_equal(json_reader_offset(&reader), JSON_DEPTH_MAX);
}

static void names_and_values_come_as_spans_of_the_text(void **state)
{
        static const char text[] = " { \"a\\u0062\" : [ 1 , {\"x\":[]} ] , \"s\":\"v\\n\" } ";
        struct json_reader reader;
        struct json_span span;

        (void)state;
        json_reader_init(&reader, text, strlen(text));
        assert_int_equal(json_reader_enter_object(&reader), 0);
        assert_int_equal(json_reader_next_member(&reader, &span), 1);
        assert_int_equal(span.len, strlen("a\\u0062"));
        assert_memory_equal(span.ptr, "a\\u0062", span.len);
        assert_int_equal(json_reader_skip(&reader, &span), 0);
        assert_int_equal(span.len, strlen("[ 1 , {\"x\":[]} ]"));
        assert_memory_equal(span.ptr, "[ 1 , {\"x\":[]} ]", span.len);
        assert_int_equal(json_reader_next_member(&reader, &span), 1);
        assert_int_equal(json_reader_string(&reader, &span), 0);
        assert_int_equal(span.len, 3);
        assert_memory_equal(span.ptr, "v\\n", 3);
        assert_int_equal(json_reader_next_member(&reader, &span), 0);
        assert_int_equal(json_reader_end(&reader), 0);
}

static void the_first_error_stays_and_outputs_are_untouched(void **state)
{
        struct json_reader reader;
        struct json_span span = {"before", 6};
        enum json_type type = JSON_NULL;

        (void)state;
        json_reader_init(&reader, "[1, \"x\"]", 8);
        assert_int_equal(json_reader_string(&reader, &span), -EBADMSG);
        const char *error = reader.error;
        assert_int_equal(json_reader_peek(&reader, &type), -EBADMSG);
        assert_int_equal(json_reader_enter_array(&reader), -EBADMSG);
        assert_int_equal(json_reader_enter_object(&reader), -EBADMSG);
        assert_int_equal(json_reader_next_element(&reader), -EBADMSG);
        assert_int_equal(json_reader_next_member(&reader, &span), -EBADMSG);
        assert_int_equal(json_reader_skip(&reader, &span), -EBADMSG);
        assert_int_equal(json_reader_end(&reader), -EBADMSG);
        assert_ptr_equal(reader.error, error);
        assert_int_equal(json_reader_offset(&reader), 0);
        assert_string_equal(span.ptr, "before");
        assert_int_equal(type, JSON_NULL);
}

static void strings_are_decoded_to_utf8(void **state)
{
        static const struct {
                const char *json;
                const char *text;
                size_t len;
        } cases[] = {
                {"", "", 0},
                {"plain", "plain", 5},
                {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8},
                {"a\\u0000b", "a\0b", 3},
                {"\\u0041\\u00e9\\u20ac", "A\xc3\xa9\xe2\x82\xac", 6},
                {"\\u00E9", "\xc3\xa9", 2},
                {"\\uD83D\\uDE8C", "\xf0\x9f\x9a\x8c", 4},
                {"\\udbff\\udfff", "\xf4\x8f\xbf\xbf", 4},
                {"\\ud83d", "\xef\xbf\xbd", 3},
                {"\\ude8c\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd", 6},
                {"\\ud83dx", "\xef\xbf\xbdx", 4},
                {"\\ud83d\\n", "\xef\xbf\xbd\n", 4},
                {"\\ud83d\\u0041",
                 "\xef\xbf\xbd"
                 "A",
                 4},
                {"\xc3\xa9/\\/", "\xc3\xa9//", 4},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct strbuf buf;
                strbuf_init(&buf, cases[i].len);
                assert_int_equal(
                        json_string_decode((struct json_span){cases[i].json, strlen(cases[i].json)},
                                           &buf),
                        0);
                assert_int_equal(buf.len, cases[i].len);
                assert_memory_equal(buf.data, cases[i].text, cases[i].len + 1);
                strbuf_done(&buf);
        }
}

static void decoding_past_the_ceiling_fails(void **state)
{
        struct strbuf buf;

        (void)state;
        strbuf_init(&buf, 3);
        assert_int_equal(json_string_decode((struct json_span){"ab\\u00e9", 8}, &buf), -EMSGSIZE);
        strbuf_done(&buf);
}

/* ---- a lenient reader ---- */

struct lenience {
        const char *text;
        int not_utf8, controls; /* -1: it is refused all the same */
};

static void a_lenient_reader_passes_and_counts_what_leaves_the_structure_clear(void **state)
{
        static const struct lenience cases[] = {
                {"{\"a\":[1,\"\xc3\xa9\"]}", 0, 0},
                {"{\"a\xff\":\"\xc3\"}", 2, 0},
                {"{\"a\":\"\xed\xa0\x80\xf5\"}", 4, 0},
                {"{\"a\":\"\t\n\x01\"}", 0, 3},
                {"\xff{\xfe\"a\"\x80:\xff 1\xff,\xff\"b\":[\xff]\xff}\xff", 9, 0},
                {"{\"a\":\"\xff\",\"b\":\"\t\"}", 1, 1},
                {"{\"a\":1\xff"
                 "2}",
                 -1, -1},
                {"{\"a\":tr\xffue}", -1, -1},
                {"{\"a\":-\xff"
                 "1}",
                 -1, -1},
                {"{\"a\":\"\\\xff\"}", -1, -1},
                {"{\"a\":\"\\\t\"}", -1, -1},
                {"{\"a\":\"\\u00\xff"
                 "1\"}",
                 -1, -1},
                {"{\"a\"\x01:1}", -1, -1},
                {"{\"a\":\xc2\xa0"
                 "1}",
                 -1, -1}, /* UTF-8, but not white space */
                {"{\"a\":\"\xff", -1, -1},
                {"{'a':1}", -1, -1},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct json_reader reader;
                json_reader_init_lenient(&reader, cases[i].text, strlen(cases[i].text));
                int r = json_reader_skip(&reader, NULL);
                if (r == 0)
                        r = json_reader_end(&reader);
                assert_int_equal(r == 0, cases[i].not_utf8 >= 0);
                if (r < 0)
                        continue;
                assert_int_equal(reader.not_utf8, cases[i].not_utf8);
                assert_int_equal(reader.controls, cases[i].controls);
        }
}

/* Reads a whole text with a budget. Returns what the budget lacked. */
static enum json_excess read_within(const char *text, size_t values, size_t bytes)
{
        struct json_reader reader;

        json_reader_init(&reader, text, strlen(text));
        json_reader_set_budget(&reader, (struct json_budget){values, bytes});
        if (json_reader_skip(&reader, NULL) < 0 || json_reader_end(&reader) < 0) {
                assert_int_not_equal(reader.excess, JSON_NO_EXCESS);
                assert_non_null(reader.error);
                assert_int_equal(json_reader_skip(&reader, NULL), -EBADMSG);
                return reader.excess;
        }
        assert_int_equal(json_reader_budget(&reader).bytes, bytes - strlen(text));
        assert_int_equal(reader.excess, JSON_NO_EXCESS);
        return JSON_NO_EXCESS;
}

static void a_budget_ends_the_reading_wherever_it_cuts_the_text(void **state)
{
        static const char text[] =
                " { \"a\\n\\u0041\xf0\x9f\x98\x80\" : [ true , -12.5e+3, null ] } ";
        const size_t values = 5; /* a name, an array, and its three elements */

        (void)state;
        for (size_t bytes = 0; bytes < strlen(text); bytes++)
                assert_int_equal(read_within(text, values, bytes), JSON_TOO_MANY_BYTES);
        for (size_t fewer = 0; fewer < values; fewer++)
                assert_int_equal(read_within(text, fewer, strlen(text)), JSON_TOO_MANY_VALUES);
        assert_int_equal(read_within(text, values, strlen(text)), JSON_NO_EXCESS);
}

static void a_budget_is_no_excuse_for_an_error_well_before_its_end(void **state)
{
        struct json_reader reader;
        static const char text[] = "[01,2,3,4,5,6]";

        (void)state;
        json_reader_init(&reader, text, strlen(text));
        json_reader_set_budget(&reader, (struct json_budget){10, strlen(text) - 1});
        assert_int_equal(json_reader_skip(&reader, NULL), -EBADMSG);
        assert_int_equal(reader.excess, JSON_NO_EXCESS);
        assert_int_equal(json_reader_offset(&reader), 1);
}

static void a_budget_can_be_set_aside_for_a_part_of_the_text(void **state)
{
        struct json_reader reader;
        struct json_span raw;
        static const char text[] = "[[1,2,3],4]";

        (void)state;
        json_reader_init(&reader, text, strlen(text));
        json_reader_set_budget(&reader, (struct json_budget){2, 4});
        assert_int_equal(json_reader_enter_array(&reader), 0);
        assert_int_equal(json_reader_next_element(&reader), 1);
        struct json_budget left = json_reader_budget(&reader);
        assert_int_equal(left.values, 1);
        assert_int_equal(left.bytes, 3);
        json_reader_set_budget(&reader, JSON_BUDGET_NONE);
        assert_int_equal(json_reader_skip(&reader, &raw), 0);
        json_reader_set_budget(&reader, left);
        assert_int_equal(json_reader_next_element(&reader), 1);
        assert_int_equal(json_reader_skip(&reader, &raw), 0);
        assert_int_equal(json_reader_next_element(&reader), 0);
        assert_int_equal(json_reader_end(&reader), 0);
        assert_int_equal(json_reader_budget(&reader).bytes, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_file_of_the_suite_gets_its_verdict),
                cmocka_unit_test(mutated_texts_are_read_alike_by_skipping_and_by_walking),
                cmocka_unit_test(a_text_cut_at_any_byte_is_refused),
                cmocka_unit_test(each_error_is_told_with_its_place),
                cmocka_unit_test(a_special_byte_is_found_at_every_place_of_a_string),
                cmocka_unit_test(nesting_ends_at_the_ceiling),
                cmocka_unit_test(containers_entered_by_the_caller_count_for_the_ceiling),
                cmocka_unit_test(names_and_values_come_as_spans_of_the_text),
                cmocka_unit_test(the_first_error_stays_and_outputs_are_untouched),
                cmocka_unit_test(strings_are_decoded_to_utf8),
                cmocka_unit_test(decoding_past_the_ceiling_fails),
                cmocka_unit_test(
                        a_lenient_reader_passes_and_counts_what_leaves_the_structure_clear),
                cmocka_unit_test(a_budget_ends_the_reading_wherever_it_cuts_the_text),
                cmocka_unit_test(a_budget_is_no_excuse_for_an_error_well_before_its_end),
                cmocka_unit_test(a_budget_can_be_set_aside_for_a_part_of_the_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
