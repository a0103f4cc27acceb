/*
 * field: see field.h. Whether it is JSON was decided before, by base/json: json-c takes more.
 */
#include "ctl/field.h"

#include <json-c/json.h>
#include <limits.h>

#define DEPTH_MAX 65 /* JSON_DEPTH_MAX of base/json, and the value itself */

struct json_object *field_parse(const char *text, size_t len)
{
        struct json_tokener *tokener = len < INT_MAX ? json_tokener_new_ex(DEPTH_MAX) : NULL;

        if (!tokener)
                return NULL;
        struct json_object *object = json_tokener_parse_ex(tokener, text, (int)len);
        json_tokener_free(tokener);
        return object;
}

void field_free(struct json_object *object)
{
        (void)json_object_put(object);
}

static struct json_object *member(const struct json_object *object, const char *name,
                                  enum json_type type)
{
        struct json_object *value = NULL;

        (void)json_object_object_get_ex(object, name, &value);
        return json_object_is_type(value, type) ? value : NULL;
}

const char *field_text(const struct json_object *object, const char *name)
{
        struct json_object *value = member(object, name, json_type_string);

        return value ? json_object_get_string(value) : NULL;
}

const char *field_text_or(const struct json_object *object, const char *name, const char *other)
{
        const char *text = field_text(object, name);

        return text ? text : other;
}

bool field_number(const struct json_object *object, const char *name, double *ret_number)
{
        struct json_object *value = member(object, name, json_type_int);

        if (!value)
                value = member(object, name, json_type_double);
        if (!value)
                return false;
        *ret_number = json_object_get_double(value);
        return true;
}

double field_amount(const struct json_object *object, const char *name)
{
        double number = 0;

        (void)field_number(object, name, &number);
        return number;
}

bool field_is(const struct json_object *object, const char *name, bool value)
{
        struct json_object *found = member(object, name, json_type_boolean);

        return found && json_object_get_boolean(found) == value;
}

struct json_object *field_object(const struct json_object *object, const char *name)
{
        return member(object, name, json_type_object);
}

size_t field_list_count(const struct json_object *object, const char *name)
{
        struct json_object *list = member(object, name, json_type_array);

        return list ? json_object_array_length(list) : 0;
}

struct json_object *field_list_item(const struct json_object *object, const char *name, size_t i)
{
        struct json_object *list = member(object, name, json_type_array);

        return list ? json_object_array_get_idx(list, i) : NULL;
}
