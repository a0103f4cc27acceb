/*
 * How much each turn of libmicrohttpd does, and that each connection is read. The part of
 * libmicrohttpd is played here, in several orders of reading.
 */
#include "http/connection_private.h"
#include "http/pause.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CONNECTIONS 1000
#define LIGHT_BYTES 100  /* of a header */
#define HEAVY_BYTES 7000 /* 34 of them are the work of a turn */
#define HEAVY_WORK  (HEAVY_BYTES * PAUSE_HEADER_BYTE_WORK + PAUSE_REQUEST_WORK)
#define TURN_MAX    (PAUSE_TURN_WORK + HEAVY_WORK)

struct scene {
        struct server_shared shared;
        struct server server;
        struct connection_table table;
        struct client_connection connections[CONNECTIONS];
        size_t waiting[CONNECTIONS]; /* bytes that have come */
        bool suspended[CONNECTIONS];
        size_t suspensions;
        bool reversed; /* the order of reading */
};

static struct scene *scene;

/* The handle of a connection is its number, and 1. */
static size_t number_of(const struct MHD_Connection *mhd)
{
        return (size_t)(uintptr_t)mhd - 1;
}

void MHD_suspend_connection(struct MHD_Connection *mhd)
{
        assert_false(scene->suspended[number_of(mhd)]);
        scene->suspended[number_of(mhd)] = true;
        scene->suspensions++;
}

void MHD_resume_connection(struct MHD_Connection *mhd)
{
        assert_true(scene->suspended[number_of(mhd)]);
        scene->suspended[number_of(mhd)] = false;
}

static int set_up(void **state)
{
        int fd = eventfd(0, EFD_CLOEXEC);

        scene = test_calloc(1, sizeof *scene);
        assert_true(fd >= 0);
        scene->server.shared = &scene->shared;
        scene->table.server = &scene->server;
        for (size_t i = 0; i < CONNECTIONS; i++) {
                scene->connections[i].table = &scene->table;
                scene->connections[i].fd = fd;
                scene->connections[i].mhd = (struct MHD_Connection *)(uintptr_t)(i + 1);
        }
        *state = scene;
        return 0;
}

static int tear_down(void **state)
{
        (void)close(scene->connections[0].fd);
        test_free(*state);
        return 0;
}

static void read_one(size_t i)
{
        struct client_connection *connection = &scene->connections[i];

        if (scene->suspended[i] || scene->waiting[i] == 0 || pause_read(connection))
                return;
        pause_count_header(connection, scene->waiting[i]);
        pause_count_request(connection);
        scene->waiting[i] = 0;
}

static void turn(void)
{
        scene->server.again = false;
        pause_turn(&scene->server);
        for (size_t i = 0; i < CONNECTIONS; i++)
                read_one(scene->reversed ? CONNECTIONS - 1 - i : i);
        assert_true(scene->server.turn_work <= TURN_MAX);
}

static void send_to_all(size_t bytes)
{
        for (size_t i = 0; i < CONNECTIONS; i++)
                scene->waiting[i] = bytes;
}

static size_t count_waiting(void)
{
        size_t count = 0;

        for (size_t i = 0; i < CONNECTIONS; i++)
                count += scene->waiting[i] > 0;
        return count;
}

/* Returns in how many turns all were read. */
static unsigned turn_until_all_are_read(void)
{
        unsigned turns = 0;

        do {
                turn();
                turns++;
                assert_true(scene->server.again || count_waiting() == 0);
                assert_true(turns <= CONNECTIONS);
        } while (scene->server.again);
        assert_int_equal(count_waiting(), 0);
        return turns;
}

static void no_turn_does_more_when_requests_are_heavier_than_those_before(void **state)
{
        const unsigned least = CONNECTIONS * (size_t)HEAVY_WORK / TURN_MAX;

        (void)state;
        for (int round = 0; round < 4; round++) {
                scene->reversed = round % 2;
                send_to_all(LIGHT_BYTES);
                (void)turn_until_all_are_read();
                scene->suspensions = 0;
                send_to_all(HEAVY_BYTES);
                assert_true(turn_until_all_are_read() <= 2 * least);
                assert_true(scene->suspensions <= (size_t)3 * CONNECTIONS);
        }
}

static void no_turn_does_more_for_connections_that_did_nothing_before(void **state)
{
        (void)state;
        send_to_all(HEAVY_BYTES);
        (void)turn_until_all_are_read();
}

/* Others send again as soon as they were read, and are read before it if libmicrohttpd may. */
static void assert_is_read(size_t one, size_t others_bytes)
{
        send_to_all(LIGHT_BYTES);
        (void)turn_until_all_are_read();
        send_to_all(others_bytes);
        turn();
        turn();
        for (unsigned turns = 0; scene->waiting[one] > 0; turns++) {
                assert_true(turns <= CONNECTIONS);
                for (size_t i = 0; i < CONNECTIONS; i++)
                        if (i != one)
                                scene->waiting[i] = others_bytes;
                turn();
        }
}

static void nobody_waits_for_ever_while_others_send_again(void **state)
{
        (void)state;
        for (int round = 0; round < 2; round++) {
                scene->reversed = round;
                assert_is_read(0, HEAVY_BYTES);
                assert_is_read(CONNECTIONS / 2, HEAVY_BYTES);
                assert_is_read(CONNECTIONS - 1, HEAVY_BYTES);
                assert_is_read(CONNECTIONS - 1, LIGHT_BYTES);
        }
}

/* Those that come first make all the work that a turn may do. */
static void a_connection_that_is_alone_in_the_line_is_read_before_others(void **state)
{
        (void)state;
        for (size_t i = 0; i < CONNECTIONS / 2; i++)
                scene->waiting[i] = HEAVY_BYTES;
        turn();
        scene->waiting[CONNECTIONS - 1] = HEAVY_BYTES;
        while (scene->waiting[CONNECTIONS - 1] > 0) {
                for (size_t i = 0; i < CONNECTIONS / 2; i++)
                        scene->waiting[i] = HEAVY_BYTES;
                turn();
                assert_true(scene->server.turns <= CONNECTIONS);
        }
}

/* Requests that came in one read with others do not wait. */
static void one_resumed_connection_is_read_whatever_was_done_before_it(void **state)
{
        (void)state;
        send_to_all(HEAVY_BYTES);
        turn();
        pause_turn(&scene->server);
        pause_count_header(&scene->connections[0], FRAMING_HEADER_BYTES_MAX);
        while (scene->server.turn_work < PAUSE_TURN_WORK)
                pause_count_request(&scene->connections[0]);
        size_t before = count_waiting();
        for (size_t i = 0; i < CONNECTIONS; i++)
                read_one(i);
        assert_int_equal(count_waiting(), before - 1);
}

static void at_the_end_nothing_is_left_suspended(void **state)
{
        (void)state;
        send_to_all(LIGHT_BYTES);
        (void)turn_until_all_are_read();
        send_to_all(HEAVY_BYTES);
        turn();
        turn();
        assert_non_null(scene->server.paused);
        assert_non_null(scene->server.passed_over);
        pause_end(&scene->server);
        for (size_t i = 0; i < CONNECTIONS; i++) {
                assert_false(scene->suspended[i]);
                assert_false(scene->connections[i].is_paused);
                assert_false(pause_read(&scene->connections[i]));
        }
}

static void resumed_connections_that_have_ended_do_not_hold_up_others(void **state)
{
        enum { SENDERS = 40, OTHER = SENDERS };

        (void)state;
        for (size_t i = 0; i < SENDERS; i++)
                scene->waiting[i] = HEAVY_BYTES;
        turn();
        assert_true(count_waiting() > 0);
        pause_turn(&scene->server);
        for (size_t i = 0; i < SENDERS; i++) {
                if (scene->waiting[i] > 0)
                        pause_skip(&scene->connections[i]);
                scene->waiting[i] = 0;
        }
        scene->waiting[OTHER] = LIGHT_BYTES;
        read_one(OTHER);
        assert_int_equal(scene->waiting[OTHER], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(no_turn_does_more_when_requests_are_heavier_than_those_before),
                TEST(no_turn_does_more_for_connections_that_did_nothing_before),
                TEST(nobody_waits_for_ever_while_others_send_again),
                TEST(a_connection_that_is_alone_in_the_line_is_read_before_others),
                TEST(one_resumed_connection_is_read_whatever_was_done_before_it),
                TEST(at_the_end_nothing_is_left_suspended),
                TEST(resumed_connections_that_have_ended_do_not_hold_up_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
