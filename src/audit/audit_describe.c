/*
 * audit_describe: see audit_describe.h.
 */
#include "audit/audit_describe.h"

#include "audit/audit_chain.h"
#include "audit/audit_history.h"
#include "base/clock.h"
#include "base/strbuf.h"

#include <string.h>

/*
 * How much of each text is written. A byte becomes six at most ("\u0001"), so what all of them and
 * the names take stays below AUDIT_MEMBERS_BYTES_MAX.
 */
#define WORD_BYTES_MAX AUDIT_WORD_BYTES_MAX /* event, client, address, job, upstream, outcome */
#define SITE_BYTES_MAX 200

_Static_assert((6 * WORD_BYTES_MAX + SITE_BYTES_MAX) * 6 + 256 <= AUDIT_MEMBERS_BYTES_MAX,
               "members of any content fit into a line");

static void append_time(struct strbuf *members, int64_t wall_ms)
{
        char text[CLOCK_TEXT_BYTES];

        clock_write(wall_ms, text);
        (void)strbuf_printf(members, "\"time\":\"%s\"", text);
}

static void append_text(struct strbuf *members, const char *name, const char *text, size_t max)
{
        (void)strbuf_printf(members, ",\"%s\":", name);
        if (text && text[0] != '\0')
                (void)strbuf_append_json_string(members, text, strnlen(text, max));
        else
                (void)strbuf_puts(members, "null");
}

static const char *charge_text(enum audit_charge charge)
{
        switch (charge) {
        case AUDIT_NOT_CHARGED:
                return "0";
        case AUDIT_CHARGED:
                return "1";
        case AUDIT_UNKNOWN:
                return "null";
        }
        return "null";
}

/* A charge that may be one has a day on which it counts. */
static void append_day(struct strbuf *members, const struct audit_event *event)
{
        int64_t last = CLOCK_WALL_MAX_MS / CLOCK_DAY_MS;
        int64_t day = event->day < 0 ? 0 : event->day < last ? event->day : last;
        char text[CLOCK_TEXT_BYTES];

        if (event->charge == AUDIT_NOT_CHARGED)
                return;
        clock_write(day * CLOCK_DAY_MS, text);
        (void)strbuf_printf(members, ",\"day\":\"%.*s\"", CLOCK_DAY_CHARS, text);
}

char *audit_describe(const struct audit_event *event)
{
        struct strbuf members;

        strbuf_init(&members, AUDIT_MEMBERS_BYTES_MAX);
        append_time(&members, event->wall_ms);
        append_text(&members, "event", event->event, WORD_BYTES_MAX);
        append_text(&members, "client", event->client, WORD_BYTES_MAX);
        append_text(&members, "address", event->address, WORD_BYTES_MAX);
        append_text(&members, "site", event->site, SITE_BYTES_MAX);
        append_text(&members, "job", event->job, WORD_BYTES_MAX);
        append_text(&members, "upstream", event->upstream, WORD_BYTES_MAX);
        append_text(&members, "outcome", event->outcome, WORD_BYTES_MAX);
        (void)strbuf_printf(&members, ",\"charge\":%s", charge_text(event->charge));
        append_day(&members, event);
        return strbuf_take(&members, NULL);
}
