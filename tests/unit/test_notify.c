/*
 * Tests of daemon/notify: how long a stop asks the service manager for more time, and what a line
 * is that it takes.
 */
#include "daemon/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define MESSAGE_BYTES_MAX 1024

/* A service manager that hears what it is told, at an abstract address of the kernel's choice. */
static int open_manager(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        socklen_t len = sizeof address;
        char name[sizeof address.sun_path + 1] = "@";
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        memcpy(name + 1, address.sun_path + 1, len - sizeof(sa_family_t) - 1);
        assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
        return fd;
}

/* What was told last; empty: nothing. */
static const char *heard(int fd)
{
        static char message[MESSAGE_BYTES_MAX];
        ssize_t len = recv(fd, message, sizeof message - 1, 0);

        if (len < 0)
                assert_int_equal(errno, EAGAIN);
        message[len < 0 ? 0 : len] = '\0';
        return message;
}

static void a_stop_asks_for_time_until_its_end_has_lasted_too_long(void **state)
{
        struct notify notify;
        int manager = open_manager();

        (void)state;
        notify_init(&notify);
        notify_ready(&notify, "taking jobs");
        assert_null(strstr(heard(manager), "EXTEND_TIMEOUT_USEC="));
        notify_alive(&notify);
        assert_string_equal(heard(manager), "");
        notify_stopping(&notify, "draining");
        assert_non_null(strstr(heard(manager), "EXTEND_TIMEOUT_USEC="));
        notify_ending(&notify);
        notify_alive(&notify);
        assert_non_null(strstr(heard(manager), "EXTEND_TIMEOUT_USEC="));
        notify.ending_ms -= NOTIFY_ENDING_MS;
        notify_ending(&notify); /* the next step of the stop gets no more than the first */
        notify_alive(&notify);
        assert_string_equal(heard(manager), "");
        (void)close(manager);
}

/* systemd drops a line that is no UTF-8 as a whole. */
static void what_is_told_is_one_line_of_utf8_wherever_it_is_cut(void **state)
{
        struct notify notify;
        int manager = open_manager();
        char problem[NOTIFY_STATUS_BYTES_MAX * 2] = "", wanted[MESSAGE_BYTES_MAX * 2];
        const int len = NOTIFY_STATUS_BYTES_MAX - 2 - (int)strlen("cannot start: ");

        (void)state;
        notify_init(&notify);
        notify_failed(&notify, "/etc/caf\xe9/a\nREADY=1: not there");
        assert_string_equal(heard(manager), "STATUS=cannot start: /etc/caf?/a READY=1: not there");
        (void)snprintf(problem, sizeof problem, "%0*d\xc3\xa9", len, 0);
        notify_failed(&notify, problem);
        (void)snprintf(wanted, sizeof wanted, "STATUS=cannot start: %0*d", len, 0);
        assert_string_equal(heard(manager), wanted);
        notify_failed(&notify, problem + 1);
        (void)snprintf(wanted, sizeof wanted, "STATUS=cannot start: %s", problem + 1);
        assert_string_equal(heard(manager), wanted);
        (void)close(manager);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_stop_asks_for_time_until_its_end_has_lasted_too_long),
                cmocka_unit_test(what_is_told_is_one_line_of_utf8_wherever_it_is_cut),
        };

        return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
