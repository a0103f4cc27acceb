/*
 * The token in the fields of a header, and the address in numbers.
 */
#include "http/peers.h"
#include "http/token_field.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void assert_token(const struct token_field *field, const char *token)
{
        assert_int_equal(field->len, strlen(token));
        if (field->len > 0)
                assert_memory_equal(field->text, token, field->len);
}

static void a_token_is_found_in_either_field_however_its_name_is_written(void **state)
{
        static const struct {
                const char *name, *value, *token;
        } cases[] = {
                {"apikey", "sgt_1", "sgt_1"},
                {"Apikey", "sgt_1", "sgt_1"},
                {"APIKEY", "sgt_1", "sgt_1"},
                {"Authorization", "Bearer sgt_1", "sgt_1"},
                {"AUTHORIZATION", "BEARER sgt_1", "sgt_1"},
                {"authorization", "bearer sgt_1", "sgt_1"},
                {"authorization", " Bearer   sgt_1 \t", "sgt_1"},
                {"apikey", " \tsgt_1 \t ", "sgt_1"},
                {"apikey", "Bearer sgt_1", "Bearer sgt_1"}, /* no scheme is known there */
                {"Authorization", "Bearer a b", "a b"},     /* nobody's, but one */
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct token_field field = {0};
                token_field_add(&field, cases[i].name, cases[i].value);
                assert_token(&field, cases[i].token);
                assert_false(field.differs);
        }
}

static void what_is_no_token_is_none(void **state)
{
        static const struct {
                const char *name, *value;
        } cases[] = {
                {"apikey", ""},
                {"apikey", " \t "},
                {"Authorization", ""},
                {"Authorization", "Bearer"},
                {"Authorization", "Bearer  "},
                {"Authorization", "Bearersgt_1"},
                {"Authorization", "Basic c2d0XzE6"},
                {"Authorization", "sgt_1"},
                {"uid", "sgt_1"},
                {"api-key", "sgt_1"},
                {"apikey2", "sgt_1"},
                {"Proxy-Authorization", "Bearer sgt_1"},
        };
        struct token_field field = {0};

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                token_field_add(&field, cases[i].name, cases[i].value);
                assert_token(&field, "");
                assert_false(field.differs);
        }
}

static void the_same_token_may_be_shown_in_both_fields(void **state)
{
        struct token_field field = {0};

        (void)state;
        token_field_add(&field, "apikey", "");
        token_field_add(&field, "apikey", "sgt_1");
        token_field_add(&field, "Authorization", "Bearer sgt_1");
        token_field_add(&field, "Authorization", "Basic other");
        token_field_add(&field, "apikey", "sgt_1");
        assert_token(&field, "sgt_1");
        assert_false(field.differs);
}

static void two_tokens_that_differ_are_told_apart_wherever_they_stand(void **state)
{
        static const struct {
                const char *name, *value;
        } others[] = {
                {"apikey", "sgt_2"},
                {"apikey", "sgt_"},
                {"apikey", "sgt_12"},
                {"apikey", "SGT_1"},
                {"Authorization", "Bearer sgt_2"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                struct token_field field = {0};
                token_field_add(&field, "apikey", "sgt_1");
                token_field_add(&field, others[i].name, others[i].value);
                assert_true(field.differs);
                token_field_add(&field, "apikey", "sgt_1");
                assert_true(field.differs);
        }
}

static void an_address_is_written_in_numbers(void **state)
{
        static const struct {
                int family;
                const char *address, *text;
        } cases[] = {
                {AF_INET, "127.0.0.1", "127.0.0.1"},
                {AF_INET, "255.255.255.255", "255.255.255.255"},
                {AF_INET6, "::1", "::1"},
                {AF_INET6, "2001:db8:0:0:0:0:0:7", "2001:db8::7"},
                {AF_INET6, "::ffff:192.0.2.7", "192.0.2.7"},
                {AF_INET6, "1111:2222:3333:4444:5555:6666:7777:8888",
                 "1111:2222:3333:4444:5555:6666:7777:8888"},
        };
        char text[JOB_ADDRESS_CHARS];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                struct sockaddr_in v4 = {.sin_family = AF_INET};
                struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
                bool is_v6 = cases[i].family == AF_INET6;
                void *to = is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr;
                assert_int_equal(inet_pton(cases[i].family, cases[i].address, to), 1);
                peer_address(is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, text);
                assert_string_equal(text, cases[i].text);
        }
}

static void a_unix_socket_is_named_as_such_and_no_address_is_empty(void **state)
{
        const struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
        char text[JOB_ADDRESS_CHARS] = "something";

        (void)state;
        peer_address((const struct sockaddr *)&local, text);
        assert_string_equal(text, "unix");
        peer_address(NULL, text);
        assert_string_equal(text, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_token_is_found_in_either_field_however_its_name_is_written),
                cmocka_unit_test(what_is_no_token_is_none),
                cmocka_unit_test(the_same_token_may_be_shown_in_both_fields),
                cmocka_unit_test(two_tokens_that_differ_are_told_apart_wherever_they_stand),
                cmocka_unit_test(an_address_is_written_in_numbers),
                cmocka_unit_test(a_unix_socket_is_named_as_such_and_no_address_is_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
