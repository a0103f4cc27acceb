/*
 * options: the command line of solvegate-sim.
 */
#ifndef SOLVEGATE_SIM_OPTIONS_H
#define SOLVEGATE_SIM_OPTIONS_H

#include "sim/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_OPTIONS_PROBLEM_BYTES_MAX 256

/* The strings point into argv. */
struct sim_options {
        const char *address; /* an IPv4 or IPv6 address */
        uint16_t port;       /* 0: the kernel chooses */
        bool pro;
        int api; /* generation, 1 or 2 */
        const char *uid;
        const char *apikey;
        unsigned concurrency; /* 0: no limit */
        int64_t latency_ms;
        int64_t jitter_ms;
        const char *tls_certificate; /* both files, or neither */
        const char *tls_key;
        bool seeded;
        uint64_t seed;
        bool quiet;
        const char *faults[SIM_FAULTS_MAX]; /* each a valid SPEC */
        size_t fault_count;
};

enum sim_options_verdict {
        SIM_OPTIONS_RUN,
        SIM_OPTIONS_HELP,
        SIM_OPTIONS_VERSION,
        SIM_OPTIONS_WRONG, /* problem says why, in one line */
};

/* Reads the command line. Fills *ret_options on SIM_OPTIONS_RUN only. Not for several threads. */
enum sim_options_verdict sim_options_parse(int argc, char *argv[], struct sim_options *ret_options,
                                           char problem[static SIM_OPTIONS_PROBLEM_BYTES_MAX]);

/* The text of --help; static. */
const char *sim_options_help(void);

#endif
