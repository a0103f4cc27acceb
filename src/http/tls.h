/*
 * tls: the certificate and key of a listener, and how its connections are secured. GnuTLS is
 * used here and in tls_receive only; libmicrohttpd does the rest.
 *
 * An identity is immutable once loaded and shared by references. Each connection is bound to the
 * one that was in force when it was opened, so a handshake that has begun with one ends with it,
 * whatever a reload does. Thread: any who holds a reference.
 */
#ifndef SOLVEGATE_HTTP_TLS_H
#define SOLVEGATE_HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct MHD_Connection;
struct MHD_OptionItem;
struct config;
struct config_listen;
struct strbuf;
struct tls_identity;

#define TLS_CHAIN_MAX       16 /* certificates of one identity */
#define TLS_NAMES_SHOWN_MAX 8

/*
 * Loads the certificate, with its chain, and the key of a listener that has them, and checks that
 * they belong together. A key that everybody can read is refused. On failure returns -errno and
 * writes one line to problem, `FILE: what is wrong; how to mend it`, which never holds what is in a
 * file.
 */
int tls_identity_load(const struct config_listen *config, struct tls_identity **ret_identity,
                      struct strbuf *problem);

/*
 * Loads the identity of each listener of a configuration, in order; NULL stands for plain HTTP. On
 * failure returns -errno and writes one line to problem, but for -ENOMEM. The caller frees them
 * with tls_identities_free().
 */
int tls_identities_load(const struct config *config, struct tls_identity ***ret_identities,
                        struct strbuf *problem);

/* Drops a reference to each, and frees the array. Takes NULL. */
void tls_identities_free(struct tls_identity **identities, size_t count);

struct tls_identity *tls_identity_ref(struct tls_identity *identity);

/* Takes NULL. */
void tls_identity_unref(struct tls_identity *identity);

/* When its certificate expires, by the wall clock. */
int64_t tls_identity_until_ms(const struct tls_identity *identity);

/*
 * Whether tools that call by a host find it among the certificate's names: a DNS name, or an
 * address in numbers, with or without brackets. Only alternative names count: today's clients do
 * not look at the common name (RFC 9525, 2). Thread: main, as for the next one: GnuTLS promises no
 * more.
 */
bool tls_identity_has_name(const struct tls_identity *identity, const char *host);

/* Whether both have the same certificate, whatever comes behind it in the chain. */
bool tls_identity_same(const struct tls_identity *a, const struct tls_identity *b);

/*
 * Appends what its certificate is: `names solve.lan, 192.0.2.2; until 2026-12-22; sha256 ` and the
 * first 16 digits of its fingerprint. Of many names the first are shown, and how many more there
 * are.
 */
void tls_identity_describe(const struct tls_identity *identity, struct strbuf *text);

/*
 * GnuTLS logs nothing, whatever GNUTLS_DEBUG_LEVEL says: its lines would go past the log, and some
 * builds write keys. To be called before anything else here. Thread: main.
 */
void tls_global_init(void);

/* The options that libmicrohttpd is started with, up to MHD_OPTION_END: TLS 1.2 and 1.3 only. */
const struct MHD_OptionItem *tls_options(void);

/* How far the handshake of a connection came; to be read when its session is gone, too. */
enum tls_progress {
        TLS_SILENT,   /* the client has said nothing that is TLS */
        TLS_GREETED,  /* it has said how it wants to speak (ClientHello) */
        TLS_FINISHED, /* it has accepted what it was shown (Finished) */
};

/*
 * Binds a connection that was just opened to an identity. GnuTLS makes no copy of what is in it,
 * nor of *progress, which is kept up to date: the caller holds a reference to one, and keeps the
 * other, until libmicrohttpd says that the connection is closed. Returns 0 or -ENOMEM; then its
 * handshake will fail.
 */
int tls_begin(struct MHD_Connection *mhd, const struct tls_identity *identity,
              enum tls_progress *progress);

/* How many handshake messages this thread has sent and received, on all connections. */
unsigned tls_handshake_messages(void);

/* Whether its handshake has come to its end. Allocates for the answer. */
bool tls_handshake_is_over(struct MHD_Connection *mhd);

/*
 * Writes to a connection past libmicrohttpd what is the last thing that is written to it, and its
 * end, as far as the socket takes it. Before the handshake is over it writes nothing.
 */
void tls_send_last(struct MHD_Connection *mhd, const void *bytes, size_t len);

/* Tells the client that nothing more comes. Requires that its handshake is over. */
void tls_end(struct MHD_Connection *mhd);

#endif
