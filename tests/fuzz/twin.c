/*
 * twin: see twin.h.
 */
#include "twin.h"

#include "fuzz.h"

#include <json-c/json.h>
#include <string.h>

bool twin_read(const char *text, size_t len, unsigned max_depth, struct json_object **ret_twin)
{
        /* json-c counts a scalar as one level. */
        struct json_tokener *tokener = json_tokener_new_ex((int)max_depth + 1);

        CHECK(tokener);
        *ret_twin = json_tokener_parse_ex(tokener, text, (int)len);
        /* A number at the end of the text might go on: a NUL ends it. */
        if (json_tokener_get_error(tokener) == json_tokener_continue)
                *ret_twin = json_tokener_parse_ex(tokener, "", 1);
        bool good = json_tokener_get_error(tokener) == json_tokener_success;
        json_tokener_free(tokener);
        return good;
}

void twin_free(struct json_object *twin)
{
        (void)json_object_put(twin);
}

bool twin_is_string(const struct json_object *twin, const char *text, size_t len)
{
        struct json_object *string = (struct json_object *)(uintptr_t)twin;

        return json_object_is_type(twin, json_type_string) &&
               (size_t)json_object_get_string_len(twin) == len &&
               (len == 0 || memcmp(json_object_get_string(string), text, len) == 0);
}

long twin_members(const struct json_object *twin)
{
        return json_object_is_type(twin, json_type_object) ? json_object_object_length(twin) : -1;
}

long twin_elements(const struct json_object *twin)
{
        return json_object_is_type(twin, json_type_array) ? (long)json_object_array_length(twin)
                                                          : -1;
}

bool twin_member(const struct json_object *twin, const char *name, struct json_object **ret_value)
{
        return json_object_object_get_ex(twin, name, ret_value);
}

struct json_object *twin_element(const struct json_object *twin, size_t index)
{
        return json_object_array_get_idx(twin, index);
}
