/*
 * surplus: see surplus.h.
 */
#include "sim/surplus.h"

#include "base/strbuf.h"

#include <string.h>

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
