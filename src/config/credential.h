/*
 * credential: the upstream's uid and API key, read from a file that only its owner can read.
 *
 * The file is libconfig text: `uid = "…"; apikey = "…";` (uid may be left out). It is
 * `$CREDENTIALS_DIRECTORY/NAME` when that variable is set, as systemd does (systemd.exec(5),
 * LoadCredential=), or `credentials_NAME` there where that is missing, which is what it is called
 * when the whole directory was passed as "credentials"; else `credentials/NAME` beside the
 * configuration file.
 *
 * The values lie in memory that is locked, left out of core dumps and wiped when freed.
 * Immutable after loading, so any thread may read one; never log, answer or format one.
 */
#ifndef SOLVEGATE_CONFIG_CREDENTIAL_H
#define SOLVEGATE_CONFIG_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>

#define CREDENTIAL_VALUE_BYTES_MAX 512

struct config;
struct credential;
struct strbuf;

/*
 * Loads the credential NAME for the configuration file config_file. On failure returns a negative
 * errno, leaves *ret_credential untouched, and writes one line to problem: `FILE[:LINE]: what is
 * wrong; how to mend it`, which never holds the file's content.
 *
 * Refused: a name with a slash or a leading dot, a file that others than its owner can read (for
 * $CREDENTIALS_DIRECTORY only the bits of "others" count: systemd grants the service by an ACL,
 * whose mask shows in the group bits), one that is not a regular file or larger than 4 KiB,
 * unknown keys, a value that is empty, longer than CREDENTIAL_VALUE_BYTES_MAX - 1, or not made of
 * visible ASCII without quote and backslash (it becomes a header field value, RFC 9110 5.5).
 */
int credential_load(const char *name, const char *config_file, struct credential **ret_credential,
                    struct strbuf *problem);

/* Wipes and frees. Takes NULL. */
void credential_free(struct credential *credential);

/* NUL-terminated, valid until credential_free(). uid is "" when the file has none. */
const char *credential_uid(const struct credential *credential);
const char *credential_apikey(const struct credential *credential);

/*
 * Whether both are the same, found out in a time that does not depend on where they differ. Takes
 * NULL, which is equal to NULL alone.
 */
bool credential_equal(const struct credential *a, const struct credential *b);

/* Whether both are of one account by their uids; -1: one of them has none, so it is not known.
 * Takes NULL, which has none. */
int credential_same_account(const struct credential *a, const struct credential *b);

/* Whether both have the same apikey, found out as credential_equal() does. Takes NULL, which has
 * none. */
bool credential_same_key(const struct credential *a, const struct credential *b);

/*
 * Whether the apikey of a credential, or of another one unless that is NULL, is in len bytes of
 * text from outside: an upstream may quote it. secret_search.h says in which forms it is found.
 * Keys shorter than 4 bytes are not searched for.
 */
bool credential_occurs(const struct credential *credential, const struct credential *other,
                       const char *text, size_t len);

/*
 * Overwrites it with '*' wherever it occurs. Returns how many places were overwritten. Without
 * memory, text that holds a key is overwritten as a whole.
 */
size_t credential_redact(const struct credential *credential, const struct credential *other,
                         char *text, size_t len);

/*
 * The same for a message that people read, where the uid is overwritten too, if it is a word of its
 * own and has at least 4 bytes. A uid is an account's name and often a short number, so
 * what is longer, such as the ID of a job, may hold it by chance.
 */
size_t credential_redact_message(const struct credential *credential,
                                 const struct credential *other, char *text, size_t len);

/*
 * Loads the credential of each upstream of a configuration, in order. On failure returns -errno and
 * writes one line to problem, but for -ENOMEM. The caller frees them with credentials_free().
 */
int credentials_load(const struct config *config, struct credential ***ret_credentials,
                     struct strbuf *problem);

/* Wipes and frees those that nobody took over (they are NULL then), and the array. Takes NULL. */
void credentials_free(struct credential **credentials, size_t count);

#endif
