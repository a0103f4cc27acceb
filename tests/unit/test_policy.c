/*
 * Tests of access/policy.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "access/clients.h"
#include "access/policy.h"
#include "config/config.h"

#define NOW   INT64_C(1795363200000) /* wall clock: 2026-11-22T16:00:00Z */
#define LATER (NOW + 86400000)

#define TOLD_BYTES 256

#define CLIENTS_MAX 200
#define SITES_MAX   4

/* A configuration made by hand, whose texts can be spoilt as if they were freed. */
struct made {
        struct config config;
        struct config_client clients[CLIENTS_MAX];
        struct config_site sites[SITES_MAX], own_site;
        char *origins[1], *names[1];
        char client_names[CLIENTS_MAX][16], hex[CLIENTS_MAX][TOKEN_HEX_CHARS + 1];
        char patterns[SITES_MAX][32], own_pattern[32];
        char origin[32], name[32];
};

struct fixture {
        struct made made;
        struct clients *clients;
};

static struct fixture fixture;

static int set_up(void **state)
{
        memset(&fixture, 0, sizeof fixture);
        *state = &fixture;
        return clients_new(&fixture.clients);
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        clients_free(f->clients);
        return 0;
}

/* The token of a client, by its name. */
static struct token_digest digest_for(const char *name)
{
        char token[64];
        struct token_digest digest;

        (void)snprintf(token, sizeof token, "token of %s", name);
        assert_int_equal(token_digest(token, &digest), 0);
        return digest;
}

static struct config_client *add_client(struct made *made, const char *name)
{
        size_t i = made->config.clients_count++;
        struct token_digest digest = digest_for(name);

        assert_true(i < CLIENTS_MAX);
        (void)snprintf(made->client_names[i], sizeof made->client_names[i], "%s", name);
        token_digest_write(&digest, made->hex[i]);
        made->clients[i] = (struct config_client){
                .name = made->client_names[i], .token_sha256 = made->hex[i], .weight = 1};
        made->config.clients = made->clients;
        return &made->clients[i];
}

static void add_site(struct made *made, const char *pattern, int64_t until_ms)
{
        struct config_sites *allow = &made->config.sites.allow;
        size_t i = allow->count++;

        assert_true(i < SITES_MAX);
        (void)snprintf(made->patterns[i], sizeof made->patterns[i], "%s", pattern);
        made->sites[i] = (struct config_site){.site = made->patterns[i], .until_ms = until_ms};
        allow->items = made->sites;
}

static struct policy *policy_of(struct fixture *f)
{
        struct policy *policy = NULL;

        assert_int_equal(policy_new(&f->made.config, f->clients, &policy), 0);
        return policy;
}

static struct client *find_at(const struct policy *policy, const char *name, int64_t now_wall_ms)
{
        struct token_digest digest = digest_for(name);

        return policy_find(policy, &digest, now_wall_ms);
}

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

static void a_client_is_known_while_it_is_in_the_configuration(void **state)
{
        struct fixture *f = *state;
        struct client *local = clients_need(f->clients, CLIENT_LOCAL);

        add_client(&f->made, "ci");
        struct policy *before = policy_of(f);
        f->made.config.clients_count = 0;
        add_client(&f->made, "desk");
        struct policy *after = policy_of(f);
        struct client *ci = clients_need(f->clients, "ci");
        struct client *desk = clients_need(f->clients, "desk");
        assert_true(policy_knows(before, ci, 0));
        assert_false(policy_knows(before, desk, 0));
        assert_false(policy_knows(after, ci, 0));
        assert_true(policy_knows(after, desk, 0));
        assert_false(policy_knows(after, local, 0));
        assert_null(find_at(after, "ci", NOW));
        policy_unref(before);
        policy_unref(after);

        f->made.config.clients_count = 0;
        struct policy *open = policy_of(f);
        assert_true(policy_knows(open, local, 0));
        assert_false(policy_knows(open, ci, 0));
        policy_unref(open);
}

static void a_policy_gives_clients_their_weights_and_limits(void **state)
{
        struct fixture *f = *state;
        struct config_client *from = add_client(&f->made, "ci");

        from->weight = 7;
        from->max_in_flight = 4;
        from->rate = 2.5;
        from->burst = 10;
        from->daily_limit = 100;
        from->monthly_limit = 2000;
        add_client(&f->made, "desk");
        struct client *old = clients_need(f->clients, "old");
        old->flow.weight = 3;
        struct policy *policy = policy_of(f);
        struct client *ci = clients_need(f->clients, "ci");
        struct client *desk = clients_need(f->clients, "desk");
        assert_int_equal(ci->flow.weight, 1);
        policy_apply_locked(policy);
        assert_int_equal(ci->flow.weight, 7);
        assert_int_equal(ci->flow.max_in_flight, 4);
        assert_true(ci->quota.limits.rate == 2.5);
        assert_int_equal(ci->quota.limits.burst, 10);
        assert_int_equal(ci->quota.limits.daily, 100);
        assert_int_equal(ci->quota.limits.monthly, 2000);
        assert_int_equal(desk->flow.weight, 1);
        assert_int_equal(desk->flow.max_in_flight, 0);
        assert_int_equal(desk->quota.limits.daily, 0);
        assert_int_equal(old->flow.weight, 3);
        policy_unref(policy);
}

static void a_burst_that_was_left_out_is_what_a_second_gives(void **state)
{
        static const struct {
                double rate;
                int64_t burst;
        } cases[] = {{0, 0}, {0.01, 1}, {1, 1}, {1.5, 2}, {5, 5}, {1000, 1000}};
        struct fixture *f = *state;
        struct config_client *from = add_client(&f->made, "ci");

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                from->rate = cases[i].rate;
                struct policy *policy = policy_of(f);
                policy_apply_locked(policy);
                assert_int_equal(clients_need(f->clients, "ci")->quota.limits.burst,
                                 cases[i].burst);
                policy_unref(policy);
        }
}

static void everyone_has_no_limits_whatever_a_client_of_that_name_had(void **state)
{
        struct fixture *f = *state;
        struct config_client *from = add_client(&f->made, CLIENT_LOCAL);

        from->weight = 5;
        from->max_in_flight = 1;
        from->daily_limit = 1;
        struct policy *before = policy_of(f);
        policy_apply_locked(before);
        f->made.config.clients_count = 0;
        struct policy *after = policy_of(f);
        policy_apply_locked(after);
        struct client *local = policy_everyone(after);
        assert_int_equal(local->flow.weight, 1);
        assert_int_equal(local->flow.max_in_flight, 0);
        assert_int_equal(local->quota.limits.daily, 0);
        policy_unref(before);
        policy_unref(after);
}

static void what_a_client_has_used_survives_a_new_policy(void **state)
{
        struct fixture *f = *state;
        struct config_client *from = add_client(&f->made, "ci");

        from->daily_limit = 2;
        struct policy *before = policy_of(f);
        policy_apply_locked(before);
        struct client *ci = clients_need(f->clients, "ci");
        struct quota_time now = quota_now();
        assert_int_equal(quota_reserve(&ci->quota, now), QUOTA_OK);
        from->daily_limit = 1;
        struct policy *after = policy_of(f);
        policy_apply_locked(after);
        assert_ptr_equal(find_at(after, "ci", NOW), ci);
        assert_int_equal(quota_reserve(&ci->quota, now), QUOTA_DAILY);
        policy_unref(before);
        policy_unref(after);
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

/* ---- what a reload changes ---- */

static void note_change(void *arg, enum policy_change change, const char *client)
{
        static const char *const words[POLICY_CHANGE_COUNT] = {
                [POLICY_CLIENT_NEW] = "new",     [POLICY_CLIENT_GONE] = "gone",
                [POLICY_CLIENT_TOKEN] = "token", [POLICY_CLIENT_LIMITS] = "limits",
                [POLICY_CLIENT_SITES] = "sites", [POLICY_CLIENT_END] = "end",
        };
        char *text = arg;
        size_t len = strlen(text);

        (void)snprintf(text + len, TOLD_BYTES - len, "%s %s;", words[change], client);
}

/* What is told of the policy before and the one that the fixture now makes; frees the former. */
static void assert_told(struct fixture *f, struct policy *before, const char *expected)
{
        struct policy *after = policy_of(f);
        char text[TOLD_BYTES] = "";

        policy_compare(before, after, note_change, text);
        assert_string_equal(text, expected);
        policy_unref(before);
        policy_unref(after);
}

static void of_two_equal_policies_nothing_is_told(void **state)
{
        struct fixture *f = *state;

        assert_told(f, policy_of(f), "");
        struct config_client *ci = add_client(&f->made, "ci");
        struct config_site own = {.site = f->made.own_pattern, .note = NULL};
        strcpy(f->made.own_pattern, "a.example");
        ci->sites.allow = (struct config_sites){&own, 1};
        ci->rate = 2.5;
        assert_told(f, policy_of(f), "");
        struct policy *before = policy_of(f);
        char note[] = "for people";
        own.note = note;
        ci->burst = 3; /* what a second gives */
        assert_told(f, before, "");
}

static void a_client_that_is_new_or_gone_is_told_and_nothing_else_of_it(void **state)
{
        struct fixture *f = *state;
        struct policy *before = policy_of(f);

        add_client(&f->made, "ci")->weight = 7;
        add_client(&f->made, "desk");
        assert_told(f, before, "new ci;new desk;");
        before = policy_of(f);
        f->made.config.clients_count = 1;
        add_client(&f->made, "lab");
        assert_told(f, before, "new lab;gone desk;");
        before = policy_of(f);
        f->made.config.clients_count = 0;
        assert_told(f, before, "gone ci;gone lab;");
}

/* The sites of a client are changed, and changed back. */
static void assert_sites_told(struct fixture *f, struct config_client *client)
{
        struct config_site own = {.site = f->made.own_pattern};

        strcpy(f->made.own_pattern, "a.example");
        struct policy *before = policy_of(f);
        client->sites.allow = (struct config_sites){&own, 1};
        assert_told(f, before, "sites ci;");
        before = policy_of(f);
        strcpy(f->made.own_pattern, "b.example");
        assert_told(f, before, "sites ci;");
        before = policy_of(f);
        own.until_ms = LATER;
        assert_told(f, before, "sites ci;");
        before = policy_of(f);
        client->sites.allow = (struct config_sites){NULL, 0};
        assert_told(f, before, "sites ci;");
}

static void each_change_of_a_client_is_told(void **state)
{
        struct fixture *f = *state;
        struct config_client *ci = add_client(&f->made, "ci");
        int *const limits[] = {&ci->weight, &ci->max_in_flight, &ci->daily_limit,
                               &ci->monthly_limit};

        add_client(&f->made, "desk");
        for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
                struct policy *before = policy_of(f);
                ++*limits[i];
                assert_told(f, before, "limits ci;");
        }
        struct policy *before = policy_of(f);
        ci->rate = 0.5;
        assert_told(f, before, "limits ci;");
        before = policy_of(f);
        ci->burst = 9;
        assert_told(f, before, "limits ci;");
        before = policy_of(f);
        ci->until_ms = LATER;
        assert_told(f, before, "end ci;");
        assert_sites_told(f, ci);
        before = policy_of(f);
        ci->token_sha256[0] = ci->token_sha256[0] == '0' ? '1' : '0';
        ci->weight++;
        assert_told(f, before, "token ci;limits ci;");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(without_clients_everyone_is_local_and_no_token_is_known),
                TEST(with_clients_each_is_found_by_its_own_token),
                TEST(a_digest_that_differs_in_any_byte_is_nobodys),
                TEST(two_hundred_clients_are_all_found),
                TEST(a_token_is_good_until_its_last_moment),
                TEST(a_policy_needs_nothing_of_its_configuration_any_more),
                TEST(a_clients_list_narrows_the_global_one),
                TEST(an_empty_global_list_allows_nobody_anything),
                TEST(origins_are_compared_byte_by_byte),
                TEST(server_names_are_compared_without_case),
                TEST(a_client_is_known_while_it_is_in_the_configuration),
                TEST(a_policy_gives_clients_their_weights_and_limits),
                TEST(a_burst_that_was_left_out_is_what_a_second_gives),
                TEST(everyone_has_no_limits_whatever_a_client_of_that_name_had),
                TEST(what_a_client_has_used_survives_a_new_policy),
                TEST(a_configuration_that_contradicts_itself_makes_no_policy),
                TEST(of_two_equal_policies_nothing_is_told),
                TEST(a_client_that_is_new_or_gone_is_told_and_nothing_else_of_it),
                TEST(each_change_of_a_client_is_told),
                TEST(the_last_of_many_threads_frees_a_policy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
