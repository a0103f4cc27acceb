/*
 * Tests of job/task_identity, by way of task_parse().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "job/task.h"

#define MAX_IMAGES 3

#define M           "\"method\":\"hcaptcha_base64\""
#define T           "\"target\":\"bus\""
#define I           "\"images\":{\"0\":\"QUJD\"}"
#define S           "\"site\":\"a.example\""
#define LONG_SOFTID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG        "long long long long long long long long long long "
#define TM          "," T "," M "}"

/* The identity of a body that is taken. */
static struct task_identity identity_of(const char *body)
{
        char message[TASK_MESSAGE_BYTES_MAX], *copy = strdup(body);
        struct task task;

        assert_non_null(copy);
        if (task_parse(copy, strlen(body), MAX_IMAGES, &task, message) != TASK_OK)
                fail_msg("%s: %s", body, message);
        free(copy);
        struct task_identity identity = task.identity;
        task_done(&task);
        return identity;
}

static bool same_identity(const char *body, const char *other)
{
        struct task_identity one = identity_of(body), two = identity_of(other);

        return memcmp(&one, &two, sizeof one) == 0;
}

/* Puts each of some members into a body, and checks whether all have one identity or all differ. */
static void compare_members(const char *const *members, size_t count, bool same)
{
        char one[1024], other[1024];

        for (size_t i = 0; i < count; i++) {
                for (size_t j = 0; j < i; j++) {
                        (void)snprintf(one, sizeof one, "{%s" TM, members[i]);
                        (void)snprintf(other, sizeof other, "{%s" TM, members[j]);
                        if (same_identity(one, other) != same)
                                fail_msg("%s and %s", one, other);
                }
        }
}

#define ALL_SAME(members)   compare_members(members, sizeof members / sizeof members[0], true)
#define ALL_DIFFER(members) compare_members(members, sizeof members / sizeof members[0], false)

/*
 * The store keeps identities over upgrades, so that this one may change with the version only. It
 * was computed by another program, from the kinds of parts in task_identity.c.
 */
static void an_identity_is_the_same_for_ever(void **state)
{
        static const char body[] =
                "{\"images\":{\"0\":\"QUJD\",\"1\":\"QQ==\"},\"target\":\"b\\u0075s\","
                "\"method\":\"hcaptcha_base64\",\"sitekey\":null,\"softid\":\"x\",\"ln\":\"" LONG
                        LONG LONG LONG "\","
                "\"Choices\":[\"a\",{\"b\":-1.50}, [] ,true,\"\\ud800\"]}";
        static const unsigned char expected[TASK_IDENTITY_BYTES] = {
                0xdc, 0xe3, 0xa3, 0x85, 0x04, 0x7f, 0x13, 0xa6, 0xdd, 0x07, 0xc0,
                0x6a, 0x4a, 0xd9, 0x81, 0x90, 0xdf, 0x84, 0xd7, 0x18, 0xcd, 0xc3,
                0x57, 0x4a, 0x30, 0xb5, 0xa6, 0x3b, 0x4f, 0xc5, 0xb6, 0x58,
        };

        (void)state;
        struct task_identity identity = identity_of(body);
        assert_memory_equal(identity.bytes, expected, sizeof expected);
}

static void a_task_is_the_same_however_its_fields_are_ordered_and_spaced(void **state)
{
        static const char *const bodies[] = {
                "{" I "," S ",\"ln\":\"en\",\"a\":1" TM,
                "{\"a\":1,\"ln\":\"en\"," M "," T "," S "," I "}",
                " { \"a\" : 1 ,\n\"ln\":\t\"en\" , " S "," I TM "\r\n",
                "{\"LN\":\"en\",\"A\":1,\"Site\":\"a.example\",\"Images\":{ \"0\" : \"QUJD\" }," T
                ",\"Method\":\"hcaptcha_base64\"}",
                "{\"\\u0061\":1,\"ln\":\"\\u0065n\",\"\xc5\xbfite\":\"a.ex\\u0061mple\"," I
                ",\"target\":\"b\\u0075s\"," M "}",
        };

        (void)state;
        for (size_t i = 1; i < sizeof bodies / sizeof bodies[0]; i++) {
                if (!same_identity(bodies[i], bodies[0]))
                        fail_msg("%s", bodies[i]);
        }
}

static void images_are_the_same_by_their_bytes(void **state)
{
        static const char *const images[] = {
                "\"images\":[\"/+9B\",\"QQ==\"]",
                "\"images\":[\"\\/+9B\",\"QQ\\u003d=\"]",
                "\"images\":[\"data:image/png;base64,/+9B\",\"data:;base64,QQ==\"]",
                "\"images\":[\"data:image\\/jpeg;base64,\\/+9B\",\"QQ==\"]",
                "\"images\":[\"/+9B\",\"QR==\"]",
                "\"images\":{\"0\":\"/+9B\",\"1\":\"QQ==\"}",
                "\"images\":{\"\\u0030\":\"/+9B\", \"1\":\"QQ==\"}",
        };

        (void)state;
        ALL_SAME(images);
}

static void images_differ_by_bytes_names_number_and_order(void **state)
{
        static const char *const images[] = {
                "\"images\":{\"0\":\"QUJD\",\"1\":\"QUI=\"}",
                "\"images\":{\"0\":\"QUJC\",\"1\":\"QUI=\"}",
                "\"images\":{\"0\":\"QUI=\",\"1\":\"QUJD\"}",
                "\"images\":{\"1\":\"QUI=\",\"0\":\"QUJD\"}",
                "\"images\":{\"1\":\"QUJD\",\"0\":\"QUI=\"}",
                "\"images\":{\"a\":\"QUJD\",\"1\":\"QUI=\"}",
                "\"images\":{\"A\":\"QUJD\",\"1\":\"QUI=\"}",
                "\"images\":{\"0\":\"QUJD\",\"1\":\"QUI=\",\"2\":\"QUI=\"}",
                "\"images\":[\"QUJDQUI=\"]",
                "\"images\":[\"QUJDQUIA\"]",
                "\"images\":[\"QUJD\"]",
                "\"images\":[\"QUI=\"]",
                "\"images\":[\"QQ==\",\"QkNBQg==\"]",
        };

        (void)state;
        ALL_DIFFER(images);
}

static void the_site_key_counts_under_one_name_and_a_plain_softid_not_at_all(void **state)
{
        static const char *const same[] = {
                I ",\"sitekey\":\"k\"",
                I ",\"site_key\":\"k\"",
                I ",\"SiteKey\":\"\\u006b\"",
                I ",\"softid\":1,\"sitekey\":\"k\"",
                I ",\"SoftID\":\"tool\\/1.2 (\xc3\xa9 \\u00e9)\",\"sitekey\":\"k\"",
                I ",\"softid\":1234567890123456,\"sitekey\":\"k\"",
                I ",\"softid\":\"\",\"sitekey\":\"k\"",
                I ",\"softid\":null,\"sitekey\":\"k\"",
                I ",\"softid\":\"" LONG_SOFTID "\",\"sitekey\":\"k\"",
        };
        static const char *const different[] = {
                I ",\"sitekey\":\"k\"", I ",\"sitekey\":\"K\"", I ",\"sitekey\":null",
                I ",\"sitekey\":\"\"",  I ",\"site\":\"k\"",    I,
                I ",\"soft_id\":1",
        };

        (void)state;
        ALL_SAME(same);
        ALL_DIFFER(different);
}

static void a_softid_that_the_upstream_may_refuse_counts(void **state)
{
        static const char *const different[] = {
                I,
                I ",\"softid\":\"" LONG_SOFTID "x\"",
                I ",\"softid\":\"x\\u0000\"",
                I ",\"softid\":\"x\\n\"",
                I ",\"softid\":\"x\\u007f\"",
                I ",\"softid\":\"x\\ud800\"",
                I ",\"softid\":12345678901234567",
                I ",\"softid\":1e999",
                I ",\"softid\":-1",
                I ",\"softid\":1.5",
                I ",\"softid\":true",
                I ",\"softid\":{\"x\":[]}",
                I ",\"softid\":[1]",
        };
        static const char *const same[] = {
                I ",\"softid\":[1]",
                I ",\"SoftID\":[ 1 ]",
                I ",\"\xc5\xbfoftid\":[1]",
        };

        (void)state;
        ALL_DIFFER(different);
        ALL_SAME(same);
}

static void values_are_the_same_without_their_white_space_and_escapes(void **state)
{
        static const char *const same[] = {
                I ",\"x\":[1,\"a/b\",{\"y\":null,\"\xc3\xa9\":[]},\"\xf0\x9f\x98\x80\"]",
                I ",\"x\":[1,\"a\\/b\",{\"\\u0079\":null,\"\\u00E9\":[]},\"\\ud83d\\ude00\"]",
                I ",\"x\": [ 1 , \"a\\u002fb\",\n{ \"y\" : null,\"\\u00e9\":[ ] },"
                  "\"\\uD83D\\uDE00\" ]",
        };

        (void)state;
        ALL_SAME(same);
}

static void values_differ_by_type_text_order_and_nesting(void **state)
{
        static const char *const different[] = {
                I ",\"x\":1",
                I ",\"x\":1.0",
                I ",\"x\":\"1\"",
                I ",\"x\":[1]",
                I ",\"x\":[[1]]",
                I ",\"x\":[]",
                I ",\"x\":[[]]",
                I ",\"x\":[[],[]]",
                I ",\"x\":{}",
                I ",\"x\":[{}]",
                I ",\"x\":null",
                I ",\"x\":\"null\"",
                I ",\"x\":true",
                I ",\"x\":\"\"",
                I ",\"x\":[\"\"]",
                I ",\"x\":[12,3]",
                I ",\"x\":[1,23]",
                I ",\"x\":[\"ab\",\"c\"]",
                I ",\"x\":[\"a\",\"bc\"]",
                I ",\"x\":[\"a\",[\"bc\"]]",
                I ",\"x\":{\"a\":\"bc\"}",
                I ",\"x\":{\"a\":1,\"b\":2}",
                I ",\"x\":{\"b\":2,\"a\":1}",
                I ",\"x\":{\"A\":1,\"b\":2}",
                I ",\"x\":\"a b\"",
                I ",\"x\":\"a  b\"",
                I ",\"x\":1,\"y\":1",
                I ",\"y\":1",
                I ",\"xy\":1",
                I ",\"\":1",
                I,
        };

        (void)state;
        ALL_DIFFER(different);
}

/* json_string_decode() makes U+FFFD of each, and the upstream may tell them apart. */
static void lone_surrogates_are_not_taken_for_each_other(void **state)
{
        static const char *const values[] = {
                I ",\"x\":\"\\ud800\"",
                I ",\"x\":\"\\udbff\"",
                I ",\"x\":\"\\udc00\"",
                I ",\"x\":\"\\ud800\\ud800\"",
                I ",\"x\":\"\\ufffd\"",
                I ",\"x\":\"\\\\ud800\"",
                I ",\"x\":{\"\\ud800\":1}",
                I ",\"x\":{\"\\ud801\":1}",
                I ",\"\\ud800\":1",
                I ",\"\\ud801\":1",
                I ",\"\\ufffd\":1",
                I ",\"sitekey\":\"\\ud800\"",
                I ",\"sitekey\":\"\\ud801\"",
                "\"images\":{\"\\ud800\":\"QUJD\"}",
                "\"images\":{\"\\ud801\":\"QUJD\"}",
        };
        static const char *const same[] = {
                I ",\"x\":\"\\ufffd/\"",
                I ",\"x\":\"\xef\xbf\xbd\\/\"",
        };

        (void)state;
        ALL_DIFFER(values);
        ALL_SAME(same);
}

static void a_task_differs_by_each_of_its_own_fields(void **state)
{
        static const char *const bodies[] = {
                "{" I TM,
                "{" I ",\"target\":\"car\"," M "}",
                "{" I "," T ",\"data_type\":\"base64\"}",
                "{" I "," T ",\"data_type\":\"hcaptcha_base64\"}",
                "{" I "," S TM,
                "{" I ",\"site\":\"b.example\"" TM,
                "{" I ",\"site\":null" TM,
        };

        (void)state;
        for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
                for (size_t j = 0; j < i; j++)
                        assert_false(same_identity(bodies[i], bodies[j]));
        }
}

/* Writes a body with one image of zeros, 3 of 4 times as many as there are characters. */
static char *body_with_large_image(size_t characters, const char *last)
{
        struct strbuf body;

        strbuf_init(&body, characters + 1000);
        (void)strbuf_puts(&body, "{\"images\":[\"");
        for (size_t i = 0; i < characters / 4 - 1; i++)
                (void)strbuf_puts(&body, "AAAA");
        (void)strbuf_puts(&body, last);
        assert_int_equal(strbuf_puts(&body, "\"]" TM), 0);
        return strbuf_take(&body, NULL);
}

static void a_large_image_counts_to_its_last_bit(void **state)
{
        (void)state;
        for (size_t characters = 4000; characters < 4200; characters += 4) {
                char *body = body_with_large_image(characters, "AAAA");
                char *bit = body_with_large_image(characters, "AAAB");
                char *shorter = body_with_large_image(characters, "AAA=");
                assert_false(same_identity(body, bit));
                assert_false(same_identity(body, shorter));
                free(body);
                free(bit);
                free(shorter);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_identity_is_the_same_for_ever),
                cmocka_unit_test(a_task_is_the_same_however_its_fields_are_ordered_and_spaced),
                cmocka_unit_test(images_are_the_same_by_their_bytes),
                cmocka_unit_test(images_differ_by_bytes_names_number_and_order),
                cmocka_unit_test(the_site_key_counts_under_one_name_and_a_plain_softid_not_at_all),
                cmocka_unit_test(a_softid_that_the_upstream_may_refuse_counts),
                cmocka_unit_test(values_are_the_same_without_their_white_space_and_escapes),
                cmocka_unit_test(values_differ_by_type_text_order_and_nesting),
                cmocka_unit_test(lone_surrogates_are_not_taken_for_each_other),
                cmocka_unit_test(a_task_differs_by_each_of_its_own_fields),
                cmocka_unit_test(a_large_image_counts_to_its_last_bit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
