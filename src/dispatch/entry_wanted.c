/*
 * entry_wanted: whether a job is still to be sent: by the policy, and by the attempts that its
 * purchase has left; see entry.h.
 */
#include "dispatch/entry.h"

#include "access/clients.h"
#include "access/policy.h"
#include "base/clock.h"
#include "config/config.h"
#include "dispatch/scheduler_private.h"
#include "job/job.h"
#include "job/purchase.h"

#include <string.h>

const char *entry_unwanted(const struct policy *policy, const struct client *client,
                           const char *host, int64_t now_wall_ms)
{
        if (!policy_knows(policy, client, now_wall_ms) && strcmp(client->name, CLIENT_LOCAL) == 0)
                return "it came while there were no clients, and now a token is needed";
        if (!policy_knows(policy, client, now_wall_ms))
                return "its client was taken out of the configuration, or has expired";
        if (!host || policy_check_site(policy, client, host, now_wall_ms) != POLICY_SITE_ALLOWED)
                return "the site is not on the allow-list any more";
        return NULL;
}

const char *entry_why_unwanted_locked(const struct scheduler *scheduler,
                                      const struct client *client, const char *host)
{
        return scheduler->policy ? entry_unwanted(scheduler->policy, client, host, clock_wall_ms())
                                 : NULL;
}

bool entry_wanted_locked(const struct scheduler *scheduler, const struct job *job)
{
        return !entry_why_unwanted_locked(scheduler, client_of(job->flow), job->purchase->host);
}

bool entry_has_tries_locked(const struct scheduler *scheduler, const struct purchase *purchase,
                            int attempts)
{
        const struct config *config = scheduler->config;

        if (purchase->doubtful && config->retry.on_unknown != ON_UNKNOWN_RETRY)
                return false;
        return attempts < config->retry.attempts;
}
