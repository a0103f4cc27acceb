/*
 * protocol: see protocol.h.
 */
#include "upstream/protocol.h"

#include "base/json.h"
#include "base/strbuf.h"
#include "config/credential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_MAX_S 3600
/* Shorter numbers are parts of solutions; what is secret is longer. */
#define SECRET_NUMBER_CHARS_MIN 8
#define NUMBER_CHARS            "-0123456789"

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

/* The fields of an answer that decide what it means; spans of its text. */
struct fields {
        enum upstream_endpoint endpoint;
        const struct credential *credential;
        const struct credential *other; /* or NULL */
        struct json_span status;
        bool status_odd; /* a status that is no string */
        struct json_span id;
        struct json_span message;
        long code; /* 0: none */
        long retry_after_s;
        struct strbuf members;
};

static bool span_is(struct json_span span, const char *text)
{
        return span.len == strlen(text) && memcmp(span.ptr, text, span.len) == 0;
}

/* A small whole number, as a number or as a string; or 0. */
static long span_number(struct json_span raw)
{
        char digits[8];

        if (raw.len >= 2 && raw.ptr[0] == '"')
                raw = (struct json_span){raw.ptr + 1, raw.len - 2};
        if (raw.len == 0 || raw.len >= sizeof digits)
                return 0;
        memcpy(digits, raw.ptr, raw.len);
        digits[raw.len] = '\0';
        char *end;
        long number = strtol(digits, &end, 10);
        return *end == '\0' && number > 0 ? number : 0;
}

/* Takes the content of a string value; leaves *ret alone for other types and later twins. */
static void take_string(struct json_span raw, struct json_span *ret)
{
        if (!ret->ptr && raw.len >= 2 && raw.ptr[0] == '"')
                *ret = (struct json_span){raw.ptr + 1, raw.len - 2};
}

/* Appends a string, given without its quotes, as it came; redacted if it holds the credential. */
static void append_string(struct fields *fields, struct json_span string)
{
        struct strbuf text;

        strbuf_init(&text, string.len + 1);
        if (json_string_decode(string, &text) < 0)
                fields->members.failed = true; /* not searched, so not given out */
        else if (credential_redact(fields->credential, fields->other, text.data, text.len) > 0)
                (void)strbuf_append_json_string(&fields->members, text.data, text.len);
        else
                (void)strbuf_append(&fields->members, string.ptr - 1, string.len + 2);
        strbuf_done(&text);
}

/*
 * Appends a number as it came. One that is the whole credential, and long enough to be nothing
 * else, becomes a string of asterisks.
 */
static void append_number(struct fields *fields, struct json_span number)
{
        char text[CREDENTIAL_VALUE_BYTES_MAX];

        if (number.len >= SECRET_NUMBER_CHARS_MIN && number.len < sizeof text) {
                memcpy(text, number.ptr, number.len);
                text[number.len] = '\0';
                (void)credential_redact(fields->credential, fields->other, text, number.len);
                if (strspn(text, "*") == number.len) {
                        (void)strbuf_append_json_string(&fields->members, text, number.len);
                        return;
                }
        }
        (void)strbuf_append(&fields->members, number.ptr, number.len);
}

/* Appends JSON that was found to be right, token by token. */
static void append_redacted(struct fields *fields, struct json_span raw)
{
        const char *next = raw.ptr, *end = raw.ptr + raw.len;

        while (next < end) {
                const char *token = next;
                if (*next == '"') {
                        for (next++; *next != '"'; next++)
                                next += *next == '\\';
                        append_string(fields,
                                      (struct json_span){token + 1, (size_t)(next - token - 1)});
                        next++;
                        continue;
                }
                bool number = strchr(NUMBER_CHARS, *next);
                while (next < end && *next != '"' && !strchr(NUMBER_CHARS, *next) == !number)
                        next++;
                struct json_span span = {token, (size_t)(next - token)};
                if (number)
                        append_number(fields, span);
                else
                        (void)strbuf_append(&fields->members, span.ptr, span.len);
        }
}

static void keep_member(struct fields *fields, struct json_span name, struct json_span raw)
{
        if (fields->members.len > 0)
                (void)strbuf_puts(&fields->members, ",");
        append_string(fields, name);
        (void)strbuf_puts(&fields->members, ":");
        append_redacted(fields, raw);
}

/* Notes what is known by its decoded name. Returns whether clients see the member. */
static bool note_member(struct fields *fields, struct json_span name, struct json_span raw)
{
        /* A balance is given as it came; a job has an id and a url of ours. */
        bool ours = fields->endpoint != UPSTREAM_BALANCE;

        if (span_is(name, "status")) {
                if (fields->status.ptr)
                        return false; /* a second status would contradict the first */
                take_string(raw, &fields->status);
                fields->status_odd = !fields->status.ptr;
                return !ours || !fields->status_odd;
        } else if (span_is(name, "id")) {
                take_string(raw, &fields->id);
                return !ours;
        } else if (span_is(name, "url")) {
                return !ours;
        } else if (span_is(name, "message") || span_is(name, "msg")) {
                take_string(raw, &fields->message);
        } else if (span_is(name, "code")) {
                fields->code = span_number(raw);
        } else if (span_is(name, "retryAfterSec")) {
                fields->retry_after_s = span_number(raw);
        }
        return true;
}

static void read_member(struct fields *fields, struct json_span name, struct json_span raw)
{
        struct strbuf decoded;

        strbuf_init(&decoded, name.len + 1);
        (void)json_string_decode(name, &decoded);
        if (note_member(fields, (struct json_span){decoded.data ? decoded.data : "", decoded.len},
                        raw))
                keep_member(fields, name, raw);
        strbuf_done(&decoded);
}

/* Returns true when the text is one JSON object. */
static bool read_object(const char *text, size_t len, struct fields *fields)
{
        struct json_reader reader;
        struct json_span name, raw;
        int r;

        json_reader_init(&reader, text, len);
        if (json_reader_enter_object(&reader) < 0)
                return false;
        while ((r = json_reader_next_member(&reader, &name)) > 0) {
                if (json_reader_skip(&reader, &raw) < 0)
                        return false;
                read_member(fields, name, raw);
        }
        return r == 0 && json_reader_end(&reader) == 0;
}

/* Copies the id by which the upstream can be asked. Returns false when it has none. */
static bool copy_id(const struct fields *fields, char ret[static UPSTREAM_ID_BYTES_MAX + 1])
{
        struct strbuf decoded;

        if (fields->id.len == 0)
                return false;
        strbuf_init(&decoded, UPSTREAM_ID_BYTES_MAX);
        /* It is stored and sent as it came, so one that holds the credential is none. */
        bool usable = json_string_decode(fields->id, &decoded) == 0 && decoded.len > 0 &&
                      !memchr(decoded.data, '\0', decoded.len) &&
                      credential_redact(fields->credential, fields->other, decoded.data,
                                        decoded.len) == 0;
        if (usable)
                memcpy(ret, decoded.data, decoded.len + 1);
        strbuf_done(&decoded);
        return usable;
}

/* Copies the message, redacted before it is cut to fit. */
static void copy_message(const struct fields *fields,
                         char ret[static UPSTREAM_MESSAGE_BYTES_MAX + 1])
{
        struct strbuf decoded;

        strbuf_init(&decoded, UPSTREAM_ANSWER_BYTES_MAX);
        (void)json_string_decode(fields->message, &decoded);
        if (decoded.data)
                (void)credential_redact(fields->credential, fields->other, decoded.data,
                                        decoded.len);
        (void)snprintf(ret, UPSTREAM_MESSAGE_BYTES_MAX + 1, "%s", decoded.data ? decoded.data : "");
        strbuf_done(&decoded);
}

static bool status_is_pending(struct json_span status)
{
        static const char *const names[] = {"new", "in queue", "queued", "processing", "pending"};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                if (span_is(status, names[i]))
                        return true;
        }
        return false;
}

/* What a code in the body says, as the vendor's page lists them. */
enum code_meaning {
        CODE_SILENT,  /* none, or not on the list */
        CODE_LATER,   /* no slot, rate limit, daily limit, quota, unavailable */
        CODE_ACCOUNT, /* the account's fault: unknown key, no balance, plan over or inactive */
        CODE_FINAL,   /* the job's fault: bad parameters, unsolvable */
};

static enum code_meaning code_meaning(long code)
{
        switch (code) {
        case 2:
        case 16:
        case 17:
        case 18:
        case 21:
                return CODE_LATER;
        case 1:
        case 3:
        case 14:
        case 15:
                return CODE_ACCOUNT;
        case 10:
        case 12:
                return CODE_FINAL;
        default:
                return CODE_SILENT;
        }
}

static bool http_try_later(long http_code)
{
        return http_code == 429 || http_code == 503;
}

/* Where the JSON says nothing: only a clear code of HTTP decides. */
static enum answer_kind judge_by_http(enum upstream_endpoint endpoint, long http_code)
{
        /* Limits are kept before a job is taken; but a proxy may say 503, as it may 502, when it
         * has lost an upstream that had the job already (Envoy and Varnish do), or 408. */
        if (http_code == 429)
                return ANSWER_TRY_LATER;
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

static bool is_about_account(const struct fields *fields)
{
        return code_meaning(fields->code) == CODE_ACCOUNT ||
               span_is(fields->status, "Unauthorized");
}

static enum answer_kind judge_fields(enum upstream_endpoint endpoint, long http_code,
                                     const struct fields *fields, bool pollable)
{
        if (span_is(fields->status, "solved") || span_is(fields->status, "skip"))
                return ANSWER_FINAL;
        if (status_is_pending(fields->status))
                return endpoint == UPSTREAM_STATUS || pollable ? ANSWER_PENDING : ANSWER_UNCLEAR;
        if (code_meaning(fields->code) == CODE_LATER)
                return ANSWER_TRY_LATER;
        if (code_meaning(fields->code) == CODE_FINAL)
                return ANSWER_REJECTED;
        /* A job that was taken may still be solved when the account is well again. */
        if (is_about_account(fields))
                return endpoint == UPSTREAM_STATUS ? ANSWER_TRY_LATER : ANSWER_REJECTED;
        if (span_is(fields->status, "error"))
                return judge_complaint(endpoint, http_code);
        return judge_by_http(endpoint, http_code);
}

static enum answer_kind judge_balance(long http_code, const struct fields *fields)
{
        if (span_is(fields->status, "error") || span_is(fields->status, "Unauthorized") ||
            http_code >= 400 || fields->code > 0)
                return ANSWER_REJECTED;
        return fields->status_odd ? ANSWER_UNCLEAR : ANSWER_FINAL;
}

static enum answer_kind judge(const struct fields *fields, long http_code, bool object,
                              bool pollable)
{
        if (!object)
                return judge_by_http(fields->endpoint, http_code);
        if (fields->endpoint == UPSTREAM_BALANCE)
                return judge_balance(http_code, fields);
        return judge_fields(fields->endpoint, http_code, fields, pollable);
}

void protocol_read(enum upstream_endpoint endpoint, long http_code, const char *text, size_t len,
                   const struct credential *credential, const struct credential *other,
                   struct answer *ret_answer)
{
        struct fields fields = {.endpoint = endpoint, .credential = credential, .other = other};
        struct answer answer = {0};

        strbuf_init(&fields.members, UPSTREAM_ANSWER_BYTES_MAX * 2);
        bool object = read_object(text, len, &fields) && !fields.members.failed;
        bool pollable = object && copy_id(&fields, answer.upstream_id);
        answer.kind = judge(&fields, http_code, object, pollable);
        answer.skipped = object && span_is(fields.status, "skip");
        answer.about_account = object && is_about_account(&fields);
        if (object && fields.message.len > 0)
                copy_message(&fields, answer.message);
        else
                (void)snprintf(answer.message, sizeof answer.message,
                               "the upstream answered HTTP %ld with %s", http_code,
                               object ? "no message" : "something that is no JSON object");
        if (object && fields.retry_after_s > 0 && fields.retry_after_s <= RETRY_AFTER_MAX_S)
                answer.retry_after_ms = fields.retry_after_s * 1000;
        if (answer.kind == ANSWER_FINAL) {
                answer.members = strbuf_take(&fields.members, &answer.members_len);
                if (!answer.members)
                        answer.kind = ANSWER_UNCLEAR;
        }
        strbuf_done(&fields.members);
        *ret_answer = answer;
}
