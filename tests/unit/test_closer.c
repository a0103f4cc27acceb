/*
 * Tests of http/closer: how much one tick drops of what lingering connections send.
 */
#include "http/closer.h"

#include "base/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define CONNECTIONS 64
#define SENT_BYTES  131072 /* by each, together twice CLOSER_TICK_BYTES */
#define ROOM_BYTES  400000

struct fixture {
        struct loop *loop;
        struct closer *closer;
        _Atomic int files;
        int clients[CONNECTIONS], servers[CONNECTIONS];
};

static int listen_anywhere(struct sockaddr_in *address)
{
        socklen_t len = sizeof *address;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), room = ROOM_BYTES;

        *address = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
        assert_int_equal(listen(fd, CONNECTIONS), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
        return fd;
}

static size_t waiting_bytes(int fd)
{
        int bytes = 0;

        assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
        return (size_t)bytes;
}

static void setup(struct fixture *fixture, size_t connections)
{
        static const char sent[SENT_BYTES];
        struct sockaddr_in address;
        int listener = listen_anywhere(&address);

        fixture->files = 0;
        assert_int_equal(loop_new(&fixture->loop), 0);
        assert_int_equal(closer_new(fixture->loop, &fixture->files, &fixture->closer), 0);
        for (size_t i = 0; i < connections; i++) {
                int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
                int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                assert_true(server >= 0);
                assert_int_equal(send(client, sent, sizeof sent, 0), SENT_BYTES);
                while (waiting_bytes(server) < SENT_BYTES)
                        (void)usleep(100);
                fixture->clients[i] = client;
                fixture->servers[i] = server;
        }
        for (size_t i = 0; i < connections; i++)
                closer_add(fixture->closer, fixture->servers[i]);
        assert_int_equal(fixture->files, connections);
        (void)close(listener);
}

static void teardown(struct fixture *fixture, size_t connections)
{
        for (size_t i = 0; i < connections; i++) {
                (void)close(fixture->clients[i]);
                (void)close(fixture->servers[i]);
        }
        closer_free(fixture->closer);
        loop_free(fixture->loop);
        assert_int_equal(fixture->files, 0);
}

static size_t all_waiting_bytes(const struct fixture *fixture)
{
        size_t sum = 0;

        for (size_t i = 0; i < CONNECTIONS; i++)
                sum += waiting_bytes(fixture->servers[i]);
        return sum;
}

/* A turn of the loop has at most one tick. */
static void run_to_next_tick(const struct fixture *fixture)
{
        size_t before = all_waiting_bytes(fixture);

        while (all_waiting_bytes(fixture) == before)
                (void)uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
}

static void test_a_tick_drops_a_share_of_each(void **state)
{
        struct fixture fixture;

        (void)state;
        setup(&fixture, CONNECTIONS);
        run_to_next_tick(&fixture);
        assert_int_equal(all_waiting_bytes(&fixture),
                         (size_t)CONNECTIONS * SENT_BYTES - CLOSER_TICK_BYTES);
        for (size_t i = 0; i < CONNECTIONS; i++)
                assert_int_equal(waiting_bytes(fixture.servers[i]),
                                 SENT_BYTES - CLOSER_TICK_BYTES / CONNECTIONS);
        run_to_next_tick(&fixture);
        assert_int_equal(all_waiting_bytes(&fixture), 0);
        teardown(&fixture, CONNECTIONS);
}

static void test_who_sends_nothing_leaves_its_share(void **state)
{
        static const char more[SENT_BYTES];
        struct fixture fixture;
        int last = CONNECTIONS - 1;

        (void)state;
        setup(&fixture, CONNECTIONS);
        run_to_next_tick(&fixture);
        run_to_next_tick(&fixture);
        assert_int_equal(send(fixture.clients[last], more, sizeof more, 0), SENT_BYTES);
        while (waiting_bytes(fixture.servers[last]) < SENT_BYTES)
                (void)usleep(100);
        run_to_next_tick(&fixture);
        assert_int_equal(all_waiting_bytes(&fixture), 0);
        teardown(&fixture, CONNECTIONS);
}

static void test_a_client_that_has_ended_is_let_go(void **state)
{
        struct fixture fixture;

        (void)state;
        setup(&fixture, 2);
        assert_int_equal(shutdown(fixture.clients[0], SHUT_WR), 0);
        while (fixture.files == 2)
                (void)uv_run(loop_uv(fixture.loop), UV_RUN_ONCE);
        assert_int_equal(fixture.files, 1);
        assert_true(closer_end_oldest(fixture.closer));
        assert_false(closer_end_oldest(fixture.closer));
        teardown(&fixture, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_tick_drops_a_share_of_each),
                cmocka_unit_test(test_who_sends_nothing_leaves_its_share),
                cmocka_unit_test(test_a_client_that_has_ended_is_let_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
