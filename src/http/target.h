/*
 * target: checks the request target (RFC 9112, 3.2).
 *
 * A target is one of origin-form (`/path?query`) or absolute-form (`http://host/path`). Its
 * decoded form must be UTF-8 without control characters, so that every reader of the text sees the
 * same.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_HTTP_TARGET_H
#define SOLVEGATE_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#define TARGET_START_BYTES 8 /* of "https://" */

enum target_problem {
        TARGET_OK,
        TARGET_CONTROL,  /* a control character, NUL included, encoded or not */
        TARGET_NOT_UTF8, /* encoded or not */
        TARGET_ENCODING, /* "%" without two hexadecimal digits */
        TARGET_FORM,     /* neither origin-form nor absolute-form */
};

/* A check in progress. Opaque but for its size. */
struct target {
        char start[TARGET_START_BYTES];
        unsigned char start_len;
        unsigned char digits;     /* of "%XX" that are still to come */
        unsigned char digit_high; /* valid with digits == 1 */
        unsigned char more;       /* bytes of a UTF-8 sequence that are still to come */
        unsigned char low, high;  /* valid with more: what the next one may be */
        unsigned arguments;       /* of the query, as libmicrohttpd splits it; 0: no query */
};

void target_init(struct target *target);

/* Takes the next bytes up to a space, which ends the target; *ret_taken says how many. */
enum target_problem target_feed(struct target *target, const unsigned char *bytes, size_t len,
                                size_t *ret_taken);

/* The target is complete. */
enum target_problem target_end(const struct target *target);

/*
 * Splits an absolute-form target: *ret_path is what follows the authority, which is ret_len bytes
 * long and begins at the returned pointer. Returns NULL where the scheme is another one, or the
 * target is not in absolute-form.
 */
const char *target_authority(const char *target, const char *scheme, size_t *ret_len,
                             const char **ret_path);

#endif
