/*
 * config_keys: the one table of keys. A row here is all that a new setting needs.
 */
#include "base/client_name.h"
#include "base/log.h"
#include "config/config.h"

#include <stddef.h>

#define TEXT_BYTES_MAX   1024
#define SHA256_HEX_CHARS 64

#define NUMBER(type_, name_, offset_, default_, min_, max_, help_)                                 \
        {                                                                                          \
                .name = (name_), .type = (type_), .offset = (offset_), .default_text = (default_), \
                .min = (min_), .max = (max_), .help = (help_)                                      \
        }

#define TEXT(name_, offset_, default_, example_, max_, help_)                                      \
        {                                                                                          \
                .name = (name_), .type = CONFIG_STRING, .offset = (offset_),                       \
                .default_text = (default_), .example = (example_), .min = 1, .max = (max_),        \
                .help = (help_)                                                                    \
        }

/* A number without which there is no such limit. */
#define LIMIT(type_, name_, offset_, example_, min_, max_, help_)                                  \
        {                                                                                          \
                .name = (name_), .type = (type_), .offset = (offset_), .default_text = "",         \
                .example = (example_), .min = (min_), .max = (max_), .help = (help_)               \
        }

#define DATE(name_, offset_, help_)                                                                \
        {                                                                                          \
                .name = (name_), .type = CONFIG_DATE, .offset = (offset_), .default_text = "",     \
                .example = "\"2027-01-31\"", .min = 1970, .max = 9999, .help = (help_)             \
        }

#define TEXTS(name_, offset_, example_, max_, reloads_, help_)                                     \
        {                                                                                          \
                .name = (name_), .type = CONFIG_STRINGS, .offset = (offset_),                      \
                .default_text = "[ ]", .example = (example_), .min = 0, .max = (max_),             \
                .reloads = (reloads_), .help = (help_)                                             \
        }

#define CHOICE(name_, offset_, default_, choices_, help_)                                          \
        {                                                                                          \
                .name = (name_), .type = CONFIG_CHOICE, .offset = (offset_),                       \
                .default_text = (default_), .choices = (choices_), .help = (help_)                 \
        }

#define TRUTH(name_, offset_, default_, help_)                                                     \
        {                                                                                          \
                .name = (name_), .type = CONFIG_BOOL, .offset = (offset_),                         \
                .default_text = (default_), .help = (help_)                                        \
        }

#define GROUP(name_, keys_, reloads_, help_)                                                       \
        {                                                                                          \
                .name = (name_), .type = CONFIG_GROUP, .default_text = "{ }", .keys = (keys_),     \
                .reloads = (reloads_), .help = (help_)                                             \
        }

/* A group without which its fields are not set. */
#define OPTION(name_, keys_, example_, reloads_, help_)                                            \
        {                                                                                          \
                .name = (name_), .type = CONFIG_GROUP, .default_text = "", .example = (example_),  \
                .keys = (keys_), .reloads = (reloads_), .help = (help_)                            \
        }

/* The entries of an allow-list: texts, or groups that say more. */
#define ALLOW(offset_, default_, min_, help_)                                                      \
        {                                                                                          \
                .name = "allow", .type = CONFIG_LIST, .offset = (offset_),                         \
                .default_text = (default_), .example = "[ \"staging.example.com\" ]",              \
                .min = (min_), .max = 10000, .keys = site_keys,                                    \
                .element_bytes = sizeof(struct config_site), .shorthand = "site", .help = (help_)  \
        }

#define END                                                                                        \
        {                                                                                          \
                .name = NULL                                                                       \
        }

/* The reader stores a list's count right behind its pointer. */
#define ASSERT_COUNT_BEHIND(struct_, items_, count_)                                               \
        _Static_assert(offsetof(struct_, count_) == offsetof(struct_, items_) + sizeof(void *),    \
                       #count_ " stands behind " #items_)

ASSERT_COUNT_BEHIND(struct config, listen, listen_count);
ASSERT_COUNT_BEHIND(struct config, upstreams, upstreams_count);
ASSERT_COUNT_BEHIND(struct config, clients, clients_count);
ASSERT_COUNT_BEHIND(struct config_sites, items, count);

static const struct config_key tls_keys[] = {
        TEXT("certificate", offsetof(struct config_listen, tls.certificate), NULL,
             "\"/etc/solvegate/tls/cert.pem\"", TEXT_BYTES_MAX,
             "A file with the certificate, and those between it and the root, in PEM."),
        TEXT("key", offsetof(struct config_listen, tls.key), NULL, "\"/etc/solvegate/tls/key.pem\"",
             TEXT_BYTES_MAX, "A file with its private key, in PEM, without a passphrase."),
        END,
};

static const struct config_key listen_keys[] = {
        TEXT("address", offsetof(struct config_listen, address), "\"127.0.0.1\"", NULL, 64,
             "An address of this machine, as a number; other than loopback only with clients."),
        NUMBER(CONFIG_INT, "port", offsetof(struct config_listen, port), "8118", 0, 65535,
               "The TCP port; 0 lets the kernel choose one."),
        OPTION("tls", tls_keys,
               "{ certificate = \"/etc/solvegate/tls/cert.pem\"; "
               "key = \"/etc/solvegate/tls/key.pem\"; }",
               true, "With what tools are spoken to over TLS; without it in clear text."),
        END,
};

static const struct config_key admin_keys[] = {
        TEXT("socket", offsetof(struct config, admin.socket), "\"/run/solvegate/admin.sock\"", NULL,
             CONFIG_SOCKET_BYTES_MAX,
             "The unix socket of solvegatectl; $RUNTIME_DIRECTORY comes before the default."),
        TEXT("socket_mode", offsetof(struct config, admin.socket_mode), "\"0600\"", NULL, 4,
             "Its mode, in octal: who may write to it may do all that solvegatectl does."),
        TEXT("socket_group", offsetof(struct config, admin.socket_group), "", "\"adm\"", 64,
             "Its group, by name; without it the daemon's own."),
        TEXT("address", offsetof(struct config, admin.address), "", "\"127.0.0.1\"", 64,
             "An address of the loopback interface for metrics and health, as a number."),
        NUMBER(CONFIG_INT, "port", offsetof(struct config, admin.port), "8119", 0, 65535,
               "Its TCP port; 0 lets the kernel choose one."),
        END,
};

static const struct config_key upstream_keys[] = {
        TEXT("name", offsetof(struct config_upstream, name), NULL, "\"pro\"", CLIENT_NAME_BYTES_MAX,
             "What the upstream is called in logs: letters, digits, _ . and -, "
             "unique."),
        TEXT("url", offsetof(struct config_upstream, url), NULL, "\"https://pro.nocaptchaai.com\"",
             512,
             "Scheme, host and, if need be, port, without a path; http only towards loopback."),
        NUMBER(CONFIG_INT, "api", offsetof(struct config_upstream, api), "1", 1, 2,
               "The generation of the upstream's API: 1 (/api/...) or 2 (/...)."),
        TEXT("credential", offsetof(struct config_upstream, credential), NULL, "\"nocaptchaai\"",
             64, "The name of the file with uid and apikey, see below."),
        NUMBER(CONFIG_INT, "max_in_flight", offsetof(struct config_upstream, max_in_flight), "10",
               1, 10000, "How many jobs the account may have in work at once."),
        NUMBER(CONFIG_INT, "priority", offsetof(struct config_upstream, priority), "0", 0, 1000,
               "The upstream with the lowest is used first."),
        TEXT("ca", offsetof(struct config_upstream, ca), "", "\"/etc/ssl/certs/own-ca.pem\"",
             TEXT_BYTES_MAX,
             "A file of trusted certificates in place of the system's, as an absolute path."),
        END,
};

static const struct config_key site_keys[] = {
        TEXT("site", offsetof(struct config_site, site), NULL, "\"staging.example.com\"", 255,
             "The site, as a site pattern."),
        TEXT("note", offsetof(struct config_site, note), "", "\"the shop's tests, ask Ann\"", 200,
             "Why it is on the list, for people."),
        DATE("expires", offsetof(struct config_site, until_ms),
             "The last day, by UTC, on which it is allowed."),
        END,
};

static const struct config_key sites_keys[] = {
        ALLOW(offsetof(struct config, sites.allow), "[ ]", 0,
              "The sites for which jobs are relayed, as site patterns; empty: every job is "
              "refused."),
        END,
};

static const struct config_key client_sites_keys[] = {
        ALLOW(offsetof(struct config_client, sites.allow), NULL, 1,
              "The client's own sites; a host must be on this list and on the list of all."),
        END,
};

static const struct config_key client_keys[] = {
        TEXT("name", offsetof(struct config_client, name), NULL, "\"ci\"", CLIENT_NAME_BYTES_MAX,
             "What the client is called in logs: letters, digits, _ . and -, unique."),
        {.name = "token_sha256",
         .type = CONFIG_STRING,
         .offset = offsetof(struct config_client, token_sha256),
         .example = "\"...\"",
         .min = SHA256_HEX_CHARS,
         .max = SHA256_HEX_CHARS,
         .length_cure = CONFIG_TOKEN_CURE,
         .help = "The SHA-256 of its token, in hexadecimal digits, unique."},
        NUMBER(CONFIG_INT, "weight", offsetof(struct config_client, weight), "1", 1, 1000,
               "Its share of the accounts while several clients' jobs wait, against theirs."),
        LIMIT(CONFIG_INT, "max_in_flight", offsetof(struct config_client, max_in_flight), "4", 1,
              10000, "How many of its jobs may be in work at once; more of them wait."),
        LIMIT(CONFIG_NUMBER, "rate", offsetof(struct config_client, rate), "5.0", 0.001, 10000,
              "How many jobs it may submit in a second, on average, joins and cache hits "
              "included."),
        NUMBER(CONFIG_INT, "burst", offsetof(struct config_client, burst), "10", 1, 100000,
               "How many of them may come at once; only with rate."),
        LIMIT(CONFIG_INT, "daily_limit", offsetof(struct config_client, daily_limit), "1000", 1,
              1000000000, "How many charged jobs it may have on a day, by UTC."),
        LIMIT(CONFIG_INT, "monthly_limit", offsetof(struct config_client, monthly_limit), "20000",
              1, 1000000000, "How many charged jobs it may have in a calendar month, by UTC."),
        OPTION("sites", client_sites_keys, "{ allow = [ \"staging.example.com\" ]; }", false,
               "Its own sites; without it, all that the list of all allows."),
        DATE("expires", offsetof(struct config_client, until_ms),
             "The last day, by UTC, on which its token is good."),
        END,
};

static const struct config_key answers_keys[] = {
        NUMBER(CONFIG_SECONDS, "solve_hold", offsetof(struct config, answers.solve_hold_ms), "10.0",
               0, 3600, "How long a solve request waits for the upstream's first answer."),
        NUMBER(CONFIG_SECONDS, "status_hold", offsetof(struct config, answers.status_hold_ms),
               "0.0", 0, 3600, "How long a status request waits for a final answer."),
        END,
};

static const struct config_key results_keys[] = {
        NUMBER(CONFIG_SECONDS, "ttl", offsetof(struct config, results.ttl_ms), "3600", 1, 604800,
               "How long a final result can be asked for."),
        NUMBER(CONFIG_BYTES, "bytes", offsetof(struct config, results.bytes), "67108864L", 1048576,
               68719476736.0,
               "How much memory final results may take; those that cost nothing go first, from the "
               "client that holds the most."),
        TRUTH("share", offsetof(struct config, results.share), "true",
              "Whether identical jobs of different clients share one upstream request and its "
              "result."),
        END,
};

static const char *const on_unknown_choices[] = {
        [ON_UNKNOWN_FAIL] = "fail",
        [ON_UNKNOWN_RETRY] = "retry",
        NULL,
};

static const struct config_key retry_keys[] = {
        NUMBER(CONFIG_INT, "attempts", offsetof(struct config, retry.attempts), "4", 1, 100,
               "How often a job is sent at most, as long as surely no try was taken."),
        NUMBER(CONFIG_SECONDS, "base", offsetof(struct config, retry.base_ms), "0.25", 0.01, 3600,
               "The longest pause before the first retry, doubled for each further one; at most "
               "retry.cap."),
        NUMBER(CONFIG_SECONDS, "cap", offsetof(struct config, retry.cap_ms), "10.0", 0.01, 3600,
               "The longest pause before any retry, unless the upstream asks for a longer one."),
        CHOICE("on_unknown", offsetof(struct config, retry.on_unknown), "\"fail\"",
               on_unknown_choices,
               "What becomes of a job that may have been charged, and has no result."),
        NUMBER(CONFIG_SECONDS, "probe", offsetof(struct config, retry.probe_ms), "2.0", 0.01, 3600,
               "The pause before an upstream that fails is asked for its balance, and then sent "
               "one job."),
        NUMBER(CONFIG_SECONDS, "recheck", offsetof(struct config, retry.recheck_ms), "60.0", 0.01,
               86400, "The same for an upstream that refuses the account."),
        END,
};

static const struct config_key poll_keys[] = {
        NUMBER(CONFIG_SECONDS, "first", offsetof(struct config, poll.first_ms), "0.5", 0.01, 3600,
               "When a queued job is first asked for upstream; at most poll.cap."),
        NUMBER(CONFIG_SECONDS, "interval", offsetof(struct config, poll.interval_ms), "1.0", 0.01,
               3600,
               "The pause before the second question, from where it grows; at most "
               "poll.cap."),
        NUMBER(CONFIG_SECONDS, "cap", offsetof(struct config, poll.cap_ms), "5.0", 0.01, 3600,
               "The longest pause between two questions."),
        NUMBER(CONFIG_SECONDS, "balance", offsetof(struct config, poll.balance_ms), "180.0", 0.1,
               86400, "How often each upstream is asked for its balance, from the start on."),
        END,
};

static const struct config_key limits_keys[] = {
        NUMBER(CONFIG_INT, "queue_jobs", offsetof(struct config, limits.queue_jobs), "10000", 1,
               1000000,
               "How many jobs may wait; while others fill the queue, a client below its share of "
               "it may go beyond."),
        NUMBER(CONFIG_BYTES, "queue_bytes", offsetof(struct config, limits.queue_bytes),
               "1073741824L", 1024, 68719476736.0,
               "How many bytes of bodies may be in memory: being received, waiting, or being "
               "sent."),
        NUMBER(CONFIG_BYTES, "body_bytes", offsetof(struct config, limits.body_bytes), "8388608",
               1024, 1000000000, "The largest body of a request; at most limits.queue_bytes."),
        NUMBER(CONFIG_INT, "images", offsetof(struct config, limits.images), "64", 1, 1000,
               "How many images a job may have."),
        NUMBER(CONFIG_INT, "connections", offsetof(struct config, limits.connections), "10000", 1,
               CONFIG_CONNECTIONS_MAX,
               "How many connections of tools are open at once; when all are in use, the client "
               "with the most makes room."),
        LIMIT(CONFIG_INT, "connections_per_address",
              offsetof(struct config, limits.connections_per_address), "1000", 1,
              CONFIG_CONNECTIONS_MAX,
              "The share of each client address once half of them are in use; without it a "
              "tenth of limits.connections, and no limit for loopback addresses."),
        NUMBER(CONFIG_SECONDS, "header_timeout", offsetof(struct config, limits.header_timeout_ms),
               "10.0", 0.1, 3600, "How long a request's header may take to arrive."),
        NUMBER(CONFIG_SECONDS, "body_timeout", offsetof(struct config, limits.body_timeout_ms),
               "60.0", 0.1, 3600,
               "How long a request's body may take to arrive, and a response to be read."),
        NUMBER(CONFIG_SECONDS, "job_deadline", offsetof(struct config, limits.job_deadline_ms),
               "120.0", 0.1, 86400,
               "After how long a job that is not final fails; the upstream must be able to answer "
               "in this time, and 10 seconds or less hide one that hangs."),
        NUMBER(CONFIG_SECONDS, "drain_timeout", offsetof(struct config, limits.drain_timeout_ms),
               "30.0", 0, 3600, "How long a stop waits for jobs that are under way."),
        END,
};

static const char *const durabilities[] = {
        [DURABILITY_FULL] = "full",
        [DURABILITY_NONE] = "none",
        NULL,
};

static const struct config_key audit_keys[] = {
        TEXT("file", offsetof(struct config, audit.file), "\"audit.jsonl\"", NULL, TEXT_BYTES_MAX,
             "The file of charges and refusals; relative to the state directory."),
        END,
};

static const char *const log_levels[] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARNING] = "warning",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
        NULL,
};

static const char *const log_formats[] = {
        [LOG_FORMAT_TEXT] = "text",
        [LOG_FORMAT_JSON] = "json",
        [LOG_FORMAT_JOURNAL] = "journal",
        NULL,
};

static const struct config_key log_keys[] = {
        CHOICE("level", offsetof(struct config, log.level), "\"info\"", log_levels,
               "The least important lines to write."),
        CHOICE("format", offsetof(struct config, log.format), "\"text\"", log_formats,
               "How a line is written: on standard error, or with its fields to the journal."),
        END,
};

const struct config_key config_keys[] = {
        {.name = "listen",
         .type = CONFIG_LIST,
         .offset = offsetof(struct config, listen),
         .default_text = "( { address = \"127.0.0.1\"; port = 8118; } )",
         .min = 1,
         .max = 16,
         .keys = listen_keys,
         .element_bytes = sizeof(struct config_listen),
         .help = "Where tools connect."},
        TEXTS("server_names", offsetof(struct config, server_names), "[ \"solve.example.com\" ]",
              1000, true,
              "Further host names by which tools reach this daemon; addresses and localhost "
              "always pass."),
        TEXTS("origins", offsetof(struct config, origins), "[ \"https://tools.example.com\" ]",
              1000, true,
              "The origins of pages, extensions and desktop shells that may call, as browsers "
              "write them."),
        GROUP("admin", admin_keys, false, "Where operators connect."),
        NUMBER(CONFIG_INT, "workers", offsetof(struct config, workers), "2", 1, CONFIG_WORKERS_MAX,
               "How many threads forward jobs and answer tools."),
        TEXT("state_directory", offsetof(struct config, state_directory), "\"/var/lib/solvegate\"",
             NULL, TEXT_BYTES_MAX,
             "The directory of what survives a restart; $STATE_DIRECTORY comes before the "
             "default."),
        CHOICE("durability", offsetof(struct config, durability), "\"full\"", durabilities,
               "Whether jobs and results survive a restart."),
        {.name = "upstreams",
         .type = CONFIG_LIST,
         .offset = offsetof(struct config, upstreams),
         .example = "( { name = \"pro\"; url = \"https://pro.nocaptchaai.com\"; "
                    "credential = \"nocaptchaai\"; } )",
         .min = 1,
         .max = 64,
         .keys = upstream_keys,
         .element_bytes = sizeof(struct config_upstream),
         .reloads = true,
         .help = "The accounts that jobs are sent to."},
        GROUP("sites", sites_keys, true, "Whose jobs are relayed."),
        {.name = "clients",
         .type = CONFIG_LIST,
         .offset = offsetof(struct config, clients),
         .default_text = "( )",
         .example = "( { name = \"ci\"; token_sha256 = \"...\"; } )",
         .min = 0,
         .max = 1000,
         .keys = client_keys,
         .element_bytes = sizeof(struct config_client),
         .reloads = true,
         .help = "Who may call, each with a token; none: everyone on this machine."},
        GROUP("answers", answers_keys, true, "How long answers are held."),
        GROUP("results", results_keys, true, "What is remembered of final jobs."),
        GROUP("retry", retry_keys, true, "When a job is sent again."),
        GROUP("poll", poll_keys, true, "How often the upstream is asked for a queued job."),
        GROUP("limits", limits_keys, true, "Ceilings."),
        GROUP("audit", audit_keys, false, "The trail of what was charged and what was refused."),
        GROUP("log", log_keys, true, "The log."),
        END,
};
