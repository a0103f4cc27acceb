/*
 * task_private: what task.c and task_images.c share; no other file includes it.
 */
#ifndef SOLVEGATE_JOB_TASK_PRIVATE_H
#define SOLVEGATE_JOB_TASK_PRIVATE_H

#include "base/json.h"
#include "base/strbuf.h"
#include "job/name_set.h"
#include "job/task.h"
#include "job/task_identity.h"

#include <stdbool.h>

/* What is wrong with a job, the gravest last; task.h says why. */
enum task_fault {
        FAULT_NONE,
        FAULT_VALUE,
        FAULT_KIND,
        FAULT_SHAPE,
        FAULT_MEMORY,
};

struct task_reading {
        struct json_reader json;
        struct strbuf text;    /* the string decoded last */
        struct name_set names; /* of the fields not known here */
        unsigned seen;         /* a bit for each known field */
        unsigned max_images;
        bool in_images;            /* the reader has no budget: images and their names are read */
        struct json_budget others; /* what is left of it; valid with in_images */
        struct task_identity_maker identity; /* of task, valid as long as there is no fault */
        struct task task;
        enum task_fault fault;
        char *message; /* what the fault is, TASK_MESSAGE_BYTES_MAX bytes */
};

/* Where in the body something stands, for messages. */
struct task_place {
        bool in_images;
        struct json_span name; /* ptr is NULL for an element of an array */
        unsigned index;        /* of an element */
};

/* Notes a fault, unless one as grave is known. */
void task_refuse(struct task_reading *reading, enum task_fault fault, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void task_refuse_at(struct task_reading *reading, enum task_fault fault,
                    const struct task_place *place, const char *problem);

/* Decodes a string into reading->text. Returns 0 or -ENOMEM. */
int task_decode(struct task_reading *reading, struct json_span string);

/*
 * Decodes and folds a member's name into reading->text. Returns 0, -EINVAL when the name is
 * refused, or -ENOMEM.
 */
int task_decode_name(struct task_reading *reading, const struct task_place *place);

/* Adds the name in reading->text to a set. Returns 0, -EINVAL when it is there, or -ENOMEM. */
int task_add_name(struct task_reading *reading, struct name_set *names,
                  const struct task_place *place);

/* Reads the value of `images`. Returns 0, -EBADMSG or -ENOMEM. */
int task_read_images(struct task_reading *reading);

#endif
