/*
 * spoil: see spoil.h.
 */
#include "sim/spoil.h"

#include "sim/fault.h"
#include "sim/reply.h"
#include "sim/rng.h"

#include <stdio.h>
#include <time.h>

#define RETRY_DATE_S  2
#define GARBAGE_BYTES 256
#define HUGE_BYTES    (8 * 1024 * 1024)
#define DEEP_LEVELS   100000
#define PAGE                                                                                       \
        "<!DOCTYPE html>\n<html><head><title>Oh dear</title></head>"                               \
        "<body><h1>Something went wrong</h1></body></html>\n"

static void set_retry_after(const struct sim_fault *fault, struct sim_reply *reply)
{
        time_t then = time(NULL) + RETRY_DATE_S;
        struct tm tm;

        switch (fault->retry_after) {
        case SIM_RETRY_AFTER_NONE:
                break;
        case SIM_RETRY_AFTER_SECONDS:
                (void)snprintf(reply->retry_after, sizeof reply->retry_after, "%d",
                               fault->retry_after_seconds);
                break;
        case SIM_RETRY_AFTER_DATE: /* RFC 9110, section 5.6.7 */
                (void)gmtime_r(&then, &tm);
                (void)strftime(reply->retry_after, sizeof reply->retry_after,
                               "%a, %d %b %Y %H:%M:%S GMT", &tm);
                break;
        }
}

static void say_code(int code, struct sim_reply *reply)
{
        (void)strbuf_printf(&reply->body, "{\"code\":%d,\"msg\":\"%s\",\"retryAfterSec\":1}", code,
                            code == 16 ? "RATE_LIMITED" : "REFUSED");
}

static void say_credentials(const char *uid, const char *apikey, struct sim_reply *reply)
{
        struct strbuf message;

        strbuf_init(&message, SIM_REPLY_BYTES_MAX);
        (void)strbuf_printf(&message, "refused: uid %s, apikey %s", uid ? uid : "missing",
                            apikey ? apikey : "missing");
        sim_reply_say(reply, 200, message.failed ? "refused" : message.data, "error");
        strbuf_done(&message);
}

bool sim_spoil_refuse(const struct sim_fault *fault, const char *uid, const char *apikey,
                      struct sim_reply *reply)
{
        if (fault->kind == SIM_FAULT_STATUS || fault->kind == SIM_FAULT_EARLY) {
                sim_reply_say(reply, (unsigned)fault->code, "refused by a fault", "error");
                set_retry_after(fault, reply);
        } else if (fault->kind == SIM_FAULT_CODE) {
                say_code(fault->code, reply);
        } else if (fault->kind == SIM_FAULT_ERROR) {
                sim_reply_say(reply, 200, fault->text, "error");
        } else if (fault->kind == SIM_FAULT_ECHO) {
                say_credentials(uid, apikey, reply);
        } else {
                return false;
        }
        return true;
}

/* Puts another text, with code 200 unless it says otherwise, in place of the answer. */
static void replace_answer(struct sim_reply *reply, const char *text)
{
        sim_reply_clear(reply);
        reply->code = 200;
        (void)strbuf_puts(&reply->body, text);
}

static void say_garbage(struct sim_reply *reply)
{
        struct sim_rng rng = {.state = 1};

        /* 0xff starts no UTF-8 text, let alone JSON. */
        replace_answer(reply, "\xff");
        for (int i = 0; i < GARBAGE_BYTES - 1; i++)
                (void)strbuf_append(&reply->body, &(char){(char)sim_rng_next(&rng)}, 1);
}

static void say_repeated(char c, size_t count, struct sim_reply *reply)
{
        (void)strbuf_reserve(&reply->body, reply->body.len + count + 1);
        for (size_t i = 0; i < count; i++)
                (void)strbuf_append(&reply->body, &c, 1);
}

static void say_huge(struct sim_reply *reply)
{
        replace_answer(reply, "\"");
        say_repeated('a', HUGE_BYTES, reply);
        (void)strbuf_puts(&reply->body, "\"");
}

static void say_deep(struct sim_reply *reply)
{
        replace_answer(reply, "");
        say_repeated('[', DEEP_LEVELS, reply);
        say_repeated(']', DEEP_LEVELS, reply);
}

/* Changes how the answer is delivered. */
static void spoil_delivery(const struct sim_fault *fault, struct sim_reply *reply)
{
        static const struct {
                enum sim_fault_kind kind;
                enum sim_delivery delivery;
        } deliveries[] = {
                {SIM_FAULT_RESET, SIM_DELIVERY_RESET},   {SIM_FAULT_CLOSE, SIM_DELIVERY_CLOSE},
                {SIM_FAULT_TRUNCATE, SIM_DELIVERY_HALF}, {SIM_FAULT_DRIP, SIM_DELIVERY_DRIP},
                {SIM_FAULT_HANG, SIM_DELIVERY_HANG},     {SIM_FAULT_DOUBLE, SIM_DELIVERY_DOUBLE},
                {SIM_FAULT_SPLIT, SIM_DELIVERY_SPLIT},
        };

        reply->surplus = fault->surplus;

        for (size_t i = 0; i < sizeof deliveries / sizeof deliveries[0]; i++) {
                if (deliveries[i].kind == fault->kind)
                        reply->delivery = deliveries[i].delivery;
        }
}

void sim_spoil_answer(const struct sim_fault *fault, struct sim_reply *reply)
{
        switch (fault->kind) {
        case SIM_FAULT_NONE:
        case SIM_FAULT_STATUS:
        case SIM_FAULT_CODE:
        case SIM_FAULT_ERROR:
        case SIM_FAULT_ECHO:
        case SIM_FAULT_RESET_EARLY:
        case SIM_FAULT_EARLY:
        case SIM_FAULT_SKIP:
        case SIM_FAULT_NOID:
        case SIM_FAULT_DUPLICATE:
                break; /* not made here */
        case SIM_FAULT_RESET:
        case SIM_FAULT_CLOSE:
        case SIM_FAULT_TRUNCATE:
        case SIM_FAULT_DRIP:
        case SIM_FAULT_HANG:
        case SIM_FAULT_DOUBLE:
        case SIM_FAULT_SPLIT:
                spoil_delivery(fault, reply);
                break;
        case SIM_FAULT_RESET_AFTER:
                reply->aftermath = SIM_AFTERMATH_RESET;
                break;
        case SIM_FAULT_STRAY:
                reply->aftermath = SIM_AFTERMATH_STRAY;
                reply->surplus = fault->surplus;
                break;
        case SIM_FAULT_SLOW:
                reply->delay_ms = fault->delay_ms;
                break;
        case SIM_FAULT_GARBAGE:
                say_garbage(reply);
                break;
        case SIM_FAULT_HTML:
                replace_answer(reply, PAGE);
                reply->content_type = "text/html; charset=utf-8";
                reply->code = (unsigned)fault->code;
                break;
        case SIM_FAULT_EMPTY:
                replace_answer(reply, "");
                break;
        case SIM_FAULT_NOTOBJECT:
                replace_answer(reply, "[1,2]");
                break;
        case SIM_FAULT_NUMERIC:
                replace_answer(reply, "{\"status\":1}");
                break;
        case SIM_FAULT_HUGE:
                say_huge(reply);
                break;
        case SIM_FAULT_DEEP:
                say_deep(reply);
                break;
        }
}
