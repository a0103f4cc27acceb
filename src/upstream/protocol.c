/*
 * protocol: see protocol.h.
 */
#include "upstream/protocol.h"

#include "base/strbuf.h"
#include "base/utf8.h"
#include "upstream/protocol_fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const paths[][2] = {
        [UPSTREAM_SOLVE] = {"/api/solve", "/solve"},
        [UPSTREAM_STATUS] = {"/api/status?id=", "/status?id="},
        [UPSTREAM_BALANCE] = {"/api/account/balance", "/balance"},
};

static bool url_unreserved(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_' || c == '~';
}

int protocol_url(const char *base, int api, enum upstream_endpoint endpoint, const char *id,
                 struct strbuf *ret_url)
{
        (void)strbuf_puts(ret_url, base);
        int r = strbuf_puts(ret_url, paths[endpoint][api - 1]);
        if (endpoint != UPSTREAM_STATUS)
                return r;
        for (; *id; id++) {
                if (url_unreserved(*id))
                        r = strbuf_append(ret_url, id, 1);
                else
                        r = strbuf_printf(ret_url, "%%%02X", (unsigned char)*id);
        }
        return r;
}

int protocol_sends_uid(int api)
{
        return api == 1;
}

void answer_done(struct answer *answer)
{
        free(answer->members);
        answer->members = NULL;
}

/* ---- what a response means ---- */

static bool http_try_later(long http_code)
{
        return http_code == 429 || http_code == 503;
}

/* 401 and 402 are about the caller by definition (RFC 9110, 15.5.2 and 15.5.3). 403 is not: it may
 * be about this very job, as from a filter that reads bodies, and one client could then put an
 * account out for all. */
static bool http_about_account(long http_code)
{
        return http_code == 401 || http_code == 402;
}

/* Whether the key, the balance or the plan is refused. A code says more than the code of HTTP. */
static bool is_about_account(const struct protocol_fields *fields, long http_code)
{
        if (!fields->object)
                return http_about_account(http_code);
        return fields->code == CODE_ACCOUNT || fields->code == CODE_LOOP ||
               (fields->code == CODE_SILENT &&
                (fields->status == STATUS_UNAUTHORIZED || http_about_account(http_code)));
}

/* An account's refusal is a clear no to a solve. A job that was taken may still be solved when the
 * account is well again. */
static enum answer_kind judge_account(enum upstream_endpoint endpoint)
{
        return endpoint == UPSTREAM_STATUS ? ANSWER_TRY_LATER : ANSWER_REJECTED;
}

/* Where the JSON says nothing: only a clear code of HTTP decides. */
static enum answer_kind judge_by_http(enum upstream_endpoint endpoint, long http_code)
{
        /* Limits are kept before a job is taken; but a proxy may say 503, as it may 502, when it
         * has lost an upstream that had the job already (Envoy and Varnish do), or 408. */
        if (http_code == 429)
                return ANSWER_TRY_LATER;
        if (http_about_account(http_code))
                return judge_account(endpoint);
        /* A job that was accepted is not given up because of a proxy's page. */
        if (endpoint != UPSTREAM_STATUS && http_code >= 300 && http_code < 500 && http_code != 408)
                return ANSWER_REJECTED;
        return ANSWER_UNCLEAR;
}

/* A complaint in JSON without a code that says more. */
static enum answer_kind judge_complaint(enum upstream_endpoint endpoint, long http_code)
{
        if (http_try_later(http_code))
                return ANSWER_TRY_LATER;
        /* A job that was taken is not given up for what a proxy or a lagging replica says. */
        if (endpoint == UPSTREAM_STATUS)
                return http_code < 300 ? ANSWER_REJECTED : ANSWER_TRY_LATER;
        /* A server that failed does not know either what has become of the job. */
        return http_code < 500 ? ANSWER_REJECTED : ANSWER_UNCLEAR;
}

/* A job that is solved. If its solution cannot be given out, a poll may bring a better copy: it is
 * paid for, and polls are free. */
static enum answer_kind judge_solved(const struct protocol_fields *fields)
{
        if (!fields->result_spoiled && !fields->members.failed)
                return ANSWER_FINAL;
        return fields->id[0] && fields->request->endpoint == UPSTREAM_SOLVE ? ANSWER_PENDING
                                                                            : ANSWER_UNCLEAR;
}

static bool says_solved(const struct protocol_fields *fields)
{
        return fields->status == STATUS_SOLVED || fields->status == STATUS_SKIP;
}

/* Whether a response has anything of a job that was taken, and so is not a clear no. */
static bool says_taken(const struct protocol_fields *fields)
{
        return says_solved(fields) || fields->status == STATUS_PENDING || fields->result;
}

/* Whether a response says one thing and its opposite. What is solved or queued is so whatever codes
 * are beside it. */
static bool contradicts_itself(const struct protocol_fields *fields)
{
        bool refuses = fields->has_code || fields->status == STATUS_ERROR ||
                       fields->status == STATUS_UNAUTHORIZED;

        if (fields->status_twice)
                return true;
        if (says_solved(fields) || fields->status == STATUS_PENDING)
                return false;
        return fields->code_twice || (refuses && fields->result);
}

static enum answer_kind judge_job(const struct protocol_fields *fields, long http_code)
{
        enum upstream_endpoint endpoint = fields->request->endpoint;

        if (says_solved(fields))
                return judge_solved(fields);
        if (fields->status == STATUS_PENDING)
                return endpoint == UPSTREAM_STATUS || fields->id[0] ? ANSWER_PENDING
                                                                    : ANSWER_UNCLEAR;
        if (says_taken(fields))
                return ANSWER_UNCLEAR;
        if (fields->code == CODE_LATER)
                return ANSWER_TRY_LATER;
        if (fields->code == CODE_FINAL)
                return ANSWER_REJECTED;
        if (is_about_account(fields, http_code))
                return judge_account(endpoint);
        if (fields->status == STATUS_ERROR)
                return judge_complaint(endpoint, http_code);
        return judge_by_http(endpoint, http_code);
}

static enum answer_kind judge_balance(const struct protocol_fields *fields, long http_code)
{
        if (fields->status == STATUS_ERROR || fields->status == STATUS_UNAUTHORIZED ||
            http_code < 200 || http_code >= 300 || fields->has_code)
                return ANSWER_REJECTED;
        return fields->status_odd || fields->members.failed ? ANSWER_UNCLEAR : ANSWER_FINAL;
}

static enum answer_kind judge(const struct protocol_fields *fields, long http_code)
{
        if (fields->no_memory || contradicts_itself(fields) || (fields->object && fields->foreign))
                return ANSWER_UNCLEAR;
        if (!fields->object)
                return says_taken(fields) ? ANSWER_UNCLEAR
                                          : judge_by_http(fields->request->endpoint, http_code);
        if (fields->request->endpoint == UPSTREAM_BALANCE)
                return judge_balance(fields, http_code);
        return judge_job(fields, http_code);
}

/* ---- what is said about it ---- */

/* Copies a text up to its first NUL, as far as whole characters fit. What is not UTF-8 is replaced.
 */
static void write_text(char ret[static UPSTREAM_MESSAGE_BYTES_MAX + 1], const char *text)
{
        size_t left = UPSTREAM_MESSAGE_BYTES_MAX, len = strlen(text);

        while (len > 0) {
                size_t piece_len;
                const char *piece = utf8_take(&text, &len, &piece_len);
                if (piece_len > left)
                        break;
                ret = (char *)memcpy(ret, piece, piece_len) + piece_len;
                left -= piece_len;
        }
        *ret = '\0';
}

/* What is wrong with the response itself so that it cannot be used as it is, or NULL. */
static const char *describe_fault(const struct protocol_fields *fields)
{
        if (!fields->object)
                return NULL;
        if (fields->foreign)
                return "the upstream answered a poll with the ID of another job";
        if (fields->no_memory)
                return "there was no memory to read the upstream's response";
        if (contradicts_itself(fields))
                return "the upstream's response contradicts itself";
        if (!says_solved(fields))
                return NULL;
        if (fields->result_spoiled)
                return "the upstream's solution is damaged: it is not valid UTF-8, or is there "
                       "twice";
        return fields->members.failed ? "the upstream's solution is too large" : NULL;
}

static void describe(const struct protocol_fields *fields, long http_code, struct answer *answer)
{
        const char *fault = describe_fault(fields);

        if (fault) {
                answer->warn = true;
                write_text(answer->message, fault);
                write_text(answer->detail, fault);
                return;
        }
        if (fields->object && fields->message.len > 0)
                write_text(answer->message, fields->message.data);
        else
                (void)snprintf(answer->message, sizeof answer->message,
                               "the upstream answered HTTP %ld with %s", http_code,
                               fields->object ? "no message"
                                              : "something that is not a JSON object");
        if (fields->object && fields->not_utf8 > 0) {
                answer->warn = true;
                (void)snprintf(answer->detail, sizeof answer->detail,
                               "bytes of a response that are not UTF-8 were replaced: %zu",
                               fields->not_utf8);
        }
}

void protocol_read(const struct protocol_request *request, long http_code, const char *text,
                   size_t len, struct answer *ret_answer)
{
        struct protocol_fields fields;
        struct answer answer = {0};

        protocol_fields_read(request, text, len, &fields);
        answer.kind = judge(&fields, http_code);
        describe(&fields, http_code, &answer);
        answer.foreign = fields.object && fields.foreign;
        answer.skipped = fields.status == STATUS_SKIP;
        answer.about_account =
                (answer.kind == ANSWER_REJECTED || answer.kind == ANSWER_TRY_LATER) &&
                is_about_account(&fields, http_code);
        answer.loops = answer.about_account && fields.code == CODE_LOOP;
        if (fields.object && !answer.foreign) {
                memcpy(answer.upstream_id, fields.id, sizeof answer.upstream_id);
                answer.retry_after_ms = fields.retry_after_ms;
        }
        if (answer.kind == ANSWER_FINAL) {
                answer.members = strbuf_take(&fields.members, &answer.members_len);
                if (!answer.members)
                        answer.kind = ANSWER_UNCLEAR;
        }
        protocol_fields_done(&fields);
        *ret_answer = answer;
}
