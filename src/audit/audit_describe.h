/*
 * audit_describe: what happened, and the members of its line in the audit.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_AUDIT_AUDIT_DESCRIBE_H
#define SOLVEGATE_AUDIT_AUDIT_DESCRIBE_H

#include <stdint.h>

enum audit_charge {
        AUDIT_NOT_CHARGED, /* "charge":0 */
        AUDIT_CHARGED,     /* "charge":1 */
        AUDIT_UNKNOWN,     /* "charge":null: it may have been */
};

/* What happened. A text that is NULL or empty is null in the line. */
struct audit_event {
        int64_t wall_ms;
        const char *event; /* "refused", "charged" */
        const char *client;
        const char *address;
        const char *site;
        const char *job;
        const char *upstream;
        const char *outcome; /* "solved", or the code of the error */
        enum audit_charge charge;
        int64_t day; /* of a charge: on which it counts, since 1970, UTC */
};

/*
 * The members of an entry's line, from "time" on, for the store to keep. The caller frees. NULL: no
 * memory.
 */
char *audit_describe(const struct audit_event *event);

#endif
