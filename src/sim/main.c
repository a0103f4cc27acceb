/*
 * main: solvegate-sim, a stand-in for the upstream. See docs/simulator.md.
 */
#include "base/file.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/signals.h"
#include "base/standard_fds.h"
#include "sim/fault.h"
#include "sim/options.h"
#include "sim/server.h"
#include "sim/sim.h"
#include "sim/vendor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_WRONG_USAGE 2
#define PEM_BYTES_MAX    ((size_t)1024 * 1024)

/* The two files of --tls-…; zeroed without TLS. */
struct tls_files {
        struct file certificate, key;
};

static int complain(const char *what, int r)
{
        (void)fprintf(stderr, "solvegate-sim: %s: %s\n", what, strerror(-r));
        return r;
}

static int complain_of_port(const struct sim_options *options, int r)
{
        (void)fprintf(stderr, "solvegate-sim: %s port %u: %s%s\n", options->address,
                      (unsigned)options->port, strerror(-r),
                      r == -EADDRINUSE ? "; take another one with --port" : "");
        return r;
}

static int load_tls(const struct sim_options *options, struct tls_files *files)
{
        if (!options->tls_certificate)
                return 0;
        int r = file_read(options->tls_certificate, PEM_BYTES_MAX, &files->certificate);
        if (r < 0)
                return complain(options->tls_certificate, r);
        r = file_read(options->tls_key, PEM_BYTES_MAX, &files->key);
        return r < 0 ? complain(options->tls_key, r) : 0;
}

static int make_vendor(struct sim *sim, const struct sim_options *options, uint16_t port)
{
        struct sim_vendor_plan plan = {
                .api = options->api,
                .pro = options->pro,
                .concurrency = options->concurrency,
                .latency_ms = options->latency_ms,
                .jitter_ms = options->jitter_ms,
                .uid = options->uid,
                .apikey = options->apikey,
                .seed = options->seed,
        };
        bool v6 = strchr(options->address, ':') != NULL;

        (void)snprintf(plan.base_url, sizeof plan.base_url, "http%s://%s%s%s:%u",
                       options->tls_certificate ? "s" : "", v6 ? "[" : "", options->address,
                       v6 ? "]" : "", port);
        if (!options->seeded)
                arc4random_buf(&plan.seed, sizeof plan.seed);
        int r = sim_vendor_new(&plan, sim->counters, &sim->vendor);
        return r < 0 ? complain("vendor", r) : 0;
}

static int add_faults(struct sim *sim, const struct sim_options *options)
{
        char problem[SIM_FAULT_PROBLEM_BYTES_MAX];
        int r = 0;

        for (size_t i = 0; i < options->fault_count && r == 0; i++)
                r = sim_faults_add(sim->faults, options->faults[i], strlen(options->faults[i]),
                                   problem);
        return r < 0 ? complain("faults", r) : 0;
}

static int serve(struct sim *sim, const struct sim_options *options, const struct tls_files *files)
{
        struct sim_server *server;
        uint16_t port;

        signals_block();
        int fd = sim_listen(options->address, options->port, &port);
        if (fd < 0)
                return complain_of_port(options, fd);
        int r = make_vendor(sim, options, port);
        if (r < 0) {
                (void)close(fd);
                return r;
        }
        r = sim_server_start(sim, fd, files->certificate.bytes, files->key.bytes, &server);
        if (r < 0)
                return complain(
                        files->certificate.bytes ? "HTTP server or TLS files" : "HTTP server", r);
        (void)fprintf(stderr, "ready %s\n", sim_vendor_base_url(sim->vendor));
        (void)signals_wait();
        log_limits_tell(INT64_MAX);
        sim_stop(sim);
        sim_server_stop(server);
        return 0;
}

static int run(const struct sim_options *options)
{
        struct tls_files files = {0};
        struct sim sim;

        if (options->quiet)
                log_init(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
        int r = load_tls(options, &files);
        if (r < 0)
                goto out;
        r = sim_init(&sim, options->api);
        if (r < 0) {
                (void)complain("start", r);
                goto out;
        }
        r = add_faults(&sim, options);
        if (r == 0)
                r = serve(&sim, options, &files);
        sim_done(&sim);
out:
        file_done(&files.certificate);
        file_done(&files.key);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
        char problem[SIM_OPTIONS_PROBLEM_BYTES_MAX];
        struct sim_options options;

        signals_begin();
        if (standard_fds_take() < 0)
                return EXIT_FAILURE;
        switch (sim_options_parse(argc, argv, &options, problem)) {
        case SIM_OPTIONS_RUN:
                return run(&options);
        case SIM_OPTIONS_HELP:
                return fputs(sim_options_help(), stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        case SIM_OPTIONS_VERSION:
                return puts("solvegate-sim " SOLVEGATE_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        case SIM_OPTIONS_WRONG:
                break;
        }
        (void)fprintf(stderr, "solvegate-sim: %s; see solvegate-sim --help\n", problem);
        return EXIT_WRONG_USAGE;
}
