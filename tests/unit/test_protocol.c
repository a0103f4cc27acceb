/*
 * How the upstream's responses are judged, and how its addresses are made.
 */
#include "upstream/protocol.h"

#include "base/strbuf.h"
#include "protocol_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct judged {
        long http_code;
        const char *text;
        enum answer_kind kind;
};

static void assert_judged(enum upstream_endpoint endpoint, const struct judged *cases, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct answer answer;
                read_text(endpoint, cases[i].http_code, cases[i].text, &answer);
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
                {200, "{\"code\":12,\"msg\":\"\\u0000x\"}", ANSWER_REJECTED},
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
                {401, "", ANSWER_REJECTED},
                {402, "<html></html>", ANSWER_REJECTED},
                {402, "{\"status\":\"error\",\"message\":\"no balance\"}", ANSWER_REJECTED},
                {402, "{\"code\":16}", ANSWER_TRY_LATER},
                {200, "{\"status\":\"sol\\u0076ed\",\"solution\":[1]}", ANSWER_FINAL},
                {200, "{\"code\":\"1\\u0036\"}", ANSWER_TRY_LATER},
                {200, "{\"code\":16.0}", ANSWER_TRY_LATER},
                {200, "{\"code\":1.6e1}", ANSWER_TRY_LATER},
                {200, "{\"code\":\"12.00\"}", ANSWER_REJECTED},
                {200, "{\"code\":\" 16\"}", ANSWER_UNCLEAR},
                {200, "{\"code\":\"0x10\"}", ANSWER_UNCLEAR},
                {200, "{\"code\":16.5}", ANSWER_UNCLEAR},
                {200, "{\"code\":-16}", ANSWER_UNCLEAR},
                {200, "{\"code\":1e999}", ANSWER_UNCLEAR},
                {200, "{\"code\":[16]}", ANSWER_UNCLEAR},
                {200, "{\"id\":17,\"status\":\"new\"}", ANSWER_PENDING},
                {200, "{\"id\":null,\"status\":\"new\"}", ANSWER_UNCLEAR},
                {200, "{\"id\":[\"h-1\"],\"status\":\"new\"}", ANSWER_UNCLEAR},
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
                {402, "{\"message\":\"no balance\",\"status\":\"error\"}", ANSWER_TRY_LATER},
                {402, "<html></html>", ANSWER_TRY_LATER},
                {401, "", ANSWER_TRY_LATER},
                {200, "{\"code\":3,\"msg\":\"zero balance\"}", ANSWER_TRY_LATER},
                {404, "<html></html>", ANSWER_UNCLEAR},
                {502, "<html></html>", ANSWER_UNCLEAR},
                {200, "", ANSWER_UNCLEAR},
        };

        (void)state;
        assert_judged(UPSTREAM_STATUS, cases, sizeof cases / sizeof *cases);
}

/* After a refusal a job is sent again or not charged, so the same response must not have a sign
 * that the job was taken. */
static void a_response_to_solve_that_contradicts_itself_is_unclear(void **state)
{
        static const struct judged cases[] = {
                {200, "{\"status\":\"error\",\"status\":\"solved\",\"solution\":[1]}",
                 ANSWER_UNCLEAR},
                {200, "{\"status\":\"solved\",\"solution\":[1],\"status\":\"error\"}",
                 ANSWER_UNCLEAR},
                {200, "{\"status\":\"solved\",\"status\":\"skip\"}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"new\",\"id\":\"a\",\"status\":\"solved\"}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"solved\",\"\\u0073tatus\":\"error\"}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"solved\",\"status\":\"solved\"}", ANSWER_FINAL},
                {200, "{\"status\":\"solved\",\"status\":5}", ANSWER_FINAL},
                {429, "{\"code\":16,\"code\":12}", ANSWER_UNCLEAR},
                {429, "{\"code\":12,\"code\":16}", ANSWER_UNCLEAR},
                {200, "{\"code\":16,\"code\":\"17\"}", ANSWER_TRY_LATER},
                {200, "{\"status\":\"new\",\"id\":\"a\",\"id\":\"b\"}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"new\",\"id\":\"a\",\"id\":\"\\u0061\"}", ANSWER_PENDING},
                {200, "{\"status\":\"new\",\"id\":\"a\",\"id\":null}", ANSWER_PENDING},
                /* signs that it was taken beside a refusal */
                {200, "{\"status\":\"solved\",\"code\":16}", ANSWER_FINAL},
                {500, "{\"status\":\"solved\",\"code\":3}", ANSWER_FINAL},
                {402, "{\"status\":\"solved\",\"solution\":[1]}", ANSWER_FINAL},
                {200, "{\"status\":\"solved\",\"code\":16,\"code\":12}", ANSWER_FINAL},
                {429, "{\"status\":\"new\",\"id\":\"a\",\"code\":16}", ANSWER_PENDING},
                {429, "{\"status\":\"new\",\"code\":16}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"error\",\"solution\":[1]}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"done\",\"solution\":[1],\"code\":2}", ANSWER_UNCLEAR},
                {429, "{\"solution\":[1]}", ANSWER_UNCLEAR},
                {404, "{\"answer\":\"cat\"}", ANSWER_UNCLEAR},
                {400, "{\"answers\":{\"0\":true}}", ANSWER_UNCLEAR},
                {401, "{\"status\":\"Unauthorized\",\"solution\":[1]}", ANSWER_UNCLEAR},
                /* members that are empty say nothing */
                {429, "{\"solution\":[ ],\"answer\":\"\",\"answers\":{}}", ANSWER_TRY_LATER},
                {200, "{\"status\":\"error\",\"solution\":null,\"answer\":false}", ANSWER_REJECTED},
                {200, "{\"status\":\"busy\",\"code\":16,\"answer\":[]}", ANSWER_TRY_LATER},
                /* two responses in one, or a broken one */
                {429, "{\"status\":\"new\",\"id\":\"a\"}{\"code\":16}", ANSWER_UNCLEAR},
                {429, "{\"status\":\"solved\",\"solution\":[1]", ANSWER_UNCLEAR},
                {400, "{\"solution\":[1]} x", ANSWER_UNCLEAR},
                {400, "{\"status\":\"error\"} x", ANSWER_REJECTED},
                {200, "{}", ANSWER_UNCLEAR},
                {500, "{}", ANSWER_UNCLEAR},
                {404, "{}", ANSWER_REJECTED},
                {200, "[{\"status\":\"solved\",\"solution\":[1]}]", ANSWER_UNCLEAR},
        };

        (void)state;
        assert_judged(UPSTREAM_SOLVE, cases, sizeof cases / sizeof *cases);
}

static void a_response_to_a_poll_that_contradicts_itself_is_polled_through(void **state)
{
        static const struct judged cases[] = {
                {200, "{\"status\":\"solved\",\"status\":\"error\"}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"error\",\"status\":\"solved\"}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"error\",\"solution\":[1]}", ANSWER_UNCLEAR},
                {200, "{\"code\":12,\"solution\":[1]}", ANSWER_UNCLEAR},
                {200, "{\"code\":12,\"code\":16}", ANSWER_UNCLEAR},
                {200, "{\"code\":12} {}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"solved\",\"code\":12}", ANSWER_FINAL},
        };

        (void)state;
        assert_judged(UPSTREAM_STATUS, cases, sizeof cases / sizeof *cases);
}

static void a_solution_that_is_there_twice_is_polled_for_or_unclear(void **state)
{
        static const struct judged solve[] = {
                {200, "{\"status\":\"solved\",\"solution\":[1],\"solution\":[2]}", ANSWER_UNCLEAR},
                {200, "{\"status\":\"solved\",\"id\":\"a\",\"answer\":1,\"answer\":2}",
                 ANSWER_PENDING},
                {200, "{\"status\":\"solved\",\"solution\":[1],\"solution\":[1]}", ANSWER_FINAL},
                {200, "{\"status\":\"solved\",\"solution\":[1],\"answer\":[]}", ANSWER_FINAL},
        };
        static const struct judged poll[] = {
                {200, "{\"status\":\"solved\",\"id\":\"h-1\",\"answer\":1,\"answer\":2}",
                 ANSWER_UNCLEAR},
        };

        (void)state;
        assert_judged(UPSTREAM_SOLVE, solve, sizeof solve / sizeof *solve);
        assert_judged(UPSTREAM_STATUS, poll, sizeof poll / sizeof *poll);
}

static void a_poll_is_answered_only_by_what_names_no_other_job(void **state)
{
        static const struct {
                const char *id;
                bool foreign;
        } cases[] = {
                {"\"h-1\"", false},
                {"\"h\\u002D1\"", false},
                {"\"\"", false}, /* names nothing */
                {"null", false},
                {"\"B2\"", true},
                {"\"H-1\"", true},
                {"\"h-1 \"", true},
                {"\"h-1\\u0000\"", true},
                {"\"h-\"", true},
                {"\"h-12\"", true},
                {"1", true},
                {"0", true},
                {"false", true},
                {"[\"h-1\"]", true},
                {"{\"id\":\"h-1\"}", true},
                {"\"h-1\",\"id\":\"B2\"", true},
                {"\"B2\",\"id\":\"h-1\"", true},
                {"\"h-1\",\"\\u0069d\":\"B2\"", true},
                {"\"h-1\",\"x\":{\"id\":\"B2\"}", false},
                {"\"h-1\",\"ID\":\"B2\"", false}, /* names are compared with their case */
        };
        static const char *const rests[] = {
                "\"status\":\"solved\",\"solution\":[1]",
                "\"status\":\"in queue\"",
                "\"status\":\"error\",\"message\":\"no such id\"",
                "\"code\":12,\"retryAfterSec\":9",
                "\"code\":3",
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases * 5; i++) {
                struct answer answer;
                char text[256];
                bool foreign = cases[i / 5].foreign;
                (void)snprintf(text, sizeof text, "{%s,\"id\":%s}", rests[i % 5], cases[i / 5].id);
                read_text(UPSTREAM_STATUS, 200, text, &answer);
                if (answer.foreign != foreign || (answer.kind == ANSWER_UNCLEAR) != foreign)
                        fail_msg("%s: foreign %d, judged %d", text, answer.foreign,
                                 (int)answer.kind);
                if (foreign && (!answer.warn || answer.about_account || answer.retry_after_ms ||
                                answer.members || strstr(answer.detail, "B2")))
                        fail_msg("%s: something of it is used", text);
                answer_done(&answer);
        }
}

static void a_number_as_an_id_is_asked_for_as_it_was_written(void **state)
{
        struct protocol_request request = request_to(UPSTREAM_STATUS);
        static const char named[] = "{\"status\":\"in queue\",\"id\":123}";
        struct answer answer;

        (void)state;
        read_text(UPSTREAM_SOLVE, 200, "{\"status\":\"new\",\"id\":123}", &answer);
        assert_string_equal(answer.upstream_id, "123");
        answer_done(&answer);
        request.upstream_id = "123";
        protocol_read(&request, 200, named, strlen(named), &answer);
        assert_int_equal(answer.kind, ANSWER_PENDING);
        assert_false(answer.foreign);
        answer_done(&answer);
}

static void an_id_may_hold_anything_even_the_uid_or_the_key(void **state)
{
        static const char *const ids[] = {"h-" UID "-00001", UID, APIKEY, ("x" OTHER_APIKEY),
                                          "a b\xff\x01'"};

        (void)state;
        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
                struct answer answer;
                char text[256];
                (void)snprintf(text, sizeof text, "{\"status\":\"new\",\"id\":\"%s\"}", ids[i]);
                read_text(UPSTREAM_SOLVE, 200, text, &answer);
                assert_int_equal(answer.kind, ANSWER_PENDING);
                assert_string_equal(answer.upstream_id, ids[i]);
                answer_done(&answer);
        }
}

static void an_id_that_is_too_long_or_holds_nul_cannot_be_followed(void **state)
{
        char text[UPSTREAM_ID_BYTES_MAX + 100], id[UPSTREAM_ID_BYTES_MAX + 2];
        struct answer answer;

        (void)state;
        memset(id, 'i', sizeof id);
        for (size_t len = UPSTREAM_ID_BYTES_MAX; len <= UPSTREAM_ID_BYTES_MAX + 1; len++) {
                id[len] = '\0';
                (void)snprintf(text, sizeof text, "{\"status\":\"new\",\"id\":\"%s\"}", id);
                read_text(UPSTREAM_SOLVE, 200, text, &answer);
                assert_int_equal(answer.kind,
                                 len == UPSTREAM_ID_BYTES_MAX ? ANSWER_PENDING : ANSWER_UNCLEAR);
                answer_done(&answer);
                id[len] = 'i';
        }
        /* What is solved needs none. */
        (void)snprintf(text, sizeof text, "{\"status\":\"solved\",\"id\":\"%.*s\"}",
                       UPSTREAM_ID_BYTES_MAX + 1, id);
        read_text(UPSTREAM_SOLVE, 200, text, &answer);
        assert_int_equal(answer.kind, ANSWER_FINAL);
        answer_done(&answer);
}

struct about {
        enum upstream_endpoint endpoint;
        long http_code;
        const char *text;
        bool account;
};

static void what_is_about_the_account_and_not_about_the_job(void **state)
{
        static const struct about cases[] = {
                {UPSTREAM_SOLVE, 200, "{\"code\":3}", true},
                {UPSTREAM_SOLVE, 200, "{\"status\":\"Unauthorized\"}", true},
                {UPSTREAM_SOLVE, 401, "{\"status\":\"error\"}", true},
                {UPSTREAM_SOLVE, 401, "{}", true},
                {UPSTREAM_SOLVE, 401, "<html></html>", true},
                {UPSTREAM_SOLVE, 402, "{\"status\":\"error\",\"message\":\"no balance\"}", true},
                {UPSTREAM_SOLVE, 402, "", true},
                {UPSTREAM_SOLVE, 402, "{\"code\":99}", true},
                {UPSTREAM_SOLVE, 402, "{\"code\":16}", false},
                {UPSTREAM_SOLVE, 402, "{\"code\":12}", false},
                {UPSTREAM_SOLVE, 402, "{\"status\":\"solved\"}", false},
                {UPSTREAM_SOLVE, 402, "{\"status\":\"new\",\"id\":\"a\"}", false},
                {UPSTREAM_SOLVE, 402, "{\"solution\":[1]}", false},
                {UPSTREAM_SOLVE, 200, "{\"status\":\"solved\",\"code\":3}", false},
                {UPSTREAM_SOLVE, 200, "{\"status\":\"Unauthorized\",\"code\":16}", false},
                {UPSTREAM_SOLVE, 200, "{\"code\":3,\"code\":16}", false},
                {UPSTREAM_SOLVE, 400, "{\"status\":\"error\"}", false},
                {UPSTREAM_SOLVE, 403, "{\"status\":\"error\"}", false},
                {UPSTREAM_SOLVE, 403, "<html></html>", false},
                {UPSTREAM_SOLVE, 407, "", false},
                {UPSTREAM_STATUS, 402, "{\"status\":\"error\"}", true},
                {UPSTREAM_STATUS, 401, "", true},
                {UPSTREAM_STATUS, 403, "", false},
                {UPSTREAM_STATUS, 401, "{\"status\":\"in queue\"}", false},
                {UPSTREAM_BALANCE, 402, "{\"message\":\"no balance\"}", true},
                {UPSTREAM_BALANCE, 401, "<html></html>", true},
                {UPSTREAM_BALANCE, 200, "{\"code\":15}", true},
                {UPSTREAM_BALANCE, 200, "{\"Balance\":0}", false},
                {UPSTREAM_BALANCE, 404, "{}", false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct answer answer;
                read_text(cases[i].endpoint, cases[i].http_code, cases[i].text, &answer);
                if (answer.about_account != cases[i].account)
                        fail_msg("HTTP %ld %s: about the account %d", cases[i].http_code,
                                 cases[i].text, answer.about_account);
                answer_done(&answer);
        }
}

static void a_balance_is_what_came_with_success(void **state)
{
        static const struct judged cases[] = {
                {200, "{\"Balance\":5}", ANSWER_FINAL},
                {200, "{\"status\":\"active\"}", ANSWER_FINAL},
                {200, "{\"status\":\"error\"}", ANSWER_REJECTED},
                {200, "{\"code\":16}", ANSWER_REJECTED},
                {302, "{\"Balance\":5}", ANSWER_REJECTED},
                {402, "{\"Balance\":5}", ANSWER_REJECTED},
                {500, "{\"Balance\":5}", ANSWER_REJECTED},
                {200, "{\"status\":5}", ANSWER_UNCLEAR},
                {200, "", ANSWER_UNCLEAR},
        };

        (void)state;
        assert_judged(UPSTREAM_BALANCE, cases, sizeof cases / sizeof *cases);
}

static void the_wait_that_is_asked_for_is_cut_and_not_dropped(void **state)
{
        static const struct {
                const char *value;
                int64_t wait_ms;
        } cases[] = {
                {"5", 5000},
                {"2.5", 2500},
                {"\"7\"", 7000},
                {"\"2.5\"", 2500},
                {"\"\\u0037\"", 7000},
                {"3601", 60000},
                {"\"3601\"", 60000},
                {"1e3", 60000},
                {"9223372036854775808", 60000},
                {"1e999", 60000},
                {"\"Sun, 22 Nov 2026 16:00:05 GMT\"", 5000},
                {"5,\"retryAfterSec\":9", 9000},
                {"9,\"retryAfterSec\":5", 9000},
                {"-5", 0},
                {"0", 0},
                {"\"\"", 0},
                {"null", 0},
                {"[5]", 0},
                {"\"soon\"", 0},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct answer answer;
                char text[128];
                (void)snprintf(text, sizeof text, "{\"code\":16,\"retryAfterSec\":%s}",
                               cases[i].value);
                read_text(UPSTREAM_SOLVE, 200, text, &answer);
                assert_int_equal(answer.kind, ANSWER_TRY_LATER);
                if (answer.retry_after_ms != cases[i].wait_ms)
                        fail_msg("%s: %lld ms", text, (long long)answer.retry_after_ms);
                answer_done(&answer);
        }
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

static void a_request_that_came_back_is_not_charged_and_is_the_upstreams_fault(void **state)
{
        static const char text[] = "{\"status\":\"error\",\"code\":\"loop_detected\","
                                   "\"message\":\"m\"}";
        static const char solved[] = "{\"status\":\"solved\",\"code\":\"loop_detected\"}";
        const long codes[] = {200, 400, 500, 502};
        struct answer answer;

        (void)state;
        for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
                read_text(UPSTREAM_SOLVE, codes[i], text, &answer);
                assert_int_equal(answer.kind, ANSWER_REJECTED);
                assert_true(answer.about_account && answer.loops);
                read_text(UPSTREAM_STATUS, codes[i], text, &answer);
                assert_int_equal(answer.kind, ANSWER_TRY_LATER);
                assert_true(answer.loops);
                read_text(UPSTREAM_BALANCE, codes[i], text, &answer);
                assert_int_equal(answer.kind, ANSWER_REJECTED);
                assert_true(answer.loops);
        }
        read_text(UPSTREAM_SOLVE, 200, solved, &answer);
        assert_int_equal(answer.kind, ANSWER_FINAL);
        assert_false(answer.about_account || answer.loops);
        answer_done(&answer);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_to_solve_are_judged_by_their_json_first),
                cmocka_unit_test(a_job_that_was_accepted_is_given_up_only_for_a_clear_reason),
                cmocka_unit_test(a_response_to_solve_that_contradicts_itself_is_unclear),
                cmocka_unit_test(a_response_to_a_poll_that_contradicts_itself_is_polled_through),
                cmocka_unit_test(a_solution_that_is_there_twice_is_polled_for_or_unclear),
                cmocka_unit_test(a_poll_is_answered_only_by_what_names_no_other_job),
                cmocka_unit_test(a_number_as_an_id_is_asked_for_as_it_was_written),
                cmocka_unit_test(an_id_may_hold_anything_even_the_uid_or_the_key),
                cmocka_unit_test(an_id_that_is_too_long_or_holds_nul_cannot_be_followed),
                cmocka_unit_test(what_is_about_the_account_and_not_about_the_job),
                cmocka_unit_test(a_balance_is_what_came_with_success),
                cmocka_unit_test(the_wait_that_is_asked_for_is_cut_and_not_dropped),
                cmocka_unit_test(addresses_are_those_of_the_generation),
                cmocka_unit_test(
                        a_request_that_came_back_is_not_charged_and_is_the_upstreams_fault),
        };

        return cmocka_run_group_tests(tests, load_credentials, free_credentials);
}
