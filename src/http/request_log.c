/*
 * request_log: see request_log.h.
 */
#include "http/request_log.h"

#include "access/clients.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "http/request_private.h"
#include "http/route.h"
#include "http/tally.h"

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT_GONE 499 /* no code of HTTP: nobody was there to get one */

/* Of each client by itself, so that none hides what another one does. */
static struct log_limit known_requests = LOG_LIMIT(LOG_LEVEL_INFO, "requests", 5000, 1000);
static struct log_limit known_refusals = LOG_LIMIT(LOG_LEVEL_WARNING, "refusals", 200, 100);
/* Of everybody else together. */
static struct log_limit operator_requests =
        LOG_LIMIT(LOG_LEVEL_DEBUG, "requests of operators", 5000, 1000);
static struct log_limit id_requests =
        LOG_LIMIT(LOG_LEVEL_INFO, "requests with an id alone", 5000, 1000);
static struct log_limit strange_requests =
        LOG_LIMIT(LOG_LEVEL_INFO, "requests of unknown clients", 200, 20);
static struct log_limit strange_refusals =
        LOG_LIMIT(LOG_LEVEL_WARNING, "refusals of unknown clients", 200, 20);

/* ---- ids ---- */

static _Atomic uint64_t requests; /* so many were given an id */
static uint64_t id_keys[2];       /* set once */
static pthread_once_t id_keys_once = PTHREAD_ONCE_INIT;

static void make_id_keys(void)
{
        arc4random_buf(id_keys, sizeof id_keys);
}

/*
 * Numbers in an order that tells nobody how many requests others make: every step can be undone, so
 * no two are equal. (The steps in the middle are the finalizer of SplitMix64.)
 */
static uint64_t next_id(void)
{
        (void)pthread_once(&id_keys_once, make_id_keys);
        uint64_t n = atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed) ^ id_keys[0];
        n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
        return (n ^ n >> 31) ^ id_keys[1];
}

_Static_assert(HEX_BYTES(sizeof(uint64_t)) == REQUEST_ID_CHARS + 1, "an id is a number");

void request_log_begin(struct request *request, int64_t began_us)
{
        uint64_t id = htobe64(next_id());

        hex_write(&id, sizeof id, request->record.id);
        request->record.method = "-";
        request->record.began_us = began_us;
}

/* ---- the line ---- */

const char *request_log_method(const char *method)
{
        static const char *const methods[] = {
                "GET", "POST", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE", "CONNECT",
        };

        for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
                if (strcmp(method, methods[i]) == 0)
                        return methods[i];
        }
        return "other";
}

static enum tally_endpoint endpoint_of(const struct request *request)
{
        return request->route ? request->route->endpoint : TALLY_OTHER;
}

void request_log_answer(struct request *request, unsigned status)
{
        request->record.status = status;
        tally_count(request->server->tally_part, endpoint_of(request), status);
}

static struct client *asker_of(const struct request *request)
{
        return request->revoked ? request->revoked : request->client;
}

static bool take_line(const struct request *request, int64_t now_us)
{
        struct client *client = asker_of(request);

        if (client)
                return log_limit_take_from(&known_requests, &client->lines.requests, now_us);
        if (request->server->kind != SERVER_FOR_TOOLS)
                return log_limit_take(&operator_requests, now_us);
        /* Whoever has the id of a job may ask for it, and is known by that alone. */
        return log_limit_take(request->job ? &id_requests : &strange_requests, now_us);
}

static bool take_refusal(const struct request *request, int64_t now_us)
{
        struct client *client = asker_of(request);

        if (client)
                return log_limit_take_from(&known_refusals, &client->lines.refusals, now_us);
        return log_limit_take(&strange_refusals, now_us);
}

/* What is told in place of an answer's code and slug, where there was none of ours. */
static const struct {
        unsigned code;
        const char *error;
} ends[] = {
        [REQUEST_ANSWERED] = {0, NULL},
        [REQUEST_CLIENT_GONE] = {CLIENT_GONE, "client_gone"},
        [REQUEST_MALFORMED] = {400, REQUEST_LOG_MALFORMED},
        [REQUEST_CLOSED] = {CLIENT_GONE, "closed"},
};

void request_log_end(const struct request *request, enum request_end end)
{
        const struct request_record *record = &request->record;
        const bool answered = end == REQUEST_ANSWERED;
        const bool tool = request->server->kind == SERVER_FOR_TOOLS;
        enum log_level level = tool ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;

        if (!log_enabled(level))
                return;
        int64_t now_us = clock_monotonic_us();
        if (!take_line(request, now_us))
                return;
        const struct client *client = asker_of(request);
        const struct log_field fields[] = {
                LOG_TEXT("id", record->id),
                LOG_TEXT("client", client ? client->name : "-"),
                LOG_TEXT("address", request->address[0] ? request->address : "-"),
                LOG_TEXT("method", record->method),
                LOG_TEXT("endpoint", tally_endpoint_name(endpoint_of(request))),
                LOG_INTEGER("code", answered ? record->status : ends[end].code),
                LOG_TEXT("error", answered ? record->error : ends[end].error),
                LOG_TEXT("job", request->job ? request->job->id : NULL),
                LOG_TEXT("source", record->source),
                LOG_TEXT("state", record->state),
                LOG_INTEGER("bytes", record->body_bytes),
                LOG_MS("duration_ms", now_us - record->began_us),
                LOG_MS("held_ms", record->held_us),
        };
        log_event(level, "request", fields, sizeof fields / sizeof *fields);
}

void request_log_refusal(const struct request *request)
{
        const struct client *client = asker_of(request);
        const struct log_field fields[] = {
                LOG_TEXT("id", request->record.id),
                LOG_TEXT("client", client ? client->name : "-"),
                LOG_TEXT("address", request->address[0] ? request->address : "-"),
                LOG_TEXT("error", request->refusal.code),
                LOG_TEXT("detail", request->refusal.message),
        };

        if (log_enabled(LOG_LEVEL_WARNING) && take_refusal(request, clock_monotonic_us()))
                log_event(LOG_LEVEL_WARNING, "refused", fields, sizeof fields / sizeof *fields);
}
