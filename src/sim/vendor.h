/*
 * vendor: the jobs, what they cost, and what the vendor says about them.
 *
 * A job is charged once, when it is accepted, and counts as in flight until it is solved. It is
 * solved by the passing of time alone: nothing needs to run for it.
 *
 * One mutex for all of it; the counters' lock is taken under it. Thread: any.
 */
#ifndef SOLVEGATE_SIM_VENDOR_H
#define SOLVEGATE_SIM_VENDOR_H

#include "sim/body.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_ID_BYTES 19    /* "h-", 16 characters and NUL */
#define SIM_JOBS_MAX 16384 /* the oldest are forgotten */

struct sim_counters;
struct sim_vendor;
struct strbuf;

struct sim_vendor_plan {
        int api;              /* generation, 1 or 2 */
        bool pro;             /* answers solve with the solution */
        unsigned concurrency; /* jobs in flight; 0: no limit */
        int64_t latency_ms;
        int64_t jitter_ms;
        const char *uid;    /* must match in generation 1; NULL: anyone's */
        const char *apikey; /* must match; NULL: anyone's */
        char base_url[80];  /* scheme, host and port */
        uint64_t seed;
};

/* What sim_vendor_answer() says about a job. */
enum sim_shape {
        SIM_SHAPE_STATUS,    /* as things stand: queued, in queue, solved or skipped */
        SIM_SHAPE_QUEUED,    /* queued, whatever it is by now */
        SIM_SHAPE_NOID,      /* queued, but nothing tells which job it is */
        SIM_SHAPE_DUPLICATE, /* solved at once; id, url and status stand twice */
        SIM_SHAPE_SKIP,      /* ended at once without a solution */
};

/*
 * Makes a vendor. The strings and counters of the plan must outlive it; the caller frees it with
 * sim_vendor_free(). Returns 0 or -ENOMEM.
 */
int sim_vendor_new(const struct sim_vendor_plan *plan, struct sim_counters *counters,
                   struct sim_vendor **ret_vendor);
void sim_vendor_free(struct sim_vendor *vendor);

/* Tells whether solve is answered with the solution. */
bool sim_vendor_is_pro(const struct sim_vendor *vendor);

/* Scheme, host and port, as in the urls of jobs. */
const char *sim_vendor_base_url(const struct sim_vendor *vendor);

/* Tells whether the credentials are right; both may be NULL. */
bool sim_vendor_admits(const struct sim_vendor *vendor, const char *uid, const char *apikey);

/*
 * Takes a job and charges it. Takes over the texts of *body, and empties it. Returns 0 with the
 * job's id and the monotonic moment at which it will be solved, -EAGAIN at the concurrency limit,
 * or -ENOMEM.
 */
int sim_vendor_accept(struct sim_vendor *vendor, struct sim_body *body,
                      char ret_id[static SIM_ID_BYTES], int64_t *ret_due_ms);

/* Appends an answer about a job. Returns 0 or -ENOENT; whether it fits, the buffer tells. */
int sim_vendor_answer(struct sim_vendor *vendor, const char *id, enum sim_shape shape,
                      struct strbuf *out);

/* Appends the account's balance. */
void sim_vendor_balance(struct sim_vendor *vendor, struct strbuf *out);

/* Counts the jobs that became solved by now, so that the counters are right. */
void sim_vendor_settle(struct sim_vendor *vendor);

#endif
