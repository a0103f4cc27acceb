/*
 * Tests of config_self: which urls lead to an address that solvegate listens on, without DNS.
 */
#include "config/config_self.h"

#include "config/config.h"
#include "config_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANY_V4 "0.0.0.0"
#define ANY_V6 "::"

struct sample {
        const char *url, *address;
        int port;
};

static char listed_name[] = "solve.example.com";
static char *listed[] = {listed_name};
static const struct config_strings names = {listed, 1};

static bool leads(const char *url, const char *address, int port)
{
        const struct config_bound bound = {.address = address, .port = port};

        return config_self_leads_to(url, &bound, &names);
}

static void an_address_of_the_listener_is_solvegate_itself(void **state)
{
        static const struct sample samples[] = {
                {"http://127.0.0.1:8118", "127.0.0.1", 8118},
                {"https://127.0.0.1:8118", "127.0.0.1", 8118},
                {"http://localhost:8118", "127.0.0.1", 8118},
                {"http://LocalHost:8118", "::1", 8118},
                {"https://box.localhost:8118", "127.0.0.1", 8118},
                {"http://[::1]:8118", "::1", 8118},
                {"http://[0:0::1]:8118", "::1", 8118},
                {"https://[::ffff:127.0.0.1]:8118", "127.0.0.1", 8118},
                {"https://[::ffff:7f00:1]:8118", "127.0.0.1", 8118},
                {"http://127.9.9.9:8118", ANY_V4, 8118},
                {"http://localhost:8118", ANY_V4, 8118},
                {"http://localhost:8118", ANY_V6, 8118},
                {"http://[::1]:8118", ANY_V6, 8118},
                {"https://0.0.0.0:8118", "127.0.0.1", 8118},
                {"https://[::]:8118", "::1", 8118},
                {"http://127.0.0.1", "127.0.0.1", 80},
                {"https://127.0.0.1", "127.0.0.1", 443},
                {"http://127.0.0.1:08118", "127.0.0.1", 8118},
                {"https://solve.example.com:8443", ANY_V4, 8443},
                {"https://Solve.Example.com", "127.0.0.1", 443},
                {"https://192.0.2.7:8443", "192.0.2.7", 8443},
        };

        (void)state;
        for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
                const struct sample *sample = &samples[i];
                if (!leads(sample->url, sample->address, sample->port))
                        fail_msg("%s is %s port %d", sample->url, sample->address, sample->port);
        }
}

static void another_address_or_port_is_another_program(void **state)
{
        static const struct sample samples[] = {
                {"http://127.0.0.1:18118", "127.0.0.1", 8118},
                {"http://127.0.0.2:8118", "127.0.0.1", 8118},
                {"http://[::1]:8118", "127.0.0.1", 8118},
                {"http://[::1]:8118", ANY_V4, 8118},
                {"http://127.0.0.1:8118", "::1", 8118},
                {"http://127.0.0.1:8118", ANY_V6, 8118},
                {"https://127.0.0.1", "127.0.0.1", 80},
                {"http://127.0.0.1", "127.0.0.1", 443},
                {"https://192.0.2.7:8118", ANY_V4, 8118},
                {"https://[2001:db8::7]:8118", ANY_V6, 8118},
                {"https://pro.example:8118", ANY_V4, 8118},
                {"https://solve.example.com.example:8118", ANY_V4, 8118},
                {"https://notlocalhost:8118", "127.0.0.1", 8118},
        };

        (void)state;
        for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
                const struct sample *sample = &samples[i];
                if (leads(sample->url, sample->address, sample->port))
                        fail_msg("%s is not %s port %d", sample->url, sample->address,
                                 sample->port);
        }
}

static void a_passed_socket_may_accept_both_families(void **state)
{
        const struct config_bound both = {.address = ANY_V6, .port = 8118, .dual_stack = true};

        (void)state;
        assert_true(config_self_leads_to("http://127.0.0.1:8118", &both, &names));
        assert_true(config_self_leads_to("http://[::1]:8118", &both, &names));
        assert_false(config_self_leads_to("https://192.0.2.7:8118", &both, &names));
}

static void the_host_name_is_this_machine(void **state)
{
        char host[256], url[300];

        (void)state;
        assert_int_equal(gethostname(host, sizeof host), 0);
        (void)snprintf(url, sizeof url, "https://%s:8118", host);
        assert_true(leads(url, ANY_V4, 8118));
        assert_false(leads(url, "127.0.0.1", 8118));
        host[strcspn(host, ".")] = '\0';
        (void)snprintf(url, sizeof url, "https://%s:8118", host);
        assert_true(leads(url, ANY_V6, 8118));
        assert_false(leads(url, ANY_V6, 8119));
}

static void each_interface_address_is_this_machine(void **state)
{
        struct ifaddrs *interfaces;
        char text[INET6_ADDRSTRLEN], url[80];

        (void)state;
        assert_int_equal(getifaddrs(&interfaces), 0);
        for (const struct ifaddrs *i = interfaces; i; i = i->ifa_next) {
                if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
                        continue;
                const struct sockaddr_in *v4 = (const void *)i->ifa_addr;
                assert_non_null(inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text));
                (void)snprintf(url, sizeof url, "https://%s:8118", text);
                assert_true(leads(url, ANY_V4, 8118));
                assert_false(leads(url, ANY_V6, 8118));
                (void)snprintf(url, sizeof url, "https://[::ffff:%s]:8118", text);
                assert_true(leads(url, ANY_V4, 8118));
        }
        freeifaddrs(interfaces);
}

/* As the unit of the service does (RestrictAddressFamilies=). */
static void forbid_netlink(void)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(2);
}

/* A url with an address of another interface than loopback. Returns whether there is one. */
static bool own_url(char *ret_url, size_t size)
{
        struct ifaddrs *interfaces;
        char text[INET6_ADDRSTRLEN] = "";

        assert_int_equal(getifaddrs(&interfaces), 0);
        for (const struct ifaddrs *i = interfaces; i && !text[0]; i = i->ifa_next) {
                if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
                    (i->ifa_flags & IFF_LOOPBACK))
                        continue;
                const struct sockaddr_in *v4 = (const void *)i->ifa_addr;
                assert_non_null(inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text));
        }
        freeifaddrs(interfaces);
        (void)snprintf(ret_url, size, "https://%s:8118", text);
        return text[0] != '\0';
}

static void without_netlink_the_addresses_are_known_all_the_same(void **state)
{
        struct ifaddrs *interfaces;
        char url[80];
        int status = 0;
        bool has_own = own_url(url, sizeof url);

        (void)state;
        pid_t child = fork();
        if (child == 0) {
                forbid_netlink();
                if (getifaddrs(&interfaces) == 0)
                        _exit(3);
                _exit(leads("https://192.0.2.254:8118", ANY_V4, 8118) ||
                      leads("https://[2001:db8::7]:8118", ANY_V6, 8118) ||
                      (has_own && !leads(url, ANY_V4, 8118)));
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

/* Makes a network of its own, in which a socket can be bound to an address of another machine, as
 * failover with a shared address needs it. Returns whether that is allowed here. */
static bool allow_foreign_bind(void)
{
        bool allowed = false;

        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
                return false;
        int fd = open("/proc/sys/net/ipv4/ip_nonlocal_bind", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
                allowed = write(fd, "1", 1) == 1;
                (void)close(fd);
        }
        return allowed;
}

static void an_address_that_can_be_bound_need_not_be_of_this_machine(void **state)
{
        int status = 0;

        (void)state;
        pid_t child = fork();
        if (child == 0) {
                if (!allow_foreign_bind())
                        _exit(77);
                forbid_netlink();
                _exit(leads("https://192.0.2.254:8118", ANY_V4, 8118));
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(status, 0);
}

static void the_check_refuses_an_upstream_that_is_a_listener(void **state)
{
        struct fixture *fixture = *state;
        static const char loop[] = "upstreams = ( { name = \"u\"; credential = \"c\";\n"
                                   "url = \"http://localhost:8118\"; } );\n";

        assert_refuses(fixture, loop, 2, "solvegate itself (listen[0]: 127.0.0.1 port 8118)",
                       "address of the upstream");
        assert_refuses(fixture,
                       "listen = ( { port = 1; }, { address = \"::1\"; port = 8443; } );\n"
                       "upstreams = ( { name = \"v\"; url = \"https://h\"; credential = \"c\"; },\n"
                       "{ name = \"u\"; credential = \"c\"; url = \"http://[::1]:8443\"; } );\n",
                       3, "listen[1]", "address of the upstream");
        assert_refuses(fixture,
                       "admin = { address = \"127.0.0.1\"; };\n"
                       "upstreams = ( { name = \"u\"; credential = \"c\";\n"
                       "url = \"http://127.0.0.1:8119\"; } );\n",
                       3, "(admin: 127.0.0.1 port 8119)", "address of the upstream");
        assert_refuses(fixture,
                       CLIENT "} );\nlisten = ( { address = \"0.0.0.0\"; port = 8443; } );\n"
                              "server_names = [ \"solve.example.com\" ];\n"
                              "upstreams = ( { name = \"u\"; credential = \"c\";\n"
                              "url = \"https://solve.example.com:8443\"; } );\n",
                       6, "listen[0]", "address of the upstream");
        assert_loads(fixture, "listen = ( { port = 0; } );\n"
                              "upstreams = ( { name = \"u\"; credential = \"c\"; "
                              "url = \"http://localhost:8118\"; } );\n");
        assert_loads(fixture, "upstreams = ( { name = \"u\"; credential = \"c\"; "
                              "url = \"http://127.0.0.1:18118\"; } );\n");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_address_of_the_listener_is_solvegate_itself),
                cmocka_unit_test(another_address_or_port_is_another_program),
                cmocka_unit_test(a_passed_socket_may_accept_both_families),
                cmocka_unit_test(the_host_name_is_this_machine),
                cmocka_unit_test(each_interface_address_is_this_machine),
                cmocka_unit_test(without_netlink_the_addresses_are_known_all_the_same),
                cmocka_unit_test(an_address_that_can_be_bound_need_not_be_of_this_machine),
                ON_DIRECTORY(the_check_refuses_an_upstream_that_is_a_listener),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
