/*
 * options: see options.h.
 */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_CONFIG_FILE "/etc/solvegate/solvegate.conf"

static const char usage[] =
        "usage: solvegate [-c FILE] [-t] [-V] [-h]\n"
        "\n"
        "  -c, --config FILE     read FILE instead of " DEFAULT_CONFIG_FILE "\n"
        "  -t, --check-config    check the configuration, credentials and certificates, and exit\n"
        "  -V, --version         print the version and exit\n"
        "  -h, --help            print this and exit\n"
        "\n"
        "SIGTERM, SIGINT or SIGQUIT: take no more jobs, finish those under way, and exit 0.\n"
        "A second one: exit at once. SIGHUP: read FILE, credentials and certificates again; if\n"
        "anything is wrong, nothing changes. Exit status 2: wrong usage or configuration.\n";

bool options_parse(int argc, char **argv, struct options *ret_options, int *ret_status)
{
        static const struct option long_options[] = {
                {"config", required_argument, NULL, 'c'},
                {"check-config", no_argument, NULL, 't'},
                {"version", no_argument, NULL, 'V'},
                {"help", no_argument, NULL, 'h'},
                {NULL, 0, NULL, 0},
        };
        struct options options = {.config_file = DEFAULT_CONFIG_FILE};
        int option;

        *ret_status = EXIT_USAGE;
        while ((option = getopt_long(argc, argv, "c:tVh", long_options, NULL)) != -1) {
                switch (option) {
                case 'c':
                        options.config_file = optarg;
                        break;
                case 't':
                        options.check_only = true;
                        break;
                case 'V':
                        (void)puts("solvegate " SOLVEGATE_VERSION);
                        *ret_status = EXIT_SUCCESS;
                        return false;
                case 'h':
                        (void)fputs(usage, stdout);
                        *ret_status = EXIT_SUCCESS;
                        return false;
                default: /* getopt has said what is wrong */
                        (void)fputs("solvegate: see solvegate --help\n", stderr);
                        return false;
                }
        }
        if (optind < argc) {
                (void)fprintf(stderr,
                              "solvegate: unexpected argument \"%s\"; see solvegate --help\n",
                              argv[optind]);
                return false;
        }
        *ret_options = options;
        return true;
}
