/*
 * daemon: see daemon.h.
 */
#include "daemon/daemon.h"

#include "base/log.h"
#include "base/signals.h"
#include "base/standard_fds.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/credential.h"
#include "daemon/activation.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/places.h"
#include "daemon/process.h"
#include "daemon/service.h"
#include "daemon/warnings.h"
#include "http/tls.h"
#include "upstream/ca_file.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROBLEM_BYTES_MAX 4096

/* Where the service manager shows it, and where a person reads it. */
static void tell_problem(const struct strbuf *problem)
{
        const char *text = problem->data ? problem->data : "solvegate: no memory";
        struct notify notify;

        (void)fprintf(stderr, "%s\n", text);
        notify_init(&notify);
        notify_failed(&notify, text);
}

static void warn_of_environment(bool key_log)
{
        if (key_log)
                log_warning("SSLKEYLOGFILE is set in the environment and was ignored: it would "
                            "write the keys of all TLS connections to a file; unset it");
}

static int check_done(const struct config *config, struct tls_identity *const *identities,
                      struct credential *const *credentials)
{
        struct warnings found = {.logs = true};

        warnings_find(&found, config, identities);
        warnings_find_accounts(&found, config, credentials);
        warnings_done(&found);
        (void)fprintf(stderr, "%s: ok\n", config->file);
        return EXIT_SUCCESS;
}

/*
 * Runs before the initializers of the libraries, which take milliseconds: a SIGHUP that comes
 * meanwhile waits until the daemon is ready, instead of ending the process. Sanitizers are not
 * initialized yet, nor are their versions of the C library's functions, so this calls the kernel
 * directly.
 */
__attribute__((no_sanitize("address", "thread", "undefined"))) static void block_hangup(void)
{
        const uint64_t set[2] = {UINT64_C(1) << (SIGHUP - 1)};

        (void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, set, NULL, (size_t)(_NSIG - 1) / 8);
}

static void (*const before_libraries)(void)
        __attribute__((section(".preinit_array"), used)) = block_hangup;

int daemon_run(int argc, char **argv, const struct service_backends *backends)
{
        struct credential **credentials = NULL;
        struct tls_identity **identities = NULL;
        struct config *config = NULL;
        struct activation activation = {0};
        struct options options;
        struct strbuf problem;
        int status;

        signals_begin();
        process_protect_secrets();
        process_limit_slack();
        bool key_log = process_clean_environment();
        tls_global_init();
        if (standard_fds_take() < 0)
                return EXIT_FAILURE; /* there is nowhere to say why */
        if (!options_parse(argc, argv, &options, &status))
                return status;
        strbuf_init(&problem, PROBLEM_BYTES_MAX);
        int r = config_load(options.config_file, &config, &problem);
        if (r == 0)
                r = places_check(config, &problem);
        if (r == 0)
                r = tls_identities_load(config, &identities, &problem);
        if (r == 0)
                r = credentials_load(config, &credentials, &problem);
        if (r == 0)
                r = ca_files_check(config, &problem);
        if (r == 0 && !options.check_only)
                r = activation_take(config, &activation, &problem);
        if (r < 0) {
                tell_problem(&problem);
                status = EXIT_USAGE;
        } else if (options.check_only) {
                warn_of_environment(key_log);
                status = check_done(config, identities, credentials);
        } else {
                log_init((enum log_level)config->log.level, (enum log_format)config->log.format);
                warn_of_environment(key_log);
                status = service_run(config, credentials, identities, &activation, backends);
        }
        activation_done(&activation);
        if (config) {
                credentials_free(credentials, config->upstreams_count);
                tls_identities_free(identities, config->listen_count);
        }
        config_free(config);
        strbuf_done(&problem);
        return status;
}
