/*
 * task: see task.h. One pass over the body; only the target and the site are copied.
 */
#include "job/task_private.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METHOD          "hcaptcha_base64"
#define SHOWN_BYTES     32 /* of a member's name in a message */
#define GIVEN_TWICE     "given twice (case does not count)"
#define LABEL_BYTES_MAX (SHOWN_BYTES + sizeof "images[\"\"]")
#define ESCAPE_FACTOR   6 /* the longest escape of a byte */

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

void task_refuse(struct task_reading *reading, enum task_fault fault, const char *format, ...)
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
static int refuse_out_of_memory(struct task_reading *reading)
{
        task_refuse(reading, FAULT_MEMORY, "out of memory");
        return -ENOMEM;
}

static void write_label(const struct task_place *place, char ret[static LABEL_BYTES_MAX])
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

void task_refuse_at(struct task_reading *reading, enum task_fault fault,
                    const struct task_place *place, const char *problem)
{
        char label[LABEL_BYTES_MAX];

        write_label(place, label);
        task_refuse(reading, fault, "%s: %s", label, problem);
}

int task_decode(struct task_reading *reading, struct json_span string)
{
        reading->text.len = 0;
        if (json_string_decode(string, &reading->text) < 0)
                return refuse_out_of_memory(reading);
        return 0;
}

static bool text_is(const struct task_reading *reading, const char *expected)
{
        return json_span_is((struct json_span){reading->text.data, reading->text.len}, expected);
}

int task_decode_name(struct task_reading *reading, const struct task_place *place)
{
        if (place->name.len > TASK_NAME_BYTES_MAX) {
                task_refuse_at(reading, FAULT_SHAPE, place, "a name this long is not taken");
                return -EINVAL;
        }
        if (task_decode(reading, place->name) < 0)
                return -ENOMEM;
        if (memchr(reading->text.data, '\0', reading->text.len)) {
                task_refuse_at(reading, FAULT_SHAPE, place, "a name must not hold U+0000");
                return -EINVAL;
        }
        name_set_fold(&reading->text);
        return 0;
}

int task_add_name(struct task_reading *reading, struct name_set *names,
                  const struct task_place *place)
{
        int r = name_set_add(names, reading->text.data, reading->text.len);

        if (r == -EEXIST) {
                task_refuse_at(reading, FAULT_SHAPE, place, GIVEN_TWICE);
                return -EINVAL;
        }
        return r < 0 ? refuse_out_of_memory(reading) : 0;
}

/*
 * Reads a field that must be a string, or may be null too. Returns 1, 0 when it was refused or is
 * null, or -EBADMSG.
 */
static int read_string_field(struct task_reading *reading, const char *name, bool may_be_null,
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
                task_refuse(reading, FAULT_VALUE, "%s: not a string", name);
        return task_identity_add_value(&reading->identity, &reading->json);
}

static int read_target(struct task_reading *reading)
{
        struct json_span text;
        int r = read_string_field(reading, "target", false, &text);

        if (r <= 0)
                return r;
        if (text.len == 0) {
                task_refuse(reading, FAULT_VALUE,
                            "target: empty; say what to look for on the images");
                return 0;
        }
        if (text.len + 2 > TASK_TARGET_BYTES_MAX) {
                task_refuse(reading, FAULT_VALUE, "target: longer than %d bytes",
                            TASK_TARGET_BYTES_MAX);
                return 0;
        }
        reading->task.target_json = strndup(text.ptr - 1, text.len + 2);
        return reading->task.target_json ? 0 : refuse_out_of_memory(reading);
}

/* Reads `method` or `data_type`; other may stand there besides, or is the same. */
static int read_method(struct task_reading *reading, const char *name, const char *other)
{
        struct json_span text;
        int r = read_string_field(reading, name, false, &text);

        if (r <= 0)
                return r;
        r = task_decode(reading, text);
        if (r == 0 && !text_is(reading, METHOD) && !text_is(reading, other))
                task_refuse(reading, FAULT_KIND,
                            "%s: only jobs of " METHOD " are relayed; write \"%s\"", name, other);
        return r;
}

static int read_site(struct task_reading *reading)
{
        struct json_span text;
        int r = read_string_field(reading, "site", true, &text);

        if (r <= 0)
                return r;
        r = task_decode(reading, text);
        if (r < 0)
                return r;
        if (reading->text.len > TASK_SITE_BYTES_MAX) {
                task_refuse(reading, FAULT_VALUE, "site: longer than %d bytes",
                            TASK_SITE_BYTES_MAX);
                return 0;
        }
        if (memchr(reading->text.data, '\0', reading->text.len)) {
                task_refuse(reading, FAULT_VALUE, "site: must not hold U+0000");
                return 0;
        }
        reading->task.site = strndup(reading->text.data, reading->text.len);
        return reading->task.site ? 0 : refuse_out_of_memory(reading);
}

static int read_value(struct task_reading *reading, enum field field)
{
        struct json_span text;
        int r;

        switch (field) {
        case FIELD_IMAGES:
                return task_read_images(reading);
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
                task_refuse(reading, FAULT_VALUE,
                            "uid, apikey and authorization do not belong into a job, which goes "
                            "upstream as it is; leave them out or send them in the header");
                return json_reader_skip(&reading->json, NULL);
        case FIELD_OTHER:
                return task_identity_add_value(&reading->identity, &reading->json);
        }
        return -EINVAL;
}

/* Whether a string is a tool's name: short, and without control characters and lone surrogates. */
static bool is_tool_name(struct task_reading *reading, struct json_span text)
{
        if (text.len > (size_t)TASK_SOFTID_BYTES_MAX * ESCAPE_FACTOR ||
            task_decode(reading, text) < 0 || reading->text.len > TASK_SOFTID_BYTES_MAX)
                return false;
        for (size_t i = 0; i < reading->text.len; i++) {
                unsigned char c = (unsigned char)reading->text.data[i];
                if (c < 0x20 || c == 0x7f)
                        return false;
        }
        /* What a lone surrogate is decoded to. */
        return !memmem(reading->text.data, reading->text.len, UTF8_REPLACEMENT,
                       strlen(UTF8_REPLACEMENT));
}

static bool is_tool_number(struct json_span digits)
{
        for (size_t i = 0; i < digits.len; i++) {
                if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
                        return false;
        }
        return digits.len <= TASK_SOFTID_DIGITS_MAX;
}

/*
 * Reads a value of `softid` that only names the tool. Returns 1; or 0, with nothing read, for one
 * that the upstream may refuse: it must not be shared with other clients' jobs; or -EBADMSG.
 */
static int skip_tool(struct task_reading *reading)
{
        const struct json_reader before = reading->json;
        enum json_type type;
        struct json_span raw;
        int r = json_reader_peek(&reading->json, &type);

        if (r == 0)
                r = json_reader_skip(&reading->json, &raw);
        if (r < 0)
                return r;
        if (type == JSON_NULL || (type == JSON_NUMBER && is_tool_number(raw)) ||
            (type == JSON_STRING &&
             is_tool_name(reading, (struct json_span){raw.ptr + 1, raw.len - 2})))
                return 1;
        reading->json = before;
        return 0;
}

/* Reads the value of the field whose name was taken last, as a part of the identity. */
static int read_field(struct task_reading *reading, enum field field, struct json_span raw_name)
{
        struct json_span folded = {reading->text.data, reading->text.len};

        if (text_is(reading, "softid")) {
                int r = skip_tool(reading);
                if (r != 0)
                        return r < 0 ? r : 0;
                folded = (struct json_span){"softid", strlen("softid")};
        }
        if (field == FIELD_SITEKEY) /* one name for both */
                folded = (struct json_span){"sitekey", strlen("sitekey")};
        task_identity_begin_field(&reading->identity, folded, raw_name);
        int r = read_value(reading, field);
        task_identity_end_field(&reading->identity);
        return r;
}

/* Finds out which field reading->text names. */
static enum field find_field(const struct task_reading *reading)
{
        for (size_t i = 0; i < KNOWN_FIELDS; i++) {
                if (text_is(reading, known_fields[i].name))
                        return known_fields[i].field;
        }
        return FIELD_OTHER;
}

static bool has_field(const struct task_reading *reading, enum field field)
{
        return reading->seen & 1u << field;
}

/*
 * Finds the field of a name and notes that it was given. Returns 0, -EINVAL when the name is
 * refused, or -ENOMEM.
 */
static int take_name(struct task_reading *reading, struct json_span name, enum field *ret_field)
{
        struct task_place place = {.name = name};
        int r = task_decode_name(reading, &place);

        if (r < 0)
                return r;
        enum field field = find_field(reading);
        if (field == FIELD_OTHER || field == FIELD_CREDENTIAL) {
                r = task_add_name(reading, &reading->names, &place);
                if (r < 0)
                        return r;
        } else if (has_field(reading, field)) {
                task_refuse_at(reading, FAULT_SHAPE, &place, GIVEN_TWICE);
                return -EINVAL;
        } else {
                reading->seen |= 1u << field;
        }
        *ret_field = field;
        return 0;
}

static int read_fields(struct task_reading *reading)
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
                        task_refuse(reading, FAULT_SHAPE, "more than %d fields", TASK_FIELDS_MAX);
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
static int read_body(struct task_reading *reading)
{
        enum json_type type;
        int r = json_reader_peek(&reading->json, &type);

        if (r < 0)
                return r;
        if (type != JSON_OBJECT) {
                task_refuse(
                        reading, FAULT_SHAPE,
                        "the body is not a JSON object; send {\"images\": …, \"target\": …, …}");
                r = json_reader_skip(&reading->json, NULL);
        } else {
                r = read_fields(reading);
        }
        if (r < 0)
                return r;
        if (!has_field(reading, FIELD_IMAGES))
                task_refuse(reading, FAULT_VALUE,
                            "images: missing; give base64 images as an object or an array");
        if (!has_field(reading, FIELD_TARGET))
                task_refuse(reading, FAULT_VALUE,
                            "target: missing; say what to look for on the images");
        if (!has_field(reading, FIELD_METHOD) && !has_field(reading, FIELD_DATA_TYPE))
                task_refuse(reading, FAULT_VALUE, "method: missing; write \"" METHOD "\"");
        r = json_reader_end(&reading->json);
        if (r == 0 && reading->fault == FAULT_NONE &&
            task_identity_finish(&reading->identity, &reading->task.identity) < 0)
                return refuse_out_of_memory(reading);
        return r;
}

/* Names the limit that the body exceeds, unless a fault as grave is known. */
static void refuse_excess(struct task_reading *reading)
{
        switch (reading->json.excess) {
        case JSON_NO_EXCESS:
                break;
        case JSON_TOO_MANY_VALUES:
                task_refuse(reading, FAULT_SHAPE,
                            "too many values: a job has at most %d (names, numbers, strings, "
                            "…) outside its images",
                            TASK_OTHER_VALUES_MAX);
                break;
        case JSON_TOO_MANY_BYTES:
                task_refuse(reading, FAULT_SHAPE,
                            "too much text: a job has at most %d bytes outside its images",
                            TASK_OTHER_BYTES_MAX);
                break;
        }
}

static enum task_verdict judge(struct task_reading *reading)
{
        if (reading->fault == FAULT_MEMORY)
                return TASK_NO_MEMORY;
        if (reading->json.excess) {
                refuse_excess(reading);
                return TASK_BAD_JOB;
        }
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
        const struct json_budget others = {TASK_OTHER_VALUES_MAX - 1, TASK_OTHER_BYTES_MAX};
        struct task_reading reading = {
                .max_images = max_images,
                .message = message,
                .names = {.names_max = TASK_FIELDS_MAX},
        };

        json_reader_init(&reading.json, body, len);
        json_reader_set_budget(&reading.json, others); /* the body itself is a value */
        strbuf_init(&reading.text, len);
        if (task_identity_init(&reading.identity, &reading.text) < 0)
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
