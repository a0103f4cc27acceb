/*
 * Tests of job/task.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "job/task.h"

#define MAX_IMAGES 3

#define M  "\"method\":\"hcaptcha_base64\""
#define T  "\"target\":\"bus\""
#define I  "\"images\":{\"0\":\"QUJD\"}"
#define S  "\"site\":\"a.example\""
#define TM "," T "," M "}"

/*
 * Parses a copy of its very size, so that the address sanitizer sees a byte read behind it. On
 * TASK_OK the caller frees *ret_task.
 */
static enum task_verdict parse(const char *body, size_t len, struct task *ret_task,
                               char message[static TASK_MESSAGE_BYTES_MAX])
{
        char *copy = malloc(len ? len : 1);

        assert_non_null(copy);
        memcpy(copy, body, len);
        memset(message, 0, TASK_MESSAGE_BYTES_MAX);
        enum task_verdict verdict = task_parse(copy, len, MAX_IMAGES, ret_task, message);
        free(copy);
        return verdict;
}

static void assert_taken(const char *body, unsigned images)
{
        char message[TASK_MESSAGE_BYTES_MAX];
        struct task task;
        enum task_verdict verdict = parse(body, strlen(body), &task, message);

        if (verdict != TASK_OK)
                fail_msg("%s: %s", body, message);
        assert_int_equal(task.images, images);
        task_done(&task);
}

static void assert_refused(const char *body, enum task_verdict expected, const char *message_part)
{
        char message[TASK_MESSAGE_BYTES_MAX];
        struct task task = {.images = 77};
        enum task_verdict verdict = parse(body, strlen(body), &task, message);

        if (verdict != expected || !strstr(message, message_part))
                fail_msg("%.200s: %d: %s", body, (int)verdict, message);
        assert_int_equal(task.images, 77);
}

static void a_job_gives_target_site_and_count(void **state)
{
        static const char body[] =
                " {\"images\":{\"0\":\"QUJD\",\"1\":\"QQ==\"},\"target\":\"b\\u0075s \\\"1\\\"\","
                "\"method\":\"hcaptcha_base64\",\"sitekey\":\"k\",\"site\":\"a.ex\\u0061mple\\/"
                "x\"}\n";
        char message[TASK_MESSAGE_BYTES_MAX];
        struct task task;

        (void)state;
        assert_int_equal(parse(body, strlen(body), &task, message), TASK_OK);
        assert_string_equal(task.target_json, "\"b\\u0075s \\\"1\\\"\"");
        assert_string_equal(task.site, "a.example/x");
        assert_int_equal(task.images, 2);
        task_done(&task);
        assert_null(task.target_json);
        assert_null(task.site);
        task_done(&task);
}

static void a_body_without_site_has_none(void **state)
{
        char message[TASK_MESSAGE_BYTES_MAX];
        struct task task;
        static const char *const bodies[] = {"{" I TM, "{\"site\":null," I TM};

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(parse(bodies[i], strlen(bodies[i]), &task, message), TASK_OK);
                assert_null(task.site);
                task_done(&task);
        }
}

static void every_shape_that_clients_send_is_taken(void **state)
{
        static const struct {
                const char *body;
                unsigned images;
        } cases[] = {
                {"{" I TM, 1},
                {"{\"images\":[\"QUJD\",\"QUI=\",\"QQ==\"]" TM, 3},
                {"{\"images\":{\"img1\":\"QUJD\",\"img2\":\"QUJD\"}" TM, 2},
                {"{\"Images\":{\"0\":\"QUJD\"},\"Target\":\"x\",\"METHOD\":\"hcaptcha_base64\","
                 "\"Sitekey\":\"k\",\"Site\":\"s\"}",
                 1},
                {"{" I "," T ",\"data_type\":\"base64\"}", 1},
                {"{" I "," T ",\"data_type\":\"hcaptcha_base64\"}", 1},
                {"{" I "," T "," M ",\"data_type\":\"base64\"}", 1},
                {"{" I ",\"site_key\":\"k\"" TM, 1},
                {"{" I ",\"sitekey\":null" TM, 1},
                {"{" I ",\"method\":\"hcaptcha\\u005fbase64\"," T "}", 1},
                {"{" I ",\"softid\":1.5e3,\"ln\":null,\"x\":{\"x\":[{\"x\":true}]}" TM, 1},
                {"{" I ",\"examples\":[\"no base64!\"],\"choices\":[]" TM, 1},
                {"{" I ",\"\":0" TM, 1},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_taken(cases[i].body, cases[i].images);
}

static void images_are_base64_with_an_optional_data_prefix(void **state)
{
        static const char *const images[] = {
                "QUJD",
                "QUJDQUI=",
                "QQ==",
                "+/+/",
                "+\\/+\\/",
                "\\u0051UJD",
                "QUI\\u003d",
                "data:;base64,QUJD",
                "data:image/png;base64,QUJD",
                "data:image\\/png;base64,QUJD",
                "DATA:image/jpeg;Base64,QUJD",
                "data:image/png;charset=x;base64,QUJD",
        };
        char body[512];

        (void)state;
        for (size_t i = 0; i < sizeof images / sizeof images[0]; i++) {
                (void)snprintf(body, sizeof body, "{\"images\":[\"%s\"]" TM, images[i]);
                assert_taken(body, 1);
        }
}

static void what_is_no_base64_is_refused_with_its_place(void **state)
{
        static const struct {
                const char *image;
                const char *message;
        } cases[] = {
                {"\"\"", "images[\"3\"]: empty"},
                {"\"data:image/png;base64,\"", "images[\"3\"]: empty"},
                {"1", "images[\"3\"]: not a string"},
                {"null", "images[\"3\"]: not a string"},
                {"[\"QUJD\"]", "images[\"3\"]: not a string"},
                {"\"QUJDQUJDQUJDQUJD!UJD\"", "images[\"3\"]: not base64 at character 17"},
                {"\"QUJ\"", "images[\"3\"]: not base64: 3 characters"},
                {"\"Q===\"", "not base64 at character 2"},
                {"\"====\"", "not base64 at character 1"},
                {"\"QQ==QQ==\"", "not base64 at character 3"},
                {"\"QUJ-\"", "not base64 at character 4"},
                {"\"QUJ_\"", "not base64 at character 4"},
                {"\"QUJD\\n\"", "not base64 at character 5"},
                {"\" QUJD\"", "not base64 at character 1"},
                {"\"QU\\u0000D\"", "not base64 at character 3"},
                {"\"\\/\\/\\/\\\\\"", "not base64 at character 4"},
                {"\"QUJ\xc3\xa9\"", "not base64 at character 4"},
                {"\"data:image/png,QUJD\"", "not base64 at character 5"},
                {"\"data:image/png;base64QUJD\"", "not base64 at character 5"},
                {"\"data:image/png;base64,QUJD!\"", "not base64 at character 27"},
                {"\"data:,;base64,QUJD\"", "not base64 at character 5"},
                {"\"data: ;base64,QUJD\"", "not base64 at character 5"},
                {"\"data:\xc3\xa9;base64,QUJD\"", "not base64 at character 5"},
                {"\"data:;base64,data:;base64,QUJD\"", "not base64 at character 18"},
                {"\"https://a.example/1.png\"", "not base64 at character 6"},
        };
        char body[512];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                (void)snprintf(body, sizeof body, "{\"images\":{\"1\":\"QUJD\",\"3\":%s}" TM,
                               cases[i].image);
                assert_refused(body, TASK_BAD_JOB, cases[i].message);
        }
}

static void a_message_shows_little_of_a_name_and_only_plain_ascii(void **state)
{
        (void)state;
        assert_refused("{\"images\":[\"QUJD\",\"!\"]" TM, TASK_BAD_JOB, "images[1]: not base64");
        assert_refused("{\"images\":{\"a\xc3\xa9\x7f\":\"!\"}" TM, TASK_BAD_JOB,
                       "images[\"a???\"]:");
        assert_refused("{\"images\":{\"0123456789012345678901234567890123\":\"!\"}" TM,
                       TASK_BAD_JOB, "images[\"01234567890123456789012345678901\"]:");
}

static void a_body_that_is_no_job_is_refused(void **state)
{
        static const struct {
                const char *body;
                const char *message;
        } cases[] = {
                {"[]", "not a JSON object"},
                {"\"x\"", "not a JSON object"},
                {"null", "not a JSON object"},
                {"{}", "images: missing"},
                {"{" T "," M "}", "images: missing"},
                {"{\"images\":{}" TM, "images: none given; give 1 to 3 (limits.images)"},
                {"{\"images\":[]" TM, "images: none"},
                {"{\"images\":null" TM, "images: neither"},
                {"{\"images\":\"QUJD\"" TM, "images: neither"},
                {"{\"images\":[\"QUJD\",\"QUJD\",\"QUJD\",\"QUJD\"]" TM,
                 "images: 4 given, at most 3 allowed (limits.images)"},
                {"{\"images\":{\"0\":\"QUJD\",\"1\":\"QUJD\",\"2\":\"QUJD\",\"3\":0,\"4\":0}" TM,
                 "images: 5 given, at most 3 allowed (limits.images)"},
                {"{" I "," M "}", "target: missing"},
                {"{" I ",\"target\":\"\"," M "}", "target: empty"},
                {"{" I ",\"target\":null," M "}", "target: not a string"},
                {"{" I ",\"target\":[\"x\"]," M "}", "target: not a string"},
                {"{" I "," T "}", "method: missing"},
                {"{" I "," T ",\"method\":null}", "method: not a string"},
                {"{" I "," T ",\"method\":1,\"data_type\":\"base64\"}", "method: not a string"},
                {"{" I "," T "," M ",\"data_type\":{}}", "data_type: not a string"},
                {"{" I ",\"site\":1" TM, "site: not a string"},
                {"{" I ",\"site\":[\"a.example\"]" TM, "site: not a string"},
                {"{" I ",\"site\":\"a.example\\u0000.b.example\"" TM, "site: must not hold"},
                {"{" I ",\"sitekey\":1" TM, "sitekey: not a string"},
                {"{" I ",\"site_key\":{}" TM, "sitekey: not a string"},
                {"{" I ",\"site\\u0000\":\"x\"" TM, "must not hold U+0000"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_refused(cases[i].body, TASK_BAD_JOB, cases[i].message);
}

static void a_job_of_another_kind_is_not_allowed(void **state)
{
        static const char *const bodies[] = {
                "{" I "," T ",\"method\":\"ocr\"}",
                "{" I "," T ",\"method\":\"\"}",
                "{" I "," T ",\"method\":\"base64\"}",
                "{" I "," T ",\"method\":\"HCAPTCHA_BASE64\"}",
                "{" I "," T ",\"method\":\"hcaptcha_base64\\u0000\"}",
                "{" I "," T ",\"data_type\":\"url\"}",
                "{" I "," T "," M ",\"data_type\":\"url\"}",
                "{" I "," T ",\"data_type\":\"base64\",\"method\":\"recaptcha2\"}",
                "{\"method\":\"ocr\",\"image\":\"QUJD\"}",
                "{\"images\":{\"0\":\"https://a.example/1.png\"}," T ",\"data_type\":\"url\"}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
                assert_refused(bodies[i], TASK_METHOD_NOT_ALLOWED,
                               "only jobs of hcaptcha_base64 are relayed");
}

static void a_credential_within_a_job_is_refused_since_the_job_goes_upstream(void **state)
{
        static const char *const bodies[] = {
                "{" I "," T "," M ",\"apikey\":\"k\"}",
                "{" I "," T "," M ",\"UID\":1}",
                "{" I "," T "," M ",\"\\u0061uthorization\":null}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
                assert_refused(bodies[i], TASK_BAD_JOB, "do not belong into a job");
}

static void a_field_given_twice_is_refused_however_it_is_written(void **state)
{
        static const char *const twice[] = {
                I "," I,
                S "," S,
                S ",\"Site\":\"b.example\"",
                S ",\"SITE\":null",
                "\"site\":null," S,
                S ",\"\\u0073ite\":\"b.example\"",
                S ",\"\\u0053ite\":\"b.example\"",
                S ",\"\xc5\xbfite\":\"b.example\"",
                S ",\"\\u017fite\":\"b.example\"",
                "\"sitekey\":\"k\",\"site_key\":\"k\"",
                "\"sitekey\":\"k\",\"site\xe2\x84\xaa"
                "ey\":\"k\"",
                "\"sitekey\":\"k\",\"SITE_\\u212AEY\":\"k\"",
                M ",\"Method\":\"ocr\"",
                "\"data_type\":\"base64\",\"Data_Type\":\"base64\"",
                T ",\"tArget\":\"x\"",
                "\"ln\":\"en\",\"ln\":\"en\"",
                "\"ln\":\"en\",\"LN\":\"en\"",
                "\"softid\":1,\"\xc5\xbfoftid\":2",
                "\"\":1,\"\":1",
                "\"x\":{},\"\\u0078\":{}",
                "\"images\":{\"0\":\"QUJD\",\"0\":\"QUJD\"}",
                "\"images\":{\"0\":\"QUJD\",\"\\u0030\":\"QUJD\"}",
                "\"images\":{\"img1\":\"QUJD\",\"IMG1\":\"QUJD\"}",
        };
        char body[1024];

        (void)state;
        for (size_t i = 0; i < sizeof twice / sizeof twice[0]; i++) {
                (void)snprintf(body, sizeof body, "{%s}", twice[i]);
                assert_refused(body, TASK_BAD_JOB, "given twice");
                (void)snprintf(body, sizeof body, "{\"n\":{},%s,\"m\":[]}", twice[i]);
                assert_refused(body, TASK_BAD_JOB, "given twice");
        }
}

static void equal_names_in_different_objects_are_no_doubles(void **state)
{
        (void)state;
        assert_taken("{\"images\":{\"site\":\"QUJD\",\"images\":\"QUJD\"},\"x\":{\"site\":1,"
                     "\"site\":2}," S TM,
                     2);
}

static void bad_json_outranks_every_fault_of_the_job(void **state)
{
        static const struct {
                const char *body;
                const char *message;
        } cases[] = {
                {"", "byte 1: "},
                {"{", "byte 2: "},
                {"{\"a\":01}", "byte 6: a number with a leading zero"},
                {"{" S "," S ",x}", "byte 40: a name"},
                {"{\"images\":[1,2,3,4,5,!]}", "byte 22: "},
                {"{\"images\":{\"0\":0,}}", "byte 17: a comma"},
                {"{\"method\":\"ocr\"}}", "byte 17: something follows"},
                {"[1,2", "byte 5: "},
                {"{" I TM " {}", "something follows"},
                {"\xef\xbb\xbf{" I TM, "byte 1: a byte order mark"},
                {"{" I ",\"x\":\"\xff\"" TM, "no UTF-8"},
                {"{" I ",\"site\":\"\n\"" TM, "control character"},
                {"{'images':{}}", "byte 2: "},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                assert_refused(cases[i].body, TASK_BAD_JSON, cases[i].message);
}

static void a_body_cut_at_any_byte_is_bad_json(void **state)
{
        static const char body[] = "{\"images\":{\"0\":\"QUJD\",\"1\":\"data:;base64,QU\\/D\"},"
                                   "\"Site\":\"a.ex\\u0061mple\",\"x\":[{\"y\":-1.5e3}]" TM;
        char message[TASK_MESSAGE_BYTES_MAX];

        (void)state;
        assert_taken(body, 2);
        for (size_t len = 0; len < strlen(body); len++) {
                struct task task;
                assert_int_equal(parse(body, len, &task, message), TASK_BAD_JSON);
        }
}

/* Parses a body with count letters between two parts. */
static void check_length(const char *before, size_t count, const char *after,
                         enum task_verdict expected)
{
        char message[TASK_MESSAGE_BYTES_MAX];
        struct strbuf body;
        struct task task;

        strbuf_init(&body, 100000);
        (void)strbuf_puts(&body, before);
        for (size_t i = 0; i < count; i++)
                (void)strbuf_puts(&body, "x");
        assert_int_equal(strbuf_puts(&body, after), 0);
        enum task_verdict verdict = parse(body.data, body.len, &task, message);
        assert_int_equal(verdict, expected);
        if (verdict == TASK_OK)
                task_done(&task);
        strbuf_done(&body);
}

static void lengths_are_taken_up_to_their_ceiling(void **state)
{
        static const struct {
                const char *before, *after;
                size_t max;
        } cases[] = {
                {"{" I "," M ",\"target\":\"", "\"}", TASK_TARGET_BYTES_MAX - 2},
                {"{" I ",\"site\":\"", "\"" TM, TASK_SITE_BYTES_MAX},
                {"{" I ",\"", "\":0" TM, TASK_NAME_BYTES_MAX},
                {"{\"images\":{\"", "\":\"QUJD\"}" TM, TASK_NAME_BYTES_MAX},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                check_length(cases[i].before, cases[i].max, cases[i].after, TASK_OK);
                check_length(cases[i].before, cases[i].max + 1, cases[i].after, TASK_BAD_JOB);
        }
}

static void a_body_has_as_many_fields_as_the_ceiling_lets_it(void **state)
{
        char message[TASK_MESSAGE_BYTES_MAX];

        (void)state;
        for (unsigned fields = TASK_FIELDS_MAX; fields <= TASK_FIELDS_MAX + 1; fields++) {
                struct strbuf body;
                struct task task;
                strbuf_init(&body, 10000);
                (void)strbuf_puts(&body, "{" I);
                for (unsigned i = 3; i < fields; i++)
                        (void)strbuf_printf(&body, ",\"f%u\":%u", i, i);
                assert_int_equal(strbuf_puts(&body, TM), 0);
                enum task_verdict verdict = parse(body.data, body.len, &task, message);
                if (fields == TASK_FIELDS_MAX) {
                        assert_int_equal(verdict, TASK_OK);
                        task_done(&task);
                } else {
                        assert_int_equal(verdict, TASK_BAD_JOB);
                        assert_string_equal(message, "more than 64 fields");
                }
                strbuf_done(&body);
        }
}

static void a_large_image_is_checked_to_its_last_character(void **state)
{
        static const char before[] = "{\"images\":[\"", after[] = "\"]" TM;
        static char body[sizeof before + 100000 + sizeof after];
        char message[TASK_MESSAGE_BYTES_MAX], expected[64];
        size_t len = strlen(before) + 100000 + strlen(after);
        struct task task;

        (void)state;
        memcpy(body, before, strlen(before));
        memset(body + strlen(before), 'Q', 100000);
        memcpy(body + strlen(before) + 100000, after, strlen(after));
        assert_int_equal(parse(body, len, &task, message), TASK_OK);
        task_done(&task);
        for (size_t at = 100000 - 70; at < 100000; at++) {
                body[strlen(before) + at] = '-';
                assert_int_equal(parse(body, len, &task, message), TASK_BAD_JOB);
                (void)snprintf(expected, sizeof expected, "images[0]: not base64 at character %zu",
                               at + 1);
                assert_string_equal(message, expected);
                body[strlen(before) + at] = 'Q';
        }
}

/* Makes before, count times what, and after. */
static struct strbuf repeat(const char *before, const char *what, size_t count, const char *after)
{
        struct strbuf body;

        strbuf_init(&body, 10000000);
        (void)strbuf_puts(&body, before);
        for (size_t i = 0; i < count; i++)
                (void)strbuf_puts(&body, what);
        assert_int_equal(strbuf_puts(&body, after), 0);
        return body;
}

static void check_repeated(const char *before, const char *what, size_t count, const char *after,
                           const char *refusal)
{
        struct strbuf body = repeat(before, what, count, after);

        if (refusal)
                assert_refused(body.data, TASK_BAD_JOB, refusal);
        else
                assert_taken(body.data, 1);
        strbuf_done(&body);
}

static void values_outside_images_are_taken_up_to_their_ceiling(void **state)
{
        static const char too_many[] = "too many values: a job has at most 10000 ";
        /* Besides: the body, four fields of two values each, and the first element. */
        const size_t max = TASK_OTHER_VALUES_MAX - 1 - 8 - 1;

        (void)state;
        for (size_t more = 0; more <= 1; more++) {
                const char *refusal = more ? too_many : NULL;
                check_repeated("{" I ",\"x\":[0", ",0", max + more, "]" TM, refusal);
                check_repeated("{" I ",\"x\":[0", ",[]", max + more, "]" TM, refusal);
                check_repeated("{\"x\":[\"\"", ",\"\"", max + more, "]," I TM, refusal);
                check_repeated("{" I ",\"softid\":[0", ",0", max + more, "]" TM, refusal);
        }
        /* A member is two values. */
        check_repeated("{" I ",\"x\":{\"\":0", ",\"\":0", (max - 1) / 2, "}" TM, NULL);
        check_repeated("{" I ",\"x\":{\"\":0", ",\"\":0", (max - 1) / 2 + 1, "}" TM, too_many);
}

static void text_outside_images_is_taken_up_to_its_ceiling(void **state)
{
        static const char too_long[] = "too much text: a job has at most 262144 bytes ";
        const size_t others = strlen("{\"images\":" TM), max = TASK_OTHER_BYTES_MAX - others;
        const size_t field = strlen(",\"x\":\"\"");

        (void)state;
        for (size_t more = 0; more <= 1; more++) {
                const char *refusal = more ? too_long : NULL;
                check_repeated("{" I, " ", max + more, TM, refusal);
                check_repeated("", "\n", max + more, "{" I TM, refusal);
                check_repeated("{" I TM, "\n", max + more, "", refusal);
                check_repeated("{\"images\":", "\t", max + more, "{\"0\":\"QUJD\"}" TM, refusal);
                check_repeated("{" I ",\"x\":\"", "x", max - field + more, "\"" TM, refusal);
        }
}

/* The ceiling may cut the text anywhere. */
static void a_cut_sequence_is_not_taken_for_bad_json(void **state)
{
        static const char *const tails[] = {
                "\"\\u0041\\u0041\"", "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"",
                "[true,false,null]",  "-1.5e+10000000",
                "{\"\":{\"a\":[]}}",
        };
        const size_t max = TASK_OTHER_BYTES_MAX;

        (void)state;
        for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
                for (size_t cut = 1; cut < strlen(tails[i]); cut++)
                        check_repeated("{\"x\":", " ", max - strlen("{\"x\":") - cut, tails[i],
                                       "too much text");
        }
}

static void nothing_is_read_beyond_a_ceiling(void **state)
{
        static const struct {
                const char *before, *what;
                const char *message;
        } cases[] = {
                {"[0", ",0", "not a JSON object"},
                {"\"", "x", "not a JSON object"},
                {"{\"x\":[0", ",0", "too many values"},
                {"{\"x\":{\"\":0", ",\"\":0", "too many values"},
                {"{\"images\":\"", "x", "too much text"},
                {"{\"images\":[[0", ",0", "too many values"},
                {"{\"images\":{\"0\":{\"\":0", ",\"\":0", "too many values"},
                {"{\"images\":[\"QUJD\"", ",0", "too many values"},
                {"{\"images\":{\"0\":\"QUJD\"", ",\"1\":0", "given twice"},
                {"{\"images\":[\"QUJD\",\"QUJD\",\"QUJD\",\"", "x", "too much text"},
                {"{\"uid\":\"", "x", "too much text"},
                {"{\"target\":\"", "x", "too much text"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                check_repeated(cases[i].before, cases[i].what, 300000, "!", cases[i].message);
}

static void images_and_their_names_have_no_other_ceiling(void **state)
{
        (void)state;
        check_repeated("{\"images\":[\"", "QUJD", 1000000, "\"]" TM, NULL);
        check_repeated("{\"images\":[\"", "\\/", 400000, "\"]" TM, NULL);
        check_repeated("{\"images\":[", " ", 1000000, "\"QUJD\"]" TM, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_job_gives_target_site_and_count),
                cmocka_unit_test(a_body_without_site_has_none),
                cmocka_unit_test(every_shape_that_clients_send_is_taken),
                cmocka_unit_test(images_are_base64_with_an_optional_data_prefix),
                cmocka_unit_test(what_is_no_base64_is_refused_with_its_place),
                cmocka_unit_test(a_message_shows_little_of_a_name_and_only_plain_ascii),
                cmocka_unit_test(a_body_that_is_no_job_is_refused),
                cmocka_unit_test(a_job_of_another_kind_is_not_allowed),
                cmocka_unit_test(a_credential_within_a_job_is_refused_since_the_job_goes_upstream),
                cmocka_unit_test(a_field_given_twice_is_refused_however_it_is_written),
                cmocka_unit_test(equal_names_in_different_objects_are_no_doubles),
                cmocka_unit_test(bad_json_outranks_every_fault_of_the_job),
                cmocka_unit_test(a_body_cut_at_any_byte_is_bad_json),
                cmocka_unit_test(lengths_are_taken_up_to_their_ceiling),
                cmocka_unit_test(a_body_has_as_many_fields_as_the_ceiling_lets_it),
                cmocka_unit_test(a_large_image_is_checked_to_its_last_character),
                cmocka_unit_test(values_outside_images_are_taken_up_to_their_ceiling),
                cmocka_unit_test(text_outside_images_is_taken_up_to_its_ceiling),
                cmocka_unit_test(a_cut_sequence_is_not_taken_for_bad_json),
                cmocka_unit_test(nothing_is_read_beyond_a_ceiling),
                cmocka_unit_test(images_and_their_names_have_no_other_ceiling),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
