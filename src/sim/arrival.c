/*
 * arrival: what is noted of a request on an API path before its body, see request.h.
 */
#include "sim/request.h"

#include "sim/counters.h"
#include "sim/journal.h"
#include "sim/sim.h"

#include <string.h>
#include <strings.h>

#define HEADERS_MAX            128
#define HEADERS_JSON_BYTES_MAX (256 * 1024)

struct header {
        const char *name;
        const char *value;
};

struct headers {
        struct header items[HEADERS_MAX];
        size_t count;
        bool too_many;
};

static enum MHD_Result collect_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
        struct headers *headers = cls;

        (void)kind;
        if (headers->count == HEADERS_MAX) {
                headers->too_many = true;
                return MHD_NO;
        }
        headers->items[headers->count++] = (struct header){name, value ? value : ""};
        return MHD_YES;
}

static bool named_before(const struct headers *headers, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (strcasecmp(headers->items[i].name, headers->items[index].name) == 0)
                        return true;
        return false;
}

/* The values of a header given several times are joined (RFC 9110, 5.3), so none is hidden. */
static void write_header(const struct headers *headers, size_t index, struct strbuf *out)
{
        const struct header *header = &headers->items[index];
        struct strbuf value;

        strbuf_init(&value, HEADERS_JSON_BYTES_MAX);
        (void)strbuf_puts(&value, header->value);
        for (size_t i = index + 1; i < headers->count; i++)
                if (strcasecmp(headers->items[i].name, header->name) == 0)
                        (void)strbuf_printf(&value, ", %s", headers->items[i].value);
        (void)strbuf_puts(out, out->len > 1 ? "," : "");
        (void)strbuf_append_json_string(out, header->name, strlen(header->name));
        (void)strbuf_puts(out, ":");
        if (value.failed)
                (void)strbuf_puts(out, "null");
        else
                (void)strbuf_append_json_string(out, value.data, value.len);
        strbuf_done(&value);
}

/* The headers as received, as a JSON object; NULL where there is no room for them. */
static char *headers_json(struct MHD_Connection *connection)
{
        struct headers headers = {.count = 0};
        struct strbuf out;

        (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, collect_header, &headers);
        if (headers.too_many)
                return NULL;
        strbuf_init(&out, HEADERS_JSON_BYTES_MAX);
        (void)strbuf_puts(&out, "{");
        for (size_t i = 0; i < headers.count; i++)
                if (!named_before(&headers, i))
                        write_header(&headers, i, &out);
        (void)strbuf_puts(&out, "}");
        return strbuf_take(&out, NULL);
}

static const char *header_value(const struct sim_request *request, const char *name)
{
        return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* Connections are counted when their first API request comes, not those that only watch. */
static void count_connection(const struct sim_request *request)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        bool *counted = info ? info->socket_context : NULL;

        if (!counted || *counted)
                return;
        *counted = true;
        sim_counters_add(request->sim->counters, SIM_COUNTER_CONNECTIONS, 1);
}

void sim_request_arrive(struct sim_request *request, const char *http_version)
{
        struct sim *sim = request->sim;
        enum sim_endpoint endpoint = request->route->endpoint;

        request->uid = header_value(request, "uid");
        request->apikey = header_value(request, "apikey");
        request->counted = true;
        sim_counters_raise(sim->counters, SIM_GAUGE_REQUESTS);
        sim_counters_add(sim->counters, SIM_COUNTER_SOLVE_REQUESTS + endpoint, 1);
        count_connection(request);

        bool credentials =
                request->uid || request->apikey || header_value(request, "authorization");
        request->ticket = sim_journal_add(sim->journal, endpoint, http_version,
                                          headers_json(request->connection), credentials);
        sim_faults_take(sim->faults, endpoint, &request->fault);
        if (request->fault.kind != SIM_FAULT_NONE)
                sim_counters_add(sim->counters, SIM_COUNTER_FAULTS, 1);
}

void sim_request_leave(struct sim_request *request)
{
        if (!request->counted)
                return;
        request->counted = false;
        sim_counters_lower(request->sim->counters, SIM_GAUGE_REQUESTS);
}
