/*
 * Fuzz target: base/json, the strict reader.
 *
 * Rules: reading at once and step by step agree, in the verdict, the error and its place; spans lie
 * within the text; the reader accepts exactly RFC 8259 (fuzz_is_json); json-c accepts whatever the
 * reader accepts and decodes every string alike; decoded strings are UTF-8, and writing one as JSON
 * and reading it again gives the same bytes.
 */
#include "base/json.h"
#include "base/strbuf.h"
#include "fuzz.h"
#include "twin.h"

#include <stdlib.h>
#include <string.h>

struct walk {
        struct json_reader reader;
        const char *text;
        size_t len;
};

static bool walk_value(struct walk *walk, struct json_object *twin);

static void check_span(const struct walk *walk, struct json_span span)
{
        CHECK(span.ptr >= walk->text && span.len <= walk->len);
        CHECK((size_t)(span.ptr - walk->text) <= walk->len - span.len);
}

/* Decodes a string, and checks the way back. */
static void decode(const struct walk *walk, struct json_span span, struct strbuf *ret)
{
        struct json_reader again;
        struct json_span span_again;
        struct strbuf written, decoded;

        check_span(walk, span);
        strbuf_init(ret, span.len);
        CHECK(json_string_decode(span, ret) == 0);
        const char *text = ret->data ? ret->data : "";
        CHECK(fuzz_is_utf8(text, ret->len));
        strbuf_init(&written, ret->len * 6 + 2);
        CHECK(strbuf_append_json_string(&written, text, ret->len) == 0);
        json_reader_init(&again, written.data, written.len);
        CHECK(json_reader_string(&again, &span_again) == 0 && json_reader_end(&again) == 0);
        strbuf_init(&decoded, ret->len);
        CHECK(json_string_decode(span_again, &decoded) == 0);
        CHECK(decoded.len == ret->len);
        CHECK(ret->len == 0 || memcmp(decoded.data, ret->data, ret->len) == 0);
        strbuf_done(&decoded);
        strbuf_done(&written);
}

static bool walk_string(struct walk *walk, struct json_object *twin)
{
        struct json_span span;
        struct strbuf decoded;

        if (json_reader_string(&walk->reader, &span) < 0)
                return false;
        decode(walk, span, &decoded);
        CHECK(!twin || twin_is_string(twin, decoded.data, decoded.len));
        strbuf_done(&decoded);
        return true;
}

/* The twin of a member. A name with a NUL cannot be asked for. */
static struct json_object *find_member(struct json_object *twin, const struct strbuf *name)
{
        struct json_object *value = NULL;

        if (!twin || (name->data && strlen(name->data) != name->len))
                return NULL;
        CHECK(twin_member(twin, name->data ? name->data : "", &value));
        return value;
}

/* How many members follow in the object just entered; json-c keeps one of each name only. */
static long count_members(struct json_reader reader)
{
        struct json_span name;
        long count = 0;

        while (json_reader_next_member(&reader, &name) > 0) {
                if (json_reader_skip(&reader, NULL) < 0)
                        return 0;
                count++;
        }
        return count;
}

static bool walk_members(struct walk *walk, struct json_object *twin)
{
        struct json_span span;
        struct strbuf name;
        int r;

        if (json_reader_enter_object(&walk->reader) < 0)
                return false;
        CHECK(!twin || twin_members(twin) >= 0);
        if (twin && twin_members(twin) != count_members(walk->reader))
                twin = NULL;
        while ((r = json_reader_next_member(&walk->reader, &span)) > 0) {
                decode(walk, span, &name);
                struct json_object *value = find_member(twin, &name);
                strbuf_done(&name);
                if (!walk_value(walk, value))
                        return false;
        }
        return r == 0;
}

static bool walk_elements(struct walk *walk, struct json_object *twin)
{
        long count = 0;
        int r;

        if (json_reader_enter_array(&walk->reader) < 0)
                return false;
        CHECK(!twin || twin_elements(twin) >= 0);
        while ((r = json_reader_next_element(&walk->reader)) > 0) {
                if (!walk_value(walk, twin ? twin_element(twin, (size_t)count) : NULL))
                        return false;
                count++;
        }
        CHECK(r < 0 || !twin || twin_elements(twin) == count);
        return r == 0;
}

/* Reads a value step by step; twin is what json-c made of it, or NULL. */
static bool walk_value(struct walk *walk, struct json_object *twin)
{
        struct json_span raw;
        enum json_type type;

        if (json_reader_peek(&walk->reader, &type) < 0)
                return false;
        switch (type) {
        case JSON_OBJECT:
                return walk_members(walk, twin);
        case JSON_ARRAY:
                return walk_elements(walk, twin);
        case JSON_STRING:
                return walk_string(walk, twin);
        case JSON_NUMBER:
        case JSON_TRUE:
        case JSON_FALSE:
        case JSON_NULL:
                break;
        }
        if (json_reader_skip(&walk->reader, &raw) < 0)
                return false;
        check_span(walk, raw);
        CHECK(fuzz_is_json(raw.ptr, raw.len, 0));
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_copy(data, size);
        struct walk walk = {.text = text, .len = size};
        struct json_reader skipping;
        struct json_object *twin = NULL;
        struct json_span raw = {text, 0};

        json_reader_init(&skipping, text, size);
        bool skipped = json_reader_skip(&skipping, &raw) == 0 && json_reader_end(&skipping) == 0;
        check_span(&walk, raw);
        CHECK(skipped == fuzz_is_json(text, size, JSON_DEPTH_MAX));
        CHECK(skipped == (skipping.error == NULL));
        if (skipped)
                CHECK(twin_read(text, size, JSON_DEPTH_MAX, &twin));
        json_reader_init(&walk.reader, text, size);
        bool walked = walk_value(&walk, twin) && json_reader_end(&walk.reader) == 0;
        CHECK(skipped == walked);
        CHECK(skipping.error == walk.reader.error);
        CHECK(json_reader_offset(&skipping) == json_reader_offset(&walk.reader));
        CHECK(json_reader_offset(&skipping) <= size);
        twin_free(twin);
        free(text);
        return 0;
}
