/*
 * Tests of base/log_sink: that writing a line never waits; and of base/log on top of it.
 */
#include "base/log.h"
#include "base/log_record.h"
#include "base/log_sink.h"
#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOON_MS  INT64_C(1795348800123) /* 2026-11-22T12:00:00.123Z */
#define TEXT_MAX 8192

/* ---- sinks ---- */

static struct log_sink sink;

/* A pipe whose writing end blocks. */
static void open_pipe(int fds[2])
{
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        (void)fcntl(fds[1], F_SETPIPE_SZ, 4096);
}

/* Writes until nothing more is taken, and returns how many lines were. */
static int fill(const char *line)
{
        int taken = 0;

        while (log_sink_write(&sink, line, strlen(line)) == 0)
                taken++;
        return taken;
}

static void *long_line(size_t len)
{
        char *line = malloc(len + 1);

        assert_non_null(line);
        memset(line, 'x', len);
        line[len - 1] = '\n';
        line[len] = '\0';
        return line;
}

/* Reads what there is until the line was seen so often; every line must be whole. */
static void expect_lines(int fd, const char *line, int count)
{
        size_t len = strlen(line);

        for (int i = 0; i < count; i++) {
                char *read_line = calloc(1, len + 1);
                assert_non_null(read_line);
                for (size_t at = 0; at < len;) {
                        ssize_t n = read(fd, read_line + at, len - at);
                        assert_true(n > 0);
                        at += (size_t)n;
                        if (at < len)
                                (void)log_sink_write(&sink, "", 0); /* the rest goes first */
                }
                assert_string_equal(read_line, line);
                free(read_line);
        }
}

static void check_full_pipe(enum log_sink_kind kind)
{
        char *line = long_line(3000);
        int fds[2];

        open_pipe(fds);
        log_sink_open(&sink, fds[1], "");
        assert_int_equal(sink.kind, LOG_SINK_OURS);
        if (kind == LOG_SINK_POLLED) {
                log_sink_close(&sink);
                sink.kind = LOG_SINK_POLLED; /* as without /proc */
                sink.fd = fds[1];
        }
        int taken = fill(line);
        assert_true(taken > 0);
        assert_int_equal(log_sink_write(&sink, line, strlen(line)), -EAGAIN);
        assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
        expect_lines(fds[0], line, taken);
        assert_int_equal(log_sink_write(&sink, "again\n", 6), 0);
        expect_lines(fds[0], "again\n", 1);
        log_sink_close(&sink);
        (void)close(fds[0]);
        (void)close(fds[1]);
        free(line);
}

static void a_full_pipe_takes_no_line_and_does_not_block(void **state)
{
        (void)state;
        check_full_pipe(LOG_SINK_OURS);
}

static void a_full_pipe_without_a_description_of_our_own_does_not_block_either(void **state)
{
        (void)state;
        check_full_pipe(LOG_SINK_POLLED);
}

static void a_line_that_is_taken_in_part_is_finished_before_the_next(void **state)
{
        char *line = long_line(3 * 4096);
        int fds[2];

        (void)state;
        open_pipe(fds);
        log_sink_open(&sink, fds[1], "");
        assert_int_equal(log_sink_write(&sink, line, strlen(line)), 0);
        assert_true(sink.rest_to > sink.rest_at);
        assert_int_equal(log_sink_write(&sink, "next\n", 5), -EAGAIN);
        expect_lines(fds[0], line, 1);
        assert_int_equal(log_sink_write(&sink, "next\n", 5), 0);
        expect_lines(fds[0], "next\n", 1);
        log_sink_close(&sink);
        (void)close(fds[0]);
        (void)close(fds[1]);
        free(line);
}

static void a_full_socket_takes_no_line_and_does_not_block(void **state)
{
        const int kinds[] = {SOCK_STREAM, SOCK_SEQPACKET};

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                int fds[2];
                assert_int_equal(socketpair(AF_UNIX, kinds[i] | SOCK_CLOEXEC, 0, fds), 0);
                log_sink_open(&sink, fds[1], "");
                int taken = fill("a line of text\n");
                assert_true(taken > 0);
                expect_lines(fds[0], "a line of text\n", taken);
                assert_int_equal(log_sink_write(&sink, "next\n", 5), 0);
                expect_lines(fds[0], "next\n", 1);
                log_sink_close(&sink);
                (void)close(fds[0]);
                (void)close(fds[1]);
        }
}

static void a_stream_of_the_journal_is_known_by_its_device_and_inode(void **state)
{
        char text[64];
        struct stat stat;
        int fds[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(fstat(fds[1], &stat), 0);
        (void)snprintf(text, sizeof text, "%ju:%ju", (uintmax_t)stat.st_dev,
                       (uintmax_t)stat.st_ino);
        assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
        log_sink_open(&sink, fds[1], "");
        assert_true(sink.journal_stream);
        log_sink_close(&sink);
        log_sink_open(&sink, fds[0], "");
        assert_false(sink.journal_stream);
        log_sink_close(&sink);
        assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

/* Runs write_lines in a process of its own, with fd as standard error. Returns its exit status. */
static int run_with_stderr(int fd, int (*write_lines)(int pipe_to_read), int pipe_to_read)
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void)dup2(fd, STDERR_FILENO);
                _exit(write_lines(pipe_to_read));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* Returns 0 where each format tells the journal that reads standard error the level. */
static int write_to_stream(int to_read)
{
        static const char json[] = ",\"level\":\"error\",\"message\":\"m\"}\n";
        char text[512] = "", name[64];
        struct stat stat;

        (void)fstat(STDERR_FILENO, &stat);
        (void)snprintf(name, sizeof name, "%ju:%ju", (uintmax_t)stat.st_dev,
                       (uintmax_t)stat.st_ino);
        (void)setenv("JOURNAL_STREAM", name, 1);
        log_line(LOG_LEVEL_ERROR, "m");
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        log_line(LOG_LEVEL_ERROR, "m");
        if (recv(to_read, text, sizeof text - 1, 0) <= 0)
                return 1;
        return strncmp(text, "<3>m\n<3>{\"time\":", 16) == 0 && strstr(text, json) ? 0 : 2;
}

static void a_stream_of_the_journal_is_told_the_level_of_each_line(void **state)
{
        int fds[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(run_with_stderr(fds[1], write_to_stream, fds[0]), 0);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

/* A directory of the test's own, with a socket in it. */
struct journal {
        char directory[32];
        struct sockaddr_un address;
        int fd;
};

static void journal_open(struct journal *journal)
{
        *journal = (struct journal){.directory = "/tmp/test_log.XXXXXX",
                                    .address.sun_family = AF_UNIX};
        assert_non_null(mkdtemp(journal->directory));
        (void)snprintf(journal->address.sun_path, sizeof journal->address.sun_path, "%s/socket",
                       journal->directory);
        journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(
                bind(journal->fd, (struct sockaddr *)&journal->address, sizeof journal->address),
                0);
        log_sink_open(&sink, STDERR_FILENO, journal->address.sun_path);
}

static void journal_close(struct journal *journal)
{
        log_sink_close(&sink);
        (void)close(journal->fd);
        (void)unlink(journal->address.sun_path);
        (void)rmdir(journal->directory);
}

static void a_datagram_comes_to_the_journal_as_a_whole(void **state)
{
        const struct log_field field = LOG_INTEGER("code", 200);
        const struct log_record record = {LOG_LEVEL_INFO, NOON_MS, "request", &field, 1};
        char text[TEXT_MAX] = "";
        struct journal journal;
        struct strbuf datagram;

        (void)state;
        journal_open(&journal);
        strbuf_init(&datagram, LOG_LINE_BYTES_MAX);
        log_record_journal(&record, &datagram);
        assert_int_equal(log_sink_send_journal(&sink, datagram.data, datagram.len), 0);
        assert_int_equal(recv(journal.fd, text, sizeof text - 1, 0), datagram.len);
        assert_string_equal(text, "PRIORITY=6\nSYSLOG_IDENTIFIER=solvegate\nMESSAGE=request "
                                  "code=200\nSOLVEGATE_CODE=200\n");
        strbuf_done(&datagram);
        journal_close(&journal);
}

static void a_journal_that_does_not_read_takes_no_datagram_and_does_not_block(void **state)
{
        struct journal journal;
        int r = 0;

        (void)state;
        journal_open(&journal);
        for (int i = 0; i < 100000 && r == 0; i++)
                r = log_sink_send_journal(&sink, "MESSAGE=x\n", 10);
        assert_int_equal(r, -EAGAIN);
        journal_close(&journal);
}

static void where_there_is_no_journal_the_sender_is_told(void **state)
{
        struct journal journal;

        (void)state;
        journal_open(&journal);
        assert_int_equal(unlink(journal.address.sun_path), 0);
        assert_int_equal(log_sink_send_journal(&sink, "MESSAGE=x\n", 10), -ENOENT);
        journal_close(&journal);
}

/* ---- the log itself ---- */

static int write_three_kinds(int pipe_to_read)
{
        const struct log_field field = LOG_TEXT("client", "ci");

        (void)pipe_to_read;
        log_line(LOG_LEVEL_DEBUG, "not before it is enabled");
        log_line(LOG_LEVEL_INFO, "%s %d", "text", 1);
        log_init(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
        log_event(LOG_LEVEL_WARNING, "not any more", NULL, 0);
        log_event(LOG_LEVEL_ERROR, "100%", &field, 1);
        return log_lost() == 0 ? 0 : 1;
}

static void level_and_format_change_under_way(void **state)
{
        char text[TEXT_MAX] = "";
        FILE *file = tmpfile();

        (void)state;
        assert_non_null(file);
        assert_int_equal(run_with_stderr(fileno(file), write_three_kinds, -1), 0);
        assert_true(pread(fileno(file), text, sizeof text - 1, 0) > 0);
        assert_non_null(strstr(text, "Z info text 1\n{\"time\":\""));
        assert_non_null(
                strstr(text, "\"level\":\"error\",\"message\":\"100%\",\"client\":\"ci\"}\n"));
        assert_null(strstr(text, "not "));
        (void)fclose(file);
}

/* Returns 0 where the next line that gets through is preceded by how many were lost. */
static int overflow(int pipe_to_read)
{
        static char text[1 << 20];
        char wanted[128];

        while (log_lost() < 3)
                log_info("a line that nobody reads");
        if (read(pipe_to_read, text, sizeof text) <= 0)
                return 1;
        log_info("afterwards");
        if (log_lost() != 3)
                return 2;
        memset(text, 0, sizeof text);
        if (read(pipe_to_read, text, sizeof text - 1) <= 0)
                return 3;
        (void)snprintf(wanted, sizeof wanted,
                       "Z warning 3 lines were lost: the log did not take them at once\n");
        const char *told = strstr(text, wanted);
        return told && strstr(told, "Z info afterwards\n") ? 0 : 4;
}

static void lines_that_were_lost_are_told_before_the_next_one(void **state)
{
        int fds[2];

        (void)state;
        open_pipe(fds);
        assert_int_equal(run_with_stderr(fds[1], overflow, fds[0]), 0);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

/* Returns 0 where a raw line comes as it is in each format, and is lost like others. */
static int write_raw(int pipe_to_read)
{
        static char text[1 << 20];
        const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL};

        for (int i = 0; i < 3; i++) {
                log_init(LOG_LEVEL_ERROR, formats[i]);
                log_raw("ready here=\"1\"");
        }
        if (read(pipe_to_read, text, sizeof text - 1) <= 0 ||
            strcmp(text, "ready here=\"1\"\nready here=\"1\"\nready here=\"1\"\n") != 0)
                return 1;
        log_init(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
        while (log_lost() < 2)
                log_raw("nobody reads it");
        return 0;
}

static void a_raw_line_comes_as_it_is_or_is_lost_like_others(void **state)
{
        int fds[2];

        (void)state;
        open_pipe(fds);
        assert_int_equal(run_with_stderr(fds[1], write_raw, fds[0]), 0);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

/* Returns 0 where the log says why a line was lost. */
static int write_to_nobody(int pipe_to_read)
{
        char text[512] = "";

        log_line(LOG_LEVEL_INFO, "lost");
        (void)dup2(pipe_to_read, STDERR_FILENO);
        log_line(LOG_LEVEL_INFO, "told");
        return log_lost() == 1 && pread(pipe_to_read, text, sizeof text - 1, 0) > 0 &&
                               strstr(text, "1 lines were lost: No space left on device\n")
                       ? 0
                       : 1;
}

static void why_a_line_was_lost_is_told(void **state)
{
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        FILE *file = tmpfile();

        (void)state;
        assert_true(full >= 0);
        assert_non_null(file);
        assert_int_equal(run_with_stderr(full, write_to_nobody, fileno(file)), 0);
        (void)fclose(file);
        (void)close(full);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_full_pipe_takes_no_line_and_does_not_block),
                cmocka_unit_test(
                        a_full_pipe_without_a_description_of_our_own_does_not_block_either),
                cmocka_unit_test(a_line_that_is_taken_in_part_is_finished_before_the_next),
                cmocka_unit_test(a_full_socket_takes_no_line_and_does_not_block),
                cmocka_unit_test(a_stream_of_the_journal_is_known_by_its_device_and_inode),
                cmocka_unit_test(a_stream_of_the_journal_is_told_the_level_of_each_line),
                cmocka_unit_test(a_datagram_comes_to_the_journal_as_a_whole),
                cmocka_unit_test(a_journal_that_does_not_read_takes_no_datagram_and_does_not_block),
                cmocka_unit_test(where_there_is_no_journal_the_sender_is_told),
                cmocka_unit_test(level_and_format_change_under_way),
                cmocka_unit_test(lines_that_were_lost_are_told_before_the_next_one),
                cmocka_unit_test(a_raw_line_comes_as_it_is_or_is_lost_like_others),
                cmocka_unit_test(why_a_line_was_lost_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
