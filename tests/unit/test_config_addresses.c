/*
 * test_config_addresses: where the gateway listens and whom it calls: addresses, ports, URLs,
 * origins, and the files of TLS.
 */
#include "config_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void there_is_an_admin_address_only_where_it_is_written(void **state)
{
        struct fixture *fixture = *state;

        assert_loads(fixture, UPSTREAM "admin = { };\n");
        assert_null(fixture->config->admin.address);
        assert_loads(fixture, UPSTREAM "admin = { address = \"127.0.0.1\"; };\n");
        assert_string_equal(fixture->config->admin.address, "127.0.0.1");
        assert_int_equal(fixture->config->admin.port, 8119);
        assert_refuses(fixture, UPSTREAM "admin = 8119;\n", 2, "admin is a whole number", "{ }");
        assert_refuses(fixture, UPSTREAM "admin = {\n port = 8119;\n};\n", 3,
                       "belongs to admin.address", "address = \"127.0.0.1\";");
}

static void the_admin_socket_is_where_the_file_or_the_service_manager_says(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(unsetenv("RUNTIME_DIRECTORY"), 0);
        assert_loads(fixture, UPSTREAM);
        assert_string_equal(fixture->config->admin.socket, "/run/solvegate/admin.sock");
        assert_string_equal(fixture->config->admin.socket_mode, "0600");
        assert_null(fixture->config->admin.socket_group);
        assert_false(fixture->config->admin.socket_wanted);
        assert_int_equal(setenv("RUNTIME_DIRECTORY", "/run/a:/run/b", 1), 0);
        assert_loads(fixture, UPSTREAM);
        assert_string_equal(fixture->config->admin.socket, "/run/a/admin.sock");
        assert_false(fixture->config->admin.socket_wanted);
        assert_loads(fixture, UPSTREAM "admin = { socket_mode = \"0660\"; };\n");
        assert_true(fixture->config->admin.socket_wanted);
        assert_loads(fixture, UPSTREAM "admin = { socket_group = \"adm\"; };\n");
        assert_true(fixture->config->admin.socket_wanted);
        assert_loads(fixture,
                     UPSTREAM "admin = { socket = \"/run/x\"; socket_group = \"adm\"; };\n");
        assert_string_equal(fixture->config->admin.socket, "/run/x");
        assert_string_equal(fixture->config->admin.socket_group, "adm");
        assert_true(fixture->config->admin.socket_wanted);
        assert_int_equal(unsetenv("RUNTIME_DIRECTORY"), 0);
}

static void a_socket_that_cannot_be_made_is_refused(void **state)
{
        static const char *const bad[] = {"600 ", "0x60", "1600", "60", "rw-"};
        struct fixture *fixture = *state;
        char text[512], path[160];

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                (void)snprintf(text, sizeof text, UPSTREAM "admin = {\n socket_mode = \"%s\"; };\n",
                               bad[i]);
                assert_refuses(fixture, text, 3, "is no mode", "0600");
        }
        assert_loads(fixture, UPSTREAM "admin = { socket_mode = \"660\"; };\n");
        assert_refuses(fixture, UPSTREAM "admin = { socket = \"/run/x/\"; };\n", 2, "slash",
                       "name a file");
        /* Short as it is written, and too long once it is absolute. */
        memset(path, 'x', 107);
        path[107] = '\0';
        (void)snprintf(text, sizeof text, UPSTREAM "admin = { socket = \"%s\"; };\n", path);
        assert_refuses(fixture, text, 2, "107", "shorter");
        path[0] = '/';
        (void)snprintf(text, sizeof text, UPSTREAM "admin = { socket = \"%s\"; };\n", path);
        assert_loads(fixture, text);
}

static void an_admin_address_is_of_loopback_and_not_that_of_a_listener(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "admin = {\n address = \"0.0.0.0\";\n};\n", 3,
                       "not of the loopback", "127.0.0.1");
        assert_refuses(fixture, UPSTREAM "admin = { address = \"localhost\"; };\n", 2,
                       "is no IPv4 or IPv6 address", "without brackets");
        assert_refuses(fixture, UPSTREAM "\nadmin = { address = \"127.0.0.1\"; port = 8118; };\n",
                       3, "listen[0]", "a port of its own");
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { }, { address = \"::1\"; } );\n"
                                "admin = { address = \"0::1\"; port = 8118; };\n",
                       3, "listen[1]", "a port of its own");
        assert_loads(fixture, UPSTREAM "admin = { address = \"::1\"; port = 8118; };\n");
        assert_loads(fixture, UPSTREAM "listen = ( { port = 0; } ); "
                                       "admin = { address = \"127.0.0.1\"; port = 0; };\n");
}

static void addresses_and_urls_that_would_expose_the_key_are_refused(void **state)
{
        static const struct {
                const char *url, *what, *cure;
        } bad[] = {
                {"http://pro.example", "clear text", "https://"},
                {"http://127.0.0.1.example", "clear text", "https://"},
                {"http://10.0.0.1:80", "clear text", "https://"},
                {"http://[::2]", "clear text", "https://"},
                {"https://pro.example/", "slash", "remove"},
                {"https://pro.example/api", "path", "end it"},
                {"https://pro.example?x", "query", "end it"},
                {"https://u:p@pro.example", "user information", "credential"},
                {"https://pro.example:0", "port", "1 to 65535"},
                {"https://pro.example:", "port", "1 to 65535"},
                {"https://pro.example:65536", "port", "1 to 65535"},
                {"https://[::1]x", "between", "PORT"},
                {"https://[::1", "no IPv6", "such as"},
                {"https://", "no host", "behind"},
                {"ftp://pro.example", "https://", "https://"},
                {"HTTPS://pro.example", "https://", "lower case"},
        };
        struct fixture *fixture = *state;
        char text[512];

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                (void)snprintf(
                        text, sizeof text,
                        "upstreams = ( { name = \"u\"; credential = \"c\";\n url = \"%s\"; } );",
                        bad[i].url);
                assert_refuses(fixture, text, 2, bad[i].what, bad[i].cure);
        }
}

static void http_is_allowed_towards_loopback(void **state)
{
        static const char *const good[] = {"http://127.0.0.1", "http://127.8.8.8:1",
                                           "http://[::1]:65535", "http://localhost:80",
                                           "http://LocalHost"};
        struct fixture *fixture = *state;
        char text[256];

        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
                (void)snprintf(
                        text, sizeof text,
                        "upstreams = ( { name = \"u\"; credential = \"c\"; url = \"%s\"; } );",
                        good[i]);
                assert_loads(fixture, text);
        }
}

static void an_origin_stands_as_browsers_write_it(void **state)
{
        static const char *const good[] = {
                "https://a.example",
                "http://localhost:3000",
                "https://a.example:80",
                "http://a:443",
                "https://192.0.2.1",
                "http://[2001:db8::1]:8080",
                "https://xn--bcher-kva.example",
                "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
                "moz-extension://0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
                "safari-web-extension://0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9",
                "tauri://localhost",
                "app://.",
                "app://localhost:443",
                "ionic://[::1]:3000",
        };
        static const struct {
                const char *origin, *what, *cure;
        } bad[] = {
                {"", "is empty", "https://"},
                {"*", "every web page", "list each"},
                {"null", "any site", "serve the page"},
                {"https://*.example", "holds a *", "list each"},
                {"a.example", "does not start", "write scheme"},
                {"ftp://a.example", "no origin of their own", "over https"},
                {"//a.example", "does not start", "write scheme"},
                {"https://A.example", "upper case", "lower case"},
                {"HTTPS://a.example", "upper case", "lower case"},
                {"https://a.example/", "slash", "remove the slash"},
                {"https://a.example/tool", "a path", "end it"},
                {"https://a.example?x", "a query", "end it"},
                {"https://a.example:443", "scheme stands for", "remove the colon"},
                {"http://a.example:80", "scheme stands for", "remove the colon"},
                {"https://a.example:", "no valid port", "1 to 65535"},
                {"https://a.example:0", "no valid port", "1 to 65535"},
                {"https://a.example:65536", "no valid port", "1 to 65535"},
                {"https://a.example:08443", "a zero in front", "without"},
                {"https://u:p@a.example", "user information", "remove it"},
                {"https://[2001:db8:0::1]", "shorter", "[::1]"},
                {"https://[::1", "no IPv6", "such as"},
                {"https://", "no host", "behind"},
                {"tauri://", "no host", "behind"},
                {"Tauri://localhost", "upper case", "lower case"},
                {"tauri://localhost/", "slash", "remove the slash"},
                {"tauri://a b", "no extension", "location.origin"},
                {"tauri://localhost:03000", "a zero in front", "without"},
                {"file://", "no origin of their own", "over https"},
                {"data://x", "no origin of their own", "over https"},
                {"https://a.example.", "dot", "remove the dot"},
                {"https://a.example b", "white space", "of its own"},
        };
        struct fixture *fixture = *state;
        char text[256];

        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
                (void)snprintf(text, sizeof text, UPSTREAM "origins = [ \"%s\" ];", good[i]);
                assert_loads(fixture, text);
                assert_string_equal(fixture->config->origins.items[0], good[i]);
        }
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                (void)snprintf(text, sizeof text, UPSTREAM "origins = [ \"http://a\",\n\"%s\" ];",
                               bad[i].origin);
                assert_refuses(fixture, text, 3, bad[i].what, bad[i].cure);
        }
}

static void an_address_beyond_loopback_needs_clients(void **state)
{
        struct fixture *fixture = *state;

        assert_refuses(fixture, UPSTREAM "listen = ( { },\n{ address = \"0.0.0.0\"; } );\n", 3,
                       "there are no clients", "solvegatectl token new NAME");
        assert_refuses(fixture, UPSTREAM CLIENT "} );\nlisten = (\n{ address = \"::g\"; } );\n", 5,
                       "is no IPv4 or IPv6 address", "127.0.0.1");
        assert_loads(fixture, UPSTREAM CLIENT
                     "} );\n"
                     "listen = ( { address = \"0.0.0.0\"; }, { address = \"2001:db8::1\"; } );\n");
        assert_refuses(fixture, UPSTREAM CLIENT "} );\nadmin = { address = \"0.0.0.0\"; };\n", 4,
                       "not of the loopback", "127.0.0.1");
}

static void certificate_and_key_are_files_that_count_from_the_configuration(void **state)
{
        struct fixture *fixture = *state;
        char wanted[160];

        write_file(fixture, "cert.pem", "", 0);
        write_file(fixture, "key.pem", "", 0);
        assert_loads(fixture,
                     UPSTREAM "listen = ( { port = 0; }, { port = 0;\n"
                              "tls = { certificate = \"cert.pem\"; key = \"./key.pem\"; }; } );\n");
        assert_null(fixture->config->listen[0].tls.certificate);
        (void)snprintf(wanted, sizeof wanted, "%s/cert.pem", fixture->directory);
        assert_string_equal(fixture->config->listen[1].tls.certificate, wanted);
        (void)snprintf(wanted, sizeof wanted, "%s/./key.pem", fixture->directory);
        assert_string_equal(fixture->config->listen[1].tls.key, wanted);
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { tls = {\ncertificate = \"cert.pem\"; }; } );\n", 2,
                       "listen[0].tls has no \"key\"", "add key");
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { tls = { certificate = \"cert.pem\";\n"
                                "key = \"none.pem\"; }; } );\n",
                       3, "/none.pem\" cannot be found", "correct the path");
        assert_refuses(fixture,
                       UPSTREAM "listen = ( { tls = { key = \"key.pem\";\n"
                                "certificate = \".\"; }; } );\n",
                       3, "is no regular file", "PEM");
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                ON_DIRECTORY(there_is_an_admin_address_only_where_it_is_written),
                ON_DIRECTORY(the_admin_socket_is_where_the_file_or_the_service_manager_says),
                ON_DIRECTORY(a_socket_that_cannot_be_made_is_refused),
                ON_DIRECTORY(an_admin_address_is_of_loopback_and_not_that_of_a_listener),
                ON_DIRECTORY(addresses_and_urls_that_would_expose_the_key_are_refused),
                ON_DIRECTORY(http_is_allowed_towards_loopback),
                ON_DIRECTORY(an_origin_stands_as_browsers_write_it),
                ON_DIRECTORY(an_address_beyond_loopback_needs_clients),
                ON_DIRECTORY(certificate_and_key_are_files_that_count_from_the_configuration),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
