/*
 * Tests of audit/audit_chain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "audit/audit_chain.h"
#include "base/strbuf.h"

#define LINES      8
#define LINES_MAX  (LINES + 4)
#define TIME       "\"time\":\"2026-11-22T16:05:45.123Z\""
#define NOBODY     "\"client\":null,\"address\":null,\"site\":null,\"job\":null,\"upstream\":null"
#define OPENED     TIME ",\"event\":\"opened\"," NOBODY ",\"outcome\":null,\"charge\":0"
#define CHARGED    TIME ",\"event\":\"charged\"," NOBODY ",\"outcome\":\"solved\",\"charge\":1"
#define TORN       TIME ",\"event\":\"torn\"," NOBODY ",\"outcome\":\"%s\",\"charge\":0"
#define FIRST_HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* The lines of a file, without newlines; and what is found at each. */
struct file {
        struct audit_chain chain; /* that made them */
        char *lines[LINES_MAX];
        size_t count;
        enum audit_verdict found[LINES_MAX];
};

static void append_raw(struct file *file, const char *line)
{
        assert_true(file->count < LINES_MAX);
        file->lines[file->count++] = strdup(line);
}

static void append_line(struct file *file, const char *members, int64_t entry)
{
        struct strbuf line;

        strbuf_init(&line, AUDIT_LINE_BYTES_MAX);
        assert_int_equal(audit_chain_append(&file->chain, members, entry, &line), 0);
        assert_int_equal(line.data[line.len - 1], '\n');
        line.data[line.len - 1] = '\0';
        append_raw(file, line.data);
        strbuf_done(&line);
}

static int make_file(void **state)
{
        struct file *file = calloc(1, sizeof *file);

        audit_chain_init(&file->chain);
        append_line(file, OPENED, 0);
        for (int64_t entry = 1; entry < LINES; entry++)
                append_line(file, CHARGED, entry);
        *state = file;
        return 0;
}

static int free_file(void **state)
{
        struct file *file = *state;

        for (size_t i = 0; i < file->count; i++)
                free(file->lines[i]);
        free(file);
        return 0;
}

static void verify(struct file *file, struct audit_chain *ret_chain)
{
        struct audit_chain chain;
        bool begins = true;

        audit_chain_init(&chain);
        for (size_t i = 0; i < file->count; i++) {
                assert_int_equal(audit_chain_verify(&chain, file->lines[i], strlen(file->lines[i]),
                                                    begins, &file->found[i]),
                                 0);
                begins = begins &&
                         (file->found[i] == AUDIT_NO_RECORD || file->found[i] == AUDIT_CHANGED);
        }
        if (ret_chain)
                *ret_chain = chain;
}

/* Exactly one line is not sound, in this way. */
static void expect_only(struct file *file, size_t line, enum audit_verdict verdict)
{
        verify(file, NULL);
        for (size_t i = 0; i < file->count; i++)
                if (file->found[i] != (i == line ? verdict : AUDIT_SOUND))
                        fail_msg("line %zu: verdict %d", i, (int)file->found[i]);
}

static void take_out(struct file *file, size_t i)
{
        free(file->lines[i]);
        file->count--;
        memmove(&file->lines[i], &file->lines[i + 1], (file->count - i) * sizeof file->lines[0]);
}

static void put_in(struct file *file, size_t i, const char *line)
{
        append_raw(file, line);
        char *copy = file->lines[file->count - 1];
        memmove(&file->lines[i + 1], &file->lines[i],
                (file->count - 1 - i) * sizeof file->lines[0]);
        file->lines[i] = copy;
}

static void a_line_is_its_members_between_its_number_and_two_hashes(void **state)
{
        const struct file *file = *state;
        char hash[AUDIT_HASH_CHARS + 1], expected[AUDIT_LINE_BYTES_MAX];
        const char open_end[] = "{\"seq\":1," OPENED ",\"prev\":\"" FIRST_HASH "\"";

        assert_int_equal(audit_hash(open_end, sizeof open_end - 1, hash), 0);
        (void)snprintf(expected, sizeof expected, "%s,\"hash\":\"%s\"}", open_end, hash);
        assert_string_equal(file->lines[0], expected);
        assert_non_null(strstr(file->lines[1], "{\"seq\":2," CHARGED ",\"entry\":1,\"prev\":\""));
        assert_non_null(strstr(file->lines[1], hash));
}

static void what_a_line_says_of_its_place_is_read_back(void **state)
{
        const struct file *file = *state;
        struct audit_line read;

        assert_int_equal(audit_line_read(file->lines[3], strlen(file->lines[3]), &read), 0);
        assert_int_equal(read.seq, 4);
        assert_int_equal(read.entry, 3);
        assert_false(read.opened || read.torn);
        assert_int_equal(audit_line_is_sound(file->lines[3], &read), 1);
        assert_int_equal(audit_line_read(file->lines[0], strlen(file->lines[0]), &read), 0);
        assert_true(read.opened);
        assert_int_equal(read.entry, 0);
}

static void a_whole_file_is_sound_and_leads_to_the_same_end(void **state)
{
        struct file *file = *state;
        struct audit_chain chain;

        verify(file, &chain);
        for (size_t i = 0; i < file->count; i++)
                assert_int_equal(file->found[i], AUDIT_SOUND);
        assert_int_equal(chain.seq, file->chain.seq);
        assert_int_equal(chain.entry, LINES - 1);
        assert_string_equal(chain.hash, file->chain.hash);
}

static void a_chain_goes_on_in_the_next_file(void **state)
{
        struct file *file = *state;

        append_line(file, OPENED, file->chain.entry);
        append_line(file, CHARGED, LINES);
        expect_only(file, SIZE_MAX, AUDIT_SOUND);
        for (size_t i = 0; i < LINES; i++)
                take_out(file, 0);
        expect_only(file, SIZE_MAX, AUDIT_SOUND); /* alone, its first number is not 1 */
}

static void every_changed_byte_is_found_at_its_line_and_only_there(void **state)
{
        struct file *file = *state;

        for (size_t line = 0; line < file->count; line++) {
                for (char *byte = file->lines[line]; *byte != '\0'; byte++) {
                        char was = *byte;
                        *byte = was == '1' ? '2' : '1';
                        verify(file, NULL);
                        for (size_t i = 0; i < file->count; i++)
                                assert_true((file->found[i] == AUDIT_SOUND) == (i != line));
                        *byte = was;
                }
        }
}

static void a_line_that_lost_its_tail_is_found_at_its_place(void **state)
{
        struct file *file = *state;

        for (size_t line = 0; line < file->count; line++) {
                char *end = file->lines[line] + strlen(file->lines[line]) - 1;
                char was = *end;
                *end = '\0';
                expect_only(file, line, AUDIT_NO_RECORD);
                *end = was;
        }
}

static void a_missing_line_is_found_at_the_next(void **state)
{
        struct file *file = *state;

        take_out(file, 4);
        expect_only(file, 4, AUDIT_AFTER_GAP);
        take_out(file, 0);
        verify(file, NULL);
        assert_int_equal(file->found[0], AUDIT_AFTER_GAP);
}

static void two_lines_that_changed_places_are_found_at_both(void **state)
{
        struct file *file = *state;
        char *third = file->lines[3];

        file->lines[3] = file->lines[4];
        file->lines[4] = third;
        verify(file, NULL);
        for (size_t i = 0; i < file->count; i++)
                assert_int_equal(file->found[i], i == 3   ? AUDIT_AFTER_GAP
                                                 : i == 4 ? AUDIT_OUT_OF_PLACE
                                                          : AUDIT_SOUND);
}

static void a_line_that_stands_twice_is_found_at_the_second(void **state)
{
        struct file *file = *state;

        put_in(file, 6, file->lines[2]);
        expect_only(file, 6, AUDIT_OUT_OF_PLACE);
}

static void a_line_that_was_put_in_is_found_at_its_place(void **state)
{
        struct file *file = *state;

        put_in(file, 5, "{\"seq\":6}");
        expect_only(file, 5, AUDIT_NO_RECORD);
        take_out(file, 5);
        put_in(file, 5, "");
        expect_only(file, 5, AUDIT_NO_RECORD);
}

static void a_line_written_anew_with_a_good_hash_is_found_at_the_next(void **state)
{
        struct file *file = *state;
        struct file other = {0};

        /* The same number, hanging on the same line, but another text. */
        assert_int_equal(audit_chain_verify(&other.chain, file->lines[3], strlen(file->lines[3]),
                                            true, &other.found[0]),
                         0);
        append_line(&other, OPENED, 99);
        take_out(file, 4);
        put_in(file, 4, other.lines[0]);
        free(other.lines[0]);
        expect_only(file, 5, AUDIT_AFTER_OTHER);
}

static void a_piece_is_no_fault_where_the_next_line_tells_of_it(void **state)
{
        static const char piece[] = "{\"seq\":9,\"time\":\"20";
        struct file *file = *state;
        char hash[AUDIT_HASH_CHARS + 1], members[512];

        assert_int_equal(audit_hash(piece, sizeof piece - 1, hash), 0);
        (void)snprintf(members, sizeof members, TORN, hash);
        append_raw(file, piece);
        append_line(file, members, 0);
        verify(file, NULL);
        assert_int_equal(file->found[LINES], AUDIT_NO_RECORD);
        assert_int_equal(file->found[LINES + 1], AUDIT_SOUND_AFTER_PIECE);

        file->lines[LINES][2] = 'S';
        expect_only(file, LINES, AUDIT_NO_RECORD);
        take_out(file, LINES);
        expect_only(file, LINES, AUDIT_AFTER_GAP);
}

static void members_that_are_too_long_are_refused_and_the_chain_stays(void **state)
{
        struct file *file = *state;
        char members[AUDIT_MEMBERS_BYTES_MAX + 2];
        int64_t seq = file->chain.seq;
        struct strbuf line;

        strbuf_init(&line, AUDIT_LINE_BYTES_MAX);
        memset(members, 'x', sizeof members);
        members[AUDIT_MEMBERS_BYTES_MAX + 1] = '\0';
        assert_int_equal(audit_chain_append(&file->chain, members, INT64_MAX, &line), -EMSGSIZE);
        assert_int_equal(file->chain.seq, seq);
        members[AUDIT_MEMBERS_BYTES_MAX] = '\0';
        assert_int_equal(audit_chain_append(&file->chain, members, INT64_MAX, &line), 0);
        strbuf_done(&line);
}

static void what_is_no_line_of_ours_is_not_read(void **state)
{
        static const char *const heads[] = {"{\"seq\":0", "{\"seq\":-1", "{\"seq\":01",
                                            "{\"seq\":", "{\"seq\":9223372036854775808"};
        const struct file *file = *state;
        const char *rest = strchr(file->lines[1], ',');
        struct audit_line read;
        char line[AUDIT_LINE_BYTES_MAX];

        for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
                int len = snprintf(line, sizeof line, "%s%s", heads[i], rest);
                assert_int_equal(audit_line_read(line, (size_t)len, &read), -EBADMSG);
        }
        int len = snprintf(line, sizeof line, "{\"seq\":9223372036854775807%s", rest);
        assert_int_equal(audit_line_read(line, (size_t)len, &read), 0);
        assert_int_equal(audit_line_read("", 0, &read), -EBADMSG);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_file, free_file)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(a_line_is_its_members_between_its_number_and_two_hashes),
                CASE(what_a_line_says_of_its_place_is_read_back),
                CASE(a_whole_file_is_sound_and_leads_to_the_same_end),
                CASE(a_chain_goes_on_in_the_next_file),
                CASE(every_changed_byte_is_found_at_its_line_and_only_there),
                CASE(a_line_that_lost_its_tail_is_found_at_its_place),
                CASE(a_missing_line_is_found_at_the_next),
                CASE(two_lines_that_changed_places_are_found_at_both),
                CASE(a_line_that_stands_twice_is_found_at_the_second),
                CASE(a_line_that_was_put_in_is_found_at_its_place),
                CASE(a_line_written_anew_with_a_good_hash_is_found_at_the_next),
                CASE(a_piece_is_no_fault_where_the_next_line_tells_of_it),
                CASE(members_that_are_too_long_are_refused_and_the_chain_stays),
                CASE(what_is_no_line_of_ours_is_not_read),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
