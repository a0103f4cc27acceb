/*
 * Tests of access/clients.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "access/clients.h"

#define THREADS 4
#define NAMES   500

static void a_name_has_one_record_for_ever(void **state)
{
        char name[] = "ci";
        struct clients *clients;

        (void)state;
        assert_int_equal(clients_new(&clients), 0);
        struct client *ci = clients_need(clients, name);
        assert_non_null(ci);
        name[0] = 'x';
        assert_string_equal(ci->name, "ci");
        assert_ptr_equal(clients_need(clients, "ci"), ci);
        struct client *other = clients_need(clients, "CI");
        assert_ptr_not_equal(other, ci);
        assert_ptr_not_equal(clients_need(clients, "c"), ci);
        assert_ptr_equal(clients_need(clients, "CI"), other);
        clients_free(clients);
        clients_free(NULL);
}

static void a_new_client_has_weight_one_no_limits_and_used_nothing(void **state)
{
        struct quota_figures figures;
        struct clients *clients;

        (void)state;
        assert_int_equal(clients_new(&clients), 0);
        struct client *client = clients_need(clients, CLIENT_LOCAL);
        assert_non_null(client);
        assert_int_equal(client->flow.turns.weight, 1);
        assert_int_equal(client->flow.turns.max_in_flight, 0);
        assert_int_equal(client->flow.count, 0);
        assert_int_equal(client->unfinished, 0);
        quota_read(&client->quota, quota_now(), &figures);
        assert_int_equal(figures.day.limit, 0);
        assert_int_equal(figures.month.limit, 0);
        assert_true(figures.limits.rate == 0);
        assert_int_equal(figures.month.used + figures.month.reserved, 0);
        clients_free(clients);
}

static void a_flow_leads_to_its_client(void **state)
{
        struct clients *clients;

        (void)state;
        assert_int_equal(clients_new(&clients), 0);
        struct client *a = clients_need(clients, "a"), *b = clients_need(clients, "b");
        assert_ptr_equal(client_of(&a->flow), a);
        assert_ptr_equal(client_of(&b->flow), b);
        clients_free(clients);
}

struct finder {
        pthread_t thread;
        struct clients *clients;
        struct client *found[NAMES];
};

static void *find_all(void *arg)
{
        struct finder *finder = arg;

        for (int i = 0; i < NAMES; i++) {
                char name[32];
                (void)snprintf(name, sizeof name, "client-%d", i);
                finder->found[i] = clients_need(finder->clients, name);
        }
        return NULL;
}

static void threads_that_need_a_name_at_once_get_one_record(void **state)
{
        static struct finder finders[THREADS];
        struct clients *clients;

        (void)state;
        assert_int_equal(clients_new(&clients), 0);
        for (int i = 0; i < THREADS; i++) {
                finders[i].clients = clients;
                assert_int_equal(pthread_create(&finders[i].thread, NULL, find_all, &finders[i]),
                                 0);
        }
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(finders[i].thread, NULL), 0);
        for (int i = 0; i < NAMES; i++) {
                assert_non_null(finders[0].found[i]);
                for (int j = 1; j < THREADS; j++)
                        assert_ptr_equal(finders[j].found[i], finders[0].found[i]);
                for (int j = 0; j < i; j++)
                        assert_ptr_not_equal(finders[0].found[i], finders[0].found[j]);
        }
        clients_free(clients);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_name_has_one_record_for_ever),
                cmocka_unit_test(a_new_client_has_weight_one_no_limits_and_used_nothing),
                cmocka_unit_test(a_flow_leads_to_its_client),
                cmocka_unit_test(threads_that_need_a_name_at_once_get_one_record),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
