/*
 * Tests of audit/audit: what is in the file, and a disk that fails.
 */
#include "audit_fixture.h"

#include "audit/audit_refusals.h"

#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_refusal_and_a_charge_are_a_line_each(void **state)
{
        struct fixture *f = *state;

        start(f);
        refuse(f);
        assert_int_equal(charge(f, 3), 0);
        stop(f);
        assert_int_equal(verify_alone(f), 3);
        assert_non_null(strstr(
                f->content.data,
                "{\"seq\":2,\"time\":\"2026-11-22T16:05:45.123Z\",\"event\":\"refused\","
                "\"client\":\"ci\",\"address\":\"192.0.2.7\",\"site\":\"example.net\",\"job\":null,"
                "\"upstream\":null,\"outcome\":\"site_not_allowed\",\"charge\":0,\"prev\":\""));
        assert_non_null(strstr(
                f->content.data,
                "{\"seq\":3,\"time\":\"2026-11-22T16:05:45.123Z\",\"event\":\"charged\","
                "\"client\":\"ci\",\"address\":null,\"site\":null,\"job\":\"h-1\","
                "\"upstream\":\"pro\",\"outcome\":\"solved\",\"charge\":1,\"day\":\"2026-11-22\","
                "\"entry\":3,\"prev\":\""));
}

static void members_are_json_whatever_comes_in(void **state)
{
        struct audit_event event = {.event = "refused", .charge = AUDIT_UNKNOWN};
        char text[1024], *members, *object = NULL;
        struct json_reader reader;

        (void)state;
        memset(text, 1, sizeof text);
        memcpy(text, "\"\\\n\x7f\xff\xc3(\xed\xa0\x80", 11);
        text[sizeof text - 1] = '\0';
        event.client = event.address = event.site = event.job = event.upstream = event.outcome =
                text;
        members = audit_describe(&event);
        assert_non_null(members);
        assert_true(strlen(members) <= AUDIT_MEMBERS_BYTES_MAX);
        assert_non_null(strstr(members, ",\"charge\":null"));
        assert_null(strchr(members, '\n'));
        assert_true(asprintf(&object, "{%s}", members) > 0);
        json_reader_init(&reader, object, strlen(object));
        assert_int_equal(json_reader_skip(&reader, NULL), 0);
        assert_int_equal(json_reader_end(&reader), 0);
        free(object);
        free(members);
}

static void an_entry_that_is_in_the_file_is_passed_over(void **state)
{
        struct fixture *f = *state;

        start(f);
        for (int64_t entry = 1; entry <= 5; entry++)
                assert_int_equal(charge(f, entry), 0);
        assert_int_equal(charge(f, 5), 0);
        WAIT_UNTIL(audit_last_entry(f->audit) == 5);
        stop(f);
        start(f);
        assert_int_equal(audit_last_entry(f->audit), 5);
        for (int64_t entry = 3; entry <= 6; entry++)
                assert_int_equal(charge(f, entry), 0);
        stop(f);
        assert_int_equal(verify_alone(f), 7);
        assert_int_equal(occurrences(f->content.data, "\"entry\":"), 6);
}

static void an_entry_without_a_number_is_always_written(void **state)
{
        struct fixture *f = *state;

        start(f);
        assert_int_equal(charge(f, 7), 0);
        assert_int_equal(charge(f, 0), 0);
        assert_int_equal(charge(f, 0), 0);
        stop(f);
        assert_int_equal(verify_alone(f), 4);
        start(f);
        assert_int_equal(audit_last_entry(f->audit), 7);
}

static void one_sync_is_for_all_charges_that_wait(void **state)
{
        struct fixture *f = *state;

        open_audit(f);
        for (int64_t entry = 1; entry <= 500; entry++)
                assert_int_equal(charge(f, entry), 0);
        atomic_store(&syncs, 0);
        assert_int_equal(audit_start(f->audit), 0);
        WAIT_UNTIL(audit_last_entry(f->audit) == 500);
        assert_int_equal(atomic_load(&syncs), 1);
}

static void a_write_that_stops_halfway_is_completed_later(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_and_wait(f, 1);
        limit_files(strlen(read_file(f, f->path)) + 100);
        assert_int_equal(charge(f, 2), 0);
        WAIT_UNTIL(!audit_healthy(f->audit));
        assert_true(has_problem(f, strerror(EFBIG)));
        assert_int_equal(charge(f, 3), 0);
        refuse(f);
        assert_int_equal(audit_last_entry(f->audit), 1);
        limit_files(RLIM_INFINITY);
        WAIT_UNTIL(audit_last_entry(f->audit) == 3);
        WAIT_UNTIL(audit_healthy(f->audit));
        assert_true(has_problem(f, NULL));
        stop(f);
        assert_int_equal(verify_alone(f), 5);
}

static void a_write_that_fails_after_its_half_is_taken_back(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_and_wait(f, 1);
        atomic_store(&torn_writes, true);
        assert_int_equal(charge(f, 2), 0);
        WAIT_UNTIL(!audit_healthy(f->audit));
        assert_int_equal(charge(f, 3), 0);
        atomic_store(&torn_writes, false);
        WAIT_UNTIL(audit_last_entry(f->audit) == 3);
        atomic_store(&torn_writes, true);
        assert_int_equal(charge(f, 4), 0);
        stop(f);
        atomic_store(&torn_writes, false);
        assert_int_equal(verify_alone(f), 4);
}

static void a_stop_on_a_full_disk_leaves_whole_lines(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_and_wait(f, 1);
        limit_files(strlen(read_file(f, f->path)) + 100);
        assert_int_equal(charge(f, 2), 0);
        WAIT_UNTIL(!audit_healthy(f->audit));
        stop(f);
        limit_files(RLIM_INFINITY);
        assert_int_equal(verify_alone(f), 2);
        start(f);
        assert_int_equal(audit_last_entry(f->audit), 1);
}

static void after_a_failed_sync_all_since_the_last_one_is_written_again(void **state)
{
        struct fixture *f = *state;

        start(f);
        charge_and_wait(f, 1);
        atomic_store(&sync_errno, EIO);
        assert_int_equal(charge(f, 2), 0);
        WAIT_UNTIL(!audit_healthy(f->audit));
        assert_int_equal(charge(f, 3), 0);
        atomic_store(&syncs, 0);
        WAIT_UNTIL(atomic_load(&syncs) >= 2); /* it is tried again and again */
        assert_int_equal(audit_last_entry(f->audit), 1);
        assert_false(audit_healthy(f->audit));
        atomic_store(&sync_errno, 0);
        WAIT_UNTIL(audit_last_entry(f->audit) == 3);
        stop(f);
        assert_int_equal(verify_alone(f), 4);
}

/* Writes what waits. Returns how many refusals stand in the one line that sums up. */
static int64_t write_with_sum(struct fixture *f)
{
        int64_t summed = 0;

        assert_int_equal(audit_start(f->audit), 0);
        stop(f);
        (void)verify_alone(f);
        const char *line =
                strstr(f->content.data, "\"outcome\":\"summed\",\"charge\":0,\"count\":");
        assert_non_null(line);
        assert_int_equal(sscanf(strstr(line, "\"count\":"), "\"count\":%" SCNd64, &summed), 1);
        assert_int_equal(occurrences(f->content.data, "\"summed\""), 1);
        return summed;
}

static void refusals_beyond_the_burst_are_summed_up(void **state)
{
        struct fixture *f = *state;
        const int64_t total = AUDIT_REFUSALS_BURST + 20000;
        int64_t summed, lines, begin_ms;

        begin_ms = clock_monotonic_ms();
        open_audit(f);
        for (int64_t i = 0; i < total; i++)
                refuse(f);
        int64_t passed_s = (clock_monotonic_ms() - begin_ms) / 1000 + 1;
        summed = write_with_sum(f);
        lines = (int64_t)occurrences(f->content.data, "\"client\":\"ci\"") - 1; /* the sum */
        assert_int_equal(lines + summed, total);
        assert_true(lines >= AUDIT_REFUSALS_BURST);
        assert_true(lines <= AUDIT_REFUSALS_BURST + AUDIT_REFUSALS_PER_S * passed_s);
}

static void strangers_do_not_use_up_what_clients_have(void **state)
{
        struct fixture *f = *state;
        const int64_t strangers = AUDIT_STRANGERS_BURST + 5000, clients = 500;
        int64_t summed, lines, begin_ms;

        begin_ms = clock_monotonic_ms();
        open_audit(f);
        for (int64_t i = 0; i < strangers; i++)
                refuse_stranger(f);
        for (int64_t i = 0; i < clients; i++)
                refuse(f);
        int64_t passed_s = (clock_monotonic_ms() - begin_ms) / 1000 + 1;
        summed = write_with_sum(f);
        assert_int_equal(occurrences(f->content.data, "\"client\":\"ci\""), clients);
        lines = (int64_t)occurrences(f->content.data, "\"site_not_allowed\"") - clients;
        assert_int_equal(lines + summed, strangers);
        assert_true(lines >= AUDIT_STRANGERS_BURST);
        assert_true(lines <= AUDIT_STRANGERS_BURST + AUDIT_STRANGERS_PER_S * passed_s);
}

/* Writes what waits. Returns how many of a client's refusals have a line of their own, and sets how
 * many have none. */
static int64_t lines_of(struct fixture *f, const char *client, int64_t *ret_summed)
{
        int64_t lines = 0, count;
        char name[100];

        *ret_summed = 0;
        (void)snprintf(name, sizeof name, "\"client\":\"%s\"", client);
        if (strcmp(client, "") == 0)
                (void)snprintf(name, sizeof name, "\"event\":\"refused\",\"client\":null");
        for (const char *line = f->content.data; (line = strstr(line, name)); line++) {
                const char *end = strchr(line, '\n');
                const char *sum = memmem(line, (size_t)(end - line), "\"count\":", 8);
                if (!sum) {
                        lines++;
                        continue;
                }
                assert_int_equal(sscanf(sum, "\"count\":%" SCNd64, &count), 1);
                assert_int_equal(*ret_summed, 0); /* one such line */
                *ret_summed = count;
        }
        return lines;
}

static void write_all(struct fixture *f)
{
        assert_int_equal(audit_start(f->audit), 0);
        stop(f);
        (void)verify_alone(f);
}

static void refuse_often(struct fixture *f, const char *client, int64_t count)
{
        for (int64_t i = 0; i < count; i++)
                refuse_client(f, client);
}

static void a_clients_flood_leaves_the_others_their_lines(void **state)
{
        struct fixture *f = *state;
        const int64_t flood = AUDIT_REFUSALS_BURST + 2000;
        int64_t summed;

        open_audit(f);
        refuse_often(f, "ci", flood);
        refuse_often(f, "quiet", 500);
        refuse_often(f, NULL, 500);
        write_all(f);
        int64_t lines = lines_of(f, "ci", &summed);
        assert_true(summed > 0);
        assert_int_equal(lines + summed, flood);
        assert_int_equal(lines_of(f, "quiet", &summed), 500);
        assert_int_equal(summed, 0);
        assert_int_equal(lines_of(f, "", &summed), 500);
        assert_int_equal(summed, 0);
}

static void each_client_and_strangers_have_a_sum(void **state)
{
        static const char *const clients[] = {"a", "b", ""};
        struct fixture *f = *state;
        const int64_t flood = AUDIT_REFUSALS_BURST + 1000;
        int64_t summed;

        open_audit(f);
        for (size_t i = 0; i < 3; i++)
                refuse_often(f, clients[i], flood + (int64_t)i);
        write_all(f);
        for (size_t i = 0; i < 3; i++) {
                int64_t lines = lines_of(f, clients[i], &summed);
                assert_true(summed > 0);
                assert_int_equal(lines + summed, flood + (int64_t)i);
        }
        assert_int_equal(occurrences(f->content.data, "\"summed\""), 3);
}

/* The thread is not started: as with a disk that stands still. */
static void what_waits_is_bounded_and_shared(void **state)
{
        static const char *const floods[] = {"a", "b", "c", "d", "e", "f", "g",
                                             "h", "i", "j", "k", "l", "m", "n"};
        struct fixture *f = *state;
        const int64_t flood = AUDIT_REFUSALS_WAITING_MAX / 10;
        int64_t all = 0, summed;

        open_audit(f);
        for (size_t i = 0; i < 6; i++)
                refuse_often(f, floods[i], i == 0 ? AUDIT_REFUSALS_BURST : flood);
        refuse_often(f, "quiet", 500);
        for (size_t i = 6; i < 14; i++)
                refuse_often(f, floods[i], i == 0 ? AUDIT_REFUSALS_BURST : flood);
        write_all(f);
        assert_int_equal(lines_of(f, "quiet", &summed), 500);
        assert_int_equal(summed, 0);
        for (size_t i = 0; i < 14; i++) {
                int64_t lines = lines_of(f, floods[i], &summed);
                assert_int_equal(lines + summed, i == 0 ? AUDIT_REFUSALS_BURST : flood);
                all += lines;
        }
        assert_int_equal(all + 500, AUDIT_REFUSALS_WAITING_MAX);
}

/* As many as reloads have ever named. */
static void clients_beyond_what_is_counted_are_as_strangers(void **state)
{
        struct fixture *f = *state;
        const int64_t count = AUDIT_CLIENTS_MAX + AUDIT_STRANGERS_BURST + 2000;
        char name[32];

        open_audit(f);
        for (int64_t i = 0; i < count; i++) {
                (void)snprintf(name, sizeof name, "c%" PRId64, i);
                refuse_client(f, name);
        }
        write_all(f);
        int64_t summed, lines = (int64_t)occurrences(f->content.data, "\"site_not_allowed\"");
        assert_int_equal(lines_of(f, "", &summed), 0);
        assert_true(summed > 0);
        assert_int_equal(lines + summed, count);
        assert_true(lines >= AUDIT_CLIENTS_MAX + AUDIT_STRANGERS_BURST);
}

static void a_flush_returns_when_all_that_was_given_is_on_disk(void **state)
{
        struct fixture *f = *state;

        start(f);
        for (int64_t entry = 1; entry <= 200; entry++) {
                assert_int_equal(charge(f, entry), 0);
                if (entry % 50 != 0)
                        continue;
                audit_flush(f->audit);
                assert_int_equal(audit_last_entry(f->audit), entry);
        }
}

/* Each of the 20 would be synced after a second by itself. */
static void a_flush_does_not_wait_for_the_time_of_refusals(void **state)
{
        struct fixture *f = *state;
        int64_t begin_ms = clock_monotonic_ms();

        start(f);
        atomic_store(&syncs, 0);
        for (int i = 1; i <= 20; i++) {
                refuse(f);
                if (i % 2 == 0) /* it is in the file, but not on disk */
                        WAIT_UNTIL(occurrences(read_file(f, f->path), "\"refused\"") == (size_t)i);
                audit_flush(f->audit);
                assert_int_equal(atomic_load(&syncs), i);
        }
        audit_flush(f->audit); /* there is nothing to do */
        assert_int_equal(atomic_load(&syncs), 20);
        assert_true(clock_monotonic_ms() - begin_ms < 15000);
}

static void a_flush_returns_while_nothing_can_be_written(void **state)
{
        struct fixture *f = *state;

        open_audit(f);
        assert_int_equal(charge(f, 1), 0);
        audit_flush(f->audit); /* there is no thread yet */
        atomic_store(&sync_errno, EIO);
        assert_int_equal(audit_start(f->audit), 0);
        audit_flush(f->audit);
        assert_false(audit_healthy(f->audit));
        assert_int_equal(charge(f, 2), 0);
        audit_flush(f->audit);
        assert_int_equal(audit_last_entry(f->audit), 0);
        atomic_store(&sync_errno, 0);
        WAIT_UNTIL(audit_healthy(f->audit));
        audit_flush(f->audit);
        assert_int_equal(audit_last_entry(f->audit), 2);
}

static void no_entry_is_taken_before_one_that_was_not(void **state)
{
        struct fixture *f = *state;

        open_audit(f);
        for (int64_t entry = 1; entry <= AUDIT_ENTRIES_WAITING_MAX; entry++)
                assert_int_equal(audit_entry(f->audit, entry, "\"time\":\"\",\"event\":\"\""), 0);
        assert_true(audit_healthy(f->audit));
        assert_int_equal(charge(f, AUDIT_ENTRIES_WAITING_MAX + 1), -ENOMEM);
        assert_false(audit_healthy(f->audit));
        assert_true(has_problem(f, "when there is room"));
        assert_int_equal(audit_start(f->audit), 0);
        WAIT_UNTIL(audit_last_entry(f->audit) == AUDIT_ENTRIES_WAITING_MAX);
        assert_int_equal(charge(f, AUDIT_ENTRIES_WAITING_MAX + 2), -ENOMEM);
        assert_false(audit_healthy(f->audit));
        assert_int_equal(charge(f, AUDIT_ENTRIES_WAITING_MAX + 1), 0);
        assert_true(audit_healthy(f->audit));
        assert_int_equal(charge(f, AUDIT_ENTRIES_WAITING_MAX + 2), 0);
        audit_flush(f->audit);
        assert_int_equal(audit_last_entry(f->audit), AUDIT_ENTRIES_WAITING_MAX + 2);
}

/* The database is damaged. The lines after it go on, and the next start finds the end. */
static void an_entry_that_cannot_be_read_is_told_of_in_its_place(void **state)
{
        static const char *const texts[] = {
                "",
                "\"",
                "\"time\":\"\n\",\"event\":\"charged\"",
                "\"time\":\"\",\"event\":\"charged\",\n\"charge\":1",
                "\"time\":\"\",\"event\":\"char",
                "\"time\":\"\",\"event\":\"charged\",\"client\":\"\xff\"",
                "\"time\":\"\",\"event\":\"opened\"",
                "\"time\":\"\",\"event\":\"torn\"",
                "\"event\":\"charged\",\"charge\":1",
        };
        const size_t count = sizeof texts / sizeof texts[0];
        struct fixture *f = *state;
        int64_t entry = 0;

        start(f);
        for (size_t i = 0; i < count; i++) {
                assert_int_equal(audit_entry(f->audit, ++entry, texts[i]), 0);
                assert_int_equal(charge(f, ++entry), 0);
        }
        audit_flush(f->audit);
        assert_true(audit_healthy(f->audit));
        assert_int_equal(audit_last_entry(f->audit), entry);
        stop(f);
        assert_int_equal(verify_alone(f), 1 + 2 * count);
        assert_int_equal(
                occurrences(f->content.data, ",\"outcome\":\"unreadable\",\"charge\":null"), count);
        assert_non_null(strstr(f->content.data, "\",\"entry\":1,"));
        start(f);
        assert_int_equal(audit_last_entry(f->audit), entry);
}

static void an_entry_that_is_too_long_is_told_of_in_its_place(void **state)
{
        struct fixture *f = *state;
        struct strbuf text;

        strbuf_init(&text, 2 * AUDIT_MEMBERS_BYTES_MAX);
        (void)strbuf_printf(&text, "\"time\":\"%*s\",\"event\":\"charged\"",
                            AUDIT_MEMBERS_BYTES_MAX, "");
        start(f);
        assert_int_equal(audit_entry(f->audit, 1, text.data), 0);
        strbuf_done(&text);
        audit_flush(f->audit);
        stop(f);
        assert_int_equal(verify_alone(f), 2);
        assert_non_null(strstr(f->content.data, "\"unreadable\""));
}

static void an_empty_text_is_null_in_the_line(void **state)
{
        const struct audit_event event = {
                .event = "charged", .client = "", .address = "", .job = ""};
        char *members = audit_describe(&event);

        (void)state;
        assert_non_null(members);
        assert_non_null(strstr(members, ",\"client\":null,\"address\":null,\"site\":null,"
                                        "\"job\":null,\"upstream\":null,\"outcome\":null,"));
        free(members);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, audit_set_up, audit_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(a_refusal_and_a_charge_are_a_line_each),
                CASE(members_are_json_whatever_comes_in),
                CASE(an_entry_that_is_in_the_file_is_passed_over),
                CASE(an_entry_without_a_number_is_always_written),
                CASE(one_sync_is_for_all_charges_that_wait),
                CASE(a_write_that_stops_halfway_is_completed_later),
                CASE(a_write_that_fails_after_its_half_is_taken_back),
                CASE(a_stop_on_a_full_disk_leaves_whole_lines),
                CASE(after_a_failed_sync_all_since_the_last_one_is_written_again),
                CASE(refusals_beyond_the_burst_are_summed_up),
                CASE(no_entry_is_taken_before_one_that_was_not),
                CASE(strangers_do_not_use_up_what_clients_have),
                CASE(a_clients_flood_leaves_the_others_their_lines),
                CASE(each_client_and_strangers_have_a_sum),
                CASE(what_waits_is_bounded_and_shared),
                CASE(clients_beyond_what_is_counted_are_as_strangers),
                CASE(a_flush_returns_when_all_that_was_given_is_on_disk),
                CASE(a_flush_does_not_wait_for_the_time_of_refusals),
                CASE(a_flush_returns_while_nothing_can_be_written),
                CASE(an_entry_that_cannot_be_read_is_told_of_in_its_place),
                CASE(an_entry_that_is_too_long_is_told_of_in_its_place),
                CASE(an_empty_text_is_null_in_the_line),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
