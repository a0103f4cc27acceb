/*
 * Where a secret is found in text, and in which forms.
 */
#include "base/secret_search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define TEXT_BYTES_MAX 4096

static const char base64_digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* What is left of text when the secret is overwritten. */
static const char *searched(const char *secret, const char *text)
{
        static char copy[TEXT_BYTES_MAX];
        struct secret_pattern pattern;
        size_t len = strlen(text);

        assert_true(len < sizeof copy);
        memcpy(copy, text, len + 1);
        secret_pattern_init(&pattern, secret);
        size_t places = secret_search(&pattern, text, len, copy);
        assert_int_equal(secret_search(&pattern, text, len, NULL), places);
        assert_int_equal(places > 0, strcmp(copy, text) != 0);
        return copy;
}

static void assert_searched(const char *secret, const char *text, const char *expected)
{
        const char *got = searched(secret, text);

        if (strcmp(got, expected) != 0)
                fail_msg("%s in \"%s\": \"%s\", not \"%s\"", secret, text, got, expected);
}

static void a_secret_is_found_in_each_form(void **state)
{
        static const struct {
                const char *text, *left;
        } cases[] = {
                {"key Ab/cD+9-e~f!", "key ***********!"},
                {"key AB/CD+9-E~F!", "key ***********!"},
                {"key ab/cd+9-e~f!", "key ***********!"},
                {"?key=Ab%2FcD%2B9-e~f&x", "?key=***************&x"},
                {"?key=Ab%2fcD%2b9-e%7ef&x", "?key=*****************&x"},
                {"%41%62%2F%63%44%2B%39%2D%65%7E%66%", "*********************************%"},
                {"ab%2fcd%2b9%2de~f", "*****************"},
                {"Ab%2FcD%2B9-e~%66%", "*****************%"},
                {"{\\\"key\\\":\\\"Ab\\/cD+9-e~f\\\"}", "{\\\"key\\\":\\\"************\\\"}"},
                {"Ab\\u002fcD\\u002B9-e~f", "*********************"},
                {"Ab\\x2fcD\\x2B9-e~f", "*****************"},
                {"\\%41b/cD+9-e~f", "\\*************"},
                {"\\\\\\%41b%2fcD+9-e~f", "\\\\\\***************"},
                {"x41622f63442b392d657e66 ", "x********************** "},
                {"(41622F63442B392D657E66)", "(**********************)"},
                {"041622f63442b392d657e661", "0**********************1"},
                /* base64 of it, and of "a", "ab" and "abc" before it with "d" behind it */
                {"QWIvY0QrOS1lfmY=", "***************="},
                {"YUFiL2NEKzktZX5mZA==", "Y***************ZA=="},
                {"YWJBYi9jRCs5LWV-ZmQ", "YW****************Q"},
                {"YWJjQWIvY0QrOS1lfmZk", "YWJj***************k"},
                {"{YWJjQWIvY0QrOS1lfmZk}", "{YWJj***************k}"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                assert_searched("Ab/cD+9-e~f", cases[i].text, cases[i].left);
}

static void what_is_not_the_whole_secret_stays(void **state)
{
        static const char *const texts[] = {
                "",
                "Ab/cD+9-e~",
                "b/cD+9-e~f",
                "Ab/cD 9-e~f",
                "Ab%2FcD%2",
                "41622f63442b392d657e6",
                "41622f63442b392d657e67",
                "QWIvY0QrOS1lfm",
                "QWIv Y0QrOS1lfmY",
                "%",
                "\\",
                "\\u",
                "%4",
                "\\u004",
        };

        (void)state;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                assert_searched("Ab/cD+9-e~f", texts[i], texts[i]);
}

static void a_percent_sign_of_the_secret_is_found_as_it_is_and_encoded(void **state)
{
        (void)state;
        assert_searched("a%41b%zz", "<a%41b%zz>", "<********>");
        assert_searched("a%41b%zz", "<a%2541b%25zz>", "<************>");
}

static void places_may_overlap(void **state)
{
        (void)state;
        assert_searched("abababa", "<abababababa>", "<***********>");
        assert_searched("aaaaaa", "baaaaaaaab", "b********b");
        assert_searched("aab/aab/", "aab/aab%2faab/", "**************");
        /* in hexadecimal digits, and as it is */
        assert_searched("616161", "363136313631616161 ", "****************** ");
}

static void a_short_secret_is_found_as_it_is_or_not_at_all(void **state)
{
        (void)state;
        assert_searched("key", "a key is a key", "a key is a key");
        assert_searched("keys",
                        "keys Keys %6beys 6b657973 a2V5cw==", "**** Keys %6beys 6b657973 a2V5cw==");
        assert_searched("keys1", "keys1 KEYS1", "***** KEYS1");
        assert_searched("keys12", "keys12 KEYS12", "****** ******");
}

/* Encodes any bytes; the text has no padding. */
static void encode_base64(const unsigned char *bytes, size_t len, bool url, char *ret)
{
        size_t digits = (len * 8 + 5) / 6;

        for (size_t i = 0; i < digits; i++) {
                size_t byte = i * 6 / 8, shift = i * 6 % 8;
                unsigned two = (unsigned)bytes[byte] << 8 | (byte + 1 < len ? bytes[byte + 1] : 0);
                char digit = base64_digits[two >> (10 - shift) & 63];
                if (url)
                        digit = digit == '+' ? '-' : digit == '/' ? '_' : digit;
                ret[i] = digit;
        }
        ret[digits] = '\0';
}

/* The digits that hold bits of the secret, and no others, are overwritten. */
static void base64_of_any_secret_is_found_at_any_place(void **state)
{
        unsigned char bytes[128];
        char secret[64], text[256], expected[256];
        unsigned seed = 7;

        (void)state;
        for (unsigned round = 0; round < 2000; round++) {
                size_t len = 6 + round % 40, before = round % 23, after = round % 7;
                for (size_t i = 0; i < before + len + after; i++)
                        bytes[i] = (unsigned char)rand_r(&seed);
                for (size_t i = 0; i < len; i++)
                        bytes[before + i] = (unsigned char)('!' + rand_r(&seed) % 94);
                memcpy(secret, bytes + before, len);
                secret[len] = '\0';
                encode_base64(bytes, before + len + after, round % 2, text);
                (void)snprintf(expected, sizeof expected, "%s", text);
                size_t first = before * 8 / 6, last = ((before + len) * 8 - 1) / 6;
                memset(expected + first, '*', last - first + 1);
                assert_searched(secret, text, expected);
        }
}

/* The time of the processor for the worst texts of a search that begins again at each byte, with a
 * secret of so many bytes. */
static double search_worst_texts(size_t secret_len)
{
        static const char *const patterns[] = {"a", "%61", "61", "YWFh"};
        size_t len = 256 * 1024;
        char *text = malloc(len), secret[SECRET_SEARCH_BYTES_MAX + 1];
        struct secret_pattern pattern;

        assert_non_null(text);
        memset(secret, 'a', sizeof secret);
        secret[secret_len - 1] = 'b';
        secret[secret_len] = '\0';
        secret_pattern_init(&pattern, secret);
        clock_t started = clock();
        for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
                size_t n = strlen(patterns[i]);
                for (size_t at = 0; at < len; at++)
                        text[at] = patterns[i][at % n];
                assert_int_equal(secret_search(&pattern, text, len, NULL), 0);
        }
        double time = (double)(clock() - started);
        free(text);
        return time;
}

/* A search that begins again at each byte takes as many times as long as the secret is longer. */
static void the_time_of_a_search_does_not_grow_with_the_secret(void **state)
{
        (void)state;
        (void)search_worst_texts(8);
        double small = search_worst_texts(8);
        assert_true(search_worst_texts(SECRET_SEARCH_BYTES_MAX) < 8 * small);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_secret_is_found_in_each_form),
                cmocka_unit_test(what_is_not_the_whole_secret_stays),
                cmocka_unit_test(a_percent_sign_of_the_secret_is_found_as_it_is_and_encoded),
                cmocka_unit_test(places_may_overlap),
                cmocka_unit_test(a_short_secret_is_found_as_it_is_or_not_at_all),
                cmocka_unit_test(base64_of_any_secret_is_found_at_any_place),
                cmocka_unit_test(the_time_of_a_search_does_not_grow_with_the_secret),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
