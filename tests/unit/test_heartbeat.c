/*
 * Tests of daemon/heartbeat, with loops on threads of their own.
 */
#include "daemon/heartbeat.h"

#include "base/loop.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LOOPS   2
#define BEAT_MS 1
#define HUNG_MS 50 /* many times as long */

struct told {
        struct mail mail;
        struct worker *worker;
};

struct worker {
        struct loop *loop;
        pthread_t thread;
        struct told stop, hang;
        sem_t hangs, go_on;
};

struct fixture {
        struct loop *main_loop;
        struct heartbeat *heartbeat;
        struct worker workers[LOOPS];
        struct loop_timer *timer;
        int heard, wanted; /* of being alive; the main loop ends with the last that is wanted */
};

static void on_alive(void *arg)
{
        struct fixture *fixture = arg;

        if (++fixture->heard == fixture->wanted)
                loop_stop(fixture->main_loop);
}

static void on_stop(struct mail *mail)
{
        loop_stop(((struct told *)mail)->worker->loop);
}

static void on_hang(struct mail *mail)
{
        struct worker *worker = ((struct told *)mail)->worker;

        (void)sem_post(&worker->hangs);
        (void)sem_wait(&worker->go_on);
}

static void on_timer(void *arg)
{
        loop_stop(((struct fixture *)arg)->main_loop);
}

static void *run(void *arg)
{
        loop_run(((struct worker *)arg)->loop);
        return NULL;
}

static void start_worker(struct fixture *fixture, struct worker *worker)
{
        assert_int_equal(loop_new(&worker->loop), 0);
        worker->stop = (struct told){.mail.deliver = on_stop, .worker = worker};
        worker->hang = (struct told){.mail.deliver = on_hang, .worker = worker};
        assert_int_equal(sem_init(&worker->hangs, 0, 0), 0);
        assert_int_equal(sem_init(&worker->go_on, 0, 0), 0);
        heartbeat_add(fixture->heartbeat, worker->loop);
        assert_int_equal(pthread_create(&worker->thread, NULL, run, worker), 0);
}

static int set_up(void **state)
{
        static struct fixture fixture;
        struct heartbeat_setup setup = {
                .alive = on_alive,
                .arg = &fixture,
                .beat_ms = BEAT_MS,
        };

        fixture = (struct fixture){0};
        assert_int_equal(loop_new(&fixture.main_loop), 0);
        assert_int_equal(loop_timer_new(fixture.main_loop, on_timer, &fixture, &fixture.timer), 0);
        setup.main_loop = fixture.main_loop;
        assert_int_equal(heartbeat_new(&setup, LOOPS, &fixture.heartbeat), 0);
        *state = &fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        for (int i = 0; i < LOOPS; i++) {
                struct worker *worker = &fixture->workers[i];
                if (!worker->loop)
                        continue;
                loop_post(worker->loop, &worker->stop.mail);
                assert_int_equal(pthread_join(worker->thread, NULL), 0);
                loop_free(worker->loop);
        }
        heartbeat_free(fixture->heartbeat);
        loop_timer_free(fixture->timer);
        loop_free(fixture->main_loop);
        return 0;
}

static void hear(struct fixture *fixture, int times)
{
        fixture->wanted = fixture->heard + times;
        loop_run(fixture->main_loop);
}

static void it_is_heard_again_and_again_while_all_loops_turn(void **state)
{
        struct fixture *fixture = *state;

        for (int i = 0; i < LOOPS; i++)
                start_worker(fixture, &fixture->workers[i]);
        heartbeat_start(fixture->heartbeat);
        hear(fixture, 20);
        assert_int_equal(fixture->heard, 20);
}

static void it_is_heard_of_the_main_loop_alone(void **state)
{
        struct fixture *fixture = *state;

        heartbeat_start(fixture->heartbeat);
        hear(fixture, 3);
        assert_int_equal(fixture->heard, 3);
}

static void nothing_is_heard_while_one_loop_hangs_and_again_when_it_goes_on(void **state)
{
        struct fixture *fixture = *state;
        struct worker *hanging = &fixture->workers[1];

        for (int i = 0; i < LOOPS; i++)
                start_worker(fixture, &fixture->workers[i]);
        loop_post(hanging->loop, &hanging->hang.mail);
        (void)sem_wait(&hanging->hangs);
        heartbeat_start(fixture->heartbeat);
        loop_timer_start(fixture->timer, HUNG_MS, 0);
        loop_run(fixture->main_loop); /* ends by the timer */
        assert_int_equal(fixture->heard, 0);
        (void)sem_post(&hanging->go_on);
        hear(fixture, 2);
        assert_int_equal(fixture->heard, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(it_is_heard_again_and_again_while_all_loops_turn),
                TEST(it_is_heard_of_the_main_loop_alone),
                TEST(nothing_is_heard_while_one_loop_hangs_and_again_when_it_goes_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
