/*
 * twin: what json-c, another reader, makes of the same JSON text. In a file of its own, since
 * json-c and base/json both have an enum json_type.
 */
#ifndef SOLVEGATE_TESTS_TWIN_H
#define SOLVEGATE_TESTS_TWIN_H

#include <stdbool.h>
#include <stddef.h>

struct json_object; /* of json-c; NULL stands for null */

/*
 * Reads text, up to max_depth containers deep. Returns false if json-c does not accept it. Not in
 * its strict mode, which in 0.18 refuses all that is not ASCII, and integers of more than 64 bits.
 * The caller frees *ret_twin with twin_free().
 */
bool twin_read(const char *text, size_t len, unsigned max_depth, struct json_object **ret_twin);
void twin_free(struct json_object *twin);

bool twin_is_string(const struct json_object *twin, const char *text, size_t len);

/* The number of members or elements, or -1 if it is not an object or an array. */
long twin_members(const struct json_object *twin);
long twin_elements(const struct json_object *twin);

/* Returns false without such a member. *ret_value lives as long as twin. */
bool twin_member(const struct json_object *twin, const char *name, struct json_object **ret_value);
struct json_object *twin_element(const struct json_object *twin, size_t index);

#endif
