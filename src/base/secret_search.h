/*
 * secret_search: finds a secret in text from outside, also where it is encoded.
 *
 * Found are: the secret as it is; with other upper and lower case; with some or all characters
 * percent-encoded (RFC 3986, section 2.1) or escaped with backslashes, as in JSON within a string;
 * in hexadecimal digits; in base64 of both alphabets (RFC 4648, sections 4 and 5), also in the
 * middle of a longer text that was encoded as a whole, which is where the three alignments come
 * from. Not found: a secret in pieces, compressed, encrypted, or encoded twice.
 *
 * A secret shorter than SECRET_SEARCH_BYTES_MIN is not searched for, since it is a part of too many
 * words. One shorter than SECRET_SEARCH_FORMS_BYTES_MIN is found as it is only, because its other
 * forms occur by chance.
 *
 * The time is linear in the length of the text, whatever the text and the secret are (the algorithm
 * of Knuth, Morris and Pratt). Nothing is allocated. Thread: any.
 */
#ifndef SOLVEGATE_BASE_SECRET_SEARCH_H
#define SOLVEGATE_BASE_SECRET_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_SEARCH_BYTES_MIN       4
#define SECRET_SEARCH_FORMS_BYTES_MIN 6
#define SECRET_SEARCH_BYTES_MAX       511

/* A secret prepared for the search. As secret as the secret itself. */
struct secret_pattern {
        size_t len;     /* 0: not searched for */
        bool all_forms; /* not only as it is */
        uint16_t borders[SECRET_SEARCH_BYTES_MAX + 1];
        char bytes[SECRET_SEARCH_BYTES_MAX + 1]; /* in lower case with all_forms */
};

/* Prepares a secret of ASCII, which is at most SECRET_SEARCH_BYTES_MAX long. */
void secret_pattern_init(struct secret_pattern *pattern, const char *secret);

/*
 * Finds the secret in len bytes of text. Overwrites each place with '*' in copy, which holds the
 * same bytes in other memory; with NULL it only counts. Returns how many places there are; one that
 * is found in two forms counts twice.
 */
size_t secret_search(const struct secret_pattern *pattern, const char *text, size_t len,
                     char *copy);

#endif
