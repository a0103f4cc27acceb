/*
 * Tests of audit/audit: the file's begin and end, other people's files, and rotation.
 */
#include "audit_fixture.h"

#include "base/strbuf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_new_file_is_for_its_owner_alone_and_begins_with_opened(void **state)
{
        struct fixture *f = *state;
        struct stat status;

        start(f);
        assert_int_equal(stat(f->path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(stat(f->directory, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0700);
        assert_true(audit_healthy(f->audit));
        assert_true(has_problem(f, NULL));
        assert_int_equal(audit_last_entry(f->audit), 0);
        stop(f);
        assert_int_equal(verify_alone(f), 1);
        assert_non_null(strstr(f->content.data, "\"event\":\"opened\""));
        start(f);
        stop(f);
        assert_int_equal(verify_alone(f), 1); /* it goes on, without a further line */
}

static void the_last_entry_is_found_behind_any_number_of_refusals(void **state)
{
        struct fixture *f = *state;

        start(f);
        assert_int_equal(charge(f, 42), 0);
        for (int i = 0; i < 1000; i++)
                refuse(f);
        stop(f);
        assert_int_equal(verify_alone(f), 1002);
        assert_true(f->content.len > 3 * 65536);
        start(f);
        assert_int_equal(audit_last_entry(f->audit), 42);
}

static void a_last_line_cut_at_any_byte_is_ended_and_told_of(void **state)
{
        struct fixture *f = *state;
        char *whole;

        start(f);
        assert_int_equal(charge(f, 1), 0);
        assert_int_equal(charge(f, 2), 0);
        stop(f);
        whole = strdup(read_file(f, f->path));
        size_t len = strlen(whole);
        size_t last = (size_t)((char *)memrchr(whole, '\n', len - 1) - whole) + 1;
        for (size_t cut = last; cut <= len; cut++) {
                bool told = cut > last && cut < len - 1, lost = cut < len - 1;
                write_file(f->path, whole, cut);
                start(f);
                assert_int_equal(audit_last_entry(f->audit), lost ? 1 : 2);
                assert_int_equal(charge(f, 2), 0); /* the store has it still */
                stop(f);
                assert_int_equal(verify_alone(f), told ? 5 : 3);
                assert_memory_equal(f->content.data, whole, cut);
                assert_int_equal(occurrences(f->content.data, "\"event\":\"torn\""), told);
        }
        free(whole);
}

static void a_second_crash_before_the_first_was_told_of_is_mended(void **state)
{
        static const char piece[] = "{\"seq\":3,\"time\":\"2026-11";
        struct fixture *f = *state;
        struct strbuf text;
        char *whole;

        start(f);
        assert_int_equal(charge(f, 1), 0);
        stop(f);
        whole = strdup(read_file(f, f->path));
        for (size_t second = 0; second < 20; second += 4) {
                strbuf_init(&text, 8192);
                (void)strbuf_printf(&text, "%s%s\n%.*s", whole, piece, (int)second, piece);
                write_file(f->path, text.data, text.len);
                strbuf_done(&text);
                start(f);
                assert_int_equal(audit_last_entry(f->audit), 1);
                assert_int_equal(charge(f, 2), 0);
                stop(f);
                assert_int_equal(verify_alone(f), 5);
                assert_memory_equal(f->content.data, whole, strlen(whole));
        }
        free(whole);
}

static void what_others_have_appended_is_no_piece(void **state)
{
        static const char *const texts[] = {"hello\n", "\n", "{\"seq\":9,\"time\":\"2026\n",
                                            "{\"seq\":2,\"time\":\"2026\nhello"};
        struct fixture *f = *state;
        struct strbuf text;
        char *whole;

        start(f);
        stop(f);
        whole = strdup(read_file(f, f->path));
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                strbuf_init(&text, 8192);
                (void)strbuf_printf(&text, "%s%s", whole, texts[i]);
                write_file(f->path, text.data, text.len);
                expect_refused(f, -EBADMSG, "move it away to start anew");
                assert_string_equal(read_file(f, f->path), text.data);
                strbuf_done(&text);
        }
        free(whole);
}

static void what_is_no_audit_is_left_untouched(void **state)
{
        static const char *const texts[] = {"hello", "hello\n", "\n", "{\"seq\":1}\n"};
        struct fixture *f = *state;
        char *whole;

        start(f);
        stop(f);
        whole = strdup(read_file(f, f->path));
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                write_file(f->path, texts[i], strlen(texts[i]));
                expect_refused(f, -EBADMSG, "move it away to start anew");
                assert_string_equal(read_file(f, f->path), texts[i]);
        }
        whole[20] ^= 1; /* its hash is wrong now */
        write_file(f->path, whole, strlen(whole));
        expect_refused(f, -EBADMSG, "move it away to start anew");
        assert_string_equal(read_file(f, f->path), whole);
        memset(whole, 'x', strlen(whole));
        free(whole);
}

static void a_line_longer_than_ours_is_refused(void **state)
{
        struct fixture *f = *state;
        char *text = malloc(200000);

        assert_non_null(text);
        memset(text, 'x', 200000);
        assert_int_equal(mkdir(f->directory, 0700), 0);
        write_file(f->path, text, 200000);
        expect_refused(f, -EBADMSG, "not the end of an audit");
        free(text);
}

static void a_second_daemon_is_kept_out(void **state)
{
        struct fixture *f = *state;
        struct audit *first;

        open_audit(f);
        first = f->audit;
        f->audit = NULL;
        expect_refused(f, -EWOULDBLOCK, "another daemon");
        audit_close(first);
        open_audit(f);
}

static void a_symbolic_link_or_a_directory_is_refused(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(mkdir(f->directory, 0700), 0);
        assert_int_equal(symlink("elsewhere", f->path), 0);
        expect_refused(f, -ELOOP, "symbolic link");
        assert_int_equal(unlink(f->path), 0);
        assert_int_equal(mkfifo(f->path, 0600), 0);
        expect_refused(f, -EINVAL, "no regular file");
        assert_int_equal(unlink(f->path), 0);
        assert_int_equal(mkdir(f->path, 0700), 0);
        expect_refused(f, -EISDIR, "");
}

static void the_chain_goes_on_in_a_new_file_after_a_rotation(void **state)
{
        struct fixture *f = *state;
        struct audit_chain chain;

        start(f);
        charge_and_wait(f, 1);
        refuse(f);
        assert_int_equal(rename(f->path, f->rotated), 0);
        audit_reopen(f->audit);
        WAIT_UNTIL(access(f->path, F_OK) == 0);
        charge_and_wait(f, 2);
        audit_chain_init(&chain);
        assert_int_equal(verify(f, f->rotated, &chain), 3);
        assert_int_equal(verify(f, f->path, &chain), 2);
        assert_non_null(strstr(f->content.data, "\"event\":\"opened\""));
        stop(f);
        start(f);
        assert_int_equal(audit_last_entry(f->audit), 2);
}

static void the_entry_so_far_is_known_in_a_new_file_without_charges(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_and_wait(f, 9);
        assert_int_equal(rename(f->path, f->rotated), 0);
        audit_reopen(f->audit);
        WAIT_UNTIL(access(f->path, F_OK) == 0);
        refuse(f);
        stop(f);
        start(f);
        assert_int_equal(audit_last_entry(f->audit), 9);
}

static void without_a_rotation_reopening_goes_on_in_the_same_file(void **state)
{
        struct fixture *f = *state;

        start(f);
        audit_reopen(f->audit);
        charge_and_wait(f, 1);
        audit_reopen(f->audit);
        stop(f);
        assert_int_equal(verify_alone(f), 2);
}

static void an_empty_file_that_was_made_for_us_is_taken(void **state)
{
        struct fixture *f = *state;
        struct audit_chain chain;

        start(f);
        charge_and_wait(f, 1);
        assert_int_equal(rename(f->path, f->rotated), 0);
        write_file(f->path, "", 0);
        audit_reopen(f->audit);
        stop(f);
        audit_chain_init(&chain);
        assert_int_equal(verify(f, f->rotated, &chain), 2);
        assert_int_equal(verify(f, f->path, &chain), 1);
}

static void while_there_is_no_new_file_the_old_one_is_written(void **state)
{
        struct fixture *f = *state;
        struct audit_chain chain;

        start(f);
        assert_int_equal(rename(f->path, f->rotated), 0);
        assert_int_equal(mkdir(f->path, 0700), 0);
        audit_reopen(f->audit);
        WAIT_UNTIL(has_problem(f, "no new file"));
        charge_and_wait(f, 1);
        assert_true(audit_healthy(f->audit));
        assert_int_equal(rmdir(f->path), 0);
        WAIT_UNTIL(has_problem(f, NULL)); /* it is tried again */
        charge_and_wait(f, 2);
        stop(f);
        audit_chain_init(&chain);
        assert_int_equal(verify(f, f->rotated, &chain), 2);
        assert_int_equal(verify(f, f->path, &chain), 2);
}

/* Deletes the file. Returns what was in it; the caller frees. */
static char *take_away(struct fixture *f)
{
        char *text = strdup(read_file(f, f->path));

        assert_non_null(text);
        assert_int_equal(unlink(f->path), 0);
        return text;
}

/* Verifies a text, and the file behind it, as one chain. Returns how many lines the file has. */
static size_t verify_behind(struct fixture *f, const char *text)
{
        struct audit_chain chain;

        write_file(f->rotated, text, strlen(text));
        audit_chain_init(&chain);
        (void)verify(f, f->rotated, &chain);
        return verify(f, f->path, &chain);
}

static void a_file_that_was_deleted_is_followed_by_a_new_one(void **state)
{
        struct fixture *f = *state;
        char *before;

        start(f);
        charge_and_wait(f, 1);
        before = take_away(f);
        charge_and_wait(f, 2);
        assert_true(audit_healthy(f->audit));
        assert_true(has_problem(f, NULL));
        assert_int_equal(verify_behind(f, before), 2);
        assert_non_null(strstr(f->content.data, "\"event\":\"opened\""));
        assert_non_null(strstr(f->content.data, "\"entry\":2"));
        free(before);
}

static void lines_that_are_not_on_disk_when_the_file_is_deleted_are_in_the_new_one(void **state)
{
        struct fixture *f = *state;
        char *before;

        start(f);
        charge_and_wait(f, 1);
        before = strdup(read_file(f, f->path));
        atomic_store(&sync_errno, EIO);
        assert_int_equal(charge(f, 2), 0);
        refuse(f);
        assert_int_equal(charge(f, 3), 0);
        WAIT_UNTIL(!audit_healthy(f->audit));
        assert_int_equal(unlink(f->path), 0);
        atomic_store(&sync_errno, 0);
        WAIT_UNTIL(audit_last_entry(f->audit) == 3);
        WAIT_UNTIL(audit_healthy(f->audit));
        stop(f);
        assert_int_equal(verify_behind(f, before), 4);
        assert_int_equal(occurrences(f->content.data, "\"event\":\"charged\""), 2);
        assert_int_equal(occurrences(f->content.data, "\"event\":\"refused\""), 1);
        free(before);
        start(f);
        assert_int_equal(audit_last_entry(f->audit), 3);
}

static void a_charge_that_went_into_a_deleted_file_is_not_on_disk(void **state)
{
        struct fixture *f = *state;
        char *before;

        start(f);
        charge_and_wait(f, 1);
        before = strdup(read_file(f, f->path));
        atomic_store(&sync_removes, f->path);
        assert_int_equal(charge(f, 2), 0);
        WAIT_UNTIL(audit_last_entry(f->audit) == 2 || !audit_healthy(f->audit));
        assert_true(audit_healthy(f->audit));
        assert_int_equal(audit_removals(f->audit), 1);
        assert_int_equal(verify_behind(f, before), 2);
        assert_non_null(strstr(f->content.data, "\"entry\":2"));
        free(before);
}

static void while_another_file_is_in_its_place_nothing_counts_as_written(void **state)
{
        static const char other[] = "not ours\n";
        struct fixture *f = *state;
        char *before;

        start(f);
        charge_and_wait(f, 1);
        before = take_away(f);
        write_file(f->path, other, strlen(other));
        assert_int_equal(charge(f, 2), 0);
        WAIT_UNTIL(!audit_healthy(f->audit));
        assert_true(has_problem(f, "no new file: another one stands in its place; move it away"));
        assert_int_equal(audit_last_entry(f->audit), 1);
        assert_string_equal(read_file(f, f->path), other);
        assert_int_equal(unlink(f->path), 0);
        WAIT_UNTIL(audit_last_entry(f->audit) == 2);
        WAIT_UNTIL(audit_healthy(f->audit));
        assert_int_equal(verify_behind(f, before), 2);
        free(before);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, audit_set_up, audit_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(a_new_file_is_for_its_owner_alone_and_begins_with_opened),
                CASE(the_last_entry_is_found_behind_any_number_of_refusals),
                CASE(a_last_line_cut_at_any_byte_is_ended_and_told_of),
                CASE(a_second_crash_before_the_first_was_told_of_is_mended),
                CASE(what_others_have_appended_is_no_piece),
                CASE(what_is_no_audit_is_left_untouched),
                CASE(a_line_longer_than_ours_is_refused),
                CASE(a_second_daemon_is_kept_out),
                CASE(a_symbolic_link_or_a_directory_is_refused),
                CASE(the_chain_goes_on_in_a_new_file_after_a_rotation),
                CASE(the_entry_so_far_is_known_in_a_new_file_without_charges),
                CASE(without_a_rotation_reopening_goes_on_in_the_same_file),
                CASE(an_empty_file_that_was_made_for_us_is_taken),
                CASE(while_there_is_no_new_file_the_old_one_is_written),
                CASE(a_file_that_was_deleted_is_followed_by_a_new_one),
                CASE(lines_that_are_not_on_disk_when_the_file_is_deleted_are_in_the_new_one),
                CASE(a_charge_that_went_into_a_deleted_file_is_not_on_disk),
                CASE(while_another_file_is_in_its_place_nothing_counts_as_written),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
