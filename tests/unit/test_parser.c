/*
 * Tests of job/parser. libuv's pool has one thread here, so parses end in a known order; and the
 * thread is held at first, so the lines are complete before the first parse begins.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "base/loop.h"
#include "job/body.h"
#include "job/parser.h"
#include "job/waiter.h"

#define PARSES_MAX 16

static const char good[] =
        "{\"images\":[\"QUJD\"],\"target\":\"bus\",\"method\":\"hcaptcha_base64\"}";

struct fixture;

/* A request that waits for its body. */
struct held {
        struct waiter waiter;
        struct parse parse;
        struct fixture *fixture;
        char name; /* written when it is parsed */
};

struct fixture {
        struct loop *loop;
        struct parser *parser;
        struct body_pool pool;
        struct loop_work *blocker;
        sem_t blocks, go_on;
        struct parse_line clients[3];
        struct held held[PARSES_MAX];
        size_t count;
        size_t awaited; /* the loop ends with the last */
        char order[PARSES_MAX + 1];
};

static void block(void *arg)
{
        struct fixture *f = arg;

        (void)sem_post(&f->blocks);
        (void)sem_wait(&f->go_on);
}

static void on_unblocked(void *arg)
{
        (void)arg;
}

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);

        assert_non_null(f);
        atomic_init(&f->pool.max_bytes, 1 << 30);
        atomic_init(&f->pool.body_max_bytes, 1 << 30);
        assert_int_equal(sem_init(&f->blocks, 0, 0), 0);
        assert_int_equal(sem_init(&f->go_on, 0, 0), 0);
        assert_int_equal(loop_new(&f->loop), 0);
        assert_int_equal(parser_new(&f->parser), 0);
        assert_int_equal(loop_work_new(block, on_unblocked, f, &f->blocker), 0);
        loop_work_start(f->blocker, f->loop);
        (void)sem_wait(&f->blocks);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        (void)sem_post(&f->go_on); /* where the test has not */
        loop_free(f->loop);
        parser_free(f->parser);
        loop_work_free(f->blocker);
        for (size_t i = 0; i < f->count; i++)
                parse_done(&f->held[i].parse);
        assert_int_equal(f->pool.bytes, 0);
        free(f);
        return 0;
}

static void on_parsed(struct mail *mail)
{
        struct held *held = (struct held *)mail;
        struct fixture *f = held->fixture;

        assert_int_equal(held->parse.state, PARSE_DONE);
        f->order[strlen(f->order)] = held->name;
        if (--f->awaited == 0)
                loop_stop(f->loop);
}

/* The body of a client begins to wait. */
static struct held *wait_for(struct fixture *f, size_t client, const char *text, char name)
{
        struct held *held = &f->held[f->count++];

        *held = (struct held){
                .waiter = {.mail.deliver = on_parsed, .loop = f->loop, .level = WAITER_FINAL},
                .fixture = f,
                .name = name};
        assert_int_equal(body_new(&f->pool, NULL, (int64_t)strlen(text), &held->parse.body), 0);
        if (text[0] != '\0')
                assert_int_equal(body_append(held->parse.body, text, strlen(text)), 0);
        held->parse.images_max = 1;
        assert_true(
                parser_wait(f->parser, &f->clients[client], &held->parse, f->loop, &held->waiter));
        f->awaited++;
        return held;
}

static bool unwait(struct fixture *f, struct held *held)
{
        if (!parser_unwait(f->parser, &held->parse, &held->waiter))
                return false;
        assert_int_equal(held->parse.state, PARSE_IDLE);
        f->awaited--;
        return true;
}

/* Lets the pool's thread go on, and runs until all is parsed. */
static void run(struct fixture *f)
{
        (void)sem_post(&f->go_on);
        loop_run(f->loop);
        assert_int_equal(f->awaited, 0);
}

static void a_body_is_parsed_off_the_loop_as_on_it(void **state)
{
        struct fixture *f = *state;
        struct held *held = wait_for(f, 0, good, 'a');
        struct parse here = {
                .body = body_ref(held->parse.body), .images_max = 1, .wants_digest = true};

        held->parse.wants_digest = true; /* the thread has not begun */
        run(f);
        parse_run(&here);
        assert_int_equal(held->parse.verdict, TASK_OK);
        assert_string_equal(held->parse.task.target_json, "\"bus\"");
        assert_memory_equal(&held->parse.task.identity, &here.task.identity, TASK_IDENTITY_BYTES);
        assert_memory_equal(held->parse.digest, here.digest, DIGEST_BYTES);
        assert_int_equal(parser_count(f->parser), 1);
        parse_done(&here);
}

static void a_faulty_body_has_its_verdict_and_message(void **state)
{
        struct fixture *f = *state;
        struct held *no_json = wait_for(f, 0, "{", 'a');
        struct held *no_job = wait_for(f, 0, "{}", 'b');
        struct held *empty = wait_for(f, 0, "", 'c');

        run(f);
        assert_int_equal(no_json->parse.verdict, TASK_BAD_JSON);
        assert_non_null(strstr(no_json->parse.message, "byte 2"));
        assert_int_equal(no_job->parse.verdict, TASK_BAD_JOB);
        assert_int_equal(empty->parse.verdict, TASK_BAD_JSON);
}

static void clients_take_turns_however_many_bodies_one_has(void **state)
{
        struct fixture *f = *state;

        for (size_t i = 0; i < 5; i++)
                (void)wait_for(f, 0, good, 'a');
        (void)wait_for(f, 1, good, 'b');
        (void)wait_for(f, 1, good, 'b');
        (void)wait_for(f, 2, good, 'c');
        run(f);
        assert_string_equal(f->order, "abcabaaa");
        assert_int_equal(parser_count(f->parser), 8);
}

static void a_waiting_body_can_be_taken_back(void **state)
{
        struct fixture *f = *state;
        struct held *first = wait_for(f, 0, good, 'a');
        struct held *second = wait_for(f, 0, good, 'b');
        struct held *only = wait_for(f, 1, good, 'c');

        assert_true(unwait(f, first));
        assert_true(unwait(f, only));
        assert_false(unwait(f, only));
        assert_false(only->waiter.armed);
        (void)wait_for(f, 1, good, 'd');
        run(f);
        assert_string_equal(f->order, "bd");
        assert_int_equal(second->parse.state, PARSE_DONE);
        assert_false(unwait(f, second));
}

static void when_all_were_taken_back_nothing_is_parsed(void **state)
{
        struct fixture *f = *state;
        struct held *held = wait_for(f, 0, good, 'a');

        assert_true(unwait(f, held));
        (void)sem_post(&f->go_on);
        loop_free(f->loop); /* waits for the thread */
        assert_int_equal(parser_count(f->parser), 0);
        assert_int_equal(loop_new(&f->loop), 0);
}

static void a_parsed_body_does_not_wait(void **state)
{
        struct fixture *f = *state;
        struct held *held = wait_for(f, 0, good, 'a');

        run(f);
        assert_false(parser_wait(f->parser, &f->clients[0], &held->parse, f->loop, &held->waiter));
        assert_false(held->waiter.armed);
}

/* ---- with several loops ---- */

#define CROWD        4
#define CROWD_ROUNDS 200

/* The loops end together, as the daemon's do: a loop that has queued work is needed for its end. */
struct crowd;

struct member {
        struct mail stop;
        struct crowd *crowd;
        struct loop *loop;
        struct parser *parser;
        struct parse_line *line;
        struct body *body;
        struct waiter waiter;
        struct parse parse;
        int rounds;
        pthread_t thread;
};

struct crowd {
        struct member members[CROWD];
        _Atomic int busy;
};

static void on_stop(struct mail *mail)
{
        loop_stop(((struct member *)mail)->loop);
}

static void next_round(struct member *member);

static void on_round(struct mail *mail)
{
        struct member *member = (struct member *)((char *)mail - offsetof(struct member, waiter));

        assert_int_equal(member->parse.verdict, TASK_OK);
        parse_done(&member->parse);
        next_round(member);
}

static void stop_all(struct crowd *crowd)
{
        for (size_t i = 0; i < CROWD; i++) {
                crowd->members[i].stop.deliver = on_stop;
                loop_post(crowd->members[i].loop, &crowd->members[i].stop);
        }
}

static void next_round(struct member *member)
{
        if (member->rounds++ == CROWD_ROUNDS) {
                struct crowd *crowd = member->crowd;
                if (atomic_fetch_sub(&crowd->busy, 1) == 1)
                        stop_all(crowd);
                return;
        }
        member->parse = (struct parse){.body = body_ref(member->body), .images_max = 1};
        member->waiter = (struct waiter){
                .mail.deliver = on_round, .loop = member->loop, .level = WAITER_FINAL};
        assert_true(parser_wait(member->parser, member->line, &member->parse, member->loop,
                                &member->waiter));
        /* Sometimes it is taken back, and waits again. */
        if (member->rounds % 3 == 0 &&
            parser_unwait(member->parser, &member->parse, &member->waiter))
                assert_true(parser_wait(member->parser, member->line, &member->parse, member->loop,
                                        &member->waiter));
}

static void *run_member(void *arg)
{
        struct member *member = arg;

        next_round(member);
        loop_run(member->loop);
        return NULL;
}

static void no_body_is_forgotten_when_loops_share_the_lines(void **state)
{
        struct fixture *f = *state;
        struct crowd crowd = {.busy = CROWD};
        struct body *body;

        (void)sem_post(&f->go_on);
        assert_int_equal(body_new(&f->pool, NULL, (int64_t)strlen(good), &body), 0);
        assert_int_equal(body_append(body, good, strlen(good)), 0);
        for (size_t i = 0; i < CROWD; i++) {
                crowd.members[i].crowd = &crowd;
                crowd.members[i].parser = f->parser;
                crowd.members[i].line = &f->clients[i % 2];
                crowd.members[i].body = body;
                assert_int_equal(loop_new(&crowd.members[i].loop), 0);
        }
        for (size_t i = 0; i < CROWD; i++)
                assert_int_equal(pthread_create(&crowd.members[i].thread, NULL, run_member,
                                                &crowd.members[i]),
                                 0);
        for (size_t i = 0; i < CROWD; i++)
                assert_int_equal(pthread_join(crowd.members[i].thread, NULL), 0);
        for (size_t i = 0; i < CROWD; i++)
                loop_free(crowd.members[i].loop);
        assert_int_equal(parser_count(f->parser), CROWD * CROWD_ROUNDS);
        body_unref(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_body_is_parsed_off_the_loop_as_on_it),
                TEST(a_faulty_body_has_its_verdict_and_message),
                TEST(clients_take_turns_however_many_bodies_one_has),
                TEST(a_waiting_body_can_be_taken_back),
                TEST(when_all_were_taken_back_nothing_is_parsed),
                TEST(a_parsed_body_does_not_wait),
                TEST(no_body_is_forgotten_when_loops_share_the_lines),
        };

        (void)setenv("UV_THREADPOOL_SIZE", "1", 1);
        int failed = cmocka_run_group_tests(tests, NULL, NULL);

        uv_library_shutdown(); /* ends the pool's threads, and frees what libcrypto keeps for them
                                */
        return failed;
}
