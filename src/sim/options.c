/*
 * options: see options.h.
 */
#include "sim/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LATENCY_MS 200
#define SECONDS_MAX        3600.0
#define CONCURRENCY_MAX    1000000

enum option_code {
        OPTION_ADDRESS = 256, /* above every character, so that none is taken for a short option */
        OPTION_PORT,
        OPTION_MODE,
        OPTION_API,
        OPTION_UID,
        OPTION_APIKEY,
        OPTION_CONCURRENCY,
        OPTION_LATENCY,
        OPTION_JITTER,
        OPTION_FAULT,
        OPTION_TLS_CERTIFICATE,
        OPTION_TLS_KEY,
        OPTION_SEED,
        OPTION_QUIET,
};

static const struct option long_options[] = {
        {"address", required_argument, NULL, OPTION_ADDRESS},
        {"port", required_argument, NULL, OPTION_PORT},
        {"mode", required_argument, NULL, OPTION_MODE},
        {"api", required_argument, NULL, OPTION_API},
        {"uid", required_argument, NULL, OPTION_UID},
        {"apikey", required_argument, NULL, OPTION_APIKEY},
        {"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
        {"latency", required_argument, NULL, OPTION_LATENCY},
        {"jitter", required_argument, NULL, OPTION_JITTER},
        {"fault", required_argument, NULL, OPTION_FAULT},
        {"tls-certificate", required_argument, NULL, OPTION_TLS_CERTIFICATE},
        {"tls-key", required_argument, NULL, OPTION_TLS_KEY},
        {"seed", required_argument, NULL, OPTION_SEED},
        {"quiet", no_argument, NULL, OPTION_QUIET},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
};

const char *sim_options_help(void)
{
        return "solvegate-sim [OPTION]...\n"
               "A stand-in for the upstream, for trials, tests and benchmarks.\n"
               "\n"
               "  --address ADDRESS       listen here (127.0.0.1)\n"
               "  --port PORT             0 lets the kernel choose (0)\n"
               "  --mode free|pro         answer a job as queued, or when solved (free)\n"
               "  --api 1|2               generation of the API (1)\n"
               "  --uid UID               the account; generation 1 only (any)\n"
               "  --apikey KEY            the account's key (any)\n"
               "  --concurrency N         jobs in flight; 0 for no limit (0)\n"
               "  --latency SECONDS       from acceptance to solution (0.2)\n"
               "  --jitter SECONDS        added to or taken from the latency (0)\n"
               "  --fault SPEC            ENDPOINT:KIND[=VALUE][*COUNT]; may be repeated\n"
               "  --tls-certificate FILE  speak TLS, with this chain in PEM\n"
               "  --tls-key FILE          and this key\n"
               "  --seed N                the same ids and jitter each time\n"
               "  --quiet                 no line for each request\n"
               "  -h, --help              this text\n"
               "  -V, --version           the version\n"
               "\n"
               "Counters: GET /sim/counters, GET /sim/requests, POST /sim/reset.\n"
               "Faults while it runs: POST /sim/faults, DELETE /sim/faults.\n";
}

static bool read_whole(const char *text, uint64_t max, uint64_t *ret_number)
{
        char *end;

        if (*text < '0' || *text > '9')
                return false;
        errno = 0;
        unsigned long long number = strtoull(text, &end, 10);
        if (*end || errno || number > max)
                return false;
        *ret_number = number;
        return true;
}

static bool read_seconds(const char *text, int64_t *ret_ms)
{
        char *end;
        double seconds = strtod(text, &end);

        if (end == text || *end || !(seconds >= 0 && seconds <= SECONDS_MAX))
                return false;
        *ret_ms = (int64_t)(seconds * 1000 + 0.5);
        return true;
}

/* One of two words; *ret_second tells whether it is the second. */
static bool read_choice(const char *text, const char *first, const char *second, bool *ret_second)
{
        if (strcmp(text, first) != 0 && strcmp(text, second) != 0)
                return false;
        *ret_second = strcmp(text, second) == 0;
        return true;
}

/* Takes one fault; its problem goes to text. */
static bool take_fault(struct sim_options *options, const char *spec,
                       char problem[static SIM_FAULT_PROBLEM_BYTES_MAX])
{
        struct sim_fault ignored;

        if (sim_fault_parse(spec, strlen(spec), &ignored, problem) < 0)
                return false;
        if (options->fault_count == SIM_FAULTS_MAX) {
                (void)snprintf(problem, SIM_FAULT_PROBLEM_BYTES_MAX, "there may be %d faults",
                               SIM_FAULTS_MAX);
                return false;
        }
        options->faults[options->fault_count++] = spec;
        return true;
}

/* Reads the value of a numeric option. Returns NULL, or what the option takes. */
static const char *take_number(struct sim_options *options, int code, const char *value)
{
        uint64_t number;
        bool second;

        switch (code) {
        case OPTION_PORT:
                if (!read_whole(value, UINT16_MAX, &number))
                        return "a port, 0 to 65535";
                options->port = (uint16_t)number;
                return NULL;
        case OPTION_API:
                if (!read_choice(value, "1", "2", &second))
                        return "1 or 2";
                options->api = second ? 2 : 1;
                return NULL;
        case OPTION_CONCURRENCY:
                if (!read_whole(value, CONCURRENCY_MAX, &number))
                        return "a number, 0 to 1000000";
                options->concurrency = (unsigned)number;
                return NULL;
        case OPTION_LATENCY:
                return read_seconds(value, &options->latency_ms) ? NULL : "seconds, 0 to 3600";
        case OPTION_JITTER:
                return read_seconds(value, &options->jitter_ms) ? NULL : "seconds, 0 to 3600";
        default:
                options->seeded = true;
                return read_whole(value, UINT64_MAX, &options->seed) ? NULL : "a number";
        }
}

/* Takes one option. Returns NULL, or what the option takes; problem holds what outlives the call.
 */
static const char *take_option(struct sim_options *options, int code, const char *value,
                               char problem[static SIM_FAULT_PROBLEM_BYTES_MAX])
{
        switch (code) {
        case OPTION_ADDRESS:
                options->address = value;
                return NULL;
        case OPTION_MODE:
                return read_choice(value, "free", "pro", &options->pro) ? NULL : "free or pro";
        case OPTION_UID:
                options->uid = value;
                return NULL;
        case OPTION_APIKEY:
                options->apikey = value;
                return NULL;
        case OPTION_FAULT:
                return take_fault(options, value, problem) ? NULL : problem;
        case OPTION_TLS_CERTIFICATE:
                options->tls_certificate = value;
                return NULL;
        case OPTION_TLS_KEY:
                options->tls_key = value;
                return NULL;
        case OPTION_QUIET:
                options->quiet = true;
                return NULL;
        default:
                return take_number(options, code, value);
        }
}

static enum sim_options_verdict check(const struct sim_options *options, int argc, char *argv[],
                                      char problem[static SIM_OPTIONS_PROBLEM_BYTES_MAX])
{
        if (optind < argc) {
                (void)snprintf(problem, SIM_OPTIONS_PROBLEM_BYTES_MAX, "'%.80s' is not an option",
                               argv[optind]);
                return SIM_OPTIONS_WRONG;
        }
        if (!options->tls_certificate != !options->tls_key) {
                (void)snprintf(problem, SIM_OPTIONS_PROBLEM_BYTES_MAX,
                               "--tls-certificate and --tls-key go together");
                return SIM_OPTIONS_WRONG;
        }
        return SIM_OPTIONS_RUN;
}

enum sim_options_verdict sim_options_parse(int argc, char *argv[], struct sim_options *ret_options,
                                           char problem[static SIM_OPTIONS_PROBLEM_BYTES_MAX])
{
        struct sim_options options = {
                .address = "127.0.0.1",
                .api = 1,
                .latency_ms = DEFAULT_LATENCY_MS,
        };
        char fault_problem[SIM_FAULT_PROBLEM_BYTES_MAX];
        int code, index = 0;

        while ((code = getopt_long(argc, argv, ":hV", long_options, &index)) != -1) {
                if (code == 'h')
                        return SIM_OPTIONS_HELP;
                if (code == 'V')
                        return SIM_OPTIONS_VERSION;
                if (code == '?' || code == ':') {
                        (void)snprintf(problem, SIM_OPTIONS_PROBLEM_BYTES_MAX, "'%.80s' %s",
                                       argv[optind - 1],
                                       code == ':' ? "needs a value" : "is not an option");
                        return SIM_OPTIONS_WRONG;
                }
                const char *expected = take_option(&options, code, optarg, fault_problem);
                if (expected) {
                        (void)snprintf(problem, SIM_OPTIONS_PROBLEM_BYTES_MAX,
                                       "--%s: '%.40s' is wrong: %s", long_options[index].name,
                                       optarg, expected);
                        return SIM_OPTIONS_WRONG;
                }
        }
        enum sim_options_verdict verdict = check(&options, argc, argv, problem);
        if (verdict == SIM_OPTIONS_RUN)
                *ret_options = options;
        return verdict;
}
