/*
 * json_value: see json_value.h.
 */
#include "base/json_value.h"

#include "base/clock.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <json-c/printbuf.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TEXT_CHARS   32
#define MEMBER_FLAGS (JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY)
#define WRITE_FLAGS  (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* json-c returns NULL without memory, which it also uses for null. */
static struct json_object *checked(struct json_object *value)
{
        return value ? value : JSON_FAILED;
}

static void drop(struct json_object *value)
{
        if (value != JSON_FAILED)
                (void)json_object_put(value);
}

/* Puts an end to a container that cannot take value. */
static void fail(struct json_object **container, struct json_object *value)
{
        drop(value);
        drop(*container);
        *container = JSON_FAILED;
}

/* ---- containers ---- */

void json_set(struct json_object **object, const char *name, struct json_object *value)
{
        if (*object == JSON_FAILED || value == JSON_FAILED ||
            json_object_object_add_ex(*object, name, value, MEMBER_FLAGS) < 0)
                fail(object, value);
}

struct json_object *json_new_object(void)
{
        return checked(json_object_new_object());
}

struct json_object *json_new_members(const struct json_member *members)
{
        struct json_object *object = json_new_object();

        for (; members->name; members++)
                json_set(&object, members->name, members->value);
        return object;
}

struct json_object *json_new_array(void)
{
        return checked(json_object_new_array());
}

void json_append(struct json_object **array, struct json_object *value)
{
        if (*array == JSON_FAILED || value == JSON_FAILED ||
            json_object_array_add(*array, value) < 0)
                fail(array, value);
}

/* ---- strings ---- */

static struct json_object *new_string(const char *text, size_t len)
{
        return len < INT_MAX ? checked(json_object_new_string_len(text, (int)len)) : JSON_FAILED;
}

static struct json_object *new_repaired_string(const char *text, size_t len)
{
        struct strbuf repaired;
        size_t piece_len;

        strbuf_init(&repaired, len * strlen(UTF8_REPLACEMENT));
        while (len > 0) {
                const char *piece = utf8_take(&text, &len, &piece_len);
                (void)strbuf_append(&repaired, piece, piece_len);
        }
        struct json_object *value =
                repaired.failed ? JSON_FAILED : new_string(repaired.data, repaired.len);
        strbuf_done(&repaired);
        return value;
}

struct json_object *json_new_string(const char *text)
{
        size_t len = text ? strlen(text) : 0;

        if (!text)
                return NULL;
        return utf8_is_valid(text, len) ? new_string(text, len) : new_repaired_string(text, len);
}

struct json_object *json_new_time(int64_t wall_ms)
{
        char text[CLOCK_TEXT_BYTES];

        clock_write_s(wall_ms, text);
        return new_string(text, strlen(text));
}

struct json_object *json_new_date(int64_t wall_ms)
{
        char text[CLOCK_TEXT_BYTES];

        clock_write_s(wall_ms, text);
        return new_string(text, CLOCK_DAY_CHARS);
}

/* ---- numbers ---- */

struct json_object *json_new_integer(int64_t number)
{
        return checked(json_object_new_int64(number));
}

struct json_object *json_new_bool(bool value)
{
        return checked(json_object_new_boolean(value));
}

struct json_object *json_new_number(double number)
{
        char text[TEXT_CHARS];

        if (!isfinite(number))
                return NULL;
        (void)snprintf(text, sizeof text, "%.15g", number);
        return checked(json_object_new_double_s(number, text));
}

struct json_object *json_new_seconds(int64_t duration_ms)
{
        int64_t magnitude = duration_ms < 0 ? -duration_ms : duration_ms;
        char text[TEXT_CHARS];

        (void)snprintf(text, sizeof text, "%s%" PRId64 ".%03d", duration_ms < 0 ? "-" : "",
                       magnitude / 1000, (int)(magnitude % 1000));
        return checked(json_object_new_double_s((double)duration_ms / 1000, text));
}

/* ---- text ---- */

static int write_raw_object(struct json_object *value, struct printbuf *text, int level, int flags)
{
        (void)level;
        (void)flags;
        (void)printbuf_memappend(text, "{", 1);
        (void)printbuf_memappend(text, json_object_get_string(value),
                                 json_object_get_string_len(value));
        return printbuf_memappend(text, "}", 1);
}

struct json_object *json_new_raw_object(const struct strbuf *members)
{
        struct json_object *value =
                members->failed ? JSON_FAILED
                                : new_string(members->len > 0 ? members->data : "", members->len);

        if (value != JSON_FAILED)
                json_object_set_serializer(value, write_raw_object, NULL, NULL);
        return value;
}

void json_write(struct json_object *value, struct strbuf *text)
{
        const char *written = NULL;
        size_t len = 0;

        /* json-c continues after a failed append, and returns the rest. Only errno tells. */
        errno = 0;
        if (value != JSON_FAILED)
                written = json_object_to_json_string_length(value, WRITE_FLAGS, &len);
        if (!written || errno == ENOMEM || errno == EFBIG)
                text->failed = true;
        else
                (void)strbuf_append(text, written, len);
        drop(value);
}
