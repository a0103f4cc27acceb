/*
 * tls: see tls.h.
 *
 * libmicrohttpd gives every connection of a daemon the same credentials, for as long as the daemon
 * lives. A certificate is to be replaced while it runs, so each connection is given others when it
 * is opened (tls_begin), and those of the daemon hold nothing. libmicrohttpd ends a GnuTLS session
 * before it says that its connection is closed, so a reference that is kept until then is enough.
 */
#include "http/tls.h"

#include "base/address.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/config_date.h"
#include "config/problem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 262144

#define NAME_BYTES_MAX    256  /* 253 characters of a DNS name, and NUL */
#define NAME_SHOWN_BYTES  120  /* so that all that are shown fit a line of the log */
#define NAMES_COUNTED_MAX 1000 /* GnuTLS reads all of them for each one that is asked for */

#define FINGERPRINT_BYTES       32
#define FINGERPRINT_BYTES_SHOWN 8

/* 9999-12-31T23:59:59Z, which stands for no end (RFC 5280, 4.1.2.5). */
#define NO_END_S INT64_C(253402300799)

/*
 * Forward secrecy and authenticated encryption only, as RFC 9325 (4.2) recommends. Our order
 * counts, which begins with what clients send a key share for: another first choice would cost them
 * a round trip more.
 */
#define PRIORITIES                                                                                 \
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"                                               \
        ":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA"                                                         \
        ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"                              \
        ":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"                                \
        ":-MAC-ALL:+AEAD:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%SERVER_PRECEDENCE"

struct tls_identity {
        _Atomic unsigned references;
        gnutls_certificate_credentials_t credentials; /* read only, which sessions may share */
        gnutls_x509_crt_t certificate;                /* the first of the chain */
        int64_t until_ms;
};

/* ---- files ---- */

static int refuse(const char *path, struct strbuf *problem, int error, const char *why)
{
        problem_write(problem, path, 0, "%s", why);
        return error;
}

static int read_file(const char *path, struct file *ret_file, struct strbuf *problem)
{
        int r = file_read(path, FILE_BYTES_MAX, ret_file);

        if (r == -EISDIR || r == -EINVAL)
                return refuse(path, problem, -EINVAL, "is no regular file; name a file in PEM");
        if (r == -EFBIG)
                return refuse(path, problem, r,
                              "is larger than 256 KiB; name the certificate or key of this "
                              "listener alone");
        if (r < 0)
                problem_write(problem, path, 0, "cannot be read: %s; %s", strerror(-r),
                              r == -EACCES
                                      ? "give the user that solvegate runs as read permission on it"
                                      : "correct the path in listen.tls");
        return r;
}

/* ---- identities ---- */

/* What was read, as far as it came. */
struct pair {
        gnutls_x509_crt_t *chain;
        unsigned chain_count;
        gnutls_x509_privkey_t key;
};

static void pair_done(struct pair *pair)
{
        for (unsigned i = 0; i < pair->chain_count; i++)
                gnutls_x509_crt_deinit(pair->chain[i]); /* takes NULL */
        gnutls_free(pair->chain);
        if (pair->key)
                gnutls_x509_privkey_deinit(pair->key);
}

static int read_chain(const char *path, struct pair *pair, struct strbuf *problem)
{
        struct file file = {0};
        int r = read_file(path, &file, problem);

        if (r == 0) {
                const gnutls_datum_t datum = {(unsigned char *)file.bytes, (unsigned)file.len};
                int error = gnutls_x509_crt_list_import2(&pair->chain, &pair->chain_count, &datum,
                                                         GNUTLS_X509_FMT_PEM, 0);
                if (error < 0) {
                        /* Where it fails, there is nothing to free. */
                        pair->chain = NULL;
                        pair->chain_count = 0;
                        problem_write(problem, path, 0,
                                      "holds no certificate in PEM that can be read (%s); put the "
                                      "listener's certificate first, then its chain",
                                      gnutls_strerror(error));
                        r = -EINVAL;
                } else if (pair->chain_count > TLS_CHAIN_MAX) {
                        r = refuse(path, problem, -EINVAL,
                                   "holds more than 16 certificates; leave the listener's own and "
                                   "its chain");
                }
        }
        file_done(&file);
        return r;
}

static int check_key_mode(const char *path, mode_t mode, struct strbuf *problem)
{
        if (!(mode & (S_IROTH | S_IWOTH)))
                return 0;
        problem_write(problem, path, 0,
                      "everybody on this machine can %s the key (mode %04o); run: chmod o-rwx %s",
                      mode & S_IROTH ? "read" : "write", (unsigned)(mode & 07777), path);
        return -EACCES;
}

static int read_key(const char *path, struct pair *pair, struct strbuf *problem)
{
        struct file file = {0};
        int r = read_file(path, &file, problem);

        if (r == 0)
                r = check_key_mode(path, file.status.st_mode, problem);
        if (r == 0 && gnutls_x509_privkey_init(&pair->key) < 0)
                r = refuse(path, problem, -ENOMEM, "no memory to hold it; free some and try again");
        if (r == 0) {
                const gnutls_datum_t datum = {(unsigned char *)file.bytes, (unsigned)file.len};
                int error = gnutls_x509_privkey_import2(pair->key, &datum, GNUTLS_X509_FMT_PEM,
                                                        NULL, 0);
                if (error < 0) {
                        problem_write(
                                problem, path, 0,
                                "holds no key in PEM that can be read (%s); name a key without "
                                "a password",
                                gnutls_strerror(error));
                        r = -EINVAL;
                }
        }
        file_done(&file);
        return r;
}

static int64_t end_of(gnutls_x509_crt_t certificate)
{
        time_t end_s = gnutls_x509_crt_get_expiration_time(certificate);

        return (end_s == GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION ? NO_END_S : end_s) * 1000;
}

/* The identity takes its certificate out of the pair. */
static int match(const struct config_listen *config, struct pair *pair,
                 struct tls_identity *identity, struct strbuf *problem)
{
        int error = gnutls_certificate_set_x509_key(identity->credentials, pair->chain,
                                                    (int)pair->chain_count, pair->key);

        if (error >= 0) {
                identity->certificate = pair->chain[0];
                pair->chain[0] = NULL;
                identity->until_ms = end_of(identity->certificate);
                return 0;
        }
        if (error == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
                problem_write(problem, config->tls.certificate, 0,
                              "is not of the key in %s; name a certificate and the key that it was "
                              "made for",
                              config->tls.key);
        else
                problem_write(problem, config->tls.certificate, 0,
                              "cannot be used with the key in %s (%s); name another pair",
                              config->tls.key, gnutls_strerror(error));
        return error == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

int tls_identity_load(const struct config_listen *config, struct tls_identity **ret_identity,
                      struct strbuf *problem)
{
        struct tls_identity *identity = calloc(1, sizeof *identity);
        struct pair pair = {0};
        int r = 0;

        if (!identity || gnutls_certificate_allocate_credentials(&identity->credentials) < 0) {
                free(identity);
                return -ENOMEM;
        }
        atomic_init(&identity->references, 1);
        r = read_chain(config->tls.certificate, &pair, problem);
        if (r == 0)
                r = read_key(config->tls.key, &pair, problem);
        if (r == 0)
                r = match(config, &pair, identity, problem);
        pair_done(&pair);
        if (r < 0) {
                tls_identity_unref(identity);
                return r;
        }
        *ret_identity = identity;
        return 0;
}

struct tls_identity *tls_identity_ref(struct tls_identity *identity)
{
        (void)atomic_fetch_add(&identity->references, 1);
        return identity;
}

void tls_identity_unref(struct tls_identity *identity)
{
        if (!identity || atomic_fetch_sub(&identity->references, 1) > 1)
                return;
        gnutls_certificate_free_credentials(identity->credentials);
        gnutls_x509_crt_deinit(identity->certificate);
        free(identity);
}

int tls_identities_load(const struct config *config, struct tls_identity ***ret_identities,
                        struct strbuf *problem)
{
        struct tls_identity **identities = calloc(config->listen_count, sizeof *identities);
        int r = identities ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < config->listen_count; i++) {
                if (config->listen[i].tls.certificate)
                        r = tls_identity_load(&config->listen[i], &identities[i], problem);
        }
        if (r < 0) {
                tls_identities_free(identities, config->listen_count);
                return r;
        }
        *ret_identities = identities;
        return 0;
}

void tls_identities_free(struct tls_identity **identities, size_t count)
{
        for (size_t i = 0; identities && i < count; i++)
                tls_identity_unref(identities[i]);
        free(identities);
}

int64_t tls_identity_until_ms(const struct tls_identity *identity)
{
        return identity->until_ms;
}

/* ---- names ---- */

/*
 * Reads the alternative name at a place: a DNS name, or an address in numbers; "" is one of another
 * kind, by which no tool calls. Returns whether there is such a place.
 */
static bool read_name(const struct tls_identity *identity, unsigned place,
                      char ret_name[static NAME_BYTES_MAX])
{
        char bytes[NAME_BYTES_MAX] = "";
        size_t len = sizeof bytes;
        int kind = gnutls_x509_crt_get_subject_alt_name(identity->certificate, place, bytes, &len,
                                                        NULL);

        ret_name[0] = '\0';
        if (kind == GNUTLS_SAN_DNSNAME)
                memcpy(ret_name, bytes, strnlen(bytes, sizeof bytes - 1) + 1);
        else if (kind == GNUTLS_SAN_IPADDRESS && len == sizeof(struct in_addr))
                (void)inet_ntop(AF_INET, bytes, ret_name, NAME_BYTES_MAX);
        else if (kind == GNUTLS_SAN_IPADDRESS && len == sizeof(struct in6_addr))
                (void)inet_ntop(AF_INET6, bytes, ret_name, NAME_BYTES_MAX);
        return kind >= 0 || kind == GNUTLS_E_SHORT_MEMORY_BUFFER;
}

/* GnuTLS would look at the common name of a certificate without. */
static bool has_any_name(const struct tls_identity *identity)
{
        char name[NAME_BYTES_MAX];

        for (unsigned i = 0; i < NAMES_COUNTED_MAX && read_name(identity, i, name); i++) {
                if (name[0])
                        return true;
        }
        return false;
}

bool tls_identity_has_name(const struct tls_identity *identity, const char *host)
{
        struct in6_addr address;

        if (!address_parse(host, &address))
                return has_any_name(identity) &&
                       gnutls_x509_crt_check_hostname(identity->certificate, host) != 0;
        size_t skipped = IN6_IS_ADDR_V4MAPPED(&address) ? 12 : 0;
        return gnutls_x509_crt_check_ip(identity->certificate, address.s6_addr + skipped,
                                        (unsigned)(sizeof address - skipped), 0) != 0;
}

static void append_names(const struct tls_identity *identity, struct strbuf *text)
{
        char name[NAME_BYTES_MAX];
        size_t count = 0;

        (void)strbuf_puts(text, "names ");
        for (unsigned i = 0; i < NAMES_COUNTED_MAX && read_name(identity, i, name); i++) {
                if (name[0] && count++ < TLS_NAMES_SHOWN_MAX)
                        (void)strbuf_printf(text, "%s%.*s", count > 1 ? ", " : "", NAME_SHOWN_BYTES,
                                            name);
        }
        if (count == 0)
                (void)strbuf_puts(text, "none");
        else if (count > TLS_NAMES_SHOWN_MAX)
                (void)strbuf_printf(text, " and %zu more", count - TLS_NAMES_SHOWN_MAX);
}

bool tls_identity_same(const struct tls_identity *a, const struct tls_identity *b)
{
        return gnutls_x509_crt_equals(a->certificate, b->certificate) != 0;
}

void tls_identity_describe(const struct tls_identity *identity, struct strbuf *text)
{
        unsigned char fingerprint[FINGERPRINT_BYTES] = {0};
        char day[CONFIG_DATE_BYTES], shown[HEX_BYTES(FINGERPRINT_BYTES_SHOWN)];
        size_t len = sizeof fingerprint;

        append_names(identity, text);
        config_date_write(identity->until_ms, day);
        (void)strbuf_printf(text, "; until %s; sha256 ", day);
        if (gnutls_x509_crt_get_fingerprint(identity->certificate, GNUTLS_DIG_SHA256, fingerprint,
                                            &len) < 0) {
                (void)strbuf_puts(text, "unknown");
                return;
        }
        hex_write(fingerprint, FINGERPRINT_BYTES_SHOWN, shown);
        (void)strbuf_puts(text, shown);
}

/* ---- connections ---- */

/* libmicrohttpd wants a certificate, or somebody to ask for one; what has no identity gets none. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities,
                          int authority_count, const gnutls_pk_algorithm_t *algorithms,
                          int algorithm_count, gnutls_pcert_st **ret_chain,
                          unsigned *ret_chain_count, gnutls_privkey_t *ret_key)
{
        (void)session, (void)authorities, (void)authority_count;
        (void)algorithms, (void)algorithm_count;
        (void)ret_chain, (void)ret_chain_count, (void)ret_key;
        return -1;
}

void tls_global_init(void)
{
        gnutls_global_set_log_level(0);
}

const struct MHD_OptionItem *tls_options(void)
{
        static char priorities[] = PRIORITIES;
        static const struct MHD_OptionItem options[] = {
                {MHD_OPTION_HTTPS_PRIORITIES, 0, priorities},
                {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(intptr_t)no_certificate},
                {MHD_OPTION_END, 0, NULL},
        };

        return options;
}

static gnutls_session_t session_of(struct MHD_Connection *mhd)
{
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

        return info ? info->tls_session : NULL;
}

static _Thread_local unsigned handshake_messages; /* sent and received, of all sessions */

/* The session's place for what caches sessions, which nobody does here, has the progress. */
static int on_handshake_message(gnutls_session_t session, unsigned type, unsigned when,
                                unsigned incoming, const gnutls_datum_t *message)
{
        enum tls_progress *progress = gnutls_db_get_ptr(session);

        (void)when, (void)message;
        handshake_messages++;
        if (incoming && type == GNUTLS_HANDSHAKE_FINISHED)
                *progress = TLS_FINISHED;
        else if (incoming && *progress == TLS_SILENT)
                *progress = TLS_GREETED;
        return 0;
}

int tls_begin(struct MHD_Connection *mhd, const struct tls_identity *identity,
              enum tls_progress *progress)
{
        gnutls_session_t session = session_of(mhd);

        *progress = TLS_SILENT;

        if (!session ||
            gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, identity->credentials) < 0)
                return -ENOMEM;
        gnutls_db_set_ptr(session, progress);
        gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH,
                                           on_handshake_message);
        return 0;
}

bool tls_handshake_is_over(struct MHD_Connection *mhd)
{
        gnutls_session_t session = session_of(mhd);
        /* GnuTLS has no question for this; before the end there is nothing to describe. */
        char *description = session ? gnutls_session_get_desc(session) : NULL;
        bool over = description || !session;

        gnutls_free(description);
        return over;
}

void tls_send_last(struct MHD_Connection *mhd, const void *bytes, size_t len)
{
        gnutls_session_t session = session_of(mhd);

        /* GnuTLS refuses to send before the handshake is over, and where a record of
         * libmicrohttpd's is half sent it goes on with that one: neither clear text nor a broken
         * record leaves. */
        if (session && gnutls_record_send(session, bytes, len) >= 0)
                (void)gnutls_bye(session, GNUTLS_SHUT_WR);
}

void tls_end(struct MHD_Connection *mhd)
{
        gnutls_session_t session = session_of(mhd);

        if (session)
                (void)gnutls_bye(session, GNUTLS_SHUT_WR);
}

unsigned tls_handshake_messages(void)
{
        return handshake_messages;
}
