/*
 * body: what a tool posts to solve, read as the vendor's parser reads it.
 *
 * Names are matched without regard to case, and of a name given twice the last one counts. What is
 * JSON is decided by base/json, as in the gateway: each version of json-c refuses something else,
 * such as integers of more than 64 bits. That both agree is the business of tests/fuzz/fuzz_json.
 *
 * The solution depends on nothing but the bytes of the images and their order, so a job that
 * lost, swapped or mixed images has another one. Not locked.
 */
#ifndef SOLVEGATE_SIM_BODY_H
#define SOLVEGATE_SIM_BODY_H

#include "base/digest.h"

#include <stddef.h>

#define SIM_BODY_IMAGES_MAX       4096
#define SIM_BODY_TARGET_BYTES_MAX 16384

struct sim_body {
        char *target_json;             /* as a JSON string, quotes included */
        char *solution_json;           /* as a JSON array */
        char digest[DIGEST_HEX_BYTES]; /* over the digests of the images */
};

/*
 * Reads a body. Returns 0 and fills *ret_body, which the caller frees with sim_body_done();
 * -EBADMSG with a static sentence in *ret_problem where the body is no job; or -ENOMEM.
 */
int sim_body_read(const char *text, size_t len, struct sim_body *ret_body,
                  const char **ret_problem);

/* Frees what sim_body_read() filled in. Takes a zeroed struct too. */
void sim_body_done(struct sim_body *body);

#endif
