/*
 * What of an upstream's response is given out: what surrounds and damages it, and where the key is
 * overwritten.
 */
#include "base/json.h"
#include "protocol_fixture.h"
#include "upstream/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void assert_members_of(enum upstream_endpoint endpoint, const char *bytes, size_t len,
                              const char *members)
{
        struct answer answer;

        read_bytes(endpoint, 200, bytes, len, &answer);
        if (answer.kind != ANSWER_FINAL)
                fail_msg("judged %d: %s", (int)answer.kind, bytes);
        assert_string_equal(answer.members, members);
        assert_int_equal(answer.members_len, strlen(members));
        answer_done(&answer);
}

static void assert_members(const char *text, const char *members)
{
        assert_members_of(UPSTREAM_SOLVE, text, strlen(text), members);
}

/* ---- members ---- */

static void a_final_object_keeps_every_byte_but_id_and_url(void **state)
{
        (void)state;
        assert_members("{ \"id\" : \"h-9\", \"solution\" : [1, 2.50, 1e400], \"url\":\"u\",\n"
                       "\"status\":\"solved\", \"x\":{\"id\":\"kept\"} , \"\\u0069\":null, "
                       "\"\\u0069d\":\"theirs\"}",
                       "\"solution\":[1, 2.50, 1e400],\"status\":\"solved\","
                       "\"x\":{\"id\":\"kept\"},\"\\u0069\":null");
}

static void of_equal_statuses_the_first_string_stays(void **state)
{
        (void)state;
        assert_members("{\"status\":5,\"status\":\"solved\"}", "\"status\":\"solved\"");
        assert_members("{\"status\":\"solved\",\"status\":\"solved\",\"status\":null}",
                       "\"status\":\"solved\"");
}

static void a_balance_is_given_as_it_came(void **state)
{
        static const char text[] = "{\"id\":1,\"url\":\"u\",\"Balance\":5.190}";

        (void)state;
        assert_members_of(UPSTREAM_BALANCE, text, strlen(text),
                          "\"id\":1,\"url\":\"u\",\"Balance\":5.190");
}

/* ---- the credential ---- */

static void the_key_is_overwritten_in_every_text_however_it_is_escaped(void **state)
{
        (void)state;
        assert_members("{\"status\":\"solved\",\"note\":[\"key ab\\/cd\\u0026ef\\u003cgh>1234!\"],"
                       "\"" APIKEY "\":{\"a\":\"x" APIKEY "\\n\"}}",
                       "\"status\":\"solved\",\"note\":[\"key ****************!\"],"
                       "\"****************\":{\"a\":\"x****************\\n\"}");
}

static void the_key_is_overwritten_in_each_form_that_is_searched_for(void **state)
{
        (void)state;
        assert_members("{\"status\":\"solved\",\"a\":\"AB/CD&EF<GH>1234\","
                       "\"b\":\"ab%2Fcd%26ef%3cgh%3E1234\","
                       "\"c\":\"61622f63642665663c67683e31323334\","
                       "\"d\":\"YWIvY2QmZWY8Z2g+MTIzNA==\"}",
                       "\"status\":\"solved\",\"a\":\"****************\","
                       "\"b\":\"************************\","
                       "\"c\":\"********************************\","
                       "\"d\":\"**********************==\"");
}

static void the_uid_stays_in_results_and_goes_as_a_word_from_messages(void **state)
{
        struct answer answer;

        (void)state;
        assert_members("{\"status\":\"solved\",\"" UID "\":[\"" UID "\"," UID "],"
                       "\"message\":\"" UID "\"}",
                       "\"status\":\"solved\",\"" UID "\":[\"" UID "\"," UID "],"
                       "\"message\":\"" UID "\"");
        read_text(UPSTREAM_SOLVE, 200,
                  "{\"status\":\"error\",\"message\":\"no " UID ", x" UID " " APIKEY "\"}",
                  &answer);
        assert_string_equal(answer.message, "no **********, x" UID " ****************");
        answer_done(&answer);
}

static void another_key_is_overwritten_likewise_also_where_it_begins_as_the_first(void **state)
{
        struct answer answer;

        (void)state;
        assert_members("{\"status\":\"solved\",\"a\":\"" OTHER_APIKEY " " APIKEY "\"}",
                       "\"status\":\"solved\",\"a\":\"******************** ****************\"");
        read_text(UPSTREAM_STATUS, 200,
                  "{\"status\":\"error\",\"message\":\"no " OTHER_APIKEY "\"}", &answer);
        assert_string_equal(answer.message, "no ********************");
        answer_done(&answer);
}

static void a_number_is_overwritten_only_if_it_is_the_whole_key(void **state)
{
        static const char text[] =
                "{\"status\":\"solved\",\"user\":12345678901,\"minus\":-12345678901,"
                "\"solution\":[123456789012,1234,0.12345678901]}";
        static const char short_key[] = "{\"status\":\"solved\",\"solution\":[1234,12345]}";
        struct answer answer;

        (void)state;
        read_with_key(UPSTREAM_SOLVE, "12345678901", text, &answer);
        assert_string_equal(answer.members, "\"status\":\"solved\",\"user\":\"***********\","
                                            "\"minus\":\"-***********\","
                                            "\"solution\":[123456789012,1234,0.12345678901]");
        answer_done(&answer);
        read_with_key(UPSTREAM_SOLVE, "1234", short_key, &answer);
        assert_string_equal(answer.members, "\"status\":\"solved\",\"solution\":[1234,12345]");
        answer_done(&answer);
}

static void a_key_of_a_few_letters_leaves_results_as_they_are(void **state)
{
        static const char text[] = "{\"status\":\"solved\",\"k\":\"kkk k\"}";
        struct answer answer;

        (void)state;
        read_with_key(UPSTREAM_SOLVE, "k", text, &answer);
        assert_string_equal(answer.members, "\"status\":\"solved\",\"k\":\"kkk k\"");
        answer_done(&answer);
}

static void a_long_message_is_overwritten_before_it_is_cut(void **state)
{
        char text[UPSTREAM_MESSAGE_BYTES_MAX + 200];
        int filler = UPSTREAM_MESSAGE_BYTES_MAX - 8; /* the key is across the cut */
        struct answer answer;

        (void)state;
        (void)snprintf(text, sizeof text, "{\"status\":\"error\",\"message\":\"%*s%s\"}", filler,
                       "", APIKEY);
        read_text(UPSTREAM_SOLVE, 200, text, &answer);
        assert_string_equal(answer.message + filler, "********");
        answer_done(&answer);
}

static void a_long_message_is_not_cut_inside_a_character(void **state)
{
        char text[UPSTREAM_MESSAGE_BYTES_MAX + 200];
        int filler = UPSTREAM_MESSAGE_BYTES_MAX - 1;
        struct answer answer;

        (void)state;
        (void)snprintf(text, sizeof text, "{\"status\":\"error\",\"message\":\"%*s\xc3\xa9\"}",
                       filler, "");
        read_text(UPSTREAM_SOLVE, 200, text, &answer);
        assert_int_equal(strlen(answer.message), filler);
        answer_done(&answer);
}

static void the_message_is_decoded(void **state)
{
        struct answer answer;

        (void)state;
        read_text(UPSTREAM_SOLVE, 200, "{\"code\":16,\"msg\":\"RATE\\u005fLIMITED\"}", &answer);
        assert_string_equal(answer.message, "RATE_LIMITED");
        answer_done(&answer);
}

/* ---- what surrounds a response ---- */

#define SOLVED_TEXT    "{\"status\":\"solved\",\"solution\":[0]}"
#define SOLVED_MEMBERS "\"status\":\"solved\",\"solution\":[0]"

static void a_byte_order_mark_and_padding_are_taken_off(void **state)
{
        static const char mark[] = "\xef\xbb\xbf" SOLVED_TEXT;
        static const char nul[] = "\xef\xbb\xbf\r\n" SOLVED_TEXT "\r\n\0\0\n\0";

        (void)state;
        assert_members_of(UPSTREAM_SOLVE, mark, sizeof mark - 1, SOLVED_MEMBERS);
        assert_members_of(UPSTREAM_SOLVE, mark, sizeof mark, SOLVED_MEMBERS);
        assert_members_of(UPSTREAM_STATUS, nul, sizeof nul - 1, SOLVED_MEMBERS);
}

static void nothing_else_may_surround_it(void **state)
{
        static const char *const texts[] = {
                "x" SOLVED_TEXT,
                SOLVED_TEXT "x",
                SOLVED_TEXT SOLVED_TEXT,
                ")]}'\n" SOLVED_TEXT,
                "f(" SOLVED_TEXT ")",
                "[" SOLVED_TEXT "]",
                "\xef\xbb\xbf\xef\xbb\xbf" SOLVED_TEXT,
                "\xef\xbb" SOLVED_TEXT "}",
                "\xef\xbb\xbf",
        };
        static const char utf16[] = "\xff\xfe{\0}\0", only_nul[] = "\0\0";
        struct answer answer;

        (void)state;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                read_text(UPSTREAM_SOLVE, 200, texts[i], &answer);
                assert_int_equal(answer.kind, ANSWER_UNCLEAR);
                answer_done(&answer);
        }
        read_bytes(UPSTREAM_SOLVE, 200, utf16, sizeof utf16 - 1, &answer);
        assert_int_equal(answer.kind, ANSWER_UNCLEAR);
        answer_done(&answer);
        read_bytes(UPSTREAM_SOLVE, 200, only_nul, sizeof only_nul, &answer);
        assert_int_equal(answer.kind, ANSWER_UNCLEAR);
        answer_done(&answer);
}

/* ---- what damages it ---- */

static void what_is_not_utf8_is_replaced_outside_the_solution(void **state)
{
        static const struct {
                const char *text, *members;
        } cases[] = {
                {"{\"status\":\"solved\",\"note\":\"caf\xe9 \\u00e9 \\ud800\",\"solution\":[0]}",
                 "\"status\":\"solved\",\"note\":\"caf\xef\xbf\xbd \\u00e9 "
                 "\\ud800\",\"solution\":[0]"},
                {"{\"a\xff\":1,\"status\":\"solved\",\"x\":[\"\xc3\",{\"\xed\xa0\x80\":\"\"}]}",
                 "\"a\xef\xbf\xbd\":1,\"status\":\"solved\",\"x\":[\"\xef\xbf\xbd\","
                 "{\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\":\"\"}]"},
                {"\xff{\xfe\"status\"\xff:\xff\"solved\"\xff,\"solution\":\xff[0]\xff}\xff",
                 "\"status\":\"solved\",\"solution\":[0]"},
                {"{\"status\":\"solved\",\"x\":[1,\xff 2]}", "\"status\":\"solved\",\"x\":[1, 2]"},
                {"{\"status\":\"solved\",\"x\":\"\xff " APIKEY "\"}",
                 "\"status\":\"solved\",\"x\":\"\xef\xbf\xbd ****************\""},
                {"{\"message\":\"\xff\",\"id\":\"\xff\",\"status\":\"solved\"}",
                 "\"message\":\"\xef\xbf\xbd\",\"status\":\"solved\""},
        };
        struct answer answer;

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                assert_members(cases[i].text, cases[i].members);
                read_text(UPSTREAM_SOLVE, 200, cases[i].text, &answer);
                assert_true(answer.warn);
                assert_non_null(strstr(answer.detail, "not UTF-8"));
                answer_done(&answer);
        }
}

/* The text would be another one, and the client could not tell. */
static void a_solution_that_is_not_utf8_is_polled_for_and_never_given_out(void **state)
{
        static const char *const texts[] = {
                "{\"status\":\"solved\",\"id\":\"h-1\",\"solution\":[\"caf\xe9\"]}",
                "{\"answer\":\"caf\xe9\",\"status\":\"solved\",\"id\":\"h-1\"}",
                "{\"status\":\"solved\",\"id\":\"h-1\",\"\\u0061nswers\":{\"a\xff\":1}}",
                "{\"status\":\"solved\",\"id\":\"h-1\",\"solution\":[1,\xff 2]}",
        };
        struct answer answer;

        (void)state;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                read_text(UPSTREAM_SOLVE, 200, texts[i], &answer);
                assert_int_equal(answer.kind, ANSWER_PENDING);
                assert_string_equal(answer.upstream_id, "h-1");
                assert_null(answer.members);
                assert_true(answer.warn);
                answer_done(&answer);
                read_text(UPSTREAM_STATUS, 200, texts[i], &answer);
                assert_int_equal(answer.kind, ANSWER_UNCLEAR);
                assert_null(answer.members);
                answer_done(&answer);
        }
        read_text(UPSTREAM_SOLVE, 200, "{\"status\":\"solved\",\"solution\":\"\xff\"}", &answer);
        assert_int_equal(answer.kind, ANSWER_UNCLEAR);
        assert_non_null(strstr(answer.message, "not valid UTF-8"));
        answer_done(&answer);
}

static void a_control_character_is_escaped_everywhere(void **state)
{
        (void)state;
        assert_members(
                "{\"status\":\"solved\",\"note\":\"a\tb\nc\x01\x7f\\u0002 \\ud800\","
                "\"solution\":[\"d\te\"]}",
                "\"status\":\"solved\",\"note\":\"a\\u0009b\\u000ac\\u0001\x7f\\u0002 \\ud800\","
                "\"solution\":[\"d\\u0009e\"]");
}

static void a_damaged_refusal_is_still_a_refusal(void **state)
{
        struct answer answer;

        (void)state;
        read_text(UPSTREAM_SOLVE, 200, "{\"status\":\"error\",\"message\":\"gesch\xe4tzt\"}",
                  &answer);
        assert_int_equal(answer.kind, ANSWER_REJECTED);
        assert_string_equal(answer.message, "gesch\xef\xbf\xbdtzt");
        assert_true(answer.warn);
        answer_done(&answer);
        read_text(UPSTREAM_SOLVE, 200,
                  "{\"st\xff"
                  "atus\":\"error\"}",
                  &answer);
        assert_int_equal(answer.kind, ANSWER_UNCLEAR);
        answer_done(&answer);
}

/* ---- whatever comes ---- */

#define MUTATIONS     20000
#define MUTATED_BYTES 512

static const char *const seeds[] = {
        "\xef\xbb\xbf{\"id\":\"h-1\",\"status\":\"solved\",\"solution\":[\"" APIKEY
        "\",1.5e3,true]}",
        "{\"status\":\"solved\",\"n\":-12345678901,\"answer\":\"\\ud83d\\ude8c\\u0000\",\"" APIKEY
        "\":{\"a\":[[],{}]}}",
        "{\"status\":\"error\",\"code\":\"16\",\"message\":\"" APIKEY
        " \\n\",\"retryAfterSec\":2.5}",
        "{\"status\":\"skip\",\"x\":\"caf\xe9 \\/\\\\ ab%2Fcd%26ef%3cgh%3E1234\"}",
};

/* Changes, takes out and repeats bytes. Returns the new length. */
static size_t mutate(char text[static MUTATED_BYTES], size_t len, unsigned *seed)
{
        static const char bytes[] = "{}[]\",:\\u0019-+.eE tfn\n\xff\xc3\xa9*%";
        unsigned count = 1 + (unsigned)rand_r(seed) % 4;

        for (unsigned i = 0; i < count && len > 1; i++) {
                size_t at = (size_t)rand_r(seed) % len, n = (size_t)rand_r(seed) % (len - at);
                switch (rand_r(seed) % 4) {
                case 0:
                        text[at] = (char)rand_r(seed);
                        break;
                case 1:
                        text[at] = bytes[(size_t)rand_r(seed) % sizeof bytes];
                        break;
                case 2:
                        memmove(text + at, text + at + n, len - at - n);
                        len -= n;
                        break;
                default:
                        n = n < MUTATED_BYTES - len ? n : MUTATED_BYTES - len;
                        memmove(text + at + n, text + at, len - at);
                        len += n;
                        break;
                }
        }
        return len;
}

static void assert_sound(const struct answer *answer)
{
        static char object[8 * MUTATED_BYTES];
        struct json_reader reader;

        assert_null(strstr(answer->message, APIKEY));
        assert_int_equal(answer->kind == ANSWER_FINAL, answer->members != NULL);
        if (!answer->members)
                return;
        assert_null(strstr(answer->members, APIKEY));
        int len = snprintf(object, sizeof object, "{%s}", answer->members);
        json_reader_init(&reader, object, (size_t)len);
        if (json_reader_skip(&reader, NULL) < 0 || json_reader_end(&reader) < 0)
                fail_msg("not JSON: %s", object);
}

static void what_is_given_out_is_strict_json_without_the_key(void **state)
{
        char *text = malloc(MUTATED_BYTES);
        unsigned seed = 1;

        (void)state;
        assert_non_null(text);
        for (unsigned i = 0; i < MUTATIONS; i++) {
                const char *start = seeds[i % (sizeof seeds / sizeof *seeds)];
                struct answer answer;
                memcpy(text, start, strlen(start));
                size_t len = mutate(text, strlen(start), &seed);
                char *exact = malloc(len); /* so that a sanitizer sees a byte too many */
                assert_non_null(exact);
                memcpy(exact, text, len);
                read_bytes((enum upstream_endpoint)(i / 4 % 3), 200, exact, len, &answer);
                free(exact);
                assert_sound(&answer);
                answer_done(&answer);
        }
        free(text);
}

/* ---- size ---- */

/* Fills a text with copies of a piece, between a head and a tail. The caller frees. */
static char *filled(const char *head, const char *piece, const char *tail, size_t len)
{
        char *text = malloc(len + 1);
        size_t at = strlen(head), n = strlen(piece);

        assert_non_null(text);
        memcpy(text, head, at);
        for (; at + n + strlen(tail) <= len; at += n)
                memcpy(text + at, piece, n);
        (void)snprintf(text + at, len + 1 - at, "%s", tail);
        return text;
}

static const struct {
        const char *head, *piece, *tail;
} long_texts[] = {
        {"{", "\"a\":0,", "\"status\":\"solved\"}"},
        {"{", "\"\\u0061\":\"\\n\",", "\"status\":\"solved\"}"},
        {"{\"status\":\"solved\",\"x\":[", "1,", "1]}"},
        {"{\"status\":\"solved\",\"x\":\"", "YWIv", "\"}"},
        {"{\"status\":\"solved\",\"x\":\"", "\xff", "\"}"},
        {"{\"status\":\"solved\",\"x\":\"", "\\u0001", "\"}"},
        {"{\"status\":\"solved\",\"message\":\"", UID "x", "\"}"},
        {"{", "\"id\":\"a\",", "\"status\":\"solved\"}"},
        {"{", "\"retryAfterSec\":9,", "\"status\":\"solved\"}"},
        {"{\"status\":\"solved\",\"retryAfterSec\":", "9", "}"},
        {"{\"status\":\"solved\",\"x\":\"", APIKEY, "\"}"},
};

/* Reads each of the long texts, of so many bytes. Returns the time of the processor. */
static double read_long_texts(size_t len)
{
        clock_t started = clock();

        for (size_t i = 0; i < sizeof long_texts / sizeof *long_texts; i++) {
                struct answer answer;
                char *text =
                        filled(long_texts[i].head, long_texts[i].piece, long_texts[i].tail, len);
                read_text(UPSTREAM_SOLVE, 200, text, &answer);
                assert_int_equal(answer.kind, ANSWER_FINAL);
                answer_done(&answer);
                free(text);
        }
        return (double)(clock() - started);
}

/* Eight times as much takes about eight times as long; 64 times where the square counts. */
static void the_time_to_read_a_response_grows_with_its_length(void **state)
{
        double small, large;

        (void)state;
        (void)read_long_texts(32768);
        small = read_long_texts(32768);
        large = read_long_texts(262144);
        assert_true(large < 32 * small);
}

/* It was paid for, so it is polled for, or unclear; never refused. */
static void a_response_that_grows_beyond_all_bounds_is_not_given_out(void **state)
{
        char *text =
                filled("{\"status\":\"solved\",\"x\":\"", "\xff", "\"}", UPSTREAM_ANSWER_BYTES_MAX);
        struct answer answer;

        (void)state;
        read_text(UPSTREAM_SOLVE, 200, text, &answer);
        assert_int_equal(answer.kind, ANSWER_UNCLEAR);
        answer_done(&answer);
        free(text);
}

static void what_cannot_be_given_out_is_never_a_refusal(void **state)
{
        char *text =
                filled("{\"status\":\"solved\",\"x\":\"", "\xff", "\"}", UPSTREAM_ANSWER_BYTES_MAX);
        struct answer answer;

        (void)state;
        read_text(UPSTREAM_SOLVE, 429, text, &answer);
        assert_int_equal(answer.kind, ANSWER_UNCLEAR);
        assert_non_null(strstr(answer.message, "too large"));
        answer_done(&answer);
        free(text);
}

static void deeper_nesting_than_can_be_read_is_unclear(void **state)
{
        static const char head[] = "{\"status\":\"solved\",\"x\":";
        char text[sizeof head + 4 * JSON_DEPTH_MAX];
        struct answer answer;

        (void)state;
        for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX; depth++) {
                (void)snprintf(text, sizeof text, "%s", head);
                memset(text + strlen(head), '[', depth);
                memset(text + strlen(head) + depth, ']', depth);
                (void)snprintf(text + strlen(head) + 2 * depth, 2, "}");
                read_text(UPSTREAM_SOLVE, 429, text, &answer);
                assert_int_equal(answer.kind,
                                 depth < JSON_DEPTH_MAX ? ANSWER_FINAL : ANSWER_UNCLEAR);
                answer_done(&answer);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_final_object_keeps_every_byte_but_id_and_url),
                cmocka_unit_test(of_equal_statuses_the_first_string_stays),
                cmocka_unit_test(a_balance_is_given_as_it_came),
                cmocka_unit_test(the_key_is_overwritten_in_every_text_however_it_is_escaped),
                cmocka_unit_test(the_key_is_overwritten_in_each_form_that_is_searched_for),
                cmocka_unit_test(the_uid_stays_in_results_and_goes_as_a_word_from_messages),
                cmocka_unit_test(
                        another_key_is_overwritten_likewise_also_where_it_begins_as_the_first),
                cmocka_unit_test(a_number_is_overwritten_only_if_it_is_the_whole_key),
                cmocka_unit_test(a_key_of_a_few_letters_leaves_results_as_they_are),
                cmocka_unit_test(a_long_message_is_overwritten_before_it_is_cut),
                cmocka_unit_test(a_long_message_is_not_cut_inside_a_character),
                cmocka_unit_test(the_message_is_decoded),
                cmocka_unit_test(a_byte_order_mark_and_padding_are_taken_off),
                cmocka_unit_test(nothing_else_may_surround_it),
                cmocka_unit_test(what_is_not_utf8_is_replaced_outside_the_solution),
                cmocka_unit_test(a_solution_that_is_not_utf8_is_polled_for_and_never_given_out),
                cmocka_unit_test(a_control_character_is_escaped_everywhere),
                cmocka_unit_test(a_damaged_refusal_is_still_a_refusal),
                cmocka_unit_test(the_time_to_read_a_response_grows_with_its_length),
                cmocka_unit_test(a_response_that_grows_beyond_all_bounds_is_not_given_out),
                cmocka_unit_test(what_cannot_be_given_out_is_never_a_refusal),
                cmocka_unit_test(deeper_nesting_than_can_be_read_is_unclear),
                cmocka_unit_test(what_is_given_out_is_strict_json_without_the_key),
        };

        return cmocka_run_group_tests(tests, load_credentials, free_credentials);
}
