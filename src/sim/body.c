/*
 * body: see body.h.
 */
#include "sim/body.h"

#include "base/strbuf.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SOLUTION_BYTES_MAX (SIM_BODY_IMAGES_MAX * 6)

/* What the images of one body come to. */
struct answer {
        struct strbuf digests;  /* SIM_SHA256_BYTES for each image */
        struct strbuf solution; /* the JSON array, still without its closing bracket */
        unsigned count;
};

/* The last member of that name, whatever its case; NULL for none. */
static struct json_object *find_member(struct json_object *object, const char *name)
{
        struct json_object *found = NULL;

        json_object_object_foreach(object, key, value)
        {
                if (strcasecmp(key, name) == 0)
                        found = value;
        }
        return found;
}

static bool string_is(struct json_object *value, const char *expected)
{
        return json_object_is_type(value, json_type_string) &&
               strcmp(json_object_get_string(value), expected) == 0;
}

/* The value of a character of RFC 4648, section 4, or -1. */
static int base64_value(unsigned char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        if (c == '+')
                return 62;
        return c == '/' ? 63 : -1;
}

/*
 * Decodes into ret_bytes, which has room for len. Padding may be missing. Returns 0 or -EBADMSG.
 */
static int base64_decode(const char *text, size_t len, unsigned char *ret_bytes, size_t *ret_len)
{
        unsigned bits = 0, pending = 0;
        size_t used = 0;

        for (int padding = 0; padding < 2 && len > 0 && text[len - 1] == '='; padding++)
                len--;
        if (len % 4 == 1)
                return -EBADMSG;
        for (size_t i = 0; i < len; i++) {
                int value = base64_value((unsigned char)text[i]);
                if (value < 0)
                        return -EBADMSG;
                pending = (pending << 6 | (unsigned)value) & 0xffff;
                bits += 6;
                if (bits >= 8) {
                        bits -= 8;
                        ret_bytes[used++] = (unsigned char)(pending >> bits);
                }
        }
        *ret_len = used;
        return 0;
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

static int digest_image(struct json_object *image, unsigned char ret_digest[SIM_SHA256_BYTES])
{
        if (!json_object_is_type(image, json_type_string))
                return -EBADMSG;
        const char *text = json_object_get_string(image);
        size_t len = (size_t)json_object_get_string_len(image), decoded_len;
        skip_data_prefix(&text, &len);
        unsigned char *decoded = malloc(len + 1);
        if (!decoded)
                return -ENOMEM;
        int r = base64_decode(text, len, decoded, &decoded_len);
        if (r == 0 && decoded_len == 0)
                r = -EBADMSG;
        if (r == 0)
                r = sim_sha256(decoded, decoded_len, ret_digest);
        free(decoded);
        return r;
}

static int add_image(struct answer *answer, struct json_object *image)
{
        unsigned char digest[SIM_SHA256_BYTES];

        if (answer->count == SIM_BODY_IMAGES_MAX)
                return -EBADMSG;
        int r = digest_image(image, digest);
        if (r < 0)
                return r;
        (void)strbuf_append(&answer->digests, digest, sizeof digest);
        if (digest[0] & 1)
                (void)strbuf_printf(&answer->solution, "%s%u", answer->solution.len > 1 ? "," : "",
                                    answer->count);
        answer->count++;
        return answer->digests.failed || answer->solution.failed ? -ENOMEM : 0;
}

static int add_images(struct answer *answer, struct json_object *images)
{
        int r = 0;

        if (json_object_is_type(images, json_type_array)) {
                for (size_t i = 0; i < json_object_array_length(images) && r == 0; i++)
                        r = add_image(answer, json_object_array_get_idx(images, i));
        } else if (json_object_is_type(images, json_type_object)) {
                struct json_object_iterator at = json_object_iter_begin(images);
                struct json_object_iterator end = json_object_iter_end(images);
                while (r == 0 && !json_object_iter_equal(&at, &end)) {
                        r = add_image(answer, json_object_iter_peek_value(&at));
                        json_object_iter_next(&at);
                }
        }
        if (r == 0 && answer->count == 0)
                r = -EBADMSG;
        return r;
}

static int solve_images(struct json_object *images, struct sim_body *body)
{
        struct answer answer = {.count = 0};

        strbuf_init(&answer.digests, SIM_BODY_IMAGES_MAX * SIM_SHA256_BYTES);
        strbuf_init(&answer.solution, SOLUTION_BYTES_MAX);
        (void)strbuf_puts(&answer.solution, "[");
        int r = add_images(&answer, images);
        if (r == 0)
                r = strbuf_puts(&answer.solution, "]");
        if (r == 0)
                r = sim_sha256_hex(answer.digests.data, answer.digests.len, body->digest);
        if (r == 0) {
                body->solution_json = strbuf_take(&answer.solution, NULL);
                if (!body->solution_json)
                        r = -ENOMEM;
        }
        strbuf_done(&answer.digests);
        strbuf_done(&answer.solution);
        return r;
}

static int read_target(struct json_object *target, struct sim_body *body)
{
        struct strbuf json;

        if (!json_object_is_type(target, json_type_string))
                return -EBADMSG;
        size_t len = (size_t)json_object_get_string_len(target);
        if (len == 0)
                return -EBADMSG;
        strbuf_init(&json, SIM_BODY_TARGET_BYTES_MAX);
        if (strbuf_append_json_string(&json, json_object_get_string(target), len) == -EMSGSIZE) {
                strbuf_done(&json);
                return -EBADMSG;
        }
        body->target_json = strbuf_take(&json, NULL);
        return body->target_json ? 0 : -ENOMEM;
}

/* The oldest clients name the method in data_type. */
static bool method_is_known(struct json_object *object)
{
        struct json_object *method = find_member(object, "method");
        struct json_object *data_type = find_member(object, "data_type");

        if (method)
                return string_is(method, "hcaptcha_base64");
        return string_is(data_type, "base64") || string_is(data_type, "hcaptcha_base64");
}

static int read_object(struct json_object *object, struct sim_body *body, const char **ret_problem)
{
        if (!json_object_is_type(object, json_type_object)) {
                *ret_problem = "the body is not a JSON object";
                return -EBADMSG;
        }
        if (!method_is_known(object)) {
                *ret_problem = "method is not hcaptcha_base64";
                return -EBADMSG;
        }
        int r = read_target(find_member(object, "target"), body);
        if (r < 0) {
                *ret_problem = "target is not a text of a sensible length";
                return r;
        }
        r = solve_images(find_member(object, "images"), body);
        if (r < 0)
                *ret_problem = "images is not an object or array of base64 images";
        return r;
}

static struct json_object *parse(const char *text, size_t len)
{
        struct json_tokener *tokener = json_tokener_new();
        struct json_object *object = NULL;

        if (!tokener || len > INT_MAX)
                goto out;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        object = json_tokener_parse_ex(tokener, text, (int)len);
        if (json_tokener_get_error(tokener) != json_tokener_success) {
                json_object_put(object);
                object = NULL;
        }
out:
        if (tokener)
                json_tokener_free(tokener);
        return object;
}

int sim_body_read(const char *text, size_t len, struct sim_body *ret_body, const char **ret_problem)
{
        struct sim_body body = {.target_json = NULL};
        struct json_object *object = len > 0 ? parse(text, len) : NULL;

        int r = read_object(object, &body, ret_problem);
        json_object_put(object);
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
