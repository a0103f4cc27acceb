/*
 * framing_field: see framing_field.h.
 */
#include "http/framing_field.h"

#include <strings.h>

#define NAME(text) text, sizeof text - 1
#define TWICE(name)                                                                                \
        {                                                                                          \
                400, "bad_request", "the field " name " is present more than once; send it once"   \
        }

/* Those that must not be there twice, since readers may differ in which one counts. */
static const struct {
        const char *name;
        size_t len;
        struct framing_fault twice; /* status 0: it may be */
} fields[] = {
        [FIELD_OTHER] = {"", 0, {0}},
        [FIELD_HOST] = {NAME("host"), TWICE("Host")},
        [FIELD_CONTENT_LENGTH] = {NAME("content-length"), TWICE("Content-Length")},
        [FIELD_TRANSFER_ENCODING] = {NAME("transfer-encoding"), TWICE("Transfer-Encoding")},
        [FIELD_CONTENT_TYPE] = {NAME("content-type"), TWICE("Content-Type")},
        [FIELD_AUTHORIZATION] = {NAME("authorization"), TWICE("Authorization")},
        [FIELD_APIKEY] = {NAME("apikey"), TWICE("apikey")},
        [FIELD_IDEMPOTENCY_KEY] = {NAME("idempotency-key"), TWICE("Idempotency-Key")},
        [FIELD_COOKIE] = {NAME("cookie"), {0}},
};

#define FIELDS (sizeof fields / sizeof *fields)

enum framing_field framing_field_find(const char *name, size_t len)
{
        for (size_t i = FIELD_OTHER + 1; i < FIELDS; i++) {
                if (fields[i].len == len && strncasecmp(fields[i].name, name, len) == 0)
                        return (enum framing_field)i;
        }
        return FIELD_OTHER;
}

const struct framing_fault *framing_field_twice(enum framing_field field)
{
        return fields[field].twice.status != 0 ? &fields[field].twice : NULL;
}
