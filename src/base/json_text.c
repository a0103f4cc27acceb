/*
 * json_text: see json_text.h.
 */
#include "base/json_text.h"

#include "base/strbuf.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define TIME_CHARS 32

/* What comes before a value: a comma where there was one, and its name. */
static void begin(struct strbuf *json, const char *name)
{
        char last = json->len > 0 ? json->data[json->len - 1] : '{';

        if (last != '{' && last != '[')
                (void)strbuf_puts(json, ",");
        if (name)
                (void)strbuf_printf(json, "\"%s\":", name);
}

static void add_word(struct strbuf *json, const char *name, const char *word)
{
        begin(json, name);
        (void)strbuf_puts(json, word);
}

void json_open_object(struct strbuf *json, const char *name)
{
        add_word(json, name, "{");
}

void json_close_object(struct strbuf *json)
{
        (void)strbuf_puts(json, "}");
}

void json_open_array(struct strbuf *json, const char *name)
{
        add_word(json, name, "[");
}

void json_close_array(struct strbuf *json)
{
        (void)strbuf_puts(json, "]");
}

void json_add_text(struct strbuf *json, const char *name, const char *text)
{
        begin(json, name);
        if (text)
                (void)strbuf_append_json_string(json, text, strlen(text));
        else
                (void)strbuf_puts(json, "null");
}

void json_add_integer(struct strbuf *json, const char *name, int64_t number)
{
        begin(json, name);
        (void)strbuf_printf(json, "%" PRId64, number);
}

void json_add_number(struct strbuf *json, const char *name, double number)
{
        begin(json, name);
        if (isfinite(number))
                (void)strbuf_printf(json, "%.15g", number);
        else
                (void)strbuf_puts(json, "null");
}

void json_add_bool(struct strbuf *json, const char *name, bool truth)
{
        add_word(json, name, truth ? "true" : "false");
}

void json_add_null(struct strbuf *json, const char *name)
{
        add_word(json, name, "null");
}

void json_add_seconds(struct strbuf *json, const char *name, int64_t duration_ms)
{
        int64_t magnitude = duration_ms < 0 ? -duration_ms : duration_ms;

        begin(json, name);
        (void)strbuf_printf(json, "%s%" PRId64 ".%03d", duration_ms < 0 ? "-" : "",
                            magnitude / 1000, (int)(magnitude % 1000));
}

static struct tm utc_of(int64_t wall_ms)
{
        time_t seconds = (time_t)(wall_ms / 1000);
        struct tm utc = {0};

        (void)gmtime_r(&seconds, &utc);
        return utc;
}

void json_add_time(struct strbuf *json, const char *name, int64_t wall_ms)
{
        struct tm utc = utc_of(wall_ms);
        char text[TIME_CHARS];

        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
        json_add_text(json, name, text);
}

void json_add_date(struct strbuf *json, const char *name, int64_t wall_ms)
{
        struct tm utc = utc_of(wall_ms);
        char text[TIME_CHARS];

        (void)strftime(text, sizeof text, "%Y-%m-%d", &utc);
        json_add_text(json, name, text);
}

void json_add_object_of(struct strbuf *json, const char *name, const char *members, size_t len)
{
        begin(json, name);
        (void)strbuf_puts(json, "{");
        (void)strbuf_append(json, members, len);
        (void)strbuf_puts(json, "}");
}
