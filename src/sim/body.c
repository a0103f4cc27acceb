/*
 * body: see body.h.
 */
#include "sim/body.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/strbuf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SOLUTION_BYTES_MAX (SIM_BODY_IMAGES_MAX * 6)

/* What the images of one body come to. */
struct answer {
        struct strbuf digests;  /* DIGEST_BYTES for each image */
        struct strbuf solution; /* the JSON array, still without its closing bracket */
        unsigned count;
};

/* The members that count: the text of each, empty where it is missing. */
struct members {
        struct json_span method;
        struct json_span data_type;
        struct json_span target;
        struct json_span images;
};

/* The text of a string, in buffer if it has escapes. Returns 0, -EBADMSG or -ENOMEM. */
static int read_string(struct json_reader *reader, struct strbuf *buffer, struct json_span *ret)
{
        if (json_reader_string(reader, ret) < 0)
                return -EBADMSG;
        if (!memchr(ret->ptr, '\\', ret->len))
                return 0;
        if (json_string_decode(*ret, buffer) < 0)
                return buffer->failed ? -ENOMEM : -EBADMSG;
        *ret = (struct json_span){buffer->data, buffer->len};
        return 0;
}

/* The same of what is a string and nothing else. The caller frees the buffer. */
static int read_one_string(struct json_span raw, struct strbuf *buffer, struct json_span *ret)
{
        struct json_reader reader;

        json_reader_init(&reader, raw.ptr, raw.len);
        strbuf_init(buffer, raw.len);
        return read_string(&reader, buffer, ret);
}

static bool string_is(struct json_span raw, const char *expected)
{
        struct json_span text;
        struct strbuf buffer;

        bool is = read_one_string(raw, &buffer, &text) == 0 && json_span_is(text, expected);
        strbuf_done(&buffer);
        return is;
}

/* Goes behind a "data:…;base64," prefix, if there is one. */
static void skip_data_prefix(const char **text, size_t *len)
{
        static const char marker[] = ";base64,";
        const char *found;

        if (*len < 5 || strncasecmp(*text, "data:", 5) != 0)
                return;
        found = memmem(*text, *len, marker, sizeof marker - 1);
        if (!found)
                return;
        *len -= (size_t)(found + sizeof marker - 1 - *text);
        *text = found + sizeof marker - 1;
}

/* The digest of an image in base64, whose padding may be missing. Returns 0, -EBADMSG or -ENOMEM.
 */
static int digest_text(const char *text, size_t len, unsigned char ret_digest[DIGEST_BYTES])
{
        int r = -EBADMSG;

        skip_data_prefix(&text, &len);
        for (int padding = 0; padding < 2 && len > 0 && text[len - 1] == '='; padding++)
                len--;
        size_t padded = (len + 3) / 4 * 4;
        char *copy = malloc(2 * padded + 1); /* and the bytes behind it */
        if (!copy)
                return -ENOMEM;
        unsigned char *bytes = (unsigned char *)copy + padded;
        memcpy(copy, text, len);
        memset(copy + len, '=', padded - len);
        if (len > 0 && base64_span(copy, padded) == padded)
                r = digest_of(bytes, base64_decode(copy, padded, bytes), ret_digest);
        free(copy);
        return r;
}

static int digest_image(struct json_reader *images, unsigned char ret_digest[DIGEST_BYTES])
{
        struct json_span text;
        struct strbuf buffer;

        strbuf_init(&buffer, (size_t)(images->end - images->next));
        int r = read_string(images, &buffer, &text);
        if (r == 0)
                r = digest_text(text.ptr, text.len, ret_digest);
        strbuf_done(&buffer);
        return r;
}

static int add_image(struct answer *answer, struct json_reader *images)
{
        unsigned char digest[DIGEST_BYTES];

        if (answer->count == SIM_BODY_IMAGES_MAX)
                return -EBADMSG;
        int r = digest_image(images, digest);
        if (r < 0)
                return r;
        (void)strbuf_append(&answer->digests, digest, sizeof digest);
        if (digest[0] & 1)
                (void)strbuf_printf(&answer->solution, "%s%u", answer->solution.len > 1 ? "," : "",
                                    answer->count);
        answer->count++;
        return answer->digests.failed || answer->solution.failed ? -ENOMEM : 0;
}

static int add_images(struct answer *answer, struct json_span raw)
{
        struct json_reader images;
        struct json_span name;
        enum json_type type = JSON_NULL;
        int r = 0;

        json_reader_init(&images, raw.ptr, raw.len);
        (void)json_reader_peek(&images, &type);
        if (type == JSON_ARRAY) {
                (void)json_reader_enter_array(&images);
                while (r == 0 && json_reader_next_element(&images) > 0)
                        r = add_image(answer, &images);
        } else if (type == JSON_OBJECT) {
                (void)json_reader_enter_object(&images);
                while (r == 0 && json_reader_next_member(&images, &name) > 0)
                        r = add_image(answer, &images);
        }
        if (r == 0 && answer->count == 0)
                r = -EBADMSG;
        return r;
}

static int solve_images(struct json_span images, struct sim_body *body)
{
        struct answer answer = {.count = 0};

        strbuf_init(&answer.digests, SIM_BODY_IMAGES_MAX * DIGEST_BYTES);
        strbuf_init(&answer.solution, SOLUTION_BYTES_MAX);
        (void)strbuf_puts(&answer.solution, "[");
        int r = add_images(&answer, images);
        if (r == 0)
                r = strbuf_puts(&answer.solution, "]");
        if (r == 0)
                r = digest_hex(answer.digests.data, answer.digests.len, body->digest);
        if (r == 0) {
                body->solution_json = strbuf_take(&answer.solution, NULL);
                if (!body->solution_json)
                        r = -ENOMEM;
        }
        strbuf_done(&answer.digests);
        strbuf_done(&answer.solution);
        return r;
}

static int write_target(struct json_span text, struct sim_body *body)
{
        struct strbuf json;

        if (text.len == 0)
                return -EBADMSG;
        strbuf_init(&json, SIM_BODY_TARGET_BYTES_MAX);
        if (strbuf_append_json_string(&json, text.ptr, text.len) == -EMSGSIZE) {
                strbuf_done(&json);
                return -EBADMSG;
        }
        body->target_json = strbuf_take(&json, NULL);
        return body->target_json ? 0 : -ENOMEM;
}

static int read_target(struct json_span raw, struct sim_body *body)
{
        struct json_span text;
        struct strbuf buffer;

        int r = read_one_string(raw, &buffer, &text);
        if (r == 0)
                r = write_target(text, body);
        strbuf_done(&buffer);
        return r;
}

/* The oldest clients name the method in data_type. */
static bool method_is_known(const struct members *members)
{
        if (members->method.len > 0)
                return string_is(members->method, "hcaptcha_base64");
        return string_is(members->data_type, "base64") ||
               string_is(members->data_type, "hcaptcha_base64");
}

/* Where a member of that name is kept, whatever the name's case; NULL: nowhere. */
static struct json_span *place_of(struct members *members, const char *name, size_t len)
{
        const struct {
                const char *name;
                struct json_span *place;
        } places[] = {
                {"method", &members->method},
                {"data_type", &members->data_type},
                {"target", &members->target},
                {"images", &members->images},
        };

        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
                if (len == strlen(places[i].name) && strncasecmp(name, places[i].name, len) == 0)
                        return places[i].place;
        }
        return NULL;
}

/* Of several members of one name the last one counts. Returns 0, -EBADMSG or -ENOMEM. */
static int read_member(struct json_reader *reader, struct json_span name, struct members *members)
{
        struct strbuf decoded;
        struct json_span raw;

        strbuf_init(&decoded, name.len);
        int r = json_string_decode(name, &decoded);
        struct json_span *place =
                r == 0 && decoded.len > 0 ? place_of(members, decoded.data, decoded.len) : NULL;
        strbuf_done(&decoded);
        if (r == 0)
                r = json_reader_skip(reader, &raw);
        if (r == 0 && place)
                *place = raw;
        return r;
}

static int read_members(const char *text, size_t len, struct members *ret_members)
{
        struct json_reader reader;
        struct json_span name;
        enum json_type type = JSON_NULL;
        int r, next;

        json_reader_init(&reader, text, len);
        r = json_reader_peek(&reader, &type);
        if (r < 0 || type != JSON_OBJECT || json_reader_enter_object(&reader) < 0)
                return -EBADMSG;
        while (r == 0 && (next = json_reader_next_member(&reader, &name)) != 0)
                r = next < 0 ? next : read_member(&reader, name, ret_members);
        return r < 0 ? r : json_reader_end(&reader);
}

static int read_body(const struct members *members, struct sim_body *body, const char **ret_problem)
{
        if (!method_is_known(members)) {
                *ret_problem = "method is not hcaptcha_base64";
                return -EBADMSG;
        }
        int r = read_target(members->target, body);
        if (r < 0) {
                *ret_problem = "target is not a text of a sensible length";
                return r;
        }
        r = solve_images(members->images, body);
        if (r < 0)
                *ret_problem = "images is not an object or array of base64 images";
        return r;
}

int sim_body_read(const char *text, size_t len, struct sim_body *ret_body, const char **ret_problem)
{
        struct sim_body body = {.target_json = NULL};
        struct members members = {
                .method = {"", 0}, .data_type = {"", 0}, .target = {"", 0}, .images = {"", 0}};

        int r = read_members(text, len, &members);
        if (r < 0)
                *ret_problem = "the body is not a JSON object";
        else
                r = read_body(&members, &body, ret_problem);
        if (r < 0)
                sim_body_done(&body);
        else
                *ret_body = body;
        return r;
}

void sim_body_done(struct sim_body *body)
{
        free(body->target_json);
        free(body->solution_json);
        *body = (struct sim_body){.target_json = NULL};
}
