/*
 * Tests of base/file.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A socket that gives each of two texts to a read of its own, and then ends. */
static int open_pieces(const char *first, const char *second)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(write(fds[1], first, strlen(first)), strlen(first));
        assert_int_equal(write(fds[1], second, strlen(second)), strlen(second));
        assert_int_equal(close(fds[1]), 0);
        return fds[0];
}

static void what_comes_in_pieces_is_read_to_its_end(void **state)
{
        char text[16] = "";
        int fd = open_pieces("one ", "two");

        (void)state;
        assert_int_equal(file_read_full(fd, text, sizeof text), 7);
        assert_string_equal(text, "one two");
        assert_int_equal(file_read_full(fd, text, sizeof text), 0);
        (void)close(fd);
}

static void no_more_is_read_than_there_is_room_for(void **state)
{
        char text[16] = "";
        int fd = open_pieces("one ", "two");

        (void)state;
        assert_int_equal(file_read_full(fd, text, 6), 6);
        assert_string_equal(text, "one tw");
        assert_int_equal(file_read_full(fd, text, 0), 0);
        (void)close(fd);
}

static void what_cannot_be_read_says_why(void **state)
{
        char text[16];
        int fd = open("/", O_RDONLY | O_CLOEXEC);

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(file_read_full(fd, text, sizeof text), -EISDIR);
        (void)close(fd);
        assert_int_equal(file_read_full(-1, text, sizeof text), -EBADF);
}

/* Makes a file of size bytes in an empty directory; the caller removes both. */
static void make_file(char directory[static 32], char path[static 64], size_t size)
{
        (void)snprintf(directory, 32, "/tmp/test_file.XXXXXX");
        assert_non_null(mkdtemp(directory));
        (void)snprintf(path, 64, "%s/file", directory);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
        for (size_t i = 0; i < size; i++)
                assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(close(fd), 0);
}

static void a_file_is_read_whole_up_to_its_limit(void **state)
{
        char directory[32], path[64];
        struct file file = {.len = 7};

        (void)state;
        make_file(directory, path, 5);
        assert_int_equal(file_read(path, 4, &file), -EFBIG);
        assert_int_equal(file.len, 7);
        assert_int_equal(file_read(path, 5, &file), 0);
        assert_string_equal(file.bytes, "xxxxx");
        assert_int_equal(file.len, 5);
        assert_int_equal(file.status.st_mode & 0777, 0640);
        file_done(&file);
        assert_null(file.bytes);
        file_done(&file);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(file_read(path, 5, &file), -ENOENT);
        assert_int_equal(rmdir(directory), 0);
}

static void only_a_regular_file_is_read_and_nothing_is_waited_for(void **state)
{
        char directory[32], path[64];
        struct file file;

        (void)state;
        make_file(directory, path, 1);
        assert_int_equal(file_read(directory, 5, &file), -EISDIR);
        assert_int_equal(file_read("/dev/null", 5, &file), -EINVAL);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes */
        assert_int_equal(file_read(path, 5, &file), -EINVAL);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_comes_in_pieces_is_read_to_its_end),
                cmocka_unit_test(no_more_is_read_than_there_is_room_for),
                cmocka_unit_test(what_cannot_be_read_says_why),
                cmocka_unit_test(a_file_is_read_whole_up_to_its_limit),
                cmocka_unit_test(only_a_regular_file_is_read_and_nothing_is_waited_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
