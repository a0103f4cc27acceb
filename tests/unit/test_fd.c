/*
 * Tests of base/fd.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
        assert_int_equal(fd_read_full(fd, text, sizeof text), 7);
        assert_string_equal(text, "one two");
        assert_int_equal(fd_read_full(fd, text, sizeof text), 0);
        (void)close(fd);
}

static void no_more_is_read_than_there_is_room_for(void **state)
{
        char text[16] = "";
        int fd = open_pieces("one ", "two");

        (void)state;
        assert_int_equal(fd_read_full(fd, text, 6), 6);
        assert_string_equal(text, "one tw");
        assert_int_equal(fd_read_full(fd, text, 0), 0);
        (void)close(fd);
}

static void what_cannot_be_read_says_why(void **state)
{
        char text[16];
        int fd = open("/", O_RDONLY | O_CLOEXEC);

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(fd_read_full(fd, text, sizeof text), -EISDIR);
        (void)close(fd);
        assert_int_equal(fd_read_full(-1, text, sizeof text), -EBADF);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_comes_in_pieces_is_read_to_its_end),
                cmocka_unit_test(no_more_is_read_than_there_is_room_for),
                cmocka_unit_test(what_cannot_be_read_says_why),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
