/*
 * protocol_fields: what an upstream's response says, before it is judged; see protocol.h. Only
 * protocol.c includes it.
 *
 * Names and values are compared after their JSON escapes are decoded. The credentials are
 * overwritten in everything that is given out.
 */
#ifndef SOLVEGATE_UPSTREAM_PROTOCOL_FIELDS_H
#define SOLVEGATE_UPSTREAM_PROTOCOL_FIELDS_H

#include "base/json.h"
#include "base/strbuf.h"
#include "upstream/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the member "status" says. */
enum protocol_status {
        STATUS_NONE, /* missing, or not a string */
        STATUS_SOLVED,
        STATUS_SKIP,
        STATUS_PENDING,
        STATUS_ERROR,
        STATUS_UNAUTHORIZED,
        STATUS_OTHER,
};

/* What the member "code" says, as the vendor's page lists the codes. */
enum protocol_code {
        CODE_SILENT,  /* none, or not on the list */
        CODE_LATER,   /* no slot, rate limit, daily limit, quota, unavailable */
        CODE_ACCOUNT, /* the account's fault: unknown key, no balance, plan over or inactive */
        CODE_FINAL,   /* the job's fault: bad parameters, unsolvable */
        CODE_LOOP,    /* the request came back to this process, by http/guard */
};

/* The members that hold a result, in both generations. */
#define PROTOCOL_RESULTS 3

struct protocol_fields {
        const struct protocol_request *request;

        bool object;     /* the text is one JSON object; without it the rest is what was read */
        bool no_memory;  /* something could not be read or kept */
        size_t not_utf8; /* bytes that are not UTF-8 */
        size_t controls; /* control characters that were not escaped */

        enum protocol_status status;
        bool status_odd;   /* there is a status that is not a string */
        bool status_twice; /* with different meanings */
        enum protocol_code code;
        bool has_code;          /* a number that is not 0, or one of ours */
        bool code_twice;        /* with different meanings */
        int64_t retry_after_ms; /* the longest that is asked for, or 0 */

        bool has_id;
        char id[UPSTREAM_ID_BYTES_MAX + 1]; /* or "", if there are two, or it cannot be asked for */
        bool foreign;                       /* an id is not the one that the request is about */

        bool result;         /* a member that holds a result is there and not empty */
        bool result_spoiled; /* it cannot be given out as it was meant */
        struct json_span results[PROTOCOL_RESULTS]; /* as they came */

        struct strbuf message; /* decoded and redacted, or empty */
        struct strbuf members; /* those that clients see, redacted; failed: they cannot be given */
};

/*
 * Reads a response. Accepts what surrounds or damages JSON without a doubt about its meaning: a
 * byte order mark before it, NUL bytes behind it, and what a lenient reader passes (json.h). Frees
 * with protocol_fields_done(). The text must outlive the fields.
 */
void protocol_fields_read(const struct protocol_request *request, const char *text, size_t len,
                          struct protocol_fields *ret_fields);

void protocol_fields_done(struct protocol_fields *fields);

#endif
