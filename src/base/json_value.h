/*
 * json_value: makes values of json-c, and writes them (RFC 8259).
 *
 * Each constructor returns a value that the caller owns: NULL for null, as in json-c, or
 * JSON_FAILED without memory. An object or array takes over what is put into it, and becomes
 * JSON_FAILED itself if that is JSON_FAILED. So only json_write() needs a check.
 *
 * Member names are not copied: they must outlive the object. Thread: any; a value belongs to one.
 */
#ifndef SOLVEGATE_BASE_JSON_VALUE_H
#define SOLVEGATE_BASE_JSON_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object; /* of json-c, whose header has an enum json_type as base/json.h has */
struct strbuf;

#define JSON_FAILED ((struct json_object *)-1)

struct json_member {
        const char *name;
        struct json_object *value;
};

/* An object of members in this order: JSON_OBJECT({"a", json_new_integer(1)}, {"b", NULL}). */
#define JSON_OBJECT(...) json_new_members((const struct json_member[]){__VA_ARGS__, {NULL, NULL}})

/* The same of an array of members that ends with a NULL name. */
struct json_object *json_new_members(const struct json_member *members);

struct json_object *json_new_object(void);

/* Adds a member to *object, which has none of that name. */
void json_set(struct json_object **object, const char *name, struct json_object *value);

struct json_object *json_new_array(void);

/* Adds an element to the end of *array. */
void json_append(struct json_object **array, struct json_object *value);

/* A string, or null for NULL. Invalid UTF-8 becomes U+FFFD. */
struct json_object *json_new_string(const char *text);

struct json_object *json_new_integer(int64_t number);
struct json_object *json_new_bool(bool value);

/* A number of up to 15 digits, or null if it is not finite. */
struct json_object *json_new_number(double number);

/* A duration in seconds with milliseconds, as 1.250. */
struct json_object *json_new_seconds(int64_t duration_ms);

/* A moment of the wall clock in UTC (RFC 3339, 5.6), "2026-11-22T16:05:45Z"; and its date alone. */
struct json_object *json_new_time(int64_t wall_ms);
struct json_object *json_new_date(int64_t wall_ms);

/* An object of members that are valid JSON, copied and written as they are. */
struct json_object *json_new_raw_object(const struct strbuf *members);

/* Appends a value as text without white space, and frees it. Marks text as failed if the value is
 * JSON_FAILED, or without memory. */
void json_write(struct json_object *value, struct strbuf *text);

#endif
