/*
 * parser: parses large request bodies on libuv's thread pool, so that no loop waits for one.
 *
 * Each client has a line. At most one body of a client is parsed at a time, and PARSER_THREADS in
 * all. Clients take turns: a body at the head of its line waits for at most one parse of each other
 * client. docs/http-server.md has the states.
 *
 * The lines are guarded by the parser's mutex.
 */
#ifndef SOLVEGATE_JOB_PARSER_H
#define SOLVEGATE_JOB_PARSER_H

#include "base/digest.h"
#include "job/task.h"

#include <stdbool.h>
#include <stdint.h>

#define PARSER_THREADS 2 /* of the four that libuv has by default */

struct body;
struct loop;
struct parser;
struct waiter;

enum parse_state {
        PARSE_IDLE,    /* in no line */
        PARSE_WAITING, /* in its client's line */
        PARSE_RUNNING, /* a thread reads the body */
        PARSE_DONE,    /* the result is valid */
};

/* A body, and what became of it. Zeroed at first, and PARSE_IDLE. */
struct parse {
        /* set by the owner while it is idle */
        struct body *body;   /* a reference; parse_done() drops it */
        unsigned images_max; /* as of task_parse() */
        bool wants_digest;   /* the body has an Idempotency-Key, which goes with its digest */

        /* the result, valid when it is done */
        enum task_verdict verdict;
        struct task task;                     /* valid with TASK_OK */
        unsigned char digest[DIGEST_BYTES];   /* of the whole body; likewise, with wants_digest */
        char message[TASK_MESSAGE_BYTES_MAX]; /* valid with other verdicts */

        /* guarded by the parser's mutex */
        enum parse_state state;
        struct parse_line *line; /* valid while it is waiting or running */
        struct waiter *waiters;
        struct parse *prev, *next; /* valid while it is waiting */
};

/* The bodies of one client that wait. Zeroed at first. Guarded by the parser's mutex. */
struct parse_line {
        struct parse *parses;           /* the oldest at the head */
        bool running;                   /* a thread parses one of its bodies */
        struct parse_line *prev, *next; /* in the row of those whose turn comes: while it has a
                                           parse and none is running */
};

/* Parses at once. The parse is idle before and done afterwards. Thread: any. */
void parse_run(struct parse *parse);

/* Drops the body and what the result owns. The parse is idle or done; it is zeroed. */
void parse_done(struct parse *parse);

/* Returns 0 or -ENOMEM. */
int parser_new(struct parser **ret_parser);

/* Makes the threads of the pool, which inherit the signal mask. The loop is to run, or to be freed,
 * before the parser is freed. Thread: the loop's. */
void parser_start(struct parser *parser, struct loop *loop);

/* Requires that every loop that parses were queued on is freed. Takes NULL. */
void parser_free(struct parser *parser);

/*
 * Puts an idle parse into a line, unless it is done already. Returns whether the waiter is armed;
 * it is woken when the parse is done. Thread: the loop's.
 */
bool parser_wait(struct parser *parser, struct parse_line *line, struct parse *parse,
                 struct loop *loop, struct waiter *waiter);

/* Takes a waiting parse back: it is idle again. Returns false if a thread parses it, or its
 * waiter's mail is on the way. */
bool parser_unwait(struct parser *parser, struct parse *parse, struct waiter *waiter);

/* How many bodies were parsed by threads since the start. Thread: any. */
int64_t parser_count(const struct parser *parser);

#endif
