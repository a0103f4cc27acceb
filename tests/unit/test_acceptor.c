/*
 * Tests of http/acceptor: how many connections a turn of the loop accepts.
 */
#include "http/acceptor.h"

#include "base/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define CLIENTS 150

static int accepted;

static bool on_admit(void *arg)
{
        (void)arg;
        return true;
}

static void on_accepted(void *arg, int fd, const struct sockaddr *address, socklen_t len)
{
        (void)arg, (void)address, (void)len;
        accepted++;
        (void)close(fd);
}

static void on_failed(void *arg, int error)
{
        (void)arg, (void)error;
        fail();
}

static void test_a_turn_accepts_many_but_not_all(void **state)
{
        static const int after_turn[] = {ACCEPTOR_TURN_MAX, 2 * ACCEPTOR_TURN_MAX, CLIENTS,
                                         CLIENTS};
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int clients[CLIENTS];
        struct loop *loop;
        struct acceptor *acceptor;

        (void)state;
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(listener, CLIENTS), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        for (int i = 0; i < CLIENTS; i++) {
                clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_int_equal(connect(clients[i], (struct sockaddr *)&address, sizeof address),
                                 0);
        }
        assert_int_equal(loop_new(&loop), 0);
        const struct acceptor_setup setup = {.loop = loop,
                                             .socket = listener,
                                             .admit = on_admit,
                                             .accepted = on_accepted,
                                             .failed = on_failed};
        assert_int_equal(acceptor_new(&setup, &acceptor), 0);
        for (size_t turn = 0; turn < sizeof after_turn / sizeof *after_turn; turn++) {
                (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
                assert_int_equal(accepted, after_turn[turn]);
        }
        acceptor_free(acceptor);
        loop_free(loop);
        for (int i = 0; i < CLIENTS; i++)
                (void)close(clients[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_turn_accepts_many_but_not_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
