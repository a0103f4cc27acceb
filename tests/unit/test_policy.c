/*
 * Tests of access/policy: who is found by a token, and which sites, origins and names are allowed.
 */
#include "policy_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void without_clients_everyone_is_local_and_no_token_is_known(void **state)
{
        struct fixture *f = *state;
        struct policy *policy = policy_of(f);
        struct token_digest zeros = {{0}};

        assert_ptr_equal(policy_everyone(policy), clients_need(f->clients, CLIENT_LOCAL));
        assert_null(policy_find(policy, &zeros, NOW));
        assert_null(find_at(policy, "ci", NOW));
        policy_unref(policy);
        policy_unref(NULL);
}

static void with_clients_each_is_found_by_its_own_token(void **state)
{
        struct fixture *f = *state;

        add_client(&f->made, "ci");
        add_client(&f->made, "desk");
        struct policy *policy = policy_of(f);
        assert_null(policy_everyone(policy));
        assert_ptr_equal(find_at(policy, "ci", NOW), clients_need(f->clients, "ci"));
        assert_ptr_equal(find_at(policy, "desk", NOW), clients_need(f->clients, "desk"));
        assert_null(find_at(policy, "nobody", NOW));
        policy_unref(policy);
}

static void a_digest_that_differs_in_any_byte_is_nobodys(void **state)
{
        struct fixture *f = *state;

        add_client(&f->made, "ci");
        struct policy *policy = policy_of(f);
        for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i++) {
                struct token_digest digest = digest_for("ci");
                digest.bytes[i] ^= 1;
                assert_null(policy_find(policy, &digest, NOW));
        }
        policy_unref(policy);
}

static void two_hundred_clients_are_all_found(void **state)
{
        struct fixture *f = *state;
        char name[16];

        for (int i = 0; i < CLIENTS_MAX; i++) {
                (void)snprintf(name, sizeof name, "c%d", i);
                add_client(&f->made, name);
        }
        struct policy *policy = policy_of(f);
        for (int i = 0; i < CLIENTS_MAX; i++) {
                (void)snprintf(name, sizeof name, "c%d", i);
                struct client *client = find_at(policy, name, NOW);
                assert_non_null(client);
                assert_string_equal(client->name, name);
                assert_true(policy_knows(policy, client, 0));
        }
        policy_unref(policy);
}

static void a_token_is_good_until_its_last_moment(void **state)
{
        struct fixture *f = *state;

        add_client(&f->made, "ci")->until_ms = LATER;
        add_client(&f->made, "desk");
        struct policy *policy = policy_of(f);
        assert_non_null(find_at(policy, "ci", NOW));
        assert_non_null(find_at(policy, "ci", LATER - 1));
        struct client *ci = find_at(policy, "ci", NOW);
        assert_null(find_at(policy, "ci", LATER));
        assert_true(policy_knows(policy, ci, LATER - 1));
        assert_false(policy_knows(policy, ci, LATER));
        assert_non_null(find_at(policy, "desk", INT64_MAX));
        policy_unref(policy);
}

static void a_policy_needs_nothing_of_its_configuration_any_more(void **state)
{
        struct fixture *f = *state;
        struct made *made = &f->made;
        struct config_client *ci = add_client(made, "ci");

        add_site(made, "*.example", 0);
        (void)snprintf(made->own_pattern, sizeof made->own_pattern, "a.example");
        made->own_site = (struct config_site){.site = made->own_pattern};
        ci->sites.allow = (struct config_sites){&made->own_site, 1};
        (void)snprintf(made->origin, sizeof made->origin, "https://tool.example");
        (void)snprintf(made->name, sizeof made->name, "gateway.example");
        made->origins[0] = made->origin;
        made->names[0] = made->name;
        made->config.origins = (struct config_strings){made->origins, 1};
        made->config.server_names = (struct config_strings){made->names, 1};
        struct policy *policy = policy_of(f);
        memset(made, 0xaa, sizeof *made);

        struct client *client = find_at(policy, "ci", NOW);
        assert_non_null(client);
        assert_string_equal(client->name, "ci");
        assert_int_equal(policy_check_site(policy, client, "a.example", NOW), POLICY_SITE_ALLOWED);
        assert_int_equal(policy_check_site(policy, client, "b.example", NOW),
                         POLICY_SITE_NOT_FOR_CLIENT);
        assert_true(policy_allows_origin(policy, "https://tool.example"));
        assert_true(policy_allows_name(policy, "gateway.example"));
        policy_unref(policy);
}

static void a_clients_list_narrows_the_global_one(void **state)
{
        struct fixture *f = *state;
        char both[] = "both.example", only_own[] = "own.example", ended[] = "ended.example",
             ended_global[] = "gone.example";
        struct config_site own[] = {{.site = both},
                                    {.site = only_own},
                                    {.site = ended, .until_ms = NOW},
                                    {.site = ended_global}};
        static const struct {
                const char *host;
                enum policy_site narrow, wide;
        } cases[] = {
                {"both.example", POLICY_SITE_ALLOWED, POLICY_SITE_ALLOWED},
                {"global.example", POLICY_SITE_NOT_FOR_CLIENT, POLICY_SITE_ALLOWED},
                {"own.example", POLICY_SITE_NOT_LISTED, POLICY_SITE_NOT_LISTED},
                {"none.example", POLICY_SITE_NOT_LISTED, POLICY_SITE_NOT_LISTED},
                {"ended.example", POLICY_SITE_EXPIRED_FOR_CLIENT, POLICY_SITE_ALLOWED},
                {"gone.example", POLICY_SITE_EXPIRED, POLICY_SITE_EXPIRED},
        };

        add_site(&f->made, "both.example", 0);
        add_site(&f->made, "global.example", 0);
        add_site(&f->made, "ended.example", 0);
        add_site(&f->made, "gone.example", NOW);
        add_client(&f->made, "narrow")->sites.allow = (struct config_sites){own, 4};
        add_client(&f->made, "wide");
        struct policy *policy = policy_of(f);
        struct client *narrow = find_at(policy, "narrow", NOW);
        struct client *wide = find_at(policy, "wide", NOW);
        struct client *gone = clients_need(f->clients, "gone");
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                const char *host = cases[i].host;
                assert_int_equal(policy_check_site(policy, narrow, host, NOW), cases[i].narrow);
                assert_int_equal(policy_check_site(policy, wide, host, NOW), cases[i].wide);
                assert_int_equal(policy_check_site(policy, gone, host, NOW), cases[i].wide);
        }
        assert_int_equal(policy_check_site(policy, narrow, "ended.example", NOW - 1),
                         POLICY_SITE_ALLOWED);
        policy_unref(policy);
}

static void an_empty_global_list_allows_nobody_anything(void **state)
{
        struct fixture *f = *state;
        char all[] = "*";
        struct config_site own = {.site = all};

        add_client(&f->made, "ci")->sites.allow = (struct config_sites){&own, 1};
        struct policy *policy = policy_of(f);
        assert_int_equal(policy_check_site(policy, find_at(policy, "ci", NOW), "a.example", NOW),
                         POLICY_SITE_NOT_LISTED);
        policy_unref(policy);
}

static void origins_are_compared_byte_by_byte(void **state)
{
        struct fixture *f = *state;
        char first[] = "https://tool.example", second[] = "http://localhost:3000";
        char *origins[] = {first, second};
        static const char *const others[] = {
                "",
                "null",
                "*",
                "https://Tool.example",
                "HTTPS://tool.example",
                "https://tool.example/",
                "https://tool.example:443",
                "https://tool.example.evil.example",
                "https://tool.exampl",
                "http://tool.example",
                "http://localhost",
                "http://localhost:30000",
        };

        f->made.config.origins = (struct config_strings){origins, 2};
        struct policy *policy = policy_of(f);
        assert_true(policy_allows_origin(policy, "https://tool.example"));
        assert_true(policy_allows_origin(policy, "http://localhost:3000"));
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
                assert_false(policy_allows_origin(policy, others[i]));
        policy_unref(policy);
}

static void server_names_are_compared_without_case(void **state)
{
        struct fixture *f = *state;
        char first[] = "Gateway.Example", second[] = "gw";
        char *names[] = {first, second};

        f->made.config.server_names = (struct config_strings){names, 2};
        struct policy *policy = policy_of(f);
        assert_true(policy_allows_name(policy, "gateway.example"));
        assert_true(policy_allows_name(policy, "GATEWAY.EXAMPLE"));
        assert_true(policy_allows_name(policy, "GW"));
        assert_false(policy_allows_name(policy, "a.gateway.example"));
        assert_false(policy_allows_name(policy, "gateway.example.evil.example"));
        assert_false(policy_allows_name(policy, "g"));
        assert_false(policy_allows_name(policy, ""));
        policy_unref(policy);
}

static void a_configuration_that_contradicts_itself_makes_no_policy(void **state)
{
        struct fixture *f = *state;
        struct policy *policy = NULL;
        char bad_site[] = "a b";
        struct config_site own = {.site = bad_site};

        add_client(&f->made, "ci");
        struct config_client *second = add_client(&f->made, "desk");
        const struct config_client good = *second;

        second->name = f->made.clients[0].name;
        assert_int_equal(policy_new(&f->made.config, f->clients, &policy), -EINVAL);
        *second = good;
        second->token_sha256 = f->made.clients[0].token_sha256;
        assert_int_equal(policy_new(&f->made.config, f->clients, &policy), -EINVAL);
        *second = good;
        second->token_sha256 = f->made.client_names[0];
        assert_int_equal(policy_new(&f->made.config, f->clients, &policy), -EINVAL);
        *second = good;
        second->sites.allow = (struct config_sites){&own, 1};
        assert_int_equal(policy_new(&f->made.config, f->clients, &policy), -EINVAL);
        *second = good;
        add_site(&f->made, "*.", 0);
        assert_int_equal(policy_new(&f->made.config, f->clients, &policy), -EINVAL);
        assert_null(policy);
        f->made.config.sites.allow.count = 0;
}

static void *take_and_drop(void *arg)
{
        struct policy *policy = arg;

        for (int i = 0; i < 10000; i++) {
                struct policy *mine = policy_ref(policy);
                assert_non_null(find_at(mine, "ci", NOW));
                policy_unref(mine);
        }
        policy_unref(policy);
        return NULL;
}

static void the_last_of_many_threads_frees_a_policy(void **state)
{
        struct fixture *f = *state;
        pthread_t threads[4];

        add_client(&f->made, "ci");
        struct policy *policy = policy_of(f);
        for (int i = 0; i < 4; i++)
                assert_int_equal(
                        pthread_create(&threads[i], NULL, take_and_drop, policy_ref(policy)), 0);
        policy_unref(policy);
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CLIENTS(without_clients_everyone_is_local_and_no_token_is_known),
                WITH_CLIENTS(with_clients_each_is_found_by_its_own_token),
                WITH_CLIENTS(a_digest_that_differs_in_any_byte_is_nobodys),
                WITH_CLIENTS(two_hundred_clients_are_all_found),
                WITH_CLIENTS(a_token_is_good_until_its_last_moment),
                WITH_CLIENTS(a_policy_needs_nothing_of_its_configuration_any_more),
                WITH_CLIENTS(a_clients_list_narrows_the_global_one),
                WITH_CLIENTS(an_empty_global_list_allows_nobody_anything),
                WITH_CLIENTS(origins_are_compared_byte_by_byte),
                WITH_CLIENTS(server_names_are_compared_without_case),
                WITH_CLIENTS(a_configuration_that_contradicts_itself_makes_no_policy),
                WITH_CLIENTS(the_last_of_many_threads_frees_a_policy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
