/*
 * config_check: see config_check.h.
 */
#include "config/config_check.h"

#include "base/client_name.h"
#include "config/config.h"
#include "config/config_origin.h"
#include "config/config_self.h"
#include "config/config_source.h"
#include "config/config_url.h"
#include "config/site_pattern.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 160

struct check {
        const struct config *config;
        const config_t *tree;
        const struct config_source *source;
};

/*
 * The line of the setting at a libconfig path such as "upstreams.[0].url"; where the file leaves
 * it out, that of the group around it; 0 when that is missing too.
 */
__attribute__((format(printf, 2, 3))) static size_t line_of(const struct check *check,
                                                            const char *format, ...)
{
        char path[PATH_BYTES_MAX];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(path, sizeof path, format, args);
        va_end(args);
        for (;;) {
                const config_setting_t *setting = config_lookup(check->tree, path);
                if (setting)
                        return setting->line;
                char *dot = strrchr(path, '.');
                if (!dot)
                        return 0;
                *dot = '\0';
        }
}

#define REFUSE(check, line, ...) config_source_problem((check)->source, (line), __VA_ARGS__)

static int check_listen_address(const struct check *check, size_t i)
{
        const char *address = check->config->listen[i].address;
        size_t line = line_of(check, "listen.[%zu].address", i);

        switch (config_url_address(address)) {
        case CONFIG_ADDRESS_LOOPBACK:
                return 0;
        case CONFIG_ADDRESS_OTHER:
                if (check->config->clients_count > 0)
                        return 0;
                return REFUSE(check, line,
                              "address \"%.80s\" is not of the loopback interface, where each tool "
                              "must show a token, and there are no clients; add the line that "
                              "solvegatectl token new NAME prints to clients = ( ... ), or listen "
                              "on 127.0.0.1 or ::1",
                              address);
        case CONFIG_ADDRESS_NONE:
                break;
        }
        return REFUSE(check, line,
                      "address \"%.80s\" is no IPv4 or IPv6 address in numbers; write 127.0.0.1 or "
                      "::1, without brackets and port",
                      address);
}

/* 0: the kernel chooses, and never the same port twice. */
static int check_listen_twice(const struct check *check, size_t i)
{
        const struct config_listen *listen = check->config->listen;

        for (size_t j = 0; j < i && listen[i].port != 0; j++) {
                if (listen[i].port != listen[j].port ||
                    !config_url_addresses_overlap(listen[i].address, listen[j].address))
                        continue;
                if (config_url_same_address(listen[i].address, listen[j].address))
                        return REFUSE(check, line_of(check, "listen.[%zu]", i),
                                      "listens on %.80s port %d a second time; remove one of the "
                                      "two, or give it another port",
                                      listen[i].address, listen[i].port);
                return REFUSE(check, line_of(check, "listen.[%zu]", i),
                              "listens on %.80s port %d, and listen[%zu] on %.80s, of which one "
                              "includes the other; remove one of the two, or give it another port",
                              listen[i].address, listen[i].port, j, listen[j].address);
        }
        return 0;
}

static const char *file_problem(const char *path)
{
        struct stat status;

        if (stat(path, &status) < 0)
                return "cannot be found by this user; correct the path, or give the user search "
                       "permission on its directories";
        if (!S_ISREG(status.st_mode))
                return "is no regular file; name one file in PEM";
        if (access(path, R_OK) < 0)
                return "cannot be read by this user; give the user read permission on it";
        return NULL;
}

/* What is in the files is checked where they are used. */
static int check_listen_tls(const struct check *check, size_t i)
{
        const struct config_listen *listen = &check->config->listen[i];
        const char *problem = NULL;

        if (!listen->tls.certificate)
                return 0;
        problem = file_problem(listen->tls.certificate);
        if (problem)
                return REFUSE(check, line_of(check, "listen.[%zu].tls.certificate", i),
                              "certificate \"%.200s\" %s", listen->tls.certificate, problem);
        problem = file_problem(listen->tls.key);
        if (problem)
                return REFUSE(check, line_of(check, "listen.[%zu].tls.key", i), "key \"%.200s\" %s",
                              listen->tls.key, problem);
        return 0;
}

static int check_listen(const struct check *check)
{
        int r = 0;

        for (size_t i = 0; i < check->config->listen_count && r == 0; i++) {
                r = check_listen_address(check, i);
                if (r == 0)
                        r = check_listen_twice(check, i);
                if (r == 0)
                        r = check_listen_tls(check, i);
        }
        return r;
}

static int check_admin_address(const struct check *check)
{
        const char *address = check->config->admin.address;
        size_t line = line_of(check, "admin.address");

        switch (config_url_address(address)) {
        case CONFIG_ADDRESS_LOOPBACK:
                return 0;
        case CONFIG_ADDRESS_OTHER:
                return REFUSE(check, line,
                              "admin.address \"%.80s\" is not of the loopback interface, and who "
                              "connects there is not asked who he is; write 127.0.0.1 or ::1",
                              address);
        case CONFIG_ADDRESS_NONE:
                break;
        }
        return REFUSE(check, line,
                      "admin.address \"%.80s\" is no IPv4 or IPv6 address in numbers; write it "
                      "without brackets and port, such as 127.0.0.1 or ::1",
                      address);
}

static int check_admin_socket(const struct check *check)
{
        const char *path = check->config->admin.socket, *mode = check->config->admin.socket_mode;

        if (check->config->admin.socket_wanted && strlen(path) > CONFIG_SOCKET_BYTES_MAX)
                return REFUSE(check, line_of(check, "admin.socket"),
                              "admin.socket \"%.200s\" has %zu bytes, and %d are all that the "
                              "kernel takes; choose a shorter path",
                              path, strlen(path), CONFIG_SOCKET_BYTES_MAX);
        if (path[strlen(path) - 1] == '/')
                return REFUSE(check, line_of(check, "admin.socket"),
                              "admin.socket \"%.120s\" ends with a slash; name a file in that "
                              "directory",
                              path);
        if (strlen(mode) < 3 || mode[strspn(mode, "01234567")] != '\0' ||
            (strlen(mode) == 4 && mode[0] != '0'))
                return REFUSE(check, line_of(check, "admin.socket_mode"),
                              "admin.socket_mode \"%.80s\" is no mode; write it in octal digits, "
                              "such as \"0600\" or \"0660\"",
                              mode);
        return 0;
}

static int check_admin(const struct check *check)
{
        const struct config *config = check->config;
        int r = check_admin_socket(check);

        if (r == 0 && !config->admin.address && config_lookup(check->tree, "admin.port"))
                return REFUSE(check, line_of(check, "admin.port"),
                              "admin.port belongs to admin.address, which is not there; add "
                              "address = \"127.0.0.1\";, or remove the port");
        if (r < 0 || !config->admin.address)
                return r;
        r = check_admin_address(check);
        for (size_t i = 0; i < config->listen_count && config->admin.port != 0 && r == 0; i++) {
                if (config->listen[i].port == config->admin.port &&
                    config_url_addresses_overlap(config->listen[i].address, config->admin.address))
                        r = REFUSE(check, line_of(check, "admin"),
                                   "admin has the address and port of listen[%zu] (%.80s port %d); "
                                   "give it a port of its own",
                                   i, config->admin.address, config->admin.port);
        }
        return r;
}

static int check_server_names(const struct check *check)
{
        const struct config_strings *names = &check->config->server_names;

        for (size_t i = 0; i < names->count; i++) {
                const char *problem = site_pattern_host_problem(names->items[i]);
                if (problem)
                        return REFUSE(check, line_of(check, "server_names.[%zu]", i),
                                      "server name \"%.80s\" %s", names->items[i], problem);
        }
        return 0;
}

static int check_origins(const struct check *check)
{
        const struct config_strings *origins = &check->config->origins;

        for (size_t i = 0; i < origins->count; i++) {
                const char *problem = config_origin_problem(origins->items[i]);
                if (problem)
                        return REFUSE(check, line_of(check, "origins.[%zu]", i),
                                      "origin \"%.200s\" %s", origins->items[i], problem);
        }
        return 0;
}

static int check_upstream_names(const struct check *check, size_t i)
{
        const struct config_upstream *upstreams = check->config->upstreams;
        const char *problem = plain_name_problem(upstreams[i].name);

        if (problem)
                return REFUSE(check, line_of(check, "upstreams.[%zu].name", i),
                              "upstream name \"%.80s\" %s", upstreams[i].name, problem);
        for (size_t j = 0; j < i; j++) {
                if (strcmp(upstreams[i].name, upstreams[j].name) == 0)
                        return REFUSE(check, line_of(check, "upstreams.[%zu].name", i),
                                      "a second upstream is named \"%s\"; give each its own name",
                                      upstreams[i].name);
        }
        problem = plain_name_problem(upstreams[i].credential);
        if (problem)
                return REFUSE(check, line_of(check, "upstreams.[%zu].credential", i),
                              "credential \"%.80s\" %s", upstreams[i].credential, problem);
        return 0;
}

static int check_upstream_url(const struct check *check, size_t i)
{
        const struct config_upstream *upstream = &check->config->upstreams[i];
        size_t url_line = line_of(check, "upstreams.[%zu].url", i);
        size_t ca_line = line_of(check, "upstreams.[%zu].ca", i);
        bool tls = false;
        const char *problem = config_url_problem(upstream->url, &tls);

        if (problem)
                return REFUSE(check, url_line, "url \"%.200s\" %s", upstream->url, problem);
        if (!upstream->ca)
                return 0;
        if (!tls)
                return REFUSE(check, ca_line,
                              "ca stands beside an http url, which has no certificates; remove ca, "
                              "or write https");
        problem = upstream->ca[0] == '/' ? file_problem(upstream->ca)
                                         : "is not an absolute path; write it from / on";
        if (problem)
                return REFUSE(check, ca_line, "ca \"%.200s\" %s", upstream->ca, problem);
        return 0;
}

static int refuse_own(const struct check *check, size_t i, const struct config_bound *bound,
                      const char *where)
{
        return REFUSE(
                check, line_of(check, "upstreams.[%zu].url", i),
                "url \"%.200s\" is solvegate itself (%s: %.80s port %d), so each job would come "
                "back and wait for itself; write the address of the upstream",
                check->config->upstreams[i].url, where, bound->address, bound->port);
}

/* A port that the kernel chooses is known, and checked, when it is bound. */
static int check_upstream_is_other(const struct check *check, size_t i)
{
        const struct config *config = check->config;
        const char *url = config->upstreams[i].url;
        const struct config_bound admin = {config->admin.address, config->admin.port, false};
        char where[sizeof "listen[]" + 20];

        for (size_t j = 0; j < config->listen_count; j++) {
                const struct config_listen *listen = &config->listen[j];
                const struct config_bound bound = {listen->address, listen->port, false};
                if (bound.port == 0 || !config_self_leads_to(url, &bound, &config->server_names))
                        continue;
                (void)snprintf(where, sizeof where, "listen[%zu]", j);
                return refuse_own(check, i, &bound, where);
        }
        if (admin.address && admin.port != 0 &&
            config_self_leads_to(url, &admin, &config->server_names))
                return refuse_own(check, i, &admin, "admin");
        return 0;
}

static int check_upstreams(const struct check *check)
{
        int r = 0;

        for (size_t i = 0; i < check->config->upstreams_count && r == 0; i++) {
                r = check_upstream_names(check, i);
                if (r == 0)
                        r = check_upstream_url(check, i);
                if (r == 0)
                        r = check_upstream_is_other(check, i);
        }
        return r;
}

/* list: the libconfig path of the allow-list. */
static int check_allow(const struct check *check, const struct config_sites *allow,
                       const char *list)
{
        for (size_t i = 0; i < allow->count; i++) {
                const char *problem = site_pattern_problem(allow->items[i].site);
                if (problem)
                        return REFUSE(check, line_of(check, "%s.[%zu].site", list, i),
                                      "site pattern \"%.80s\" %s", allow->items[i].site, problem);
        }
        return 0;
}

static int check_sites(const struct check *check)
{
        return check_allow(check, &check->config->sites.allow, "sites.allow");
}

static int check_client_name(const struct check *check, size_t i)
{
        const struct config_client *clients = check->config->clients;
        const char *problem = client_name_problem(clients[i].name);

        if (problem)
                return REFUSE(check, line_of(check, "clients.[%zu].name", i),
                              "client name \"%.80s\" %s", clients[i].name, problem);
        for (size_t j = 0; j < i; j++) {
                if (strcmp(clients[i].name, clients[j].name) == 0)
                        return REFUSE(check, line_of(check, "clients.[%zu].name", i),
                                      "a second client is named \"%s\"; give each its own name",
                                      clients[i].name);
        }
        return 0;
}

/* What is wrong is not quoted: a token may stand there in place of its digest. */
static int check_client_token(const struct check *check, size_t i)
{
        static const char digits[] = "0123456789abcdefABCDEF";
        const struct config_client *clients = check->config->clients;
        const char *digest = clients[i].token_sha256;

        if (digest[strspn(digest, digits)] != '\0')
                return REFUSE(check, line_of(check, "clients.[%zu].token_sha256", i),
                              "clients[%zu].token_sha256 holds something else than hexadecimal "
                              "digits; " CONFIG_TOKEN_CURE,
                              i);
        for (size_t j = 0; j < i; j++) {
                const char *other = clients[j].token_sha256;
                if (strncasecmp(digest, other, (size_t)2 * CONFIG_TOKEN_KEY_BYTES) != 0)
                        continue;
                return REFUSE(check, line_of(check, "clients.[%zu].token_sha256", i),
                              "clients \"%s\" and \"%s\" have %s; make one of them a token of its "
                              "own with solvegatectl token new",
                              clients[j].name, clients[i].name,
                              strcasecmp(digest, other) == 0
                                      ? "the same token"
                                      : "digests that begin alike, as no two tokens' do");
        }
        return 0;
}

static int check_client(const struct check *check, size_t i)
{
        const struct config_client *client = &check->config->clients[i];
        const config_setting_t *list = config_lookup(check->tree, "clients");
        const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        const config_setting_t *burst = config_setting_get_member(group, "burst");
        char path[PATH_BYTES_MAX];

        if (burst && !config_setting_get_member(group, "rate"))
                return REFUSE(
                        check, burst->line,
                        "clients[%zu] has a burst and no rate, which it belongs to; add rate, "
                        "or remove burst",
                        i);
        (void)snprintf(path, sizeof path, "clients.[%zu].sites.allow", i);
        return check_allow(check, &client->sites.allow, path);
}

static int check_clients(const struct check *check)
{
        int r = 0;

        for (size_t i = 0; i < check->config->clients_count && r == 0; i++) {
                r = check_client_name(check, i);
                if (r == 0)
                        r = check_client_token(check, i);
                if (r == 0)
                        r = check_client(check, i);
        }
        return r;
}

/* Says where two keys are at odds: at the first one, or where that is left to its default, at
 * the other one. */
static size_t line_of_pair(const struct check *check, const char *first, const char *second)
{
        return line_of(check, "%s", config_lookup(check->tree, first) ? first : second);
}

static int check_poll(const struct check *check)
{
        int64_t cap = check->config->poll.cap_ms;

        if (check->config->poll.first_ms > cap)
                return REFUSE(check, line_of_pair(check, "poll.first", "poll.cap"),
                              "poll.first (%.15g) is above poll.cap (%.15g); lower first or raise "
                              "cap",
                              (double)check->config->poll.first_ms / 1e3, (double)cap / 1e3);
        if (check->config->poll.interval_ms > cap)
                return REFUSE(check, line_of_pair(check, "poll.interval", "poll.cap"),
                              "poll.interval (%.15g) is above poll.cap (%.15g); lower interval or "
                              "raise cap",
                              (double)check->config->poll.interval_ms / 1e3, (double)cap / 1e3);
        return 0;
}

static int check_retry(const struct check *check)
{
        int64_t base = check->config->retry.base_ms, cap = check->config->retry.cap_ms;

        if (base > cap)
                return REFUSE(check, line_of_pair(check, "retry.base", "retry.cap"),
                              "retry.base (%.15g) is above retry.cap (%.15g); lower base or raise "
                              "cap",
                              (double)base / 1e3, (double)cap / 1e3);
        return 0;
}

static int check_limits(const struct check *check)
{
        int64_t body = check->config->limits.body_bytes, queue = check->config->limits.queue_bytes;

        if (body > queue)
                return REFUSE(check, line_of_pair(check, "limits.queue_bytes", "limits.body_bytes"),
                              "limits.body_bytes (%lld) is above limits.queue_bytes (%lld), so "
                              "that the largest body would never fit; lower body_bytes or raise "
                              "queue_bytes",
                              (long long)body, (long long)queue);
        return 0;
}

/* The store's files in the state directory, and those that SQLite puts beside them. */
static bool is_name_of_the_store(const char *name)
{
        return strcmp(name, "lock") == 0 || strncmp(name, "jobs.db", 7) == 0 ||
               strncmp(name, "bodies.db", 9) == 0;
}

static int check_audit(const struct check *check)
{
        const char *file = check->config->audit.file, *name = strrchr(file, '/') + 1;

        if (file[strlen(file) - 1] == '/')
                return REFUSE(check, line_of(check, "audit.file"),
                              "audit.file \"%.200s\" ends with a slash; name a file in that "
                              "directory",
                              file);
        if (is_name_of_the_store(name))
                return REFUSE(check, line_of(check, "audit.file"),
                              "audit.file \"%.200s\" has the name of a file of the store; choose "
                              "another one, such as audit.jsonl",
                              file);
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return REFUSE(check, line_of(check, "audit.file"),
                              "audit.file \"%.200s\" is a directory; name a file in it", file);
        return 0;
}

int config_check(const struct config *config, const config_t *tree,
                 const struct config_source *source)
{
        static int (*const checks[])(const struct check *) = {
                check_listen,    check_admin,  check_server_names, check_origins,
                check_upstreams, check_sites,  check_clients,      check_retry,
                check_poll,      check_limits, check_audit,
        };
        const struct check check = {.config = config, .tree = tree, .source = source};
        int r = 0;

        for (size_t i = 0; i < sizeof checks / sizeof checks[0] && r == 0; i++)
                r = checks[i](&check);
        return r;
}
