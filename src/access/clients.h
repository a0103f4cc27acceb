/*
 * clients: every client there was since the start, by name, with what it has used and under way.
 *
 * A struct client is made once for a name and lives as long as the table, whatever a reload does to
 * the configuration: jobs, and what the ledger says, refer to it. What a client may do stands in
 * the policy, which a reload replaces.
 *
 * The table has a mutex of its own, a leaf. The fields say who guards them.
 */
#ifndef SOLVEGATE_ACCESS_CLIENTS_H
#define SOLVEGATE_ACCESS_CLIENTS_H

#include "access/quota.h"
#include "base/client_name.h"
#include "base/hash_table.h"
#include "base/log_limit.h"
#include "config/config.h"
#include "job/body.h"
#include "job/parser.h"
#include "job/queue.h"
#include "job/store_line.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_LOCAL CLIENT_NAME_LOCAL

/* Of the log: none hides what another one does. */
struct client_lines {
        struct log_bucket requests, refusals;
        struct log_bucket ends, troubles; /* of its jobs */
};

struct client {
        char *name;                /* immutable */
        struct body_share bodies;  /* counts by itself */
        struct client_lines lines; /* likewise */
        _Atomic int connections;   /* open ones whose last request had its token */
        struct parse_line parses;  /* guarded by the parser's mutex */
        struct store_line records; /* the store's: guarded by its mutex */

        /* guarded by the scheduler's mutex */
        struct queue_flow flow;
        struct quota quota;
        size_t unfinished;       /* its jobs that are not final */
        size_t asking;           /* others, about which the arbiter was asked */
        size_t queued;           /* of these, those that wait to be sent */
        int64_t saved_cache;     /* its jobs that were answered from the cache, since the start */
        int64_t saved_collapsed; /* and those that joined another one */

        UT_hash_handle by_name; /* the table's */
};

struct clients;

/* Returns 0 or -ENOMEM. */
int clients_new(struct clients **ret_clients);

/* Frees all of them. Requires that nobody refers to one any more. Takes NULL. */
void clients_free(struct clients *clients);

/* Finds or makes a client, without limits and of weight 1. NULL: no memory. Thread: any. */
struct client *clients_need(struct clients *clients, const char *name);

/* The client that a flow is part of. */
struct client *client_of(struct queue_flow *flow);

#endif
