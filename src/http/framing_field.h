/*
 * framing_field: the fields whose names or values matter to framing.h, and what a fault is.
 *
 * Thread: any.
 */
#ifndef SOLVEGATE_HTTP_FRAMING_FIELD_H
#define SOLVEGATE_HTTP_FRAMING_FIELD_H

#include <stddef.h>

/* What is wrong with a message, and how it is answered. Static. */
struct framing_fault {
        unsigned status;  /* of HTTP */
        const char *code; /* in the JSON of the error */
        const char *message;
};

enum framing_field {
        FIELD_OTHER,
        FIELD_HOST,
        FIELD_CONTENT_LENGTH,
        FIELD_TRANSFER_ENCODING,
        FIELD_CONTENT_TYPE,
        FIELD_AUTHORIZATION,
        FIELD_APIKEY,
        FIELD_IDEMPOTENCY_KEY,
        FIELD_COOKIE,
};

/* The field of a name of len bytes, without regard to case. Of a name that is longer than any of
 * these, name needs to hold only FRAMING_NAME_BYTES. */
enum framing_field framing_field_find(const char *name, size_t len);

/* What is wrong if the field is present more than once; NULL: nothing. */
const struct framing_fault *framing_field_twice(enum framing_field field);

#endif
