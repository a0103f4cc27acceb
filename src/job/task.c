/*
 * task: see task.h. One pass over the body; only the target and the site are copied.
 */
#include "job/task.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "job/name_set.h"
#include "job/task_identity.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define METHOD           "hcaptcha_base64"
#define PREFIX_BYTES_MAX 128 /* of `data:…;base64,` */
#define SHOWN_BYTES      32  /* of a member's name in a message */
#define GIVEN_TWICE      "given twice (case does not count)"
#define LABEL_BYTES_MAX  (SHOWN_BYTES + sizeof "images[\"\"]")

enum field {
        FIELD_IMAGES,
        FIELD_TARGET,
        FIELD_METHOD,
        FIELD_DATA_TYPE,
        FIELD_SITEKEY,
        FIELD_SITE,
        FIELD_CREDENTIAL, /* must not go upstream, and the body goes as it is: refused */
        FIELD_OTHER,      /* not known here: passes through */
};

/* Names as name_set_fold() writes them. */
static const struct {
        const char *name;
        enum field field;
} known_fields[] = {
        {"images", FIELD_IMAGES},     {"target", FIELD_TARGET},
        {"method", FIELD_METHOD},     {"data_type", FIELD_DATA_TYPE},
        {"sitekey", FIELD_SITEKEY},   {"site_key", FIELD_SITEKEY},
        {"site", FIELD_SITE},         {"uid", FIELD_CREDENTIAL},
        {"apikey", FIELD_CREDENTIAL}, {"authorization", FIELD_CREDENTIAL},
};

#define KNOWN_FIELDS (sizeof known_fields / sizeof known_fields[0])

/* What is wrong with a job, the gravest last; task.h says why. */
enum fault {
        FAULT_NONE,
        FAULT_VALUE,
        FAULT_KIND,
        FAULT_SHAPE,
        FAULT_MEMORY,
};

struct reading {
        struct json_reader json;
        struct strbuf text;    /* the string decoded last */
        struct name_set names; /* of the fields not known here */
        unsigned seen;         /* a bit for each known field */
        unsigned max_images;
        struct task_identity_maker identity; /* of task, valid as long as there is no fault */
        struct task task;
        enum fault fault;
        char *message; /* what the fault is, TASK_MESSAGE_BYTES_MAX bytes */
};

/* Where in the body something stands, for messages. */
struct place {
        bool in_images;
        struct json_span name; /* ptr is NULL for an element of an array */
        unsigned index;        /* of an element */
};

/* Notes a fault, unless one as grave is known. */
__attribute__((format(printf, 3, 4))) static void refuse(struct reading *reading, enum fault fault,
                                                         const char *format, ...)
{
        va_list args;

        if (fault <= reading->fault)
                return;
        reading->fault = fault;
        va_start(args, format);
        (void)vsnprintf(reading->message, TASK_MESSAGE_BYTES_MAX, format, args);
        va_end(args);
}

/* Returns -ENOMEM, which ends the reading. */
static int refuse_out_of_memory(struct reading *reading)
{
        refuse(reading, FAULT_MEMORY, "out of memory");
        return -ENOMEM;
}

static void write_label(const struct place *place, char ret[static LABEL_BYTES_MAX])
{
        char shown[SHOWN_BYTES + 1];
        size_t len = place->name.len < SHOWN_BYTES ? place->name.len : SHOWN_BYTES;

        if (!place->name.ptr) {
                (void)snprintf(ret, LABEL_BYTES_MAX, "images[%u]", place->index);
                return;
        }
        for (size_t i = 0; i < len; i++) {
                char c = place->name.ptr[i];
                shown[i] = (char)(c >= 0x20 && c < 0x7f ? c : '?');
        }
        shown[len] = '\0';
        (void)snprintf(ret, LABEL_BYTES_MAX, place->in_images ? "images[\"%s\"]" : "\"%s\"", shown);
}

static void refuse_at(struct reading *reading, enum fault fault, const struct place *place,
                      const char *problem)
{
        char label[LABEL_BYTES_MAX];

        write_label(place, label);
        refuse(reading, fault, "%s: %s", label, problem);
}

/* Decodes a string into reading->text. Returns 0 or -ENOMEM. */
static int decode(struct reading *reading, struct json_span string)
{
        reading->text.len = 0;
        if (json_string_decode(string, &reading->text) < 0)
                return refuse_out_of_memory(reading);
        return 0;
}

static bool text_is(const struct reading *reading, const char *expected)
{
        return reading->text.len == strlen(expected) &&
               memcmp(reading->text.data, expected, reading->text.len) == 0;
}

/*
 * Decodes and folds a member's name into reading->text. Returns 0, -EINVAL when the name is
 * refused, or -ENOMEM.
 */
static int decode_name(struct reading *reading, const struct place *place)
{
        if (place->name.len > TASK_NAME_BYTES_MAX) {
                refuse_at(reading, FAULT_SHAPE, place, "a name this long is not taken");
                return -EINVAL;
        }
        if (decode(reading, place->name) < 0)
                return -ENOMEM;
        if (memchr(reading->text.data, '\0', reading->text.len)) {
                refuse_at(reading, FAULT_SHAPE, place, "a name must not hold U+0000");
                return -EINVAL;
        }
        name_set_fold(&reading->text);
        return 0;
}

/* Adds the name in reading->text to a set. Returns 0, -EINVAL when it is there, or -ENOMEM. */
static int add_name(struct reading *reading, struct name_set *names, const struct place *place)
{
        int r = name_set_add(names, reading->text.data, reading->text.len);

        if (r == -EEXIST) {
                refuse_at(reading, FAULT_SHAPE, place, GIVEN_TWICE);
                return -EINVAL;
        }
        return r < 0 ? refuse_out_of_memory(reading) : 0;
}

/* The length of the prefix `data:[mediatype][;params];base64,` of text, or 0 without. */
static size_t data_prefix(const char *text, size_t len)
{
        static const char start[] = "data:", end[] = ";base64";
        size_t searched = len < PREFIX_BYTES_MAX ? len : PREFIX_BYTES_MAX;
        const char *comma = memchr(text, ',', searched);
        size_t before = comma ? (size_t)(comma - text) : 0;

        if (before < strlen(start) + strlen(end) || strncasecmp(text, start, strlen(start)) != 0 ||
            strncasecmp(comma - strlen(end), end, strlen(end)) != 0)
                return 0;
        for (size_t i = 0; i < before; i++) {
                if (text[i] <= 0x20 || text[i] >= 0x7f)
                        return 0;
        }
        return before + 1;
}

/* Takes base64 behind an optional data: prefix, which does not count. */
static void take_base64(struct reading *reading, const struct place *place, const char *text,
                        size_t len)
{
        char problem[80];
        size_t prefix = data_prefix(text, len);
        size_t base64_len = len - prefix;
        size_t good = base64_span(text + prefix, base64_len);

        if (good < base64_len)
                (void)snprintf(problem, sizeof problem, "not base64 at character %zu",
                               prefix + good + 1);
        else if (base64_len == 0)
                (void)snprintf(problem, sizeof problem, "empty; an image in base64 is expected");
        else if (base64_len % 4 != 0)
                (void)snprintf(problem, sizeof problem,
                               "not base64: %zu characters are no multiple of 4", base64_len);
        else
                problem[0] = '\0';
        if (problem[0])
                refuse_at(reading, FAULT_VALUE, place, problem);
        else
                task_identity_add_base64(&reading->identity, text + prefix, base64_len);
}

/* Reads one image. Returns 0, -EBADMSG or -ENOMEM. */
static int read_image(struct reading *reading, const struct place *place)
{
        struct json_span text;
        enum json_type type;
        int r = json_reader_peek(&reading->json, &type);

        if (r < 0)
                return r;
        if (type != JSON_STRING) {
                refuse_at(reading, FAULT_VALUE, place, "not a string");
                return json_reader_skip(&reading->json, NULL);
        }
        r = json_reader_string(&reading->json, &text);
        if (r < 0)
                return r;
        if (!memchr(text.ptr, '\\', text.len)) {
                take_base64(reading, place, text.ptr, text.len);
                return 0;
        }
        r = decode(reading, text);
        if (r == 0)
                take_base64(reading, place, reading->text.data, reading->text.len);
        return r;
}

/* Reads the members of `images`; those past the limit are only counted. */
static int read_image_members(struct reading *reading, struct name_set *names)
{
        struct place place = {.in_images = true};
        int r = json_reader_enter_object(&reading->json);

        if (r < 0)
                return r;
        while ((r = json_reader_next_member(&reading->json, &place.name)) > 0) {
                if (reading->task.images++ < reading->max_images) {
                        r = decode_name(reading, &place);
                        if (r == 0)
                                r = add_name(reading, names, &place);
                        task_identity_add_string(&reading->identity, place.name);
                        if (r != -ENOMEM)
                                r = read_image(reading, &place);
                } else {
                        r = json_reader_skip(&reading->json, NULL);
                }
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_images_object(struct reading *reading)
{
        struct name_set names;
        int r = name_set_init(&names, reading->max_images, TASK_NAME_BYTES_MAX);

        r = r < 0 ? refuse_out_of_memory(reading) : read_image_members(reading, &names);
        name_set_done(&names);
        return r;
}

static int read_images_array(struct reading *reading)
{
        struct place place = {.in_images = true};
        int r = json_reader_enter_array(&reading->json);

        if (r < 0)
                return r;
        while ((r = json_reader_next_element(&reading->json)) > 0) {
                place.index = reading->task.images++;
                if (place.index < reading->max_images) {
                        task_identity_add_index(&reading->identity, place.index);
                        r = read_image(reading, &place);
                } else {
                        r = json_reader_skip(&reading->json, NULL);
                }
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_images(struct reading *reading)
{
        enum json_type type;
        int r = json_reader_peek(&reading->json, &type);

        if (r < 0)
                return r;
        if (type != JSON_OBJECT && type != JSON_ARRAY) {
                refuse(reading, FAULT_VALUE, "images: neither an object nor an array");
                return json_reader_skip(&reading->json, NULL);
        }
        r = type == JSON_OBJECT ? read_images_object(reading) : read_images_array(reading);
        if (r < 0)
                return r;
        if (reading->task.images == 0)
                refuse(reading, FAULT_VALUE, "images: none given; give 1 to %u",
                       reading->max_images);
        else if (reading->task.images > reading->max_images)
                refuse(reading, FAULT_VALUE, "images: %u given, at most %u are taken",
                       reading->task.images, reading->max_images);
        return 0;
}

/*
 * Reads a field that must be a string, or may be null too. Returns 1, 0 when it was refused or is
 * null, or -EBADMSG.
 */
static int read_string_field(struct reading *reading, const char *name, bool may_be_null,
                             struct json_span *ret_text)
{
        enum json_type type;
        int r = json_reader_peek(&reading->json, &type);

        if (r < 0)
                return r;
        if (type == JSON_STRING) {
                r = json_reader_string(&reading->json, ret_text);
                if (r < 0)
                        return r;
                task_identity_add_string(&reading->identity, *ret_text);
                return 1;
        }
        if (type != JSON_NULL || !may_be_null)
                refuse(reading, FAULT_VALUE, "%s: not a string", name);
        return task_identity_add_value(&reading->identity, &reading->json);
}

static int read_target(struct reading *reading)
{
        struct json_span text;
        int r = read_string_field(reading, "target", false, &text);

        if (r <= 0)
                return r;
        if (text.len == 0) {
                refuse(reading, FAULT_VALUE, "target: empty; say what to look for on the images");
                return 0;
        }
        if (text.len + 2 > TASK_TARGET_BYTES_MAX) {
                refuse(reading, FAULT_VALUE, "target: longer than %d bytes", TASK_TARGET_BYTES_MAX);
                return 0;
        }
        reading->task.target_json = strndup(text.ptr - 1, text.len + 2);
        return reading->task.target_json ? 0 : refuse_out_of_memory(reading);
}

/* Reads `method` or `data_type`; other may stand there besides, or is the same. */
static int read_method(struct reading *reading, const char *name, const char *other)
{
        struct json_span text;
        int r = read_string_field(reading, name, false, &text);

        if (r <= 0)
                return r;
        r = decode(reading, text);
        if (r == 0 && !text_is(reading, METHOD) && !text_is(reading, other))
                refuse(reading, FAULT_KIND, "%s: only jobs of " METHOD " are relayed; write \"%s\"",
                       name, other);
        return r;
}

static int read_site(struct reading *reading)
{
        struct json_span text;
        int r = read_string_field(reading, "site", true, &text);

        if (r <= 0)
                return r;
        r = decode(reading, text);
        if (r < 0)
                return r;
        if (reading->text.len > TASK_SITE_BYTES_MAX) {
                refuse(reading, FAULT_VALUE, "site: longer than %d bytes", TASK_SITE_BYTES_MAX);
                return 0;
        }
        if (memchr(reading->text.data, '\0', reading->text.len)) {
                refuse(reading, FAULT_VALUE, "site: must not hold U+0000");
                return 0;
        }
        reading->task.site = strndup(reading->text.data, reading->text.len);
        return reading->task.site ? 0 : refuse_out_of_memory(reading);
}

static int read_value(struct reading *reading, enum field field)
{
        struct json_span text;
        int r;

        switch (field) {
        case FIELD_IMAGES:
                return read_images(reading);
        case FIELD_TARGET:
                return read_target(reading);
        case FIELD_METHOD:
                return read_method(reading, "method", METHOD);
        case FIELD_DATA_TYPE:
                return read_method(reading, "data_type", "base64");
        case FIELD_SITEKEY:
                r = read_string_field(reading, "sitekey", true, &text);
                return r < 0 ? r : 0;
        case FIELD_SITE:
                return read_site(reading);
        case FIELD_CREDENTIAL:
                refuse(reading, FAULT_VALUE,
                       "uid, apikey and authorization do not belong into a job, which goes "
                       "upstream as it is; leave them out or send them in the header");
                return json_reader_skip(&reading->json, NULL);
        case FIELD_OTHER:
                return task_identity_add_value(&reading->identity, &reading->json);
        }
        return -EINVAL;
}

/* Reads the value of the field whose name was taken last, as a part of the identity. */
static int read_field(struct reading *reading, enum field field, struct json_span raw_name)
{
        struct json_span folded = {reading->text.data, reading->text.len};

        if (text_is(reading, "softid")) /* says which tool it is, not what the task is */
                return json_reader_skip(&reading->json, NULL);
        if (field == FIELD_SITEKEY) /* one name for both */
                folded = (struct json_span){"sitekey", strlen("sitekey")};
        task_identity_begin_field(&reading->identity, folded, raw_name);
        int r = read_value(reading, field);
        task_identity_end_field(&reading->identity);
        return r;
}

/* Finds out which field reading->text names. */
static enum field find_field(const struct reading *reading)
{
        for (size_t i = 0; i < KNOWN_FIELDS; i++) {
                if (text_is(reading, known_fields[i].name))
                        return known_fields[i].field;
        }
        return FIELD_OTHER;
}

static bool has_field(const struct reading *reading, enum field field)
{
        return reading->seen & 1u << field;
}

/*
 * Finds the field of a name and notes that it was given. Returns 0, -EINVAL when the name is
 * refused, or -ENOMEM.
 */
static int take_name(struct reading *reading, struct json_span name, enum field *ret_field)
{
        struct place place = {.name = name};
        int r = decode_name(reading, &place);

        if (r < 0)
                return r;
        enum field field = find_field(reading);
        if (field == FIELD_OTHER || field == FIELD_CREDENTIAL) {
                r = add_name(reading, &reading->names, &place);
                if (r < 0)
                        return r;
        } else if (has_field(reading, field)) {
                refuse_at(reading, FAULT_SHAPE, &place, GIVEN_TWICE);
                return -EINVAL;
        } else {
                reading->seen |= 1u << field;
        }
        *ret_field = field;
        return 0;
}

static int read_fields(struct reading *reading)
{
        struct json_span name;
        unsigned fields = 0;
        int r = json_reader_enter_object(&reading->json);

        if (r < 0)
                return r;
        while ((r = json_reader_next_member(&reading->json, &name)) > 0) {
                enum field field = FIELD_OTHER;
                if (fields < TASK_FIELDS_MAX) {
                        fields++;
                        r = take_name(reading, name, &field);
                } else {
                        refuse(reading, FAULT_SHAPE, "more than %d fields", TASK_FIELDS_MAX);
                        r = -EINVAL;
                }
                if (r == 0)
                        r = read_field(reading, field, name);
                else if (r == -EINVAL)
                        r = json_reader_skip(&reading->json, NULL);
                if (r < 0)
                        return r;
        }
        return r;
}

/* Reads the body to its end. Returns 0, -EBADMSG or -ENOMEM. */
static int read_body(struct reading *reading)
{
        enum json_type type;
        int r = json_reader_peek(&reading->json, &type);

        if (r < 0)
                return r;
        if (type != JSON_OBJECT) {
                refuse(reading, FAULT_SHAPE,
                       "the body is not a JSON object; send {\"images\": …, \"target\": …, …}");
                r = json_reader_skip(&reading->json, NULL);
        } else {
                r = read_fields(reading);
        }
        if (r < 0)
                return r;
        if (!has_field(reading, FIELD_IMAGES))
                refuse(reading, FAULT_VALUE,
                       "images: missing; give base64 images as an object or an array");
        if (!has_field(reading, FIELD_TARGET))
                refuse(reading, FAULT_VALUE, "target: missing; say what to look for on the images");
        if (!has_field(reading, FIELD_METHOD) && !has_field(reading, FIELD_DATA_TYPE))
                refuse(reading, FAULT_VALUE, "method: missing; write \"" METHOD "\"");
        r = json_reader_end(&reading->json);
        if (r == 0 && reading->fault == FAULT_NONE &&
            task_identity_finish(&reading->identity, &reading->task.identity) < 0)
                return refuse_out_of_memory(reading);
        return r;
}

static enum task_verdict judge(const struct reading *reading)
{
        if (reading->fault == FAULT_MEMORY)
                return TASK_NO_MEMORY;
        if (reading->json.error) {
                (void)snprintf(reading->message, TASK_MESSAGE_BYTES_MAX, "byte %zu: %s",
                               json_reader_offset(&reading->json) + 1, reading->json.error);
                return TASK_BAD_JSON;
        }
        switch (reading->fault) {
        case FAULT_NONE:
                return TASK_OK;
        case FAULT_KIND:
                return TASK_METHOD_NOT_ALLOWED;
        case FAULT_VALUE:
        case FAULT_SHAPE:
        case FAULT_MEMORY:
                break;
        }
        return TASK_BAD_JOB;
}

enum task_verdict task_parse(const char *body, size_t len, unsigned max_images,
                             struct task *ret_task, char message[static TASK_MESSAGE_BYTES_MAX])
{
        struct reading reading = {.max_images = max_images, .message = message};

        json_reader_init(&reading.json, body, len);
        strbuf_init(&reading.text, len);
        if (task_identity_init(&reading.identity, &reading.text) < 0 ||
            name_set_init(&reading.names, TASK_FIELDS_MAX, TASK_NAME_BYTES_MAX) < 0)
                (void)refuse_out_of_memory(&reading);
        else
                (void)read_body(&reading); /* judge() looks at what was noted */
        enum task_verdict verdict = judge(&reading);
        name_set_done(&reading.names);
        task_identity_done(&reading.identity);
        strbuf_done(&reading.text);
        if (verdict == TASK_OK)
                *ret_task = reading.task;
        else
                task_done(&reading.task);
        return verdict;
}

void task_done(struct task *task)
{
        free(task->target_json);
        free(task->site);
        *task = (struct task){0};
}
