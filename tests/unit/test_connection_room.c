/*
 * Which connection makes room for another client's, and that a search counts as work.
 */
#include "http/connection_private.h"
#include "http/pause.h"
#include "http/request.h"
#include "http/request_private.h"

#include "access/clients.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <utlist.h>

#define CONNECTIONS 8
#define LONG_MS     60000 /* it is slow */
#define YOUNG_MS    0     /* it is not, for as long as a test takes */

struct scene {
        struct server_shared shared;
        struct server server;
        struct connection_table table;
        struct client greedy, modest;
        struct client_connection newcomer;
        struct client_connection connections[CONNECTIONS];
        struct request request; /* the one that is held */
        int count;
};

static int set_up(void **state)
{
        struct scene *scene = test_calloc(1, sizeof *scene);

        scene->server.shared = &scene->shared;
        scene->server.turns = 1;
        scene->table.server = &scene->server;
        scene->table.events = &request_connection_events;
        atomic_store(&scene->greedy.connections, 100);
        atomic_store(&scene->modest.connections, 1);
        scene->newcomer.table = &scene->table;
        scene->newcomer.phase = CONNECTION_BUSY;
        scene->newcomer.room = CONNECTION_OVER_LIMIT;
        scene->newcomer.client = &scene->modest;
        scene->newcomer.served = true;
        *state = scene;
        return 0;
}

static int tear_down(void **state)
{
        test_free(*state);
        return 0;
}

static bool never(const struct heap_node *a, const struct heap_node *b)
{
        (void)a;
        (void)b;
        return false;
}

/* It has a seat, and all seats are taken. BUSY: it is held. A young one is young for hours, so that
 * it does not matter how long the test takes. */
static struct client_connection *add(struct scene *scene, enum connection_phase phase,
                                     int64_t age_ms)
{
        struct client_connection *connection = &scene->connections[scene->count++];
        int64_t now_ms = clock_monotonic_ms();

        assert_true(scene->count <= CONNECTIONS);
        connection->table = &scene->table;
        connection->fd = -1;
        connection->client = &scene->greedy;
        connection->served = true;
        connection->carried = 1;
        connection->seated = true;
        connection->phase = phase;
        connection->entered_ms = age_ms == YOUNG_MS ? now_ms + 3600000 : now_ms - age_ms;
        if (phase == CONNECTION_BUSY) {
                scene->request.connection = connection;
                connection->held = &scene->request;
                DL_APPEND2(scene->server.held, &scene->request, held_prev, held_next);
        } else {
                DL_APPEND(scene->table.awaited[phase], connection);
                heap_insert(&scene->table.by_deadline, &connection->by_deadline, never);
        }
        (void)atomic_fetch_add(&scene->shared.seats, 1);
        (void)atomic_fetch_add(&scene->shared.connections_max, 1);
        return connection;
}

/* The mail that ends the hold is on its way. */
static bool disarm_too_late(struct request *request)
{
        (void)request;
        return false;
}

/* Each claim gets the seat of one more. */
static bool claim(struct scene *scene)
{
        scene->newcomer.seated = false;
        scene->newcomer.room = CONNECTION_OVER_LIMIT;
        return connection_claim_room(&scene->newcomer) == CONNECTION_ROOM;
}

/* As if it had made progress; only real requests can be cut. */
static void leave_phase(struct client_connection *connection)
{
        assert_true(connection->seated);
        connection_leave_phase(connection);
}

static void a_client_with_more_loses_idle_connections_first_and_responses_last(void **state)
{
        struct scene *scene = *state;
        struct client_connection *reply = add(scene, CONNECTION_REPLY, YOUNG_MS);
        struct client_connection *held = add(scene, CONNECTION_BUSY, YOUNG_MS);
        struct client_connection *body = add(scene, CONNECTION_BODY, YOUNG_MS);
        struct client_connection *header = add(scene, CONNECTION_HEADER, YOUNG_MS);
        struct client_connection *unread = add(scene, CONNECTION_UNREAD, YOUNG_MS);
        struct client_connection *idle = add(scene, CONNECTION_IDLE, YOUNG_MS);

        scene->request.disarm = disarm_too_late;
        assert_true(claim(scene));
        assert_false(idle->seated);
        assert_true(claim(scene));
        assert_false(unread->seated);
        leave_phase(header);
        leave_phase(body);
        assert_true(claim(scene));
        assert_false(held->seated);
        assert_true(reply->seated);
        assert_true(claim(scene));
        assert_false(reply->seated);
        assert_false(claim(scene));
}

static void slow_connections_make_room_before_those_of_a_client_with_more(void **state)
{
        struct scene *scene = *state;
        struct client_connection *young = add(scene, CONNECTION_IDLE, YOUNG_MS);
        struct client_connection *idle = add(scene, CONNECTION_IDLE, LONG_MS);
        struct client_connection *reply = add(scene, CONNECTION_REPLY, LONG_MS);

        assert_true(claim(scene));
        assert_false(reply->seated);
        assert_true(claim(scene));
        assert_false(idle->seated);
        assert_true(claim(scene));
        assert_false(young->seated);
}

static void connections_that_were_only_refused_make_room_before_slow_ones(void **state)
{
        struct scene *scene = *state;
        struct client_connection *slow = add(scene, CONNECTION_IDLE, LONG_MS);
        struct client_connection *refused = add(scene, CONNECTION_REPLY, YOUNG_MS);
        struct client_connection *refused_idle = add(scene, CONNECTION_IDLE, YOUNG_MS);

        refused->served = refused_idle->served = false;
        refused->client = refused_idle->client = NULL;
        assert_true(claim(scene));
        assert_false(refused_idle->seated);
        assert_true(claim(scene));
        assert_false(refused->seated);
        assert_true(claim(scene));
        assert_false(slow->seated);
}

static void of_equal_ones_the_client_with_the_most_loses_its_oldest(void **state)
{
        struct scene *scene = *state;
        struct client other = {.connections = 50};
        struct client_connection *of_other = add(scene, CONNECTION_IDLE, YOUNG_MS);
        struct client_connection *older = add(scene, CONNECTION_IDLE, YOUNG_MS);
        struct client_connection *newer = add(scene, CONNECTION_IDLE, YOUNG_MS);

        of_other->client = &other;
        assert_true(claim(scene));
        assert_false(older->seated);
        assert_true(of_other->seated && newer->seated);
}

static void a_claim_in_vain_looks_once_at_each_connection_and_counts_as_work(void **state)
{
        struct scene *scene = *state;

        for (int i = 0; i < 5; i++)
                add(scene, i % 2 ? CONNECTION_IDLE : CONNECTION_REPLY, YOUNG_MS)->client =
                        &scene->modest;
        add(scene, CONNECTION_BUSY, YOUNG_MS)->client = &scene->modest;
        assert_false(claim(scene));
        assert_int_equal(scene->server.turn_work, 6 * PAUSE_LOOK_WORK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_client_with_more_loses_idle_connections_first_and_responses_last),
                TEST(slow_connections_make_room_before_those_of_a_client_with_more),
                TEST(connections_that_were_only_refused_make_room_before_slow_ones),
                TEST(of_equal_ones_the_client_with_the_most_loses_its_oldest),
                TEST(a_claim_in_vain_looks_once_at_each_connection_and_counts_as_work),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
