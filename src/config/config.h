/*
 * config: solvegate.conf, read by libconfig through one table of keys.
 *
 * The table (config_keys.c) has a row for each key: name, type, default, bounds, and a sentence.
 * It feeds the reader, the check of unknown keys, and the test that the sample configuration and
 * docs/configuration.md name every key with its default and bounds.
 *
 * A struct config is immutable once loaded: any thread may read it. Times are in milliseconds
 * here, in seconds in the file.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_H
#define SOLVEGATE_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

struct config_listen {
        char *address; /* an IPv4 or IPv6 address; not of the loopback interface only with clients
                        */
        int port;      /* 0: the kernel chooses */
        struct {
                char *certificate; /* absolute paths to files in PEM; NULL: plain HTTP */
                char *key;
        } tls;
};

struct config_upstream {
        char *name;
        char *url;        /* scheme, host and port; no path, no trailing slash */
        int api;          /* generation, 1 or 2 */
        char *credential; /* its name, see credential.h */
        int max_in_flight;
        int priority; /* the lowest is used first */
        char *ca;     /* file of trusted certificates, or NULL for the system's */
};

struct config_strings {
        char **items;
        size_t count;
};

/* An entry of an allow-list: a text in the file, or a group. */
struct config_site {
        char *site;       /* a site pattern */
        char *note;       /* why, for people; or NULL */
        int64_t until_ms; /* wall clock: allowed before this moment; 0: for ever */
};

struct config_sites {
        struct config_site *items;
        size_t count;
};

#define CONFIG_WORKERS_MAX 64 /* the most that workers may be */

#define CONFIG_CONNECTIONS_MAX 1000000 /* the most that limits.connections may be */

#define CONFIG_SOCKET_BYTES_MAX 107 /* of sockaddr_un.sun_path, without its NUL */

/* So much of a token_sha256 tells its token from all others. */
#define CONFIG_TOKEN_KEY_BYTES 8

/* How to mend a token_sha256 that is none. */
#define CONFIG_TOKEN_CURE                                                                          \
        "write the 64 hexadecimal digits that solvegatectl token new NAME prints, or token hash "  \
        "for a token that there is already"

struct config_client {
        char *name;
        char *token_sha256; /* 64 hexadecimal digits */
        int weight;
        /* of the rest, what was left out is 0 or NULL: there is no such limit */
        int max_in_flight;
        double rate; /* jobs in a second */
        int burst;   /* valid with rate */
        int daily_limit;
        int monthly_limit;
        struct {
                struct config_sites allow; /* none: all that the global list allows */
        } sites;
        int64_t until_ms; /* wall clock: the token is good before this moment */
};

enum config_durability {
        DURABILITY_FULL, /* what was promised survives a crash of the machine */
        DURABILITY_NONE, /* nothing is on disk */
};

/* What becomes of a job that was being sent when the daemon died. */
enum config_on_unknown {
        ON_UNKNOWN_FAIL,  /* it ends as outcome_unknown */
        ON_UNKNOWN_RETRY, /* it is sent again, and may be charged twice */
};

struct config {
        char *file; /* the path it was read from */
        struct config_listen *listen;
        size_t listen_count;
        struct config_strings server_names;
        struct config_strings origins; /* of web pages, as browsers write them */
        struct {
                char *socket;       /* absolute */
                bool socket_wanted; /* it must be there: the file says something on it */
                char *socket_mode;  /* octal digits */
                char *socket_group; /* or NULL: the process's own */
                char *address;      /* of the loopback interface, or NULL: no admin listener */
                int port;           /* 0: the kernel chooses; valid with address */
        } admin;
        int workers;
        char *state_directory; /* absolute; it need not exist */
        int durability;        /* enum config_durability */
        struct config_upstream *upstreams;
        size_t upstreams_count;
        struct {
                struct config_sites allow;
        } sites;
        struct config_client *clients;
        size_t clients_count;
        struct {
                int64_t solve_hold_ms;
                int64_t status_hold_ms;
        } answers;
        struct {
                int64_t ttl_ms;
                int64_t bytes; /* ceiling for the memory of final results */
                bool share;    /* identical jobs share one upstream request and its result */
        } results;
        struct {
                int attempts;       /* how often a job is sent at most */
                int64_t base_ms;    /* the longest pause before the first retry */
                int64_t cap_ms;     /* the longest pause before any */
                int on_unknown;     /* enum config_on_unknown */
                int64_t probe_ms;   /* the pause before an upstream that failed is probed */
                int64_t recheck_ms; /* the same for one that refuses the account */
        } retry;
        struct {
                int64_t first_ms;
                int64_t interval_ms;
                int64_t cap_ms;
                int64_t balance_ms;
        } poll;
        struct {
                int queue_jobs;
                int64_t queue_bytes;
                int64_t body_bytes;
                int images;
                int connections;
                int connections_per_address;
                int64_t header_timeout_ms;
                int64_t body_timeout_ms;
                int64_t job_deadline_ms;
                int64_t drain_timeout_ms;
        } limits;
        struct {
                char *file; /* absolute */
        } audit;
        struct {
                int level;  /* enum log_level */
                int format; /* enum log_format */
        } log;
};

/*
 * Reads and checks the file. On failure returns a negative errno, leaves *ret_config untouched,
 * and writes one line to problem: `FILE:LINE: what is wrong; how to mend it`.
 */
int config_load(const char *file, struct config **ret_config, struct strbuf *problem);

/* Frees. Takes NULL. */
void config_free(struct config *config);

/* Copies to a zeroed struct, which config_strings_free() frees in any case. Returns 0 or -ENOMEM.
 */
int config_strings_copy(const struct config_strings *from, struct config_strings *to);
void config_strings_free(struct config_strings *strings);

/*
 * Names to told() each key, as `limits.queue_jobs` or `listen[0].port`, in which loaded differs
 * from running and which takes a restart to change, by the rows of the table.
 */
void config_compare(const struct config *running, const struct config *loaded,
                    void (*told)(void *arg, const char *key), void *arg);

/*
 * Names each key that reloads and in which merged differs from running; a list as a whole. merged
 * is what config_merge() made of it.
 */
void config_changed(const struct config *running, const struct config *merged,
                    void (*told)(void *arg, const char *key), void *arg);

/*
 * Makes what is in force once loaded has replaced running: of the keys that reload what is loaded,
 * of those that config_compare() tells what is running. The caller frees it, which has nothing in
 * common with the two. Returns 0 or -ENOMEM.
 */
int config_merge(const struct config *running, const struct config *loaded,
                 struct config **ret_merged);

/*
 * The configuration in force, which main replaces at a reload. Do not keep what config_get()
 * returns, nor a pointer into it, beyond the current event of the loop: a reload frees it
 * afterwards. Thread: any that main tells about reloads.
 */
struct config_in_force {
        _Atomic(const struct config *) config;
};

const struct config *config_get(const struct config_in_force *in_force);
void config_put(struct config_in_force *in_force, const struct config *config);

/* The table, for tests and documents. */
enum config_type {
        CONFIG_INT,     /* int */
        CONFIG_NUMBER,  /* double; an integer or a float in the file */
        CONFIG_BYTES,   /* int64_t */
        CONFIG_SECONDS, /* int64_t in milliseconds; an integer or a float in the file */
        CONFIG_STRING,  /* char *, NULL when absent and without default */
        CONFIG_DATE, /* int64_t, the moment at which that day is over (UTC, in ms); "2027-01-31" */
        CONFIG_BOOL, /* bool */
        CONFIG_CHOICE,  /* int: the index in choices */
        CONFIG_STRINGS, /* struct config_strings: an array or a list of strings */
        CONFIG_GROUP,   /* keys of its own, in the same struct */
        CONFIG_LIST,    /* groups: a pointer to structs and a size_t behind it */
};

struct config_key {
        const char *name;
        enum config_type type;
        size_t offset;                 /* in the struct of the row's level */
        const char *default_text;      /* as it would stand in the file; NULL: required;
                                          "": the field, or those of a CONFIG_GROUP, are left
                                          NULL or zero */
        const char *example;           /* as it would stand in the file; NULL: the default */
        double min, max;               /* numbers: the value; dates: the year; strings and
                                          lists: the length */
        const char *const *choices;    /* CONFIG_CHOICE: NULL-terminated */
        const struct config_key *keys; /* CONFIG_GROUP and CONFIG_LIST: up to a NULL name */
        size_t element_bytes;          /* CONFIG_LIST */
        const char *shorthand;         /* CONFIG_LIST: an element may be a text in place of a group,
                                          which stands for a group with this key; an array of such
                                          texts will do too. NULL: groups only */
        const char *length_cure;       /* CONFIG_STRING: how to mend one that is too long or short;
                                          NULL: the bounds say it */
        bool reloads;                  /* a change takes effect by SIGHUP; so do all keys below */
        const char *help;              /* one sentence */
};

/* The top level, up to a row whose name is NULL. */
extern const struct config_key config_keys[];

#endif
