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
