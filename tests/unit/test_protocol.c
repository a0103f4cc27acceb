/*
 * How the upstream's answers are judged, and how its addresses are made.
 */
#include "upstream/protocol.h"

#include "base/strbuf.h"
#include "config/credential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define UID    "4815162342"
#define APIKEY "ab/cd&ef<gh>1234"

#define OTHER_APIKEY "ab/cd&ef<gh>12345678"

static struct credential *credential, *other;

/* A credential comes from a file only. */
static int load(const char *text, struct credential **ret_credential)
{
        char folder[] = "/tmp/solvegate-test-XXXXXX", path[sizeof folder + sizeof "/key"];
        struct strbuf problem;

        if (!mkdtemp(folder))
                return -1;
        (void)snprintf(path, sizeof path, "%s/key", folder);
        FILE *file = fopen(path, "w");
        if (!file)
                return -1;
        (void)fputs(text, file);
        (void)fclose(file);
        (void)chmod(path, 0600);
        (void)setenv("CREDENTIALS_DIRECTORY", folder, 1);
        strbuf_init(&problem, 1024);
        int r = credential_load("key", "unused.conf", ret_credential, &problem);
        strbuf_done(&problem);
        (void)unlink(path);
        (void)rmdir(folder);
        return r;
}

static int load_credentials(void **state)
{
        (void)state;
        if (load("uid = \"" UID "\"; apikey = \"" APIKEY "\";\n", &credential) < 0)
                return -1;
        return load("apikey = \"" OTHER_APIKEY "\";\n", &other);
}

static int free_credentials(void **state)
{
        (void)state;
        credential_free(credential);
        credential_free(other);
        return 0;
}

struct judged {
        long http_code;
        const char *text;
        enum answer_kind kind;
};

static void assert_judged(enum upstream_endpoint endpoint, const struct judged *cases, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct answer answer;
                protocol_read(endpoint, cases[i].http_code, cases[i].text, strlen(cases[i].text),
                              credential, NULL, &answer);
                if (answer.kind != cases[i].kind)
                        fail_msg("HTTP %ld %s: judged %d, not %d", cases[i].http_code,
                                 cases[i].text, (int)answer.kind, (int)cases[i].kind);
                assert_true(answer.kind == ANSWER_FINAL || answer.message[0] != '\0');
                answer_done(&answer);
        }
}

static void answers_to_solve_are_judged_by_their_json_first(void **state)
{
        static const struct judged cases[] = {
                {200, "{\"processing_time\":\"0.05s\",\"solution\":[1],\"status\":\"solved\"}",
                 ANSWER_FINAL},
                {500, "{\"solution\":[1],\"status\":\"solved\"}", ANSWER_FINAL},
                {200, "{\"status\":\"skip\",\"message\":\"no\"}", ANSWER_FINAL},
                {200, "{\"createdat\":1,\"id\":\"h-1\",\"status\":\"new\"}", ANSWER_PENDING},
                {200, "{\"id\":\"h-1\",\"status\":\"in queue\"}", ANSWER_PENDING},
                {200, "{\"status\":\"new\"}", ANSWER_UNCLEAR}, /* taken, but cannot be followed */
                {200, "{\"id\":\"\",\"status\":\"new\"}", ANSWER_UNCLEAR},
                {200, "{\"message\":\"Invalid APIKEY\",\"status\":\"Unauthorized\"}",
                 ANSWER_REJECTED},
                {401, "{\"message\":\"Invalid APIKEY\",\"status\":\"Unauthorized\"}",
                 ANSWER_REJECTED},
                {200, "{\"message\":\"bad\",\"status\":\"error\"}", ANSWER_REJECTED},
                {400, "{\"message\":\"bad\",\"status\":\"error\"}", ANSWER_REJECTED},
                {500, "{\"message\":\"bad\",\"status\":\"error\"}", ANSWER_UNCLEAR},
                {504, "{\"message\":\"bad\",\"status\":\"error\"}", ANSWER_UNCLEAR},
                {429, "{\"code\":3,\"msg\":\"ZERO_BALANCE\"}", ANSWER_REJECTED},
                {503, "{\"code\":12,\"msg\":\"UNSOLVABLE\"}", ANSWER_REJECTED},
                {200, "{\"code\":\"16\",\"msg\":\"x\"}", ANSWER_TRY_LATER},
                {200, "{\"id\":\"\\u0000\",\"status\":\"new\"}", ANSWER_UNCLEAR},
                {503, "{\"message\":\"busy\",\"status\":\"error\"}", ANSWER_TRY_LATER},
                {200, "{\"code\":16,\"msg\":\"RATE_LIMITED\"}", ANSWER_TRY_LATER},
                {200, "{\"code\":2,\"msg\":\"x\"}", ANSWER_TRY_LATER},
                {200, "{\"code\":21,\"msg\":\"x\"}", ANSWER_TRY_LATER},
                {200, "{\"code\":3,\"msg\":\"x\"}", ANSWER_REJECTED},
                {200, "{\"code\":12,\"msg\":\"x\"}", ANSWER_REJECTED},
                {200, "{\"code\":12,\"status\":\"error\"}", ANSWER_REJECTED},
                {200, "{\"code\":99,\"msg\":\"x\"}", ANSWER_UNCLEAR},
                {200, "{\"status\":1}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"odd\"}", ANSWER_UNCLEAR},
                {200, "[1,2]", ANSWER_UNCLEAR},
                {200, "", ANSWER_UNCLEAR},
                {200, "<html></html>", ANSWER_UNCLEAR},
                {200, "{\"status\":\"solved\"", ANSWER_UNCLEAR},
                {200, "{\"status\":\"solved\"} x", ANSWER_UNCLEAR},
                {502, "<html></html>", ANSWER_UNCLEAR},
                {504, "", ANSWER_UNCLEAR},
                {429, "", ANSWER_TRY_LATER},
                {503, "<html></html>", ANSWER_UNCLEAR},
                {503, "", ANSWER_UNCLEAR},
                {408, "", ANSWER_UNCLEAR},
                {429, "<html></html>", ANSWER_TRY_LATER},
                {404, "<html></html>", ANSWER_REJECTED},
                {302, "", ANSWER_REJECTED},
        };

        (void)state;
        assert_judged(UPSTREAM_SOLVE, cases, sizeof cases / sizeof *cases);
}

static void a_job_that_was_accepted_is_given_up_only_for_a_clear_reason(void **state)
{
        static const struct judged cases[] = {
                {200, "{\"solution\":[1],\"status\":\"solved\"}", ANSWER_FINAL},
                {200, "{\"status\":\"in queue\"}", ANSWER_PENDING},
                {200, "{\"status\":\"processing\"}", ANSWER_PENDING},
                {200, "{\"message\":\"no such id\",\"status\":\"error\"}", ANSWER_REJECTED},
                {400, "{\"message\":\"x\",\"status\":\"error\"}", ANSWER_TRY_LATER},
                {403, "{\"message\":\"x\",\"status\":\"error\"}", ANSWER_TRY_LATER},
                {404, "{\"message\":\"x\",\"status\":\"error\"}", ANSWER_TRY_LATER},
                {503, "{\"code\":12,\"msg\":\"unsolvable\"}", ANSWER_REJECTED},
                {200, "{\"code\":12,\"msg\":\"unsolvable\"}", ANSWER_REJECTED},
                {500, "{\"message\":\"oops\",\"status\":\"error\"}", ANSWER_TRY_LATER},
                {401, "{\"message\":\"key\",\"status\":\"Unauthorized\"}", ANSWER_TRY_LATER},
                {200, "{\"code\":3,\"msg\":\"zero balance\"}", ANSWER_TRY_LATER},
                {404, "<html></html>", ANSWER_UNCLEAR},
                {502, "<html></html>", ANSWER_UNCLEAR},
                {200, "", ANSWER_UNCLEAR},
        };

        (void)state;
        assert_judged(UPSTREAM_STATUS, cases, sizeof cases / sizeof *cases);
}

static void assert_members(const char *text, const char *members)
{
        struct answer answer;

        protocol_read(UPSTREAM_SOLVE, 200, text, strlen(text), credential, NULL, &answer);
        assert_int_equal(answer.kind, ANSWER_FINAL);
        assert_string_equal(answer.members, members);
        assert_int_equal(answer.members_len, strlen(members));
        answer_done(&answer);
}

static void a_final_object_keeps_every_byte_but_id_and_url(void **state)
{
        (void)state;
        assert_members("{ \"id\" : \"h-9\", \"solution\" : [1, 2.50, 1e400], \"url\":\"u\",\n"
                       "\"status\":\"solved\", \"x\":{\"id\":\"kept\"} , \"\\u0069\":null, "
                       "\"\\u0069d\":\"theirs\"}",
                       "\"solution\":[1, 2.50, 1e400],\"status\":\"solved\","
                       "\"x\":{\"id\":\"kept\"},\"\\u0069\":null");
}

static void the_credential_is_overwritten_in_every_text_however_it_is_escaped(void **state)
{
        (void)state;
        assert_members("{\"status\":\"solved\",\"note\":[\"key ab\\/cd\\u0026ef\\u003cgh>1234!\"],"
                       "\"" UID "\":{\"a\":\"x" APIKEY "\\n\"}}",
                       "\"status\":\"solved\",\"note\":[\"key ****************!\"],"
                       "\"**********\":{\"a\":\"x****************\\n\"}");
}

static void another_credential_is_overwritten_likewise_also_where_it_begins_as_the_first(
        void **state)
{
        static const char solved[] =
                "{\"status\":\"solved\",\"a\":\"" OTHER_APIKEY " " APIKEY "\"}";
        static const char refused[] = "{\"status\":\"error\",\"message\":\"no " OTHER_APIKEY "\"}";
        static const char taken[] = "{\"status\":\"new\",\"id\":\"" OTHER_APIKEY "\"}";
        struct answer answer;

        (void)state;
        protocol_read(UPSTREAM_STATUS, 200, solved, strlen(solved), credential, other, &answer);
        assert_string_equal(answer.members, "\"status\":\"solved\","
                                            "\"a\":\"******************** ****************\"");
        answer_done(&answer);
        protocol_read(UPSTREAM_STATUS, 200, refused, strlen(refused), credential, other, &answer);
        assert_string_equal(answer.message, "no ********************");
        answer_done(&answer);
        protocol_read(UPSTREAM_STATUS, 200, taken, strlen(taken), credential, other, &answer);
        assert_string_equal(answer.upstream_id, "");
        answer_done(&answer);
}

static void numbers_are_never_touched_by_the_overwriting(void **state)
{
        (void)state;
        assert_members("{\"status\":\"solved\",\"solution\":[4815,1],\"s\":\"a\\/b\"}",
                       "\"status\":\"solved\",\"solution\":[4815,1],\"s\":\"a\\/b\"");
}

static void a_number_that_is_the_whole_credential_is_overwritten(void **state)
{
        (void)state;
        assert_members("{\"status\":\"solved\",\"user_id\":" UID ",\"n\":[48151623421,-1.5e3]}",
                       "\"status\":\"solved\",\"user_id\":\"**********\","
                       "\"n\":[48151623421,-1.5e3]");
}

static void a_status_that_is_no_string_does_not_stay_beside_one_that_is(void **state)
{
        (void)state;
        assert_members("{\"status\":5,\"status\":\"solved\"}", "\"status\":\"solved\"");
}

static void a_long_message_is_overwritten_before_it_is_cut(void **state)
{
        char text[UPSTREAM_MESSAGE_BYTES_MAX + 200];
        struct answer answer;

        (void)state;
        int filler = UPSTREAM_MESSAGE_BYTES_MAX - 8; /* the key stands across the cut */
        (void)snprintf(text, sizeof text, "{\"status\":\"error\",\"message\":\"%*s%s\"}", filler,
                       "", APIKEY);
        protocol_read(UPSTREAM_SOLVE, 200, text, strlen(text), credential, NULL, &answer);
        assert_string_equal(answer.message + filler, "********");
        answer_done(&answer);
}

static void a_balance_is_given_as_it_came(void **state)
{
        static const char text[] = "{\"id\":1,\"url\":\"u\",\"Balance\":5.190}";
        struct answer answer;

        (void)state;
        protocol_read(UPSTREAM_BALANCE, 200, text, strlen(text), credential, NULL, &answer);
        assert_int_equal(answer.kind, ANSWER_FINAL);
        assert_string_equal(answer.members, "\"id\":1,\"url\":\"u\",\"Balance\":5.190");
        answer_done(&answer);
}

static void of_a_status_that_stands_twice_the_first_counts_and_stays(void **state)
{
        (void)state;
        assert_members("{\"id\":\"a\",\"status\":\"solved\",\"id\":\"b\",\"status\":\"error\"}",
                       "\"status\":\"solved\"");
}

static void the_message_and_the_wait_are_read(void **state)
{
        static const char text[] =
                "{\"code\":16,\"msg\":\"RATE\\u005fLIMITED\",\"retryAfterSec\":5}";
        struct answer answer;

        (void)state;
        protocol_read(UPSTREAM_SOLVE, 200, text, strlen(text), credential, NULL, &answer);
        assert_string_equal(answer.message, "RATE_LIMITED");
        assert_int_equal(answer.retry_after_ms, 5000);
        answer_done(&answer);
}

static void assert_url(int api, enum upstream_endpoint endpoint, const char *id, const char *url)
{
        struct strbuf buf;

        strbuf_init(&buf, UPSTREAM_URL_BYTES_MAX);
        assert_int_equal(protocol_url("https://up", api, endpoint, id, &buf), 0);
        assert_string_equal(buf.data, url);
        strbuf_done(&buf);
}

static void addresses_are_those_of_the_generation(void **state)
{
        (void)state;
        assert_url(1, UPSTREAM_SOLVE, NULL, "https://up/api/solve");
        assert_url(2, UPSTREAM_SOLVE, NULL, "https://up/solve");
        assert_url(1, UPSTREAM_STATUS, "h-1", "https://up/api/status?id=h-1");
        assert_url(2, UPSTREAM_STATUS, "a&b=c/ d\xc3\xa9",
                   "https://up/status?id=a%26b%3Dc%2F%20d%C3%A9");
        assert_url(1, UPSTREAM_BALANCE, NULL, "https://up/api/account/balance");
        assert_url(2, UPSTREAM_BALANCE, NULL, "https://up/balance");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_to_solve_are_judged_by_their_json_first),
                cmocka_unit_test(a_job_that_was_accepted_is_given_up_only_for_a_clear_reason),
                cmocka_unit_test(a_final_object_keeps_every_byte_but_id_and_url),
                cmocka_unit_test(the_credential_is_overwritten_in_every_text_however_it_is_escaped),
                cmocka_unit_test(
                        another_credential_is_overwritten_likewise_also_where_it_begins_as_the_first),
                cmocka_unit_test(numbers_are_never_touched_by_the_overwriting),
                cmocka_unit_test(a_number_that_is_the_whole_credential_is_overwritten),
                cmocka_unit_test(a_status_that_is_no_string_does_not_stay_beside_one_that_is),
                cmocka_unit_test(a_long_message_is_overwritten_before_it_is_cut),
                cmocka_unit_test(a_balance_is_given_as_it_came),
                cmocka_unit_test(of_a_status_that_stands_twice_the_first_counts_and_stays),
                cmocka_unit_test(the_message_and_the_wait_are_read),
                cmocka_unit_test(addresses_are_those_of_the_generation),
        };

        return cmocka_run_group_tests(tests, load_credentials, free_credentials);
}
