/*
 * server_private: a server, as the files of src/http see it.
 */
#ifndef SOLVEGATE_HTTP_SERVER_PRIVATE_H
#define SOLVEGATE_HTTP_SERVER_PRIVATE_H

#include "http/server_shared.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct MHD_Daemon;
struct acceptor;
struct client_connection;
struct connection_table;
struct forwarder;
struct gateway;
struct listener;
struct loop;
struct operator_hooks;
struct policy;
struct request;
struct server_turn;
struct tally;
struct tally_part;
struct tls_identity;

struct server {
        enum server_kind kind;
        struct gateway *gateway;
        struct forwarder *forwarder;
        struct loop *loop;
        struct server_shared *shared;
        struct tally *tally;
        struct tally_part *tally_part; /* its own */
        const struct listener *listener;
        struct policy *policy;              /* a reference */
        unsigned reloads;                   /* how often the policy was replaced */
        struct tls_identity *identity;      /* a reference, or NULL: plain HTTP */
        const struct operator_hooks *hooks; /* NULL for tools */
        struct MHD_Daemon *daemon;
        struct acceptor *acceptor; /* NULL: no connection is accepted any more */
        struct server_turn *turn;  /* the handles that drive the daemon */
        struct connection_table *connections;
        size_t requests;
        struct request *held;                  /* requests whose connection is suspended */
        struct client_connection *paused;      /* the first in line, see pause.h */
        struct client_connection *passed_over; /* the first of those that were resumed in vain */
        unsigned turns;                        /* of libmicrohttpd, since the start */
        size_t turn_work;                      /* in this turn */
        size_t resumed_left;   /* connections that this turn has resumed, and not come to yet */
        size_t resumed_read;   /* those that it has read */
        int64_t handshake_us;  /* of TLS handshakes, in this turn */
        bool handshakes_wait;  /* one has to go on in a later turn */
        bool ending;           /* the last turn has come: nothing is paused */
        bool draining;         /* each answer is its connection's last */
        bool finishing;        /* no request is held for an answer any more */
        bool closed;           /* every request is refused */
        unsigned inactivity_s; /* libmicrohttpd's own time-out; the deadlines come first */
        unsigned inactivity_first_s; /* the one its daemon was started with */
        int64_t warn_again_ms;       /* no warning about accept(2) before this moment */
        size_t parsed_bytes;         /* of bodies, on the loop in this turn */
        bool again;                  /* MHD_run() is needed, though its descriptor may not say so */
};

#endif
