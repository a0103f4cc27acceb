/*
 * reply: see reply.h.
 */
#include "sim/reply.h"

#include <string.h>

void sim_reply_init(struct sim_reply *reply)
{
        *reply = (struct sim_reply){
                .code = 200,
                .content_type = "application/json",
                .delivery = SIM_DELIVERY_WHOLE,
        };
        strbuf_init(&reply->body, SIM_REPLY_BYTES_MAX);
}

void sim_reply_done(struct sim_reply *reply)
{
        strbuf_done(&reply->body);
        strbuf_init(&reply->body, SIM_REPLY_BYTES_MAX);
}

void sim_reply_clear(struct sim_reply *reply)
{
        sim_reply_done(reply);
}

void sim_reply_say(struct sim_reply *reply, unsigned code, const char *message, const char *status)
{
        sim_reply_clear(reply);
        reply->code = code;
        (void)strbuf_puts(&reply->body, "{\"message\":");
        (void)strbuf_append_json_string(&reply->body, message, strlen(message));
        (void)strbuf_printf(&reply->body, ",\"status\":\"%s\"}", status);
}

static const struct surplus_row {
        const char *name;
        const char *status; /* code and reason (RFC 9112, section 4) */
        const char *field;  /* a further header field, or "" */
        const char *body;
} rows[] = {
        [SIM_SURPLUS_SOLVED] = {"solved", "200 OK", "", "{\"status\":\"solved\",\"solution\":[9]}"},
        [SIM_SURPLUS_CODE] = {"code", "429 Too Many Requests", "",
                              "{\"status\":\"error\",\"code\":16,\"msg\":\"RATE_LIMITED\"}"},
        [SIM_SURPLUS_ERROR] = {"error", "200 OK", "",
                               "{\"message\":\"a surplus response\",\"status\":\"error\"}"},
        [SIM_SURPLUS_UNAUTHORIZED] = {"unauthorized", "401 Unauthorized", "",
                                      "{\"message\":\"Invalid APIKEY\","
                                      "\"status\":\"Unauthorized\"}"},
        [SIM_SURPLUS_CLOSE] = {"close", "408 Request Timeout", "Connection: close\r\n", ""},
};

bool sim_surplus_find(const char *name, enum sim_surplus *ret_surplus)
{
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                if (strcmp(rows[i].name, name) == 0) {
                        *ret_surplus = (enum sim_surplus)i;
                        return true;
                }
        }
        return false;
}

void sim_surplus_write(enum sim_surplus surplus, struct strbuf *out)
{
        const struct surplus_row *row = &rows[surplus];

        (void)strbuf_printf(out,
                            "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s"
                            "Content-Length: %zu\r\n\r\n%s",
                            row->status, row->field, strlen(row->body), row->body);
}
