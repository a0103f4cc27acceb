/*
 * warnings: what a configuration allows and is yet unwise, or has no effect, or soon will not have;
 * and which certificates its listeners show.
 */
#ifndef SOLVEGATE_DAEMON_WARNINGS_H
#define SOLVEGATE_DAEMON_WARNINGS_H

#include <stddef.h>

struct config;
struct tls_identity;

/* Logs them, one line each; a certificate's own line is information. identities are those of its
 * listeners. */
void warnings_log(const struct config *config, struct tls_identity *const *identities);

/* Warns where the limit of open files is lower than what the configuration may need. */
void warnings_log_files(const struct config *config, size_t file_limit);

#endif
