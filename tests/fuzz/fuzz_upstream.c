/*
 * Fuzz target: upstream/protocol, what is made of an upstream's response.
 *
 * The first byte of the input chooses the endpoint and whether an older credential is searched for
 * too, the second the HTTP status code; the rest is the body.
 *
 * Rules: neither key is in anything that is given out, as it is, in other case, percent-encoded, in
 * hexadecimal or in base64; members are those of a strict JSON object if the braces are put back,
 * whatever the reader passed; the kind agrees with what comes with it; a body that does not look
 * like an object never ends a job as solved, and never counts as accepted; a response to a poll
 * that names another job says nothing about this one.
 */
#include "base/json.h"
#include "base/strbuf.h"
#include "config/credential.h"
#include "fuzz.h"
#include "upstream/protocol.h"
#include "upstream/retry_after.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The seeds and dictionary.txt quote these. */
#define KEY       "k3y-s3cret"
#define OTHER_KEY "0ld-s3cret"

#define POLLED_ID "h-1"
#define KEY_BYTES 10 /* of both */

static struct credential *credential, *other;

static struct credential *load(const char *name, const char *text)
{
        char *config = fuzz_path("solvegate.conf"), *file = fuzz_path(name);
        struct credential *loaded = NULL;
        struct strbuf problem;

        fuzz_write_file(file, text, strlen(text));
        CHECK(setenv("CREDENTIALS_DIRECTORY", "", 1) == 0);
        strbuf_init(&problem, 4096);
        CHECK(credential_load(strrchr(file, '/') + 1, config, &loaded, &problem) == 0);
        strbuf_done(&problem);
        free(config);
        free(file);
        return loaded;
}

static void load_credentials(void)
{
        char *directory;

        if (credential)
                return;
        directory = fuzz_path("credentials");
        CHECK(mkdir(directory, 0700) == 0);
        free(directory);
        credential = load("credentials/main", "uid = \"4711\"; apikey = \"" KEY "\";\n");
        other = load("credentials/old", "uid = \"4711\"; apikey = \"" OTHER_KEY "\";\n");
}

/* ---- the forms of a key, each made by encoding it ---- */

static void lower(char *text, size_t len)
{
        for (size_t i = 0; i < len; i++)
                text[i] = (char)tolower((unsigned char)text[i]);
}

/* Decodes %XX in place. Returns the new length. */
static size_t percent_decode(char *text, size_t len)
{
        size_t to = 0;

        for (size_t from = 0; from < len; from++) {
                char digits[3] = "";
                if (text[from] == '%' && from + 2 < len &&
                    isxdigit((unsigned char)text[from + 1]) &&
                    isxdigit((unsigned char)text[from + 2])) {
                        memcpy(digits, text + from + 1, 2);
                        text[to++] = (char)strtoul(digits, NULL, 16);
                        from += 2;
                } else {
                        text[to++] = text[from];
                }
        }
        return to;
}

static void check_lacks(const char *text, size_t len, const char *form)
{
        CHECK(!memmem(text, len, form, strlen(form)));
}

/* The value of a character of base64, in both alphabets, or -1. */
static int base64_value(char c)
{
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = c == '-' ? alphabet + 62 : c == '_' ? alphabet + 63 : strchr(alphabet, c);

        return c && at ? (int)(at - alphabet) : -1;
}

/* Decodes from start on as far as there are characters of base64. */
static void check_lacks_base64(const char *text, size_t len, size_t start, const char *key)
{
        char *decoded = fuzz_copy((const uint8_t *)text, len);
        size_t bytes = 0;
        unsigned bits = 0, held = 0;

        for (size_t i = start; i < len && base64_value(text[i]) >= 0; i++) {
                held = held << 6 | (unsigned)base64_value(text[i]);
                bits += 6;
                if (bits >= 8) {
                        bits -= 8;
                        decoded[bytes++] = (char)(held >> bits);
                }
        }
        check_lacks(decoded, bytes, key);
        free(decoded);
}

static void check_hides(const char *key, const char *text, size_t len)
{
        char *copy = fuzz_copy((const uint8_t *)text, len);
        char hex[2 * KEY_BYTES + 1] = "";

        for (size_t i = 0; i < len; i++) {
                /* The first of a run, and the next three: all alignments. */
                if (i < 4 || base64_value(text[i - 4]) < 0 || base64_value(text[i - 3]) < 0 ||
                    base64_value(text[i - 2]) < 0 || base64_value(text[i - 1]) < 0)
                        check_lacks_base64(copy, len, i, key);
        }
        lower(copy, len);
        check_lacks(copy, len, key);
        for (size_t i = 0; i < KEY_BYTES; i++)
                (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned)key[i]);
        check_lacks(copy, len, hex);
        len = percent_decode(copy, len);
        lower(copy, len);
        check_lacks(copy, len, key);
        free(copy);
}

/* ---- what is given out ---- */

/*
 * The same for each string of JSON, decoded: as text, `\ud800ld` has the first letter of "0ld" in
 * it, but nobody can have meant it.
 */
static void check_hides_decoded(const char *key, const char *json, size_t len)
{
        struct strbuf decoded;

        for (const char *next = json, *end = json + len; (next = memchr(next, '"', end - next));) {
                struct json_reader reader;
                struct json_span span;
                json_reader_init(&reader, next, (size_t)(end - next));
                CHECK(json_reader_string(&reader, &span) == 0);
                strbuf_init(&decoded, span.len);
                CHECK(json_string_decode(span, &decoded) == 0);
                if (decoded.len > 0)
                        check_hides(key, decoded.data, decoded.len);
                strbuf_done(&decoded);
                next = span.ptr + span.len + 1;
        }
}

static void check_key(const char *key, const struct answer *answer)
{
        check_hides(key, answer->message, strlen(answer->message));
        check_hides(key, answer->detail, strlen(answer->detail));
        if (answer->members)
                check_hides_decoded(key, answer->members, answer->members_len);
}

/* Puts the braces back. */
static void check_members(const struct answer *answer)
{
        struct strbuf object;

        CHECK(answer->members[answer->members_len] == '\0');
        strbuf_init(&object, answer->members_len + 2);
        (void)strbuf_puts(&object, "{");
        (void)strbuf_append(&object, answer->members, answer->members_len);
        CHECK(strbuf_puts(&object, "}") == 0);
        CHECK(fuzz_is_json(object.data, object.len, JSON_DEPTH_MAX));
        strbuf_done(&object);
}

static bool is_like_object(const char *text, size_t len)
{
        size_t at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

        /* A lenient reader passes bytes that are not UTF-8 there, too. */
        while (at < len && (strchr(" \t\r\n", text[at]) || (unsigned char)text[at] >= 0x80))
                at++;
        return at < len && text[at] == '{';
}

static void check_kind(const struct answer *answer, enum upstream_endpoint endpoint, bool object)
{
        CHECK(memchr(answer->upstream_id, '\0', sizeof answer->upstream_id));
        CHECK(memchr(answer->message, '\0', sizeof answer->message));
        CHECK(memchr(answer->detail, '\0', sizeof answer->detail));
        CHECK(answer->retry_after_ms >= 0 && answer->retry_after_ms <= RETRY_AFTER_MAX_MS);
        CHECK((answer->kind == ANSWER_FINAL) == (answer->members != NULL));
        CHECK(!answer->foreign || (endpoint == UPSTREAM_STATUS && answer->kind == ANSWER_UNCLEAR));
        CHECK(!answer->foreign || answer->upstream_id[0] == '\0');
        switch (answer->kind) {
        case ANSWER_FINAL:
                CHECK(object);
                check_members(answer);
                return;
        case ANSWER_PENDING:
                CHECK(object && endpoint != UPSTREAM_BALANCE);
                CHECK(endpoint == UPSTREAM_STATUS || answer->upstream_id[0] != '\0');
                return;
        case ANSWER_REJECTED:
        case ANSWER_TRY_LATER:
        case ANSWER_UNCLEAR:
                CHECK(answer->message[0] != '\0');
                return;
        case ANSWER_NOT_SENT:
                break;
        }
        CHECK(!"a response that arrived cannot say that nothing was sent");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const long codes[] = {200, 201, 204, 302, 400, 401, 402, 403,
                                     404, 408, 413, 429, 500, 502, 503, 504};
        struct answer answer;

        load_credentials();
        if (size < 2)
                return 0;
        enum upstream_endpoint endpoint = data[0] % 3;
        const struct protocol_request request = {
                .endpoint = endpoint,
                .upstream_id = endpoint == UPSTREAM_STATUS ? POLLED_ID : NULL,
                .credential = credential,
                .other = data[0] / 3 % 2 ? other : NULL,
                .wall_ms = 1700000000000,
        };
        long code = codes[data[1] % (sizeof codes / sizeof *codes)];
        char *text = fuzz_copy(data + 2, size - 2);

        protocol_read(&request, code, text, size - 2, &answer);
        check_kind(&answer, endpoint, is_like_object(text, size - 2));
        check_key(KEY, &answer);
        if (request.other)
                check_key(OTHER_KEY, &answer);
        answer_done(&answer);
        free(text);
        return 0;
}
