/*
 * gateway_reload: puts another configuration in force, in steps.
 *
 * gateway_prepare() makes all that can fail; gateway_apply() puts it in force: clients and accounts
 * go by it before any server uses the new policy, so no request gets in without its limits. When
 * every server uses it, gateway_cancel_unwanted() cancels waiting jobs that are not allowed any
 * more. By then nothing uses the configuration that was in force before.
 *
 * Thread: main.
 */
#ifndef SOLVEGATE_GATEWAY_GATEWAY_RELOAD_H
#define SOLVEGATE_GATEWAY_GATEWAY_RELOAD_H

#include "dispatch/scheduler.h"

struct config;
struct credential;
struct gateway;
struct gateway_change;
struct loop;
struct policy;
struct strbuf;

/* config is what is to be in force; credentials are taken over as by gateway_new(). Returns 0 or
 * -errno, with a sentence in problem. */
int gateway_prepare(struct gateway *gateway, const struct config *config,
                    struct credential **credentials, struct strbuf *problem,
                    struct gateway_change **ret_change);
void gateway_apply(struct gateway *gateway, struct gateway_change *change);

/* As entry_cancel_unwanted(): continues in the next turns of the loop, and then calls done. */
void gateway_cancel_unwanted(struct gateway *gateway, struct loop *loop,
                             void (*done)(void *arg, const struct entry_unwanted_counts *counts),
                             void *arg);

/* Takes NULL, and a change that was applied. */
void gateway_change_free(struct gateway_change *change);

/* Returns its policy, valid as long as the change lives. */
struct policy *gateway_change_policy(const struct gateway_change *change);

/* What is different about an upstream. */
enum gateway_upstream_change {
        GATEWAY_UPSTREAM_NEW, /* or back again */
        GATEWAY_UPSTREAM_GONE,
        GATEWAY_UPSTREAM_CREDENTIAL,
        GATEWAY_UPSTREAM_PLACE, /* url or api */
        GATEWAY_UPSTREAM_CA,
        GATEWAY_UPSTREAM_LIMITS, /* max_in_flight or priority */
};
#define GATEWAY_UPSTREAM_CHANGES (GATEWAY_UPSTREAM_LIMITS + 1)

/* Calls told() for each difference. Call it before the change is applied. */
void gateway_change_each(const struct gateway *gateway, const struct gateway_change *change,
                         void (*told)(void *arg, enum gateway_upstream_change what,
                                      const char *name),
                         void *arg);

#endif
