/*
 * parse: see parse.h.
 */
#include "http/parse.h"

#include "access/clients.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "http/hold.h"
#include "http/refusal.h"
#include "http/request_private.h"
#include "job/body.h"
#include "job/parser.h"

#include <stdlib.h>

#define PARSE_HOLD_MS 30000 /* of a body that no thread has taken meanwhile */

/* Whether the loop may parse the body itself, which then counts. */
static bool fits_turn(const struct request *request)
{
        struct server *server = request->server;
        size_t len = request->body->len;

        if (len > PARSE_ON_LOOP_BYTES_MAX || len > PARSE_TURN_BYTES_MAX - server->parsed_bytes)
                return false;
        server->parsed_bytes += len;
        return true;
}

static void begin(struct request *request, struct parse *parse)
{
        *parse = (struct parse){
                .body = request->body,
                .images_max = (unsigned)gateway_config(request->server->gateway)->limits.images,
                .wants_digest = request_field(request, "Idempotency-Key") != NULL,
        };
        request->body = NULL;
}

static bool arm(struct request *request)
{
        struct server *server = request->server;

        return parser_wait(gateway_parser(server->gateway), &request->client->parses,
                           request->parse, server->loop, &request->waiter);
}

static bool disarm(struct request *request)
{
        return parser_unwait(gateway_parser(request->server->gateway), request->parse,
                             &request->waiter);
}

static bool hold(struct request *request)
{
        const struct hold until_parsed = {.what = HOLD_FOR_PARSE,
                                          .level = WAITER_FINAL,
                                          .hold_ms = PARSE_HOLD_MS,
                                          .arm = arm,
                                          .disarm = disarm};

        request->parse = malloc(sizeof *request->parse);
        if (!request->parse)
                return false;
        begin(request, request->parse);
        return request_hold(request, &until_parsed);
}

static void refuse(struct request *request)
{
        if (request->server->finishing)
                request_refuse(request, 503, "draining",
                               "solvegate is being stopped; ask again when it is back");
        else if (request->waited & 1U << HOLD_FOR_PARSE)
                request_refuse(request, 503, "queue_full",
                               "too many large bodies of this client wait to be parsed; send the "
                               "job again later");
        else
                refusal_from_verdict(request, GATEWAY_NO_MEMORY,
                                     "solvegate has no memory for the job; send it again later");
}

bool parse_hold(struct request *request)
{
        if (!request->parse) {
                if (fits_turn(request))
                        return false;
                if (hold(request))
                        return true;
        }
        if (!request->parse || request->parse->state != PARSE_DONE)
                refuse(request);
        return false;
}

void parse_here(struct request *request, struct parse *ret_parse)
{
        begin(request, ret_parse);
        parse_run(ret_parse);
}

void parse_end(struct request *request)
{
        if (!request->parse)
                return;
        parse_done(request->parse);
        free(request->parse);
        request->parse = NULL;
}
