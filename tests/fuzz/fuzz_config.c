/*
 * Fuzz target: the configuration, from its text to structs that were checked, and the policy that
 * is made of it.
 *
 * The input is solvegate.conf; it may include "part.conf", which is there, and itself.
 *
 * Rules: an error is one line that begins with the path of one of the files; nothing but the error
 * is given out then, and it never shows a client's token. What was accepted keeps the limits of the
 * table of keys, differs from itself in no key, survives a merge with itself, and makes a policy.
 */
#include "access/clients.h"
#include "access/policy.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/config_origin.h"
#include "config/config_url.h"
#include "config/site_pattern.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

/* A token by mistake in the place of its digest; the seeds and dictionary.txt quote it. */
#define TOKEN "sgt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/*
 * libconfig 1.5 frees neither a string that the text breaks off in nor one that comes where the
 * grammar has none: some bytes for each reload of such a file. LeakSanitizer asks for this.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
        return "leak:libconfig.so";
}

static const char part[] = "workers = 3;\n";
static char *file, *part_file;

static void make_files(void)
{
        if (file)
                return;
        file = fuzz_path("solvegate.conf");
        part_file = fuzz_path("part.conf");
        fuzz_write_file(part_file, part, strlen(part));
        CHECK(setenv("STATE_DIRECTORY", "/nonexistent", 1) == 0);
}

static bool starts_with(const char *text, const char *start)
{
        return strncmp(text, start, strlen(start)) == 0;
}

static void check_problem(const struct strbuf *problem)
{
        CHECK(problem->data && !problem->failed);
        CHECK(strlen(problem->data) == problem->len);
        CHECK(problem->len > 0 && !strpbrk(problem->data, "\n\r\t\033\177"));
        CHECK(starts_with(problem->data, file) || starts_with(problem->data, part_file));
        CHECK(strstr(problem->data, ": "));
        CHECK(!strstr(problem->data, TOKEN));
}

static void on_change(void *arg, const char *key)
{
        (void)arg;
        (void)key;
        CHECK(!"a configuration differs from itself");
}

static void check_sites(const struct config_sites *sites)
{
        for (size_t i = 0; i < sites->count; i++) {
                CHECK(sites->items[i].site && !site_pattern_problem(sites->items[i].site));
                CHECK(sites->items[i].until_ms >= 0);
        }
}

static void check_lists(const struct config *config)
{
        CHECK(config->upstreams_count >= 1);
        for (size_t i = 0; i < config->upstreams_count; i++) {
                const struct config_upstream *upstream = &config->upstreams[i];
                bool tls;
                CHECK(upstream->name && upstream->credential && upstream->url);
                CHECK(!config_url_problem(upstream->url, &tls));
                CHECK(upstream->api == 1 || upstream->api == 2);
                CHECK(upstream->max_in_flight >= 1);
        }
        for (size_t i = 0; i < config->listen_count; i++) {
                const struct config_listen *listen = &config->listen[i];
                enum config_address address = config_url_address(listen->address);
                CHECK(address != CONFIG_ADDRESS_NONE);
                CHECK(address == CONFIG_ADDRESS_LOOPBACK || config->clients_count > 0);
                CHECK(listen->port >= 0 && listen->port <= 65535);
                CHECK(!listen->tls.certificate == !listen->tls.key);
        }
        for (size_t i = 0; i < config->clients_count; i++) {
                CHECK(config->clients[i].name && config->clients[i].token_sha256);
                CHECK(strspn(config->clients[i].token_sha256, "0123456789abcdefABCDEF") == 64);
                check_sites(&config->clients[i].sites.allow);
        }
        for (size_t i = 0; i < config->origins.count; i++)
                CHECK(!config_origin_problem(config->origins.items[i]));
        check_sites(&config->sites.allow);
}

static void check_policy(const struct config *config)
{
        struct clients *clients = NULL;
        struct policy *policy = NULL;

        CHECK(clients_new(&clients) == 0);
        CHECK(policy_new(config, clients, &policy) == 0);
        policy_unref(policy);
        clients_free(clients);
}

static void check_config(const struct config *config)
{
        struct config *merged = NULL;

        CHECK(strcmp(config->file, file) == 0);
        CHECK(config->workers >= 1 && config->limits.images >= 1);
        CHECK(config->limits.body_bytes > 0 && config->limits.job_deadline_ms > 0);
        CHECK(config->state_directory[0] == '/' && config->audit.file[0] == '/');
        check_lists(config);
        config_compare(config, config, on_change, NULL);
        config_changed(config, config, on_change, NULL);
        CHECK(config_merge(config, config, &merged) == 0);
        config_compare(config, merged, on_change, NULL);
        config_changed(config, merged, on_change, NULL);
        config_free(merged);
        check_policy(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct config *config = NULL;
        struct strbuf problem;

        make_files();
        fuzz_write_file(file, data, size);
        strbuf_init(&problem, 64 * 1024);
        int r = config_load(file, &config, &problem);
        CHECK(r <= 0 && (r == 0) == (config != NULL));
        if (r < 0)
                check_problem(&problem);
        else
                check_config(config);
        CHECK(r < 0 || problem.len == 0);
        config_free(config);
        strbuf_done(&problem);
        return 0;
}
