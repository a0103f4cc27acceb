/*
 * task_images: reads the images of a job, see task_private.h.
 */
#include "job/task_private.h"

#include "base/base64.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PREFIX_BYTES_MAX 128 /* of `data:…;base64,` */

/* From here on an image or its name is read, which does not count. */
static void enter_images(struct task_reading *reading)
{
        reading->others = json_reader_budget(&reading->json);
        json_reader_set_budget(&reading->json, JSON_BUDGET_NONE);
        reading->in_images = true;
}

/* From here on everything counts. */
static void leave_images(struct task_reading *reading)
{
        if (reading->in_images)
                json_reader_set_budget(&reading->json, reading->others);
        reading->in_images = false;
}

/* Passes a value in `images` that is not an image. */
static int skip_in_images(struct task_reading *reading)
{
        leave_images(reading);
        int r = json_reader_skip(&reading->json, NULL);
        enter_images(reading);
        return r;
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
static void take_base64(struct task_reading *reading, const struct task_place *place,
                        const char *text, size_t len)
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
                task_refuse_at(reading, FAULT_VALUE, place, problem);
        else if (reading->fault == FAULT_NONE)
                task_identity_add_base64(&reading->identity, text + prefix, base64_len);
}

/* Reads one image. Returns 0, -EBADMSG or -ENOMEM. */
static int read_image(struct task_reading *reading, const struct task_place *place)
{
        struct json_span text;
        enum json_type type;
        int r = json_reader_peek(&reading->json, &type);

        if (r < 0)
                return r;
        if (type != JSON_STRING) {
                task_refuse_at(reading, FAULT_VALUE, place, "not a string");
                return skip_in_images(reading);
        }
        r = json_reader_string(&reading->json, &text);
        if (r < 0)
                return r;
        if (!memchr(text.ptr, '\\', text.len)) {
                take_base64(reading, place, text.ptr, text.len);
                return 0;
        }
        r = task_decode(reading, text);
        if (r == 0)
                take_base64(reading, place, reading->text.data, reading->text.len);
        return r;
}

/* Passes an image beyond the limit, which is only counted. */
static int skip_image(struct task_reading *reading)
{
        leave_images(reading);
        return json_reader_skip(&reading->json, NULL);
}

/* Reads the members of `images`. */
static int read_image_members(struct task_reading *reading, struct name_set *names)
{
        struct task_place place = {.in_images = true};
        int r = json_reader_enter_object(&reading->json);

        if (r < 0)
                return r;
        while ((r = json_reader_next_member(&reading->json, &place.name)) > 0) {
                if (reading->task.images++ < reading->max_images) {
                        r = task_decode_name(reading, &place);
                        if (r == 0)
                                r = task_add_name(reading, names, &place);
                        if (r == 0)
                                task_identity_add_string(&reading->identity, place.name);
                        if (r != -ENOMEM)
                                r = read_image(reading, &place);
                } else {
                        r = skip_image(reading);
                }
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_images_object(struct task_reading *reading)
{
        struct name_set names = {.names_max = reading->max_images};
        int r = read_image_members(reading, &names);

        name_set_done(&names);
        return r;
}

static int read_images_array(struct task_reading *reading)
{
        struct task_place place = {.in_images = true};
        int r = json_reader_enter_array(&reading->json);

        if (r < 0)
                return r;
        while ((r = json_reader_next_element(&reading->json)) > 0) {
                place.index = reading->task.images++;
                if (place.index < reading->max_images) {
                        task_identity_add_index(&reading->identity, place.index);
                        r = read_image(reading, &place);
                } else {
                        r = skip_image(reading);
                }
                if (r < 0)
                        return r;
        }
        return r;
}

int task_read_images(struct task_reading *reading)
{
        enum json_type type;
        int r = json_reader_peek(&reading->json, &type);

        if (r < 0)
                return r;
        if (type != JSON_OBJECT && type != JSON_ARRAY) {
                task_refuse(reading, FAULT_VALUE, "images: neither an object nor an array");
                return json_reader_skip(&reading->json, NULL);
        }
        enter_images(reading);
        r = type == JSON_OBJECT ? read_images_object(reading) : read_images_array(reading);
        leave_images(reading);
        if (r < 0)
                return r;
        if (reading->task.images == 0)
                task_refuse(reading, FAULT_VALUE,
                            "images: none given; give 1 to %u (limits.images)",
                            reading->max_images);
        else if (reading->task.images > reading->max_images)
                task_refuse(reading, FAULT_VALUE,
                            "images: %u given, at most %u allowed (limits.images)",
                            reading->task.images, reading->max_images);
        return 0;
}
