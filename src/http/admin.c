/*
 * admin: /healthz and /readyz, which operators ask for on the admin address and the admin socket.
 * Answered from memory, on the main loop.
 */
#include "base/strbuf.h"
#include "gateway/gateway.h"
#include "http/reply.h"
#include "http/routes.h"
#include "http/server_private.h"
#include "http/verdict.h"

#define STATUS_BYTES_MAX 64

static enum MHD_Result reply_status(struct request *request, const char *status)
{
        struct strbuf json;

        strbuf_init(&json, STATUS_BYTES_MAX);
        (void)strbuf_printf(&json, "{\"status\":\"%s\"}", status);
        return reply_json(request, &json, -1);
}

enum MHD_Result health_handle(struct request *request)
{
        return reply_status(request, "ok");
}

enum MHD_Result ready_handle(struct request *request)
{
        char message[GATEWAY_MESSAGE_BYTES_MAX];
        enum gateway_verdict verdict = gateway_check(request->server->gateway, NULL, message);

        verdict_refuse(request, verdict, message);
        return verdict == GATEWAY_OK ? reply_status(request, "ready") : reply_refusal(request);
}
