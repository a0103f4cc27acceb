/*
 * auth: see auth.h.
 */
#include "http/auth.h"

#include "access/policy.h"
#include "access/throttle.h"
#include "base/clock.h"
#include "gateway/gateway.h"
#include "http/hold.h"
#include "http/refusal.h"
#include "http/request_private.h"
#include "http/route.h"
#include "http/token_field.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 6750, 3: a challenge says that a token was wrong only where one was shown. */
static const char challenge[] = "Bearer realm=\"solvegate\"";
static const char challenge_wrong[] = "Bearer realm=\"solvegate\", error=\"invalid_token\"";

/* One sentence for unknown, expired and revoked tokens: which of them it is helps only a thief. */
static const char wrong_token[] =
        "no client has this token; send the one that was given to you, or ask who runs solvegate "
        "for a new one";

/* ---- refusals ---- */

static void refuse(struct request *request, const char *with_challenge, const char *message)
{
        request_refuse(request, 401, "unauthorized", "%s", message);
        request->refusal.challenge = with_challenge;
        request->client = NULL;
}

static void refuse_without(struct request *request)
{
        refuse(request, challenge,
               "a token is needed: send yours in the field apikey, or as Authorization: Bearer; "
               "who runs solvegate makes one for you (solvegatectl token new NAME)");
}

/* Its job was taken, and the clients came while it was held. The job's id may not have been stored,
 * so it does not leave. */
static void refuse_held_without(struct request *request)
{
        refuse(request, challenge,
               "a token is needed by now: send yours in the field apikey, or as Authorization: "
               "Bearer; who runs solvegate makes one for you (solvegatectl token new NAME). The "
               "job that came without one is cancelled, if it was not sent yet");
}

/* A guess, perhaps. */
static void refuse_wrong(struct request *request)
{
        int64_t pause_ms = throttle_fail(gateway_throttle(request->server->gateway),
                                         request->address, clock_monotonic_ms());

        refuse(request, challenge_wrong, wrong_token);
        if (pause_ms < 0)
                auth_turn_away(request);
        else
                request->penalty_ms = pause_ms;
}

void auth_turn_away(struct request *request)
{
        const int64_t later_s = THROTTLE_PAUSE_MAX_MS / 1000;

        auth_end_penalty(request);
        request->refusal = (struct refusal){.closes = true, .retry_after_s = later_s};
        request_refuse(request, 429, "rate_limited",
                       "too many wrong tokens came from this address; send the right one, which is "
                       "accepted at once; another wrong one is refused for %lld seconds",
                       (long long)later_s);
}

/* ---- the check ---- */

static enum MHD_Result on_field(void *arg, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
        (void)kind;
        if (value)
                token_field_add(arg, name, value);
        return MHD_YES;
}

/* Returns 0, -EMSGSIZE for one that is too long to be a token, or -ENOMEM. */
static int digest_of_field(const struct token_field *field, struct token_digest *ret_digest)
{
        char token[TOKEN_BYTES_MAX + 1];

        if (field->len > TOKEN_BYTES_MAX)
                return -EMSGSIZE;
        memcpy(token, field->text, field->len);
        token[field->len] = '\0';
        int r = token_digest(token, ret_digest);
        explicit_bzero(token, sizeof token);
        return r;
}

static void check_token(struct request *request, const struct token_field *field)
{
        int r = digest_of_field(field, &request->token);

        if (r == -ENOMEM) {
                request_refuse(request, 503, "queue_full",
                               "solvegate has no memory to read the token; try again later");
                return;
        }
        if (r == 0)
                request->client =
                        policy_find(request->server->policy, &request->token, clock_wall_ms());
        request->has_token = request->client != NULL;
        if (!request->client)
                refuse_wrong(request);
}

void auth_check(struct request *request)
{
        struct token_field field = {0};

        request->reloads = request->server->reloads;
        if (request->refusal.status != 0 || request->preflight || request->route->auth == AUTH_NONE)
                return;
        request->client = policy_everyone(request->server->policy);
        if (request->client)
                return;
        (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, on_field, &field);
        if (field.differs)
                refuse(request, challenge_wrong,
                       "two tokens were sent that differ; send one, in the field apikey or as "
                       "Authorization: Bearer");
        else if (field.len > 0)
                check_token(request, &field);
        else if (route_needs_client(request->route, request->cancels))
                refuse_without(request);
}

void auth_check_again(struct request *request)
{
        const struct policy *policy = request->server->policy;

        if (request->refusal.status != 0 || request->preflight)
                return;
        if (request->has_token) {
                if (policy_find(policy, &request->token, clock_wall_ms()) == request->client)
                        return;
                request->revoked = request->client;
                refuse(request, challenge_wrong, wrong_token);
        } else if (route_needs_client(request->route, request->cancels) &&
                   !policy_everyone(policy)) {
                if (request->job)
                        refuse_held_without(request);
                else
                        refuse_without(request);
        }
}

/* ---- the pause ---- */

/* Nothing is waited for but the time. */
static bool wait_for_nothing(struct request *request)
{
        (void)request;
        return true;
}

bool auth_hold(struct request *request)
{
        const struct hold hold = {.what = HOLD_FOR_PENALTY,
                                  .level = WAITER_FINAL,
                                  .hold_ms = request->penalty_ms,
                                  .arm = wait_for_nothing,
                                  .disarm = wait_for_nothing};

        if (request->penalty_ms == 0)
                return false;
        if (request_hold(request, &hold))
                return true;
        if (request->waited & 1U << HOLD_FOR_PENALTY)
                auth_end_penalty(request);
        else
                auth_turn_away(request);
        return false;
}

void auth_end_penalty(struct request *request)
{
        if (request->penalty_ms > 0)
                throttle_end(gateway_throttle(request->server->gateway), request->address);
        request->penalty_ms = 0;
}
