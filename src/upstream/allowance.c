/*
 * allowance: see allowance.h.
 */
#include "upstream/allowance.h"

#include "base/json.h"
#include "base/strbuf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_CHARS_MAX 40 /* a longer one is no count of solves, nor money */

/* A number, or a string that is one; else NAN. */
static double number_of(struct json_span raw)
{
        char text[NUMBER_CHARS_MAX + 1], *end;

        if (raw.len >= 2 && raw.ptr[0] == '"')
                raw = (struct json_span){raw.ptr + 1, raw.len - 2};
        if (raw.len == 0 || raw.len > NUMBER_CHARS_MAX || !strchr("-0123456789", raw.ptr[0]))
                return NAN;
        memcpy(text, raw.ptr, raw.len);
        text[raw.len] = '\0';
        double number = strtod(text, &end); /* the C locale's: nobody sets another */
        return *end == '\0' ? number : NAN;
}

static void read_object(const char *text, size_t len, double *ret_limit, double *ret_used,
                        double *ret_balance)
{
        struct json_span name, raw;
        struct json_reader reader;

        json_reader_init(&reader, text, len);
        if (json_reader_enter_object(&reader) < 0)
                return;
        while (json_reader_next_member(&reader, &name) > 0 &&
               json_reader_skip(&reader, &raw) == 0) {
                if (json_span_is(name, "planlimit"))
                        *ret_limit = number_of(raw);
                else if (json_span_is(name, "used"))
                        *ret_used = number_of(raw);
                else if (json_span_is(name, "Balance"))
                        *ret_balance = number_of(raw);
        }
}

bool allowance_left(const char *members, size_t len, double *ret_left)
{
        double limit = NAN, used = NAN, balance = NAN;
        struct strbuf object;

        strbuf_init(&object, len + 2);
        (void)strbuf_puts(&object, "{");
        (void)strbuf_append(&object, members, len);
        if (strbuf_puts(&object, "}") == 0)
                read_object(object.data, object.len, &limit, &used, &balance);
        strbuf_done(&object);
        double left = isnan(balance) ? limit - used : balance;
        if (!isfinite(left))
                return false;
        *ret_left = left;
        return true;
}
