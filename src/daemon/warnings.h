/*
 * warnings: what a configuration allows and is yet unwise, or has no effect, or soon will not have;
 * and which certificates its listeners show.
 */
#ifndef SOLVEGATE_DAEMON_WARNINGS_H
#define SOLVEGATE_DAEMON_WARNINGS_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct credential;
struct files;
struct tls_identity;

#define WARNINGS_KEPT_MAX 8

enum warning_grade {
        WARNING_NOTE,   /* as it is, for as long as somebody wants it so */
        WARNING_URGENT, /* tools fail, or soon will, unless somebody does something */
};

/* What was found. Zero, but for what is said, at first; warnings_done() frees. */
struct warnings {
        bool logs;                      /* said at first: each is a line of the log, too */
        char *texts[WARNINGS_KEPT_MAX]; /* the urgent ones, then the others; as many as fit */
        size_t kept, urgent_kept;
        size_t count, urgent; /* how many there were */
};

void warnings_add(struct warnings *found, enum warning_grade grade, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/*
 * Adds what there is to say of a configuration. Where it is logged, so is what each certificate is,
 * as information. identities are those of its listeners. Thread: main.
 */
void warnings_find(struct warnings *found, const struct config *config,
                   struct tls_identity *const *identities);

/* Adds that the limit of open files leaves tools fewer connections than limits.connections. */
void warnings_find_files(struct warnings *found, const struct config *config,
                         const struct files *files);

/*
 * Adds which upstreams are one account at the service. credentials are those of all upstreams, in
 * order.
 */
void warnings_find_accounts(struct warnings *found, const struct config *config,
                            struct credential *const *credentials);

/* Adds what another one has kept, as notes. */
void warnings_add_notes(struct warnings *found, const struct warnings *notes);

/* Logs those that are urgent. */
void warnings_log_urgent(const struct warnings *found);

/* What there is no memory for is counted, and not kept. The copy logs nothing. */
void warnings_copy(const struct warnings *found, struct warnings *ret_copy);

void warnings_done(struct warnings *found);

#endif
