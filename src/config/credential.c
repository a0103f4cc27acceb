/*
 * credential: see credential.h.
 *
 * What cannot be wiped: libconfig's scanner copies the text it reads and collects each string in
 * a buffer of its own, and frees both as they are; pieces of the values may stay on the heap until
 * the allocator hands those blocks out again. They are as safe there as the process is, which
 * the daemon keeps from being dumped or traced. What libconfig keeps as settings is wiped here.
 */
#include "config/credential.h"

#include "base/file.h"
#include "base/secret_search.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "config/config.h"
#include "config/config_scan.h"
#include "config/permissions.h"
#include "config/problem.h"

#include <errno.h>
#include <libconfig.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX       4096
#define UID_REDACT_BYTES_MIN 4
#define EXAMPLE              "uid = \"...\"; apikey = \"...\";"

_Static_assert(CREDENTIAL_VALUE_BYTES_MAX - 1 == SECRET_SEARCH_BYTES_MAX,
               "any key is searched for");

/* Lies alone in pages of its own, read-only once it is loaded. */
struct credential {
        char uid[CREDENTIAL_VALUE_BYTES_MAX];
        char apikey[CREDENTIAL_VALUE_BYTES_MAX];
        struct secret_pattern apikey_pattern;
};

/* Where a credential comes from, and where its problems go. */
struct origin {
        char path[PATH_MAX];
        bool granted; /* from $CREDENTIALS_DIRECTORY */
        struct strbuf *problem;
};

static struct credential *allocate(void)
{
        struct credential *credential = mmap(NULL, sizeof *credential, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (credential == MAP_FAILED)
                return NULL;
        /* As far as the kernel and RLIMIT_MEMLOCK allow: without them it works all the same. */
        (void)mlock(credential, sizeof *credential);
        (void)madvise(credential, sizeof *credential, MADV_DONTDUMP);
        (void)madvise(credential, sizeof *credential, MADV_WIPEONFORK);
        return credential;
}

void credential_free(struct credential *credential)
{
        if (!credential)
                return;
        if (mprotect(credential, sizeof *credential, PROT_READ | PROT_WRITE) == 0)
                explicit_bzero(credential, sizeof *credential);
        (void)munmap(credential, sizeof *credential);
}

static int refuse(const struct origin *origin, int error, const char *why)
{
        problem_write(origin->problem, origin->path, 0, "%s", why);
        return error;
}

static int refuse_at(const struct origin *origin, size_t line, const char *why)
{
        problem_write(origin->problem, origin->path, line, "%s", why);
        return -EINVAL;
}

static int check_name(const char *name, const char *config_file, const struct origin *origin)
{
        if (name[0] != '\0' && name[0] != '.' && !strchr(name, '/'))
                return 0;
        problem_write(origin->problem, config_file, 0,
                      "the credential name \"%.80s\" is no file name; write a name without "
                      "slash and leading dot",
                      name);
        return -EINVAL;
}

static bool is_there(const char *path)
{
        return access(path, F_OK) == 0 || errno != ENOENT;
}

/*
 * A credential of systemd: the file NAME, or else credentials_NAME, as it is called where
 * LoadCredential= names a whole directory under the ID "credentials" (systemd.exec(5)). Where
 * neither is there, NAME is what a message speaks of.
 */
static int locate_granted(const char *directory, const char *name, struct origin *origin)
{
        static const char *const prefixes[] = {"", "credentials_", ""};
        int len = 0;

        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
                len = snprintf(origin->path, sizeof origin->path, "%s/%s%s", directory, prefixes[i],
                               name);
                if (len < 0 || (size_t)len >= sizeof origin->path || is_there(origin->path))
                        break;
        }
        return len;
}

/* Writes the file's path. The name must not lead out of the directory. */
static int locate(const char *name, const char *config_file, struct origin *origin)
{
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        const char *slash = strrchr(config_file, '/');
        int len, r = check_name(name, config_file, origin);

        if (r < 0)
                return r;
        origin->granted = directory && directory[0] != '\0';
        if (origin->granted)
                len = locate_granted(directory, name, origin);
        else
                len = snprintf(origin->path, sizeof origin->path, "%.*scredentials/%s",
                               slash ? (int)(slash - config_file + 1) : 0, config_file, name);
        if (len < 0 || (size_t)len >= sizeof origin->path)
                return refuse(origin, -ENAMETOOLONG,
                              "the path of the credential file is too long; use a shorter one");
        return 0;
}

static int check_mode(const struct origin *origin, mode_t mode)
{
        mode_t others = origin->granted ? S_IRWXO : S_IRWXG | S_IRWXO;

        if (!(mode & others & (S_IRGRP | S_IROTH | S_IWGRP | S_IWOTH)))
                return 0;
        problem_write(origin->problem, origin->path, 0,
                      "others than its owner can %s it (mode %04o); run: chmod 600 %s",
                      mode & others & (S_IRGRP | S_IROTH) ? "read" : "write",
                      (unsigned)(mode & 07777), origin->path);
        return -EACCES;
}

static int refuse_read(const struct origin *origin, int error)
{
        if (origin->granted && error == ENOENT)
                return refuse(origin, -error,
                              "systemd has passed no such credential; put the file into the "
                              "directory that LoadCredential= names, /etc/solvegate/credentials "
                              "unless it was changed, and restart");
        if (error == ENOENT || error == ENOTDIR)
                return refuse(origin, -error,
                              "the credential file does not exist; create it with " EXAMPLE
                              " and mode 600");
        if (error == EACCES)
                return refuse(origin, -error,
                              "the credential file cannot be read by this user; make the user its "
                              "owner");
        if (error == EISDIR)
                return refuse(origin, -error,
                              "is a directory, not a credential file; name a file in it");
        if (error == EINVAL)
                return refuse(origin, -error,
                              "is no regular file; write the credential to a file on disk");
        if (error == EFBIG)
                return refuse(origin, -error,
                              "is larger than 4 KiB; a credential file holds only " EXAMPLE);
        return refuse(origin, -error,
                      "the credential file cannot be opened; see that it is a readable file");
}

/* Reads the file as a string. */
static int read_file(const struct origin *origin, struct file *ret_file)
{
        int r = file_read(origin->path, FILE_BYTES_MAX, ret_file);

        if (r < 0)
                return refuse_read(origin, -r);
        r = check_mode(origin, ret_file->status.st_mode);
        if (r == 0)
                r = permissions_check_parents(origin->path, origin->problem);
        if (r < 0)
                return r;
        if (strlen(ret_file->bytes) != ret_file->len)
                return refuse(origin, -EINVAL, "holds a NUL byte; write it as plain text");
        /* libconfig would open other files, and end the process at a directory. */
        if (strstr(ret_file->bytes, "@include"))
                return refuse(origin, -EINVAL,
                              "holds @include, which a credential file may not; write " EXAMPLE);
        return 0;
}

static const char *value_problem(const char *value)
{
        size_t len = strlen(value);

        if (len == 0)
                return "is empty; write the value the vendor gave out";
        if (len >= CREDENTIAL_VALUE_BYTES_MAX)
                return "is longer than 511 bytes; write the value the vendor gave out";
        for (const char *c = value; *c; c++)
                if (*c <= 0x20 || *c >= 0x7f || *c == '"' || *c == '\\')
                        return "holds a space, quote, backslash, control character or non-ASCII "
                               "byte; write visible ASCII only";
        return NULL;
}

/* Reads one setting. Problems name the key, never its value. */
static int take_value(const struct origin *origin, const config_setting_t *setting,
                      struct credential *credential)
{
        const char *name = config_setting_name(setting);
        char *field = NULL;

        if (strcmp(name, "uid") == 0)
                field = credential->uid;
        else if (strcmp(name, "apikey") == 0)
                field = credential->apikey;
        if (!field)
                return refuse_at(origin, setting->line,
                                 "an unknown key; a credential file holds only " EXAMPLE);
        if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
                problem_write(origin->problem, origin->path, setting->line,
                              "%s is no text; write %s = \"...\"; with double quotes", name, name);
                return -EINVAL;
        }
        const char *value = config_setting_get_string(setting);
        const char *problem = value_problem(value);
        if (problem) {
                problem_write(origin->problem, origin->path, setting->line, "%s %s", name, problem);
                return -EINVAL;
        }
        memcpy(field, value, strlen(value) + 1);
        return 0;
}

static int take_values(const struct origin *origin, const config_t *tree,
                       struct credential *credential)
{
        const config_setting_t *root = config_root_setting(tree);
        int r = 0;

        for (int i = 0; i < config_setting_length(root) && r == 0; i++)
                r = take_value(origin, config_setting_get_elem(root, (unsigned)i), credential);
        if (r == 0 && credential->apikey[0] == '\0')
                return refuse_at(origin, 1, "has no apikey; add apikey = \"...\";");
        return r;
}

/* config_destroy() frees the texts as they are. */
static void wipe_setting(config_setting_t *setting)
{
        if (config_setting_type(setting) == CONFIG_TYPE_STRING && setting->value.sval)
                explicit_bzero(setting->value.sval, strlen(setting->value.sval));
        if (config_setting_is_number(setting))
                explicit_bzero(&setting->value, sizeof setting->value);
        if (!config_setting_is_aggregate(setting))
                return;
        for (int i = 0; i < config_setting_length(setting); i++)
                wipe_setting(config_setting_get_elem(setting, (unsigned)i));
}

static int refuse_syntax(const struct origin *origin, size_t line)
{
        return refuse_at(origin, line > 0 ? line : 1,
                         "is not understood here; write " EXAMPLE " and each key once");
}

/*
 * Refuses what libconfig would alter, or keep a copy of that is never freed (config_scan). What the
 * scan says is not told: it may quote the value.
 */
static int scan_text(const struct origin *origin, const char *text)
{
        struct config_scan scan;
        int r = 0;

        config_scan_init(&scan, false, CONFIG_TOKEN_START);
        while (*text != '\0' && r == 0) {
                size_t len = strcspn(text, "\n");
                r = config_scan_line(&scan, text, len);
                text += len + (text[len] == '\n');
        }
        if (r == 0)
                r = config_scan_end(&scan);
        if (r < 0)
                r = refuse_syntax(origin, scan.problem_line);
        explicit_bzero(&scan, sizeof scan);
        return r;
}

static int parse(const struct origin *origin, const char *text, struct credential *credential)
{
        config_t tree;
        int r = scan_text(origin, text);

        if (r < 0)
                return r;
        config_init(&tree);
        if (config_read_string(&tree, text) == CONFIG_TRUE)
                r = take_values(origin, &tree, credential);
        else
                r = refuse_syntax(origin, (size_t)config_error_line(&tree));
        if (config_root_setting(&tree))
                wipe_setting(config_root_setting(&tree));
        config_destroy(&tree);
        return r;
}

int credential_load(const char *name, const char *config_file, struct credential **ret_credential,
                    struct strbuf *problem)
{
        struct origin origin = {.problem = problem};
        struct file file = {0};
        int r = locate(name, config_file, &origin);

        if (r < 0)
                return r;
        struct credential *credential = allocate();
        if (!credential)
                return refuse(&origin, -ENOMEM, "no memory to hold it; free some and try again");
        r = read_file(&origin, &file);
        if (r == 0)
                r = parse(&origin, file.bytes + utf8_bom(file.bytes, file.len), credential);
        file_done(&file);
        if (r < 0) {
                credential_free(credential);
                return r;
        }
        secret_pattern_init(&credential->apikey_pattern, credential->apikey);
        (void)mprotect(credential, sizeof *credential, PROT_READ);
        *ret_credential = credential;
        return 0;
}

int credentials_load(const struct config *config, struct credential ***ret_credentials,
                     struct strbuf *problem)
{
        size_t count = config->upstreams_count;
        struct credential **credentials = calloc(count, sizeof(struct credential *));
        int r = credentials ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < count; i++)
                r = credential_load(config->upstreams[i].credential, config->file, &credentials[i],
                                    problem);
        if (r < 0) {
                credentials_free(credentials, count);
                return r;
        }
        *ret_credentials = credentials;
        return 0;
}

void credentials_free(struct credential **credentials, size_t count)
{
        for (size_t i = 0; credentials && i < count; i++)
                credential_free(credentials[i]);
        free(credentials);
}

const char *credential_uid(const struct credential *credential)
{
        return credential->uid;
}

const char *credential_apikey(const struct credential *credential)
{
        return credential->apikey;
}

/* What follows a value's NUL is zero in both. */
bool credential_equal(const struct credential *a, const struct credential *b)
{
        if (!a || !b)
                return a == b;
        int uid = CRYPTO_memcmp(a->uid, b->uid, sizeof a->uid);
        int apikey = CRYPTO_memcmp(a->apikey, b->apikey, sizeof a->apikey);
        return (uid | apikey) == 0;
}

int credential_same_account(const struct credential *a, const struct credential *b)
{
        if (!a || !b || a->uid[0] == '\0' || b->uid[0] == '\0')
                return -1;
        return CRYPTO_memcmp(a->uid, b->uid, sizeof a->uid) == 0;
}

bool credential_same_key(const struct credential *a, const struct credential *b)
{
        return a && b && CRYPTO_memcmp(a->apikey, b->apikey, sizeof a->apikey) == 0;
}

/* ---- what must not be seen ---- */

/* A search of both credentials. It reads text and overwrites copy, unless that is NULL. */
typedef size_t search_fn(const struct credential *credential, const char *text, size_t len,
                         char *copy);

static size_t search_key(const struct credential *credential, const char *text, size_t len,
                         char *copy)
{
        return secret_search(&credential->apikey_pattern, text, len, copy);
}

static bool is_word_byte(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || (unsigned char)c >= 0x80;
}

static bool is_word(const char *text, size_t len, size_t start, size_t end)
{
        return (start == 0 || !is_word_byte(text[start - 1])) &&
               (end == len || !is_word_byte(text[end]));
}

static size_t search_uid(const struct credential *credential, const char *text, size_t len,
                         char *copy)
{
        const char *uid = credential->uid, *next = text, *place;
        size_t uid_len = strlen(uid), places = 0;

        if (uid_len < UID_REDACT_BYTES_MIN || len < uid_len)
                return 0;
        while ((place = memmem(next, len - (size_t)(next - text), uid, uid_len))) {
                size_t start = (size_t)(place - text);
                next = place + 1;
                if (!is_word(text, len, start, start + uid_len))
                        continue;
                places++;
                if (copy)
                        memset(copy + start, '*', uid_len);
        }
        return places;
}

static size_t search_key_and_uid(const struct credential *credential, const char *text, size_t len,
                                 char *copy)
{
        return search_key(credential, text, len, copy) + search_uid(credential, text, len, copy);
}

static size_t search_both(search_fn *search, const struct credential *credential,
                          const struct credential *other, const char *text, size_t len, char *copy)
{
        return search(credential, text, len, copy) + (other ? search(other, text, len, copy) : 0);
}

static size_t redact(search_fn *search, const struct credential *credential,
                     const struct credential *other, char *text, size_t len)
{
        size_t places = search_both(search, credential, other, text, len, NULL);

        if (places == 0)
                return 0;
        char *unchanged = malloc(len);
        if (!unchanged) {
                memset(text, '*', len);
                return places;
        }
        memcpy(unchanged, text, len);
        (void)search_both(search, credential, other, unchanged, len, text);
        explicit_bzero(unchanged, len);
        free(unchanged);
        return places;
}

bool credential_occurs(const struct credential *credential, const struct credential *other,
                       const char *text, size_t len)
{
        return search_both(search_key, credential, other, text, len, NULL) > 0;
}

size_t credential_redact(const struct credential *credential, const struct credential *other,
                         char *text, size_t len)
{
        return redact(search_key, credential, other, text, len);
}

size_t credential_redact_message(const struct credential *credential,
                                 const struct credential *other, char *text, size_t len)
{
        return redact(search_key_and_uid, credential, other, text, len);
}
