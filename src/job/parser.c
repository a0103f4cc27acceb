/*
 * parser: see parser.h. A thread of the pool that has begun goes on until no client has a turn.
 */
#include "job/parser.h"

#include "base/loop.h"
#include "job/body.h"
#include "job/waiter.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <utlist.h>

/* One of the parses that may run at a time. */
struct parser_slot {
        struct parser *parser;
        struct loop_work *work;
        struct loop *loop; /* on which it was queued last */
        bool busy;         /* guarded by mutex: the work is queued, runs, or is about to be over */
};

struct parser {
        pthread_mutex_t mutex;
        struct parse_line *row; /* guarded by mutex: the clients that have a turn, the next first */
        struct parser_slot slots[PARSER_THREADS];
        _Atomic int64_t parsed;
};

/* ---- a parse ---- */

void parse_run(struct parse *parse)
{
        const struct body *body = parse->body;

        parse->verdict = task_parse(body->data ? body->data : "", body->len, parse->images_max,
                                    &parse->task, parse->message);
        if (parse->verdict == TASK_OK && parse->wants_digest &&
            digest_of(body->data, body->len, parse->digest) < 0) {
                task_done(&parse->task);
                parse->verdict = TASK_NO_MEMORY;
        }
}

void parse_done(struct parse *parse)
{
        assert(parse->state == PARSE_IDLE || parse->state == PARSE_DONE);
        task_done(&parse->task);
        body_unref(parse->body);
        *parse = (struct parse){0};
}

/* ---- the lines ---- */

/* A line has a turn while it has a parse and none is running. */
static void line_add_locked(struct parser *parser, struct parse *parse)
{
        struct parse_line *line = parse->line;

        if (!line->parses && !line->running)
                DL_APPEND(parser->row, line);
        DL_APPEND(line->parses, parse);
        parse->state = PARSE_WAITING;
}

static void line_remove_locked(struct parser *parser, struct parse *parse)
{
        struct parse_line *line = parse->line;

        DL_DELETE(line->parses, parse);
        if (!line->parses && !line->running)
                DL_DELETE(parser->row, line);
        parse->state = PARSE_IDLE;
}

/* Takes the parse whose turn it is, or NULL. */
static struct parse *take_locked(struct parser *parser)
{
        struct parse_line *line = parser->row;

        if (!line)
                return NULL;
        struct parse *parse = line->parses;
        DL_DELETE(parser->row, line);
        DL_DELETE(line->parses, parse);
        line->running = true;
        parse->state = PARSE_RUNNING;
        return parse;
}

static void finish_locked(struct parser *parser, struct parse *parse)
{
        struct parse_line *line = parse->line;

        line->running = false;
        if (line->parses)
                DL_APPEND(parser->row, line);
        parse->state = PARSE_DONE;
        /* From here on its owner may free it. */
        waiters_wake_locked(&parse->waiters, WAITER_FINAL);
}

/* ---- the threads ---- */

/* Thread: one of the pool. */
static void run(void *arg)
{
        struct parser *parser = ((struct parser_slot *)arg)->parser;
        struct parse *parse;

        (void)pthread_mutex_lock(&parser->mutex);
        while ((parse = take_locked(parser))) {
                (void)pthread_mutex_unlock(&parser->mutex);
                parse_run(parse);
                (void)atomic_fetch_add(&parser->parsed, 1);
                (void)pthread_mutex_lock(&parser->mutex);
                finish_locked(parser, parse);
        }
        (void)pthread_mutex_unlock(&parser->mutex);
}

/* A parse may have come since the thread has looked. Thread: the loop's. */
static void on_run_over(void *arg)
{
        struct parser_slot *slot = arg;
        struct parser *parser = slot->parser;

        (void)pthread_mutex_lock(&parser->mutex);
        slot->busy = parser->row != NULL;
        bool again = slot->busy;
        (void)pthread_mutex_unlock(&parser->mutex);
        if (again)
                loop_work_start(slot->work, slot->loop);
}

/* A slot for one more thread, or NULL where none is free or needed. */
static struct parser_slot *need_slot_locked(struct parser *parser)
{
        for (size_t i = 0; parser->row && i < PARSER_THREADS; i++) {
                if (!parser->slots[i].busy) {
                        parser->slots[i].busy = true;
                        return &parser->slots[i];
                }
        }
        return NULL;
}

static void start(struct parser_slot *slot, struct loop *loop)
{
        slot->loop = loop;
        loop_work_start(slot->work, loop);
}

int parser_new(struct parser **ret_parser)
{
        struct parser *parser = calloc(1, sizeof *parser);
        int r = 0;

        if (!parser)
                return -ENOMEM;
        (void)pthread_mutex_init(&parser->mutex, NULL);
        for (size_t i = 0; r == 0 && i < PARSER_THREADS; i++) {
                struct parser_slot *slot = &parser->slots[i];
                slot->parser = parser;
                r = loop_work_new(run, on_run_over, slot, &slot->work);
        }
        if (r < 0) {
                parser_free(parser);
                return r;
        }
        *ret_parser = parser;
        return 0;
}

void parser_start(struct parser *parser, struct loop *loop)
{
        (void)pthread_mutex_lock(&parser->mutex);
        bool idle = !parser->slots[0].busy; /* another worker may have a body already */
        parser->slots[0].busy = true;
        (void)pthread_mutex_unlock(&parser->mutex);
        if (idle)
                start(&parser->slots[0], loop);
}

void parser_free(struct parser *parser)
{
        if (!parser)
                return;
        assert(!parser->row);
        for (size_t i = 0; i < PARSER_THREADS; i++)
                loop_work_free(parser->slots[i].work);
        (void)pthread_mutex_destroy(&parser->mutex);
        free(parser);
}

bool parser_wait(struct parser *parser, struct parse_line *line, struct parse *parse,
                 struct loop *loop, struct waiter *waiter)
{
        (void)pthread_mutex_lock(&parser->mutex);
        bool waits = parse->state == PARSE_IDLE;
        struct parser_slot *slot = NULL;
        if (waits) {
                parse->line = line;
                waiters_add_locked(&parse->waiters, waiter);
                line_add_locked(parser, parse);
                slot = need_slot_locked(parser);
        }
        (void)pthread_mutex_unlock(&parser->mutex);
        if (slot)
                start(slot, loop);
        return waits;
}

bool parser_unwait(struct parser *parser, struct parse *parse, struct waiter *waiter)
{
        (void)pthread_mutex_lock(&parser->mutex);
        bool waited = parse->state == PARSE_WAITING;
        if (waited) {
                (void)waiters_remove_locked(&parse->waiters, waiter);
                line_remove_locked(parser, parse);
        }
        (void)pthread_mutex_unlock(&parser->mutex);
        return waited;
}

int64_t parser_count(const struct parser *parser)
{
        return atomic_load(&parser->parsed);
}
