/*
 * Tests of base/log_record: what a line looks like in each form, and where it is cut.
 */
#include "base/log_record.h"
#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define NOON_MS  INT64_C(1795348800123) /* 2026-11-22T12:00:00.123Z */
#define TEXT_MAX 8192

static void expect(void (*form)(const struct log_record *, struct strbuf *),
                   const struct log_record *record, const char *wanted)
{
        struct strbuf line;

        strbuf_init(&line, LOG_LINE_BYTES_MAX);
        form(record, &line);
        assert_false(line.failed);
        assert_string_equal(line.data, wanted);
        strbuf_done(&line);
}

static void a_line_of_text_has_its_fields_behind_the_message(void **state)
{
        const struct log_field fields[] = {LOG_TEXT("id", "00ff"), LOG_TEXT("error", NULL),
                                           LOG_INTEGER("code", 200), LOG_MS("duration_ms", 1205)};
        const struct log_record record = {LOG_LEVEL_INFO, NOON_MS, "request", fields, 4};

        (void)state;
        expect(log_record_text, &record,
               "2026-11-22T12:00:00.123Z info request id=00ff code=200 duration_ms=1.205\n");
        expect(log_record_stream, &record, "<6>request id=00ff code=200 duration_ms=1.205\n");
}

static void a_value_of_text_is_quoted_where_a_reader_would_go_astray(void **state)
{
        static const char *const values[][2] = {
                {"plain-1.2:3", "a=plain-1.2:3\n"},
                {"", "a=\"\"\n"},
                {"two words", "a=\"two words\"\n"},
                {"b=c", "a=\"b=c\"\n"},
                {"say \"so\"", "a=\"say \\\"so\\\"\"\n"},
                {"C:\\x", "a=\"C:\\\\x\"\n"},
                {"\n", "a=\"\\x0a\"\n"},
                {"\xc3\xbc", "a=\"\xc3\xbc\"\n"},
                {"\xff", "a=\"\\xff\"\n"},
                {"\xe2\x80\xae", "a=\"\\xe2\\x80\\xae\"\n"},          /* U+202E: right to left */
                {"\xe2\x80\x8b", "a=\"\\xe2\\x80\\x8b\"\n"},          /* U+200B: of no width */
                {"\xf3\xa0\x81\xa1", "a=\"\\xf3\\xa0\\x81\\xa1\"\n"}, /* U+E0061: a tag */
        };

        (void)state;
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
                const struct log_field field = LOG_TEXT("a", values[i][0]);
                const struct log_record record = {LOG_LEVEL_ERROR, NOON_MS, "m", &field, 1};
                char wanted[128];
                (void)snprintf(wanted, sizeof wanted, "<3>m %s", values[i][1]);
                expect(log_record_stream, &record, wanted);
        }
}

static void a_message_holds_nothing_that_a_reader_takes_for_a_field(void **state)
{
        const struct log_field field = LOG_TEXT("id", "1");
        const struct log_record record = {LOG_LEVEL_INFO, NOON_MS,
                                          "x\" Group=x id=0 a == b = \"c\"", &field, 1};

        (void)state;
        expect(log_record_stream, &record, "<6>x\" Group=x id\\x3d0 a =\\x3d b = \"c\" id=1\n");
        expect(log_record_journal, &record,
               "PRIORITY=6\nSYSLOG_IDENTIFIER=solvegate\n"
               "MESSAGE=x\" Group=x id\\x3d0 a =\\x3d b = \"c\" id=1\nSOLVEGATE_ID=1\n");
        expect(log_record_json, &record,
               "{\"time\":\"2026-11-22T12:00:00.123Z\",\"level\":\"info\","
               "\"message\":\"x\\\" Group=x id=0 a == b = \\\"c\\\"\",\"id\":\"1\"}\n");
}

static void a_json_line_has_members_and_numbers(void **state)
{
        const struct log_field fields[] = {LOG_TEXT("client", "a \"b\"\n"), LOG_INTEGER("code", -1),
                                           LOG_MS("held_ms", 7), LOG_TEXT("job", NULL),
                                           LOG_TEXT("site", "")};
        const struct log_record record = {LOG_LEVEL_WARNING, NOON_MS, "it\tis", fields, 5};

        (void)state;
        expect(log_record_json, &record,
               "{\"time\":\"2026-11-22T12:00:00.123Z\",\"level\":\"warning\","
               "\"message\":\"it\\\\x09is\",\"client\":\"a \\\"b\\\"\\\\x0a\",\"code\":-1,"
               "\"held_ms\":0.007,\"site\":\"\"}\n");
}

static void a_datagram_for_the_journal_has_one_field_in_each_line(void **state)
{
        const struct log_field fields[] = {LOG_TEXT("client", "ci\nPRIORITY=0"),
                                           LOG_MS("duration_ms", 12000)};
        const struct log_record record = {LOG_LEVEL_DEBUG, NOON_MS, "request", fields, 2};

        (void)state;
        expect(log_record_journal, &record,
               "PRIORITY=7\nSYSLOG_IDENTIFIER=solvegate\nMESSAGE=request "
               "client=\"ci\\x0aPRIORITY=0\" duration_ms=12.000\n"
               "SOLVEGATE_CLIENT=ci\\x0aPRIORITY=0\nSOLVEGATE_DURATION_MS=12.000\n");
}

static void a_token_is_masked_in_messages_and_in_fields(void **state)
{
        const struct log_field field = LOG_TEXT("client", "sgt_abc");
        const struct log_record record = {LOG_LEVEL_INFO, NOON_MS, "of sgt_xyz", &field, 1};

        (void)state;
        expect(log_record_stream, &record, "<6>of sgt_*** client=sgt_***\n");
        expect(log_record_json, &record,
               "{\"time\":\"2026-11-22T12:00:00.123Z\",\"level\":\"info\","
               "\"message\":\"of sgt_***\",\"client\":\"sgt_***\"}\n");
        expect(log_record_journal, &record,
               "PRIORITY=6\nSYSLOG_IDENTIFIER=solvegate\nMESSAGE=of sgt_*** client=sgt_***\n"
               "SOLVEGATE_CLIENT=sgt_***\n");
}

/* What is left of a value and of a message that are too long, and end so many bytes before that. */
static void expect_cut(size_t before, const char *end, const char *left)
{
        char message[LOG_MESSAGE_BYTES_MAX * 2], value[LOG_VALUE_BYTES_MAX * 2], wanted[TEXT_MAX];
        const int message_len = (int)(LOG_MESSAGE_BYTES_MAX - 1 - before),
                  value_len = (int)(LOG_VALUE_BYTES_MAX - 1 - before);
        const struct log_field field = LOG_TEXT("a", value);
        const struct log_record record = {LOG_LEVEL_INFO, NOON_MS, message, &field, 1};

        (void)snprintf(message, sizeof message, "%0*d%s", message_len, 0, end);
        (void)snprintf(value, sizeof value, "%0*d%s", value_len, 0, end);
        (void)snprintf(wanted, sizeof wanted,
                       "PRIORITY=6\nSYSLOG_IDENTIFIER=solvegate\nMESSAGE=%0*d%s a=%s%0*d%s%s\n"
                       "SOLVEGATE_A=%0*d%s\n",
                       message_len, 0, left, *left ? "\"" : "", value_len, 0, left,
                       *left ? "\"" : "", value_len, 0, left);
        expect(log_record_journal, &record, wanted);
}

static void a_text_is_never_cut_within_a_character(void **state)
{
        (void)state;
        expect_cut(1, "\xc3\xa9\xc3\xa9", "");
        expect_cut(2, "\xc3\xa9\xc3\xa9", "\xc3\xa9");
        expect_cut(2, "\xe2\x82\xac", "");
        expect_cut(3, "\xf0\x9f\x98\x80", "");
        expect_cut(4, "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
        expect_cut(2, "\x80\x80\x80", "\\x80\\x80"); /* no part of one */
}

static void the_longest_line_fits_its_ceiling(void **state)
{
        static char message[LOG_MESSAGE_BYTES_MAX * 2], value[LOG_VALUE_BYTES_MAX * 2];
        struct log_field fields[13];
        const struct log_record record = {LOG_LEVEL_INFO, NOON_MS, message, fields, 13};
        struct strbuf line;

        (void)state;
        memset(message, '\n', sizeof message - 1);
        memset(value, '\xff', sizeof value - 1);
        for (size_t i = 0; i < 13; i++)
                fields[i] = LOG_TEXT("client", value);
        strbuf_init(&line, LOG_LINE_BYTES_MAX);
        log_record_json(&record, &line);
        assert_false(line.failed);
        strbuf_done(&line);
        log_record_journal(&record, &line);
        assert_false(line.failed);
        strbuf_done(&line);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_line_of_text_has_its_fields_behind_the_message),
                cmocka_unit_test(a_value_of_text_is_quoted_where_a_reader_would_go_astray),
                cmocka_unit_test(a_message_holds_nothing_that_a_reader_takes_for_a_field),
                cmocka_unit_test(a_json_line_has_members_and_numbers),
                cmocka_unit_test(a_datagram_for_the_journal_has_one_field_in_each_line),
                cmocka_unit_test(a_token_is_masked_in_messages_and_in_fields),
                cmocka_unit_test(a_text_is_never_cut_within_a_character),
                cmocka_unit_test(the_longest_line_fits_its_ceiling),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
