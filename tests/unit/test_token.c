/*
 * Tests of access/token.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "access/token.h"

/* SHA-256 of "abc", from NIST's examples. */
#define ABC_HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void a_token_has_its_prefix_and_at_least_160_random_bits(void **state)
{
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        char token[TOKEN_CHARS + 1];

        (void)state;
        token_new(token);
        assert_int_equal(strlen(token), TOKEN_CHARS);
        assert_memory_equal(token, "sgt_", 4);
        assert_int_equal(strspn(token + 4, alphabet), TOKEN_RANDOM_CHARS);
        assert_true(TOKEN_RANDOM_CHARS * 6 >= 160);
        assert_true(TOKEN_CHARS <= TOKEN_BYTES_MAX);
}

static void no_two_tokens_are_alike(void **state)
{
        static char tokens[200][TOKEN_CHARS + 1];

        (void)state;
        for (size_t i = 0; i < 200; i++) {
                token_new(tokens[i]);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(tokens[i], tokens[j]);
        }
}

static void every_place_of_a_token_varies(void **state)
{
        char first[TOKEN_CHARS + 1], other[TOKEN_CHARS + 1];
        bool varied[TOKEN_CHARS] = {false};

        (void)state;
        token_new(first);
        for (int i = 0; i < 100; i++) {
                token_new(other);
                for (size_t j = 0; j < TOKEN_CHARS; j++)
                        varied[j] = varied[j] || first[j] != other[j];
        }
        for (size_t j = 0; j < TOKEN_CHARS; j++)
                assert_int_equal(varied[j], j >= 4);
}

static void the_digest_of_a_token_is_sha256(void **state)
{
        struct token_digest digest;
        char hex[TOKEN_HEX_CHARS + 1];

        (void)state;
        assert_int_equal(token_digest("abc", &digest), 0);
        token_digest_write(&digest, hex);
        assert_string_equal(hex, ABC_HEX);
}

static void digits_of_either_case_are_read(void **state)
{
        char mixed[] = ABC_HEX;
        struct token_digest lower, upper;

        (void)state;
        for (size_t i = 0; i < sizeof mixed - 1; i++) {
                if (mixed[i] >= 'a' && i % 3 != 0)
                        mixed[i] = (char)(mixed[i] - 'a' + 'A');
        }
        assert_string_not_equal(mixed, ABC_HEX);
        assert_int_equal(token_digest_read(ABC_HEX, &lower), 0);
        assert_int_equal(token_digest_read(mixed, &upper), 0);
        assert_memory_equal(lower.bytes, upper.bytes, sizeof lower.bytes);
        assert_int_equal(lower.bytes[0], 0xba);
        assert_int_equal(lower.bytes[31], 0xad);
}

static void what_is_not_64_digits_is_no_digest(void **state)
{
        static const char *const bad[] = {
                "",
                "ba",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
                ABC_HEX "0",
                ABC_HEX " ",
                (" " ABC_HEX),
                "ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a`",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a@",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a:",
                "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015",
                "-a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        };

        (void)state;
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                struct token_digest digest, untouched;
                memset(&digest, 0x5a, sizeof digest);
                untouched = digest;
                if (token_digest_read(bad[i], &digest) != -EINVAL)
                        fail_msg("%s: read", bad[i]);
                assert_memory_equal(&digest, &untouched, sizeof digest);
        }
}

static void digests_are_equal_only_with_every_bit(void **state)
{
        struct token_digest a, b;

        (void)state;
        assert_int_equal(token_digest_read(ABC_HEX, &a), 0);
        b = a;
        assert_true(token_digest_equal(&a, &b));
        for (size_t bit = 0; bit < 8 * TOKEN_DIGEST_BYTES; bit++) {
                b = a;
                b.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
                assert_false(token_digest_equal(&a, &b));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_token_has_its_prefix_and_at_least_160_random_bits),
                cmocka_unit_test(no_two_tokens_are_alike),
                cmocka_unit_test(every_place_of_a_token_varies),
                cmocka_unit_test(the_digest_of_a_token_is_sha256),
                cmocka_unit_test(digits_of_either_case_are_read),
                cmocka_unit_test(what_is_not_64_digits_is_no_digest),
                cmocka_unit_test(digests_are_equal_only_with_every_bit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
