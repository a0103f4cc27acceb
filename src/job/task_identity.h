/*
 * task_identity: makes the identity of a task, field by field, while task_parse() reads it.
 *
 * What is hashed is a row of parts, each with its kind and its length before it, so no two
 * different tasks make the same row. A field is one row, and has a digest of its own; the identity
 * is the digest of a version and of the fields' digests in the order of their names. So fields may
 * come in any order, and nothing of them is kept but the names.
 *
 * The store keeps identities over upgrades: whatever changes the row changes the version too.
 *
 * A failure for want of memory stays, and is told by task_identity_finish(). Not locked.
 */
#ifndef SOLVEGATE_JOB_TASK_IDENTITY_H
#define SOLVEGATE_JOB_TASK_IDENTITY_H

#include "base/digest.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "job/task.h"

#include <stdbool.h>
#include <stddef.h>

_Static_assert(TASK_IDENTITY_BYTES == DIGEST_BYTES, "an identity is a digest");

struct task_identity_field {
        size_t name_start, name_len; /* in names */
        unsigned char digest[DIGEST_BYTES];
};

struct task_identity_maker {
        struct digest digest; /* of the field that is read */
        struct strbuf names;  /* one behind the other */
        struct strbuf *text;  /* the string decoded last */
        struct task_identity_field fields[TASK_FIELDS_MAX];
        size_t fields_count;
        bool failed;
};

/*
 * Strings are decoded into text, which is overwritten, has room for each and must outlive the
 * maker. Returns 0 or -ENOMEM; task_identity_done() frees.
 */
int task_identity_init(struct task_identity_maker *maker, struct strbuf *text);

/* Frees. Takes a zeroed struct too. */
void task_identity_done(struct task_identity_maker *maker);

/*
 * Start and end a field; what is added belongs to the one started last. folded is its name as
 * name_set_fold() writes it, raw as it came; no two fields have the same folded name.
 */
void task_identity_begin_field(struct task_identity_maker *maker, struct json_span folded,
                               struct json_span raw);
void task_identity_end_field(struct task_identity_maker *maker);

/* Adds a string that a reader gave out; how it is escaped does not count. */
void task_identity_add_string(struct task_identity_maker *maker, struct json_span raw);

/* Adds the name of an element of an array: its index in decimal digits. */
void task_identity_add_index(struct task_identity_maker *maker, unsigned index);

/* Adds the bytes that a text stands for, which is whole (base64.h). */
void task_identity_add_base64(struct task_identity_maker *maker, const char *base64, size_t len);

/* Reads any value, checks all of it as json_reader_skip() does, and adds it. Returns likewise. */
int task_identity_add_value(struct task_identity_maker *maker, struct json_reader *reader);

/* Writes the identity of the fields. Returns 0 or -ENOMEM. To be called once. */
int task_identity_finish(struct task_identity_maker *maker, struct task_identity *ret_identity);

#endif
