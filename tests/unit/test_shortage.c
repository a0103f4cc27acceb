/*
 * How many flights there are while file descriptors or memory for connections are short. Time is a
 * number here.
 */
#include "forward/shortage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START_MS 1000000
#define KICK_MS  10

/* A forwarder, whose flights get one of so many connections or are back in the queue. */
struct model {
        struct shortage shortage;
        int64_t now_ms;
        size_t flights, connections;
        unsigned unconnected; /* flights that got no connection */
};

/* Begins as many flights as it may, up to slots. */
static void kick(struct model *model, size_t slots)
{
        int64_t again_ms = 0;

        while (model->flights < slots &&
               shortage_allows(&model->shortage, model->flights, model->now_ms, &again_ms)) {
                if (model->flights == model->connections) {
                        model->unconnected++;
                        shortage_note(&model->shortage, model->flights, model->now_ms);
                        break; /* it has a pause of its own */
                }
                model->flights++;
        }
}

static void kick_for(struct model *model, size_t slots, int64_t duration_ms)
{
        for (int64_t end_ms = model->now_ms + duration_ms; model->now_ms < end_ms;
             model->now_ms += KICK_MS)
                kick(model, slots);
}

static void finish_one(struct model *model)
{
        model->flights--;
        shortage_note_connection(&model->shortage);
}

static void without_a_shortage_there_is_no_limit(void **state)
{
        struct model model = {.now_ms = START_MS, .connections = 500};
        (void)state;

        kick(&model, 500);
        assert_int_equal(model.flights, 500);
        finish_one(&model);
        assert_false(model.shortage.limited);
}

static void a_lasting_shortage_is_tried_once_in_each_longer_pause(void **state)
{
        struct model model = {.now_ms = START_MS};
        (void)state;

        kick_for(&model, 50, 1000);
        assert_in_range(model.unconnected, 2, 5);
        kick_for(&model, 50, 100000);
        /* A pause is 2 s on average, and 0.25 s at least. */
        assert_in_range(model.unconnected, 25, 200);
}

static void the_limit_is_what_got_connections(void **state)
{
        struct model model = {.now_ms = START_MS, .connections = 30};
        (void)state;

        kick(&model, 500);
        assert_int_equal(model.unconnected, 1);
        for (int i = 0; i < 100; i++) {
                kick(&model, 500);
                assert_int_equal(model.flights, 30);
        }
        assert_int_equal(model.unconnected, 1);
}

static void each_answer_lets_one_begin(void **state)
{
        struct model model = {.now_ms = START_MS, .connections = 30};
        (void)state;

        kick(&model, 500);
        for (int i = 0; i < 100; i++) {
                finish_one(&model);
                kick(&model, 500);
                assert_int_equal(model.flights, 30);
        }
        assert_in_range(model.unconnected, 1, 101);
}

static void the_end_of_a_shortage_ends_the_limit_soon(void **state)
{
        struct model model = {.now_ms = START_MS};
        (void)state;

        kick_for(&model, 500, 60000);
        assert_int_equal(model.flights, 0);
        model.connections = 1000;
        /* The pause of the last shortage, the one of the first connection, and short ones. */
        kick_for(&model, 500,
                 2 * (SHORTAGE_PAUSE_MAX_MS + KICK_MS) + 10 * (SHORTAGE_PAUSE_MIN_MS + KICK_MS));
        assert_int_equal(model.flights, 500);
        kick_for(&model, 1000, 2 * (SHORTAGE_PAUSE_MIN_MS + KICK_MS));
        assert_int_equal(model.flights, 1000);
        assert_false(model.shortage.limited);
}

static void the_end_of_the_pause_is_told(void **state)
{
        struct shortage shortage = {0};
        int64_t again_ms = 0;
        (void)state;

        shortage_note(&shortage, 3, START_MS);
        assert_false(shortage_allows(&shortage, 3, START_MS, &again_ms));
        assert_int_equal(again_ms, START_MS + SHORTAGE_PAUSE_MIN_MS);
        assert_true(shortage_allows(&shortage, 2, START_MS, &again_ms));
        assert_true(shortage_allows(&shortage, 3, again_ms, &again_ms));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_a_shortage_there_is_no_limit),
                cmocka_unit_test(a_lasting_shortage_is_tried_once_in_each_longer_pause),
                cmocka_unit_test(the_limit_is_what_got_connections),
                cmocka_unit_test(each_answer_lets_one_begin),
                cmocka_unit_test(the_end_of_a_shortage_ends_the_limit_soon),
                cmocka_unit_test(the_end_of_the_pause_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
