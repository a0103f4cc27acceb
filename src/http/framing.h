/*
 * framing: checks the bytes of a connection as HTTP/1.1 messages (RFC 9112), before libmicrohttpd
 * parses them.
 *
 * A parser that tolerates a malformed message may see other fields, or another end of the message,
 * than the sender or a proxy does; then a part of one request is served as another one (request
 * smuggling). So everything that libmicrohttpd 0.9.75 or 1.0.1 tolerates, and everything that they
 * would answer by themselves in HTML or not at all, is a fault here. docs/http-edge.md lists the
 * rules.
 *
 * The bytes come in pieces of any size, with the same result. No byte is kept; white space that may
 * be the end of a value is counted.
 *
 * Thread: any; one at a time for each struct framing.
 */
#ifndef SOLVEGATE_HTTP_FRAMING_H
#define SOLVEGATE_HTTP_FRAMING_H

#include "http/framing_field.h"
#include "http/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMING_HEADER_BYTES_MAX  8192 /* request line, fields, and blank lines before them */
#define FRAMING_FIELDS_MAX        100
#define FRAMING_ARGUMENTS_MAX     64    /* of the query */
#define FRAMING_MEMORY_BYTES_MAX  12288 /* what libmicrohttpd may need to hold all of it */
#define FRAMING_TRAILER_BYTES_MAX 1024
#define FRAMING_TRAILERS_MAX      16
#define FRAMING_EXTENSION_MAX     128  /* bytes of the line of a chunk's size, without the size */
#define FRAMING_BARE_BYTES_MAX    4096 /* of a header without fields whose target has arguments */

#define FRAMING_NAME_BYTES  20 /* the longest name that matters, and one more */
#define FRAMING_VALUE_BYTES 24 /* likewise for values */

enum framing_state {
        FRAMING_START, /* the first byte of a message is awaited; blank lines are skipped */
        FRAMING_START_LF,
        FRAMING_METHOD,
        FRAMING_TARGET,
        FRAMING_VERSION,
        FRAMING_LINE_LF,
        FRAMING_FIELD, /* the first byte of a line */
        FRAMING_NAME,
        FRAMING_BEFORE_VALUE,
        FRAMING_VALUE,
        FRAMING_VALUE_LF,
        FRAMING_FIELDS_LF, /* of the blank line that ends a header or a trailer */
        FRAMING_BODY,
        FRAMING_CHUNK_SIZE,
        FRAMING_CHUNK_EXTENSION,
        FRAMING_CHUNK_SIZE_LF,
        FRAMING_CHUNK_DATA,
        FRAMING_CHUNK_CR,
        FRAMING_CHUNK_LF,
};

struct framing {
        enum framing_state state;
        const struct framing_fault *fault; /* of the message number `ended`; NULL: none */
        uint64_t headers;                  /* so many headers are complete */
        uint64_t ended;                    /* so many messages are complete */

        /* The message in progress. */
        size_t header_bytes; /* or of its trailer */
        unsigned fields, cookies;
        size_t cookie_bytes;
        struct target target;
        unsigned seen; /* a bit for each enum field */
        bool in_trailer, chunked, http_1_0;
        uint64_t length; /* of the body or chunk: what is still to come */
        unsigned digits; /* of Content-Length, or of a chunk's size */

        /* The line in progress. */
        unsigned field; /* enum framing_field; valid from the colon on */
        size_t name_len, value_len;
        size_t spaces;                   /* white space that was taken and is not passed on yet */
        char name[FRAMING_NAME_BYTES];   /* as much as fits */
        char value[FRAMING_VALUE_BYTES]; /* likewise; without spaces in front */
};

void framing_init(struct framing *framing);

/*
 * Checks the next len bytes, which begin at bytes + framing->spaces. Takes out of them the
 * extensions of chunks, the blank lines before a request line, and the white space at the end of
 * values; in the middle of a value, a tab becomes a space. Returns how many are left, from the
 * first byte on: all but those, or, once there is a fault, those of the messages that are complete
 * before it. White space that may be the end of a value is not among them: where the next bytes
 * show that it is not, it is put in front of them. Requires that there is no fault yet.
 */
size_t framing_feed(struct framing *framing, void *bytes, size_t len);

/* Where there is no room for more than framing->spaces: fills `size` bytes with as many of them,
 * though they may be the end of a value. */
void framing_release(struct framing *framing, void *bytes, size_t size);

/* Whether a message has begun and is not complete. */
bool framing_in_message(const struct framing *framing);

/* Whether a header or a trailer has begun and is not complete. */
bool framing_in_header(const struct framing *framing);

#endif
