/*
 * Tests of base/base64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void only_the_alphabet_and_padding_at_the_end_are_base64(void **state)
{
        static const struct {
                const char *text;
                size_t span;
        } cases[] = {
                {"", 0},       {"QUJD", 4}, {"QUI=", 4}, {"QQ==", 4},     {"Q===", 1},
                {"====", 0},   {"=", 1},    {"QU=D", 2}, {"QQ==Q", 2},    {"QUJD QUJD", 4},
                {"QUJD\n", 4}, {"QU-_", 2}, {"+/+/", 4}, {"\xc3\xa9", 0},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_int_equal(base64_span(cases[i].text, strlen(cases[i].text)), cases[i].span);
}

static void each_byte_is_judged_alike_at_each_place_of_a_long_text(void **state)
{
        char text[200];

        (void)state;
        for (int byte = 0; byte < 256; byte++) {
                bool good = byte != 0 && strchr(alphabet, byte);
                for (size_t at = 0; at < sizeof text - 2; at++) {
                        memset(text, 'z', sizeof text);
                        text[at] = (char)byte;
                        assert_int_equal(base64_span(text, sizeof text), good ? sizeof text : at);
                }
        }
}

static void assert_decoded(const char *text, size_t len, const void *expected, size_t expected_len)
{
        unsigned char *bytes = malloc(expected_len + 1);

        assert_non_null(bytes);
        bytes[expected_len] = 0xa5;
        assert_int_equal(base64_decoded_length(text, len), expected_len);
        assert_int_equal(base64_decode(text, len, bytes), expected_len);
        assert_memory_equal(bytes, expected, expected_len);
        assert_int_equal(bytes[expected_len], 0xa5);
        free(bytes);
}

/* RFC 4648, section 10, and what padding may leave over. */
static void short_texts_are_decoded(void **state)
{
        static const struct {
                const char *text, *bytes;
        } cases[] = {
                {"", ""},
                {"Zg==", "f"},
                {"Zm8=", "fo"},
                {"Zm9v", "foo"},
                {"Zm9vYg==", "foob"},
                {"Zm9vYmE=", "fooba"},
                {"Zm9vYmFy", "foobar"},
                {"Zh==", "f"},
                {"Zm9=", "fo"},
                {"////", "\xff\xff\xff"},
                {"++++", "\xfb\xef\xbe"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_decoded(cases[i].text, strlen(cases[i].text), cases[i].bytes,
                               strlen(cases[i].bytes));
}

/* Encodes one bit after the other, unlike what is tested. Returns the length. */
static size_t encode(const unsigned char *bytes, size_t len, char *ret_text)
{
        size_t characters = (len * 8 + 5) / 6, padded = (len + 2) / 3 * 4;

        for (size_t i = 0; i < characters; i++) {
                unsigned value = 0;
                for (size_t bit = 6 * i; bit < 6 * i + 6; bit++)
                        value = value << 1 |
                                (bit < 8 * len ? bytes[bit / 8] >> (7 - bit % 8) & 1 : 0);
                ret_text[i] = alphabet[value];
        }
        memset(ret_text + characters, '=', padded - characters);
        return padded;
}

static void texts_of_each_length_are_decoded_to_their_last_byte(void **state)
{
        unsigned char bytes[300];
        uint32_t noise = 1;

        (void)state;
        for (size_t len = 0; len < sizeof bytes; len++) {
                for (size_t i = 0; i < len; i++) {
                        noise = noise * 1664525 + 1013904223;
                        bytes[i] = (unsigned char)(noise >> 24);
                }
                char *text = malloc(len * 2 + 4);
                assert_non_null(text);
                size_t text_len = encode(bytes, len, text);
                char *exact = realloc(text, text_len ? text_len : 1); /* for the sanitizer */
                assert_non_null(exact);
                assert_decoded(exact, text_len, bytes, len);
                free(exact);
        }
}

static void each_character_is_decoded_to_its_value_at_each_place_of_a_block(void **state)
{
        char text[128];
        unsigned char bytes[96];

        (void)state;
        for (unsigned value = 0; value < 64; value++) {
                for (size_t at = 0; at < sizeof text; at++) {
                        memset(text, 'A', sizeof text);
                        text[at] = alphabet[value];
                        assert_int_equal(base64_decode(text, sizeof text, bytes), sizeof bytes);
                        for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
                                unsigned found = bytes[bit / 8] >> (7 - bit % 8) & 1;
                                unsigned expected = bit / 6 == at ? value >> (5 - bit % 6) & 1 : 0;
                                assert_int_equal(found, expected);
                        }
                }
        }
}

static void a_text_may_be_decoded_in_pieces(void **state)
{
        char text[400];
        unsigned char whole[300], pieces[300];
        size_t len = 0;

        (void)state;
        for (size_t i = 0; i < sizeof text; i++)
                text[i] = alphabet[i * 37 % 64];
        memcpy(text + sizeof text - 2, "==", 2);
        assert_int_equal(base64_decode(text, sizeof text, whole), 298);
        for (size_t at = 0; at < sizeof text; at += 100)
                len += base64_decode(text + at, 100, pieces + len);
        assert_int_equal(len, 298);
        assert_memory_equal(pieces, whole, 298);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_the_alphabet_and_padding_at_the_end_are_base64),
                cmocka_unit_test(each_byte_is_judged_alike_at_each_place_of_a_long_text),
                cmocka_unit_test(short_texts_are_decoded),
                cmocka_unit_test(texts_of_each_length_are_decoded_to_their_last_byte),
                cmocka_unit_test(each_character_is_decoded_to_its_value_at_each_place_of_a_block),
                cmocka_unit_test(a_text_may_be_decoded_in_pieces),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
