/*
 * policy: who may call, from where, and for which sites: the part of the configuration that a
 * reload replaces as a whole.
 *
 * Immutable once made, but for its references, so any thread that holds one may ask. Each server
 * has a reference of its own, so that a request asks without a lock.
 */
#ifndef SOLVEGATE_ACCESS_POLICY_H
#define SOLVEGATE_ACCESS_POLICY_H

#include "access/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct clients;
struct config;
struct policy;

/*
 * Makes a policy by a configuration, which need not outlive it; the clients must. Returns 0,
 * -EINVAL (a digest or site that is none, two clients of one name or token: what the
 * configuration's own check refuses with a sentence) or -ENOMEM.
 */
int policy_new(const struct config *config, struct clients *clients, struct policy **ret_policy);

/* Thread: any who holds a reference. Unref takes NULL. */
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy);

/* The client that everyone is, or NULL where each must show a token. */
struct client *policy_everyone(const struct policy *policy);

/* Whose token it is at this moment (wall clock); NULL: nobody's, or it has expired. */
struct client *policy_find(const struct policy *policy, const struct token_digest *digest,
                           int64_t now_wall_ms);

/*
 * Whether jobs of a client are still to be sent at this moment: it is in the configuration, and has
 * not expired; or it is who everyone is.
 */
bool policy_knows(const struct policy *policy, const struct client *client, int64_t now_wall_ms);

enum policy_site {
        POLICY_SITE_ALLOWED,
        POLICY_SITE_NOT_LISTED,
        POLICY_SITE_EXPIRED,
        POLICY_SITE_NOT_FOR_CLIENT, /* it is on the global list, not on the client's own */
        POLICY_SITE_EXPIRED_FOR_CLIENT,
};

/* Whether a client may have jobs for a host, as site_host() writes it, at this moment. */
enum policy_site policy_check_site(const struct policy *policy, const struct client *client,
                                   const char *host, int64_t now_wall_ms);

/* Whether a page of this origin may call, as the Origin field has it (RFC 6454, 7). */
bool policy_allows_origin(const struct policy *policy, const char *origin);

/* Whether a host name, without port and dot at its end, is one of server_names. */
bool policy_allows_name(const struct policy *policy, const char *name);

/* What a policy says of a client, for operators. */
struct policy_rule {
        struct client *client;
        int weight;
        int max_in_flight;  /* 0: no limit */
        bool has_sites;     /* it has a list of its own: */
        size_t sites_count; /* so many entries */
        int64_t until_ms;   /* wall clock: its token is good before this moment; 0: for ever */
};

/*
 * The client with this index, from 0 on, in the order of the configuration; where each is the same
 * one, that. Returns false behind the last.
 */
bool policy_rule(const struct policy *policy, size_t index, struct policy_rule *ret_rule);

/* What a policy may change for a client. */
enum policy_change {
        POLICY_CLIENT_NEW,
        POLICY_CLIENT_GONE,
        POLICY_CLIENT_TOKEN,  /* it has another token */
        POLICY_CLIENT_LIMITS, /* its weight, or one of its limits */
        POLICY_CLIENT_SITES,  /* its own list; one in another order is another one */
        POLICY_CLIENT_END,    /* the day on which its token expires */
        POLICY_CHANGE_COUNT,
};

/*
 * Names to told() each client of the configuration that is not the same in both, once for each
 * change. Both must have been made with the same clients. Thread: any who holds a reference to
 * each.
 */
void policy_compare(const struct policy *before, const struct policy *after,
                    void (*told)(void *arg, enum policy_change change, const char *client),
                    void *arg);

/*
 * Gives every client its weight and limits, where a burst that was left out is what the rate gives
 * in a second; everyone gets weight 1 and no limits; those that are not in the configuration any
 * more keep theirs. Requires the mutex that guards the clients.
 */
void policy_apply_locked(const struct policy *policy);

#endif
