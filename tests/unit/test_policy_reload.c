/*
 * Tests of access/policy: what a new policy changes, and what it tells of the difference.
 */
#include "policy_fixture.h"

#include <stdio.h>
#include <string.h>

#define TOLD_BYTES 256

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
        old->flow.turns.weight = 3;
        struct policy *policy = policy_of(f);
        struct client *ci = clients_need(f->clients, "ci");
        struct client *desk = clients_need(f->clients, "desk");
        assert_int_equal(ci->flow.turns.weight, 1);
        policy_apply_locked(policy);
        assert_int_equal(ci->flow.turns.weight, 7);
        assert_int_equal(ci->flow.turns.max_in_flight, 4);
        assert_true(ci->quota.limits.rate == 2.5);
        assert_int_equal(ci->quota.limits.burst, 10);
        assert_int_equal(ci->quota.limits.daily, 100);
        assert_int_equal(ci->quota.limits.monthly, 2000);
        assert_int_equal(desk->flow.turns.weight, 1);
        assert_int_equal(desk->flow.turns.max_in_flight, 0);
        assert_int_equal(desk->quota.limits.daily, 0);
        assert_int_equal(old->flow.turns.weight, 3);
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
        assert_int_equal(local->flow.turns.weight, 1);
        assert_int_equal(local->flow.turns.max_in_flight, 0);
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CLIENTS(a_client_is_known_while_it_is_in_the_configuration),
                WITH_CLIENTS(a_policy_gives_clients_their_weights_and_limits),
                WITH_CLIENTS(a_burst_that_was_left_out_is_what_a_second_gives),
                WITH_CLIENTS(everyone_has_no_limits_whatever_a_client_of_that_name_had),
                WITH_CLIENTS(what_a_client_has_used_survives_a_new_policy),
                WITH_CLIENTS(of_two_equal_policies_nothing_is_told),
                WITH_CLIENTS(a_client_that_is_new_or_gone_is_told_and_nothing_else_of_it),
                WITH_CLIENTS(each_change_of_a_client_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
