/*
 * Tests of base/digest.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <openssl/crypto.h>

#include "base/digest.h"

/* From NIST's examples for SHA-256. */
static const struct {
        const char *text, *hex;
} examples[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

#define EXAMPLES (sizeof examples / sizeof examples[0])

static void assert_digest(const unsigned char digest[static DIGEST_BYTES], const char *hex)
{
        static const char digits[] = "0123456789abcdef";
        char found[2 * DIGEST_BYTES + 1] = "";

        for (size_t i = 0; i < DIGEST_BYTES; i++) {
                found[2 * i] = digits[digest[i] >> 4];
                found[2 * i + 1] = digits[digest[i] & 15];
        }
        assert_string_equal(found, hex);
}

static void the_digest_of_one_text_is_sha256(void **state)
{
        unsigned char found[DIGEST_BYTES];

        (void)state;
        for (size_t i = 0; i < EXAMPLES; i++) {
                assert_int_equal(digest_of(examples[i].text, strlen(examples[i].text), found), 0);
                assert_digest(found, examples[i].hex);
        }
}

static void one_digest_is_used_for_text_after_text_in_pieces(void **state)
{
        unsigned char found[DIGEST_BYTES];
        struct digest digest;

        (void)state;
        assert_int_equal(digest_init(&digest), 0);
        for (size_t i = 0; i < EXAMPLES; i++) {
                for (const char *next = examples[i].text; *next; next++)
                        digest_update(&digest, next, 1);
                assert_int_equal(digest_finish(&digest, found), 0);
                assert_digest(found, examples[i].hex);
        }
        digest_done(&digest);
        digest_done(&digest);
}

static unsigned long allocations_left = ULONG_MAX;

static void *allocate(size_t len, const char *file, int line)
{
        (void)file, (void)line;
        if (allocations_left == 0)
                return NULL;
        allocations_left--;
        return malloc(len);
}

static void *reallocate(void *old, size_t len, const char *file, int line)
{
        (void)file, (void)line;
        if (allocations_left == 0)
                return NULL;
        allocations_left--;
        return realloc(old, len);
}

static void release(void *old, const char *file, int line)
{
        (void)file, (void)line;
        free(old);
}

static void without_memory_there_is_an_error_and_no_digest(void **state)
{
        unsigned char found[DIGEST_BYTES];
        unsigned failures = 0;

        (void)state;
        assert_int_equal(digest_of("abc", 3, found), 0); /* libcrypto has loaded what it keeps */
        memset(found, 0x5a, sizeof found);
        for (unsigned long allowed = 0;; allowed++) {
                allocations_left = allowed;
                int r = digest_of("abc", 3, found);
                allocations_left = ULONG_MAX;
                if (r == 0)
                        break;
                assert_int_equal(r, -ENOMEM);
                assert_int_equal(found[0], 0x5a);
                failures++;
        }
        assert_true(failures > 0);
        assert_digest(found, examples[1].hex);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_digest_of_one_text_is_sha256),
                cmocka_unit_test(one_digest_is_used_for_text_after_text_in_pieces),
                cmocka_unit_test(without_memory_there_is_an_error_and_no_digest),
        };

        if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
