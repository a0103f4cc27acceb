/*
 * field: members of what the daemon has answered. A daemon of another version may leave one out or
 * change its type: that reads as if it were not there.
 */
#ifndef SOLVEGATE_CTL_FIELD_H
#define SOLVEGATE_CTL_FIELD_H

#include <stdbool.h>
#include <stddef.h>

struct json_object; /* of json-c, whose header base/json.h forbids */

/* Reads an object that base/json has found well-formed. Returns NULL without memory. */
struct json_object *field_parse(const char *text, size_t len);
void field_free(struct json_object *object);

/* The text, borrowed from the object; or NULL. object may be NULL here and below. */
const char *field_text(const struct json_object *object, const char *name);

/* The same, with a text in the place of none. */
const char *field_text_or(const struct json_object *object, const char *name, const char *other);

bool field_number(const struct json_object *object, const char *name, double *ret_number);

/* The number, 0 where there is none. */
double field_amount(const struct json_object *object, const char *name);

/* Whether it is there and is this very truth value. */
bool field_is(const struct json_object *object, const char *name, bool value);

/* The object, borrowed; or NULL. */
struct json_object *field_object(const struct json_object *object, const char *name);

/* How many elements a list has, and one of them; 0 and NULL where there is no such list. */
size_t field_list_count(const struct json_object *object, const char *name);
struct json_object *field_list_item(const struct json_object *object, const char *name, size_t i);

#endif
