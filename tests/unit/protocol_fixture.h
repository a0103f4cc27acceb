/*
 * protocol_fixture: responses that are read with two credentials.
 */
#ifndef SOLVEGATE_TESTS_PROTOCOL_FIXTURE_H
#define SOLVEGATE_TESTS_PROTOCOL_FIXTURE_H

#include "upstream/protocol.h"

#include <stddef.h>

/* The credential of the account, and another one, which begins like it and has no uid. */
#define UID          "4815162342"
#define APIKEY       "ab/cd&ef<gh>1234"
#define OTHER_APIKEY "ab/cd&ef<gh>12345678"

#define ASKED_ID "h-1"                  /* what a poll asks for */
#define NOW_MS   INT64_C(1795363200000) /* wall clock: 2026-11-22T16:00:00Z, a Sunday */

/* For cmocka's groups of tests. */
int load_credentials(void **state);
int free_credentials(void **state);

/* What is asked: a poll asks for ASKED_ID. */
struct protocol_request request_to(enum upstream_endpoint endpoint);

/* Reads a response. The caller frees the answer. */
void read_bytes(enum upstream_endpoint endpoint, long http_code, const char *bytes, size_t len,
                struct answer *ret_answer);
void read_text(enum upstream_endpoint endpoint, long http_code, const char *text,
               struct answer *ret_answer);

/* The same with another key of the account. */
void read_with_key(enum upstream_endpoint endpoint, const char *apikey, const char *text,
                   struct answer *ret_answer);

#endif
