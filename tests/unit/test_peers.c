/*
 * How many connections each address has.
 */
#include "http/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

static union address v4(const char *text, uint16_t port)
{
        union address address = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};

        assert_int_equal(inet_pton(AF_INET, text, &address.v4.sin_addr), 1);
        return address;
}

static union address v6(const char *text)
{
        union address address = {.v6 = {.sin6_family = AF_INET6}};

        assert_int_equal(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
        return address;
}

static void connections_of_known_clients_are_told_apart(void **state)
{
        struct peers peers = PEERS_INIT;
        const union address a = v4("192.0.2.1", 1);
        struct peer *peer = peers_join(&peers, &a.any);

        (void)state;
        assert_ptr_equal(peers_join(&peers, &a.any), peer);
        assert_int_equal(peer_unknown_connections(peer), 2);
        peer_count_known(peer, 1);
        assert_int_equal(peer_connections(peer), 2);
        assert_int_equal(peer_unknown_connections(peer), 1);
        peer_count_known(peer, -1);
        assert_int_equal(peer_unknown_connections(peer), 2);
        peer_count_known(NULL, 1);
        assert_int_equal(peer_unknown_connections(NULL), 0);
        peers_leave(&peers, peer);
        peers_leave(&peers, peer);
}

static void connections_are_counted_by_address(void **state)
{
        struct peers peers = PEERS_INIT;
        const union address a = v4("192.0.2.1", 1), again = v4("192.0.2.1", 2),
                            mapped = v6("::ffff:192.0.2.1"), other = v6("2001:db8::1");
        struct peer *first = peers_join(&peers, &a.any);

        (void)state;
        assert_int_equal(peer_connections(first), 1);
        assert_ptr_equal(peers_join(&peers, &again.any), first);
        assert_ptr_equal(peers_join(&peers, &mapped.any), first);
        assert_int_equal(peer_connections(first), 3);
        struct peer *second = peers_join(&peers, &other.any);
        assert_ptr_not_equal(second, first);
        assert_int_equal(peer_connections(second), 1);
        for (int left = 2; left >= 0; left--) {
                peers_leave(&peers, first);
                if (left > 0)
                        assert_int_equal(peer_connections(first), left);
        }
        peers_leave(&peers, second);
        assert_null(peers.table);
}

static void addresses_of_one_ipv6_network_are_one(void **state)
{
        struct peers peers = PEERS_INIT;
        const union address a = v6("2001:db8:0:1::1"), same = v6("2001:db8:0:1:ffff:ffff::2"),
                            other = v6("2001:db8:0:2::1"), loopback = v6("::1"),
                            mapped = v6("::ffff:192.0.2.1"), low = v6("::2");
        struct peer *first = peers_join(&peers, &a.any),
                    *peer[] = {peers_join(&peers, &other.any), peers_join(&peers, &loopback.any),
                               peers_join(&peers, &mapped.any), peers_join(&peers, &low.any)};

        (void)state;
        assert_ptr_equal(peers_join(&peers, &same.any), first);
        assert_int_equal(peer_connections(first), 2);
        peers_leave(&peers, first);
        peers_leave(&peers, first);
        for (size_t i = 0; i < sizeof peer / sizeof *peer; i++) {
                assert_int_equal(peer_connections(peer[i]), 1);
                peers_leave(&peers, peer[i]);
        }
        assert_null(peers.table);
}

static void loopback_addresses_are_told_from_others(void **state)
{
        static const struct {
                const char *text;
                bool loopback;
        } rows[] = {
                {"127.0.0.1", true},        {"127.255.1.2", true}, {"128.0.0.1", false},
                {"192.0.2.1", false},       {"::1", true},         {"::ffff:127.0.0.1", true},
                {"::ffff:10.0.0.1", false}, {"fe80::1", false},    {"::2", false},
        };
        struct peers peers = PEERS_INIT;

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                union address address =
                        strchr(rows[i].text, ':') ? v6(rows[i].text) : v4(rows[i].text, 1);
                struct peer *peer = peers_join(&peers, &address.any);
                assert_int_equal(peer_is_loopback(peer), rows[i].loopback);
                peers_leave(&peers, peer);
        }
}

static void other_addresses_are_not_counted(void **state)
{
        struct peers peers = PEERS_INIT;
        const struct sockaddr local = {.sa_family = AF_UNIX};

        (void)state;
        assert_null(peers_join(&peers, &local));
        assert_null(peers_join(&peers, NULL));
        assert_int_equal(peer_connections(NULL), 0);
        peers_leave(&peers, NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(connections_are_counted_by_address),
                cmocka_unit_test(connections_of_known_clients_are_told_apart),
                cmocka_unit_test(addresses_of_one_ipv6_network_are_one),
                cmocka_unit_test(loopback_addresses_are_told_from_others),
                cmocka_unit_test(other_addresses_are_not_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
