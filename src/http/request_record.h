/*
 * request_record: what the log line of a request needs, and the request does not know otherwise;
 * see request_log.h.
 */
#ifndef SOLVEGATE_HTTP_REQUEST_RECORD_H
#define SOLVEGATE_HTTP_REQUEST_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#define REQUEST_ID_CHARS 16

struct request_record {
        char id[REQUEST_ID_CHARS + 1]; /* also X-Request-Id */
        const char *method;            /* static; "-" until the header was read */
        int64_t began_us;              /* monotonic: when its first line had come */
        int64_t held_us;
        int64_t hold_began_us; /* valid while held */
        int64_t body_bytes;
        unsigned status;    /* of the answer; 0: none yet */
        const char *error;  /* the slug in the answer; static; or NULL */
        const char *state;  /* of the job in the answer; likewise */
        const char *source; /* of the result in the answer; likewise */
        bool cut;           /* the answer went past libmicrohttpd, which knows of none */
};

#endif
