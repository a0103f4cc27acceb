/*
 * json_text: writes JSON into a strbuf, member by member (RFC 8259).
 *
 * The commas come by themselves: one stands before whatever does not open an object or an array, so
 * a writer says what there is and nothing about what was before. name is the member's, a plain
 * ASCII word; NULL for an element of an array, and for the value as a whole. What fails marks the
 * strbuf as failed.
 *
 * Thread: any, on a strbuf of its own.
 */
#ifndef SOLVEGATE_BASE_JSON_TEXT_H
#define SOLVEGATE_BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

void json_open_object(struct strbuf *json, const char *name);
void json_close_object(struct strbuf *json);
void json_open_array(struct strbuf *json, const char *name);
void json_close_array(struct strbuf *json);

/* A string; NULL: null. Bytes that are no UTF-8 become U+FFFD. */
void json_add_text(struct strbuf *json, const char *name, const char *text);

void json_add_integer(struct strbuf *json, const char *name, int64_t number);

/* What is no finite number is null, which JSON has no other word for. */
void json_add_number(struct strbuf *json, const char *name, double number);

void json_add_bool(struct strbuf *json, const char *name, bool truth);
void json_add_null(struct strbuf *json, const char *name);

/* A duration in seconds, with milliseconds: 1.250. */
void json_add_seconds(struct strbuf *json, const char *name, int64_t duration_ms);

/* A moment of the wall clock, by UTC (RFC 3339, 5.6): "2026-11-22T16:05:45Z"; and its day alone. */
void json_add_time(struct strbuf *json, const char *name, int64_t wall_ms);
void json_add_date(struct strbuf *json, const char *name, int64_t wall_ms);

/* The members of an object as they came, without its braces. */
void json_add_object_of(struct strbuf *json, const char *name, const char *members, size_t len);

#endif
