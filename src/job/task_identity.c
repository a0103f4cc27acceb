/*
 * task_identity: see task_identity.h.
 */
#include "job/task_identity.h"

#include "base/base64.h"
#include "base/utf8.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION          1
#define NAME_BYTES_MAX   (TASK_FIELDS_MAX * TASK_NAME_BYTES_MAX)
#define PIECE_CHARS      4096 /* of base64, decoded at once */
#define HEADER_BYTES_MAX (1 + (sizeof(size_t) * CHAR_BIT + 6) / 7)
#define SHORT_BYTES_MAX  48
#define INDEX_BYTES_MAX  sizeof "4294967295"

_Static_assert(PIECE_CHARS % 4 == 0, "base64_decode() takes pieces of whole groups");

/* The kinds of parts. A value never changes, or VERSION does. */
enum part {
        PART_TEXT = 't',     /* a string, decoded */
        PART_RAW_TEXT = 'r', /* a string as it came, where decoding it loses something */
        PART_BYTES = 'b',    /* of an image */
        PART_SCALAR = 's',   /* a number or a literal as it came */
        PART_OBJECT = 'o',   /* names and values follow, then an end; empty like the two below */
        PART_ARRAY = 'a',    /* values follow, then an end */
        PART_END = 'e',
};

int task_identity_init(struct task_identity_maker *maker, struct strbuf *text)
{
        *maker = (struct task_identity_maker){.text = text};
        strbuf_init(&maker->names, NAME_BYTES_MAX);
        return digest_init(&maker->digest);
}

void task_identity_done(struct task_identity_maker *maker)
{
        digest_done(&maker->digest);
        strbuf_done(&maker->names);
        maker->fields_count = 0;
}

/* Writes the kind, and the length in groups of 7 bits, the lowest first. Returns the bytes. */
static size_t write_header(enum part part, size_t len, unsigned char ret[static HEADER_BYTES_MAX])
{
        size_t bytes = 0;

        ret[bytes++] = (unsigned char)part;
        for (; len >= 0x80; len >>= 7)
                ret[bytes++] = (unsigned char)(0x80 | (len & 0x7f));
        ret[bytes++] = (unsigned char)len;
        return bytes;
}

static void add_header(struct task_identity_maker *maker, enum part part, size_t len)
{
        unsigned char header[HEADER_BYTES_MAX];

        digest_update(&maker->digest, header, write_header(part, len, header));
}

/* A short part is joined to its header: a body may have millions. */
static void add_part(struct task_identity_maker *maker, enum part part, const char *bytes,
                     size_t len)
{
        unsigned char joined[HEADER_BYTES_MAX + SHORT_BYTES_MAX];
        size_t header_len = write_header(part, len, joined);

        if (len > SHORT_BYTES_MAX) {
                digest_update(&maker->digest, joined, header_len);
                digest_update(&maker->digest, bytes, len);
                return;
        }
        if (len > 0)
                memcpy(joined + header_len, bytes, len);
        digest_update(&maker->digest, joined, header_len + len);
}

/* Tells whether an escaped surrogate, alone or in a pair, stands in a string. */
static bool has_surrogate_escape(struct json_span raw)
{
        const char *next = raw.ptr, *end = raw.ptr + raw.len;

        /* An escape has two bytes at least, and six with a `u`. */
        while ((next = memchr(next, '\\', (size_t)(end - next)))) {
                if (next[1] == 'u' && (next[2] == 'd' || next[2] == 'D') && next[3] >= '8')
                        return true;
                next += 2;
        }
        return false;
}

/*
 * Adds a string by its decoded text; or, where a lone surrogate may have become U+FFFD, by the text
 * as it came: other surrogates become the same, and would be taken for it.
 */
static void add_text(struct task_identity_maker *maker, struct json_span raw,
                     struct json_span decoded)
{
        if (has_surrogate_escape(raw) &&
            memmem(decoded.ptr, decoded.len, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT)))
                add_part(maker, PART_RAW_TEXT, raw.ptr, raw.len);
        else
                add_part(maker, PART_TEXT, decoded.ptr, decoded.len);
}

void task_identity_begin_field(struct task_identity_maker *maker, struct json_span folded,
                               struct json_span raw)
{
        struct task_identity_field *field = &maker->fields[maker->fields_count];

        if (maker->fields_count == TASK_FIELDS_MAX) {
                maker->failed = true;
                return;
        }
        *field = (struct task_identity_field){maker->names.len, folded.len, {0}};
        if (strbuf_append(&maker->names, folded.ptr, folded.len) < 0)
                maker->failed = true;
        add_text(maker, raw, folded);
}

void task_identity_end_field(struct task_identity_maker *maker)
{
        if (maker->fields_count == TASK_FIELDS_MAX ||
            digest_finish(&maker->digest, maker->fields[maker->fields_count].digest) < 0)
                maker->failed = true;
        else
                maker->fields_count++;
}

void task_identity_add_string(struct task_identity_maker *maker, struct json_span raw)
{
        if (!memchr(raw.ptr, '\\', raw.len)) {
                add_part(maker, PART_TEXT, raw.ptr, raw.len);
                return;
        }
        maker->text->len = 0;
        if (json_string_decode(raw, maker->text) < 0)
                maker->failed = true;
        else
                add_text(maker, raw, (struct json_span){maker->text->data, maker->text->len});
}

void task_identity_add_index(struct task_identity_maker *maker, unsigned index)
{
        char name[INDEX_BYTES_MAX];

        add_part(maker, PART_TEXT, name, (size_t)snprintf(name, sizeof name, "%u", index));
}

void task_identity_add_base64(struct task_identity_maker *maker, const char *base64, size_t len)
{
        unsigned char bytes[PIECE_CHARS / 4 * 3];

        add_header(maker, PART_BYTES, base64_decoded_length(base64, len));
        while (len > 0) {
                size_t piece = len < PIECE_CHARS ? len : PIECE_CHARS;
                digest_update(&maker->digest, bytes, base64_decode(base64, piece, bytes));
                base64 += piece;
                len -= piece;
        }
}

static int add_object(struct task_identity_maker *maker, struct json_reader *reader)
{
        struct json_span name;
        int r = json_reader_enter_object(reader);

        if (r < 0)
                return r;
        add_header(maker, PART_OBJECT, 0);
        while ((r = json_reader_next_member(reader, &name)) > 0) {
                task_identity_add_string(maker, name);
                r = task_identity_add_value(maker, reader);
                if (r < 0)
                        return r;
        }
        add_header(maker, PART_END, 0);
        return r;
}

static int add_array(struct task_identity_maker *maker, struct json_reader *reader)
{
        int r = json_reader_enter_array(reader);

        if (r < 0)
                return r;
        add_header(maker, PART_ARRAY, 0);
        while ((r = json_reader_next_element(reader)) > 0) {
                r = task_identity_add_value(maker, reader);
                if (r < 0)
                        return r;
        }
        add_header(maker, PART_END, 0);
        return r;
}

/* The reader refuses to nest deeper than JSON_DEPTH_MAX, which bounds the recursion. */
int task_identity_add_value(struct task_identity_maker *maker, struct json_reader *reader)
{
        struct json_span text;
        enum json_type type;
        int r = json_reader_peek(reader, &type);

        if (r < 0)
                return r;
        switch (type) {
        case JSON_OBJECT:
                return add_object(maker, reader);
        case JSON_ARRAY:
                return add_array(maker, reader);
        case JSON_STRING:
                r = json_reader_string(reader, &text);
                if (r == 0)
                        task_identity_add_string(maker, text);
                return r;
        case JSON_NUMBER:
        case JSON_TRUE:
        case JSON_FALSE:
        case JSON_NULL:
                r = json_reader_skip(reader, &text);
                if (r == 0)
                        add_part(maker, PART_SCALAR, text.ptr, text.len);
                return r;
        }
        return -EINVAL;
}

static int compare_names(const void *a, const void *b, void *names)
{
        const struct task_identity_field *one = a, *other = b;
        size_t shorter = one->name_len < other->name_len ? one->name_len : other->name_len;
        const char *text = names;
        int order = memcmp(text + one->name_start, text + other->name_start, shorter);

        return order ? order
                     : (one->name_len > other->name_len) - (one->name_len < other->name_len);
}

int task_identity_finish(struct task_identity_maker *maker, struct task_identity *ret_identity)
{
        static const unsigned char version = VERSION;

        if (maker->failed)
                return -ENOMEM;
        if (maker->fields_count > 1)
                qsort_r(maker->fields, maker->fields_count, sizeof maker->fields[0], compare_names,
                        maker->names.data);
        digest_update(&maker->digest, &version, sizeof version);
        for (size_t i = 0; i < maker->fields_count; i++)
                digest_update(&maker->digest, maker->fields[i].digest, DIGEST_BYTES);
        return digest_finish(&maker->digest, ret_identity->bytes);
}
