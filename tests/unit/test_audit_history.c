/*
 * Tests of audit/audit_history: which charges an audit file has after an entry.
 */
#include "audit_fixture.h"

#include "audit/audit_history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The entries above after, as "5 4 3 ". Valid until the next call. */
static const char *entries_after(struct fixture *f, int64_t after)
{
        static char found[256];
        struct audit_charge_line line;
        struct audit_history *history;
        size_t len = 0;
        int r;

        found[0] = '\0';
        assert_int_equal(audit_history_open(f->path, after, &history), 0);
        while ((r = audit_history_next(history, &line)) > 0)
                len += (size_t)snprintf(found + len, sizeof found - len, "%lld ",
                                        (long long)line.entry);
        assert_int_equal(r, 0);
        audit_history_close(history);
        return found;
}

static void charge_many(struct fixture *f, int64_t first, int64_t last)
{
        for (int64_t entry = first; entry <= last; entry++)
                assert_int_equal(charge(f, entry), 0);
        audit_flush(f->audit);
}

/* Rewrites the first occurrence of some text in the file with another one of its length. */
static void change(struct fixture *f, const char *old, const char *new)
{
        char *text = strdup(read_file(f, f->path)), *found = text ? strstr(text, old) : NULL;

        assert_non_null(found);
        memcpy(found, new, strlen(old)); /* new may have NUL */
        write_file(f->path, text, f->content.len);
        free(text);
}

static void charges_come_newest_first_up_to_the_entry(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_many(f, 1, 5);
        for (int i = 0; i < 300; i++)
                refuse(f);
        stop(f);
        assert_string_equal(entries_after(f, 2), "5 4 3 ");
        assert_string_equal(entries_after(f, 0), "5 4 3 2 1 ");
        assert_string_equal(entries_after(f, 5), "");
        assert_string_equal(entries_after(f, 9), "");
}

static void a_charge_has_what_its_line_says(void **state)
{
        const struct audit_event unknown = {
                .wall_ms = 1795363545123, .event = "charged", .client = "we\"b", .upstream = "pro"};
        struct fixture *f = *state;
        struct audit_charge_line line;
        struct audit_history *history;

        start(f);
        charge_many(f, 1, 1);
        char *members = audit_describe(&(struct audit_event){.wall_ms = unknown.wall_ms,
                                                             .event = unknown.event,
                                                             .client = unknown.client,
                                                             .upstream = unknown.upstream,
                                                             .charge = AUDIT_UNKNOWN});
        assert_int_equal(audit_entry(f->audit, 2, members), 0);
        free(members);
        stop(f);
        assert_int_equal(audit_history_open(f->path, 0, &history), 0);
        assert_int_equal(audit_history_next(history, &line), 1);
        assert_false(line.charged);
        assert_string_equal(line.client, "we\"b");
        assert_string_equal(line.job, "");
        assert_int_equal(audit_history_next(history, &line), 1);
        assert_true(line.charged);
        assert_int_equal(line.wall_ms, 1795363545123);
        assert_int_equal(line.day, 20779);
        assert_string_equal(line.client, "ci");
        assert_string_equal(line.job, "h-1");
        assert_string_equal(line.upstream, "pro");
        audit_history_close(history);
}

static void it_goes_on_in_the_file_before(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_many(f, 1, 3);
        assert_int_equal(rename(f->path, f->rotated), 0);
        audit_reopen(f->audit);
        refuse(f);
        audit_flush(f->audit);
        charge_many(f, 4, 5);
        stop(f);
        assert_string_equal(entries_after(f, 1), "5 4 3 2 ");
        assert_string_equal(entries_after(f, 3), "5 4 ");
}

static void a_file_before_that_is_not_there_or_another_ends_it(void **state)
{
        static const char other[] = "not an audit\n";
        struct fixture *f = *state;

        start(f);
        charge_many(f, 1, 3);
        assert_int_equal(rename(f->path, f->rotated), 0);
        audit_reopen(f->audit);
        refuse(f);
        audit_flush(f->audit);
        charge_many(f, 4, 5);
        stop(f);
        write_file(f->rotated, other, strlen(other));
        assert_string_equal(entries_after(f, 0), "5 4 ");
        assert_int_equal(unlink(f->rotated), 0);
        assert_string_equal(entries_after(f, 0), "5 4 ");
}

static void a_line_that_was_changed_does_not_count(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_many(f, 1, 3);
        stop(f);
        change(f, "\"client\":\"ci\"", "\"client\":\"xx\"");
        assert_string_equal(entries_after(f, 0), "3 2 ");
}

static void foreign_bytes_in_the_middle_are_skipped(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_many(f, 1, 3);
        stop(f);
        change(f, "{\"seq\":3", "\0\xff\n\n\0x}{");
        assert_string_equal(entries_after(f, 0), "3 1 ");
}

static void an_entry_that_comes_twice_counts_once(void **state)
{
        struct audit_chain chain;
        struct fixture *f = *state;
        struct strbuf lines;

        start(f);
        charge_many(f, 1, 1);
        stop(f);
        audit_chain_init(&chain);
        (void)verify(f, f->path, &chain);
        strbuf_init(&lines, 1 << 16);
        assert_int_equal(strbuf_append(&lines, f->content.data, f->content.len), 0);
        for (int64_t entry = 2; entry >= 1; entry--) {
                char *members = audit_describe(
                        &(struct audit_event){.event = "charged", .charge = AUDIT_CHARGED});
                assert_int_equal(audit_chain_append(&chain, members, entry, &lines), 0);
                free(members);
        }
        write_file(f->path, lines.data, lines.len);
        strbuf_done(&lines);
        assert_string_equal(entries_after(f, 0), "1 ");
}

static void a_file_that_is_not_there_is_an_error(void **state)
{
        struct fixture *f = *state;
        struct audit_history *history;

        assert_int_equal(audit_history_open(f->path, 0, &history), -ENOENT);
        assert_int_equal(audit_history_open("/", 0, &history), -ENOENT);
        audit_history_close(NULL);
}

#define ON_AUDIT(test) cmocka_unit_test_setup_teardown(test, audit_set_up, audit_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_AUDIT(charges_come_newest_first_up_to_the_entry),
                ON_AUDIT(a_charge_has_what_its_line_says),
                ON_AUDIT(it_goes_on_in_the_file_before),
                ON_AUDIT(a_file_before_that_is_not_there_or_another_ends_it),
                ON_AUDIT(a_line_that_was_changed_does_not_count),
                ON_AUDIT(foreign_bytes_in_the_middle_are_skipped),
                ON_AUDIT(an_entry_that_comes_twice_counts_once),
                ON_AUDIT(a_file_that_is_not_there_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
