/*
 * probe: see probe.h.
 */
#include "forward/probe.h"

#include "base/log.h"
#include "dispatch/scheduler.h"
#include "forward/forwarder.h"
#include "upstream/account.h"
#include "upstream/exchange.h"

#include <stdlib.h>
#include <utlist.h>

#define PROBE_TIMEOUT_MS 5000

struct probe {
        struct forwarder *forwarder;
        struct scheduler_probe about;
        struct exchange *exchange;
        struct probe *prev, *next;
};

enum breaker_result probe_result_of(const struct answer *answer)
{
        if (answer->about_account)
                return BREAKER_REFUSED;
        if (answer->local)
                return BREAKER_NOTHING;
        switch (answer->kind) {
        case ANSWER_FINAL:
        case ANSWER_PENDING:
        case ANSWER_REJECTED:
                return BREAKER_WELL;
        case ANSWER_TRY_LATER:
                return BREAKER_LATER;
        case ANSWER_NOT_SENT:
                return BREAKER_UNREACHABLE;
        case ANSWER_UNCLEAR:
                return BREAKER_UNCLEAR;
        }
        return BREAKER_NOTHING;
}

static void probe_end(struct probe *probe, enum breaker_result result, int64_t retry_after_ms)
{
        struct forwarder *forwarder = probe->forwarder;

        scheduler_end_probe(forwarder->setup.scheduler, &probe->about, result, retry_after_ms);
        DL_DELETE(forwarder->probes, probe);
        free(probe);
}

static void on_probe_answer(struct answer *answer, void *arg)
{
        struct probe *probe = arg;
        struct forwarder *forwarder = probe->forwarder;

        if (answer->kind != ANSWER_FINAL)
                log_debug("upstream %s, asked for its balance as a probe: %s",
                          probe->about.account->name,
                          answer->detail[0] ? answer->detail : answer->message);
        probe_end(probe, probe_result_of(answer), answer->retry_after_ms);
        answer_done(answer);
        forwarder->kick(forwarder);
}

static void probe_send(struct forwarder *forwarder, const struct scheduler_probe *about)
{
        struct probe *probe = calloc(1, sizeof *probe);
        const struct question question = {
                .account = about->account,
                .terms = about->terms,
                .endpoint = UPSTREAM_BALANCE,
                .timeout_ms = PROBE_TIMEOUT_MS,
                .fresh = true,
        };

        if (!probe) {
                scheduler_end_probe(forwarder->setup.scheduler, about, BREAKER_NOTHING, 0);
                return;
        }
        *probe = (struct probe){.forwarder = forwarder, .about = *about};
        DL_APPEND(forwarder->probes, probe);
        if (exchange_start(forwarder->transfers, &question, on_probe_answer, probe,
                           &probe->exchange) < 0)
                probe_end(probe, BREAKER_NOTHING, 0);
}

int64_t probes_send(struct forwarder *forwarder)
{
        struct scheduler_probe about;
        int64_t again_ms;

        while (scheduler_take_probe(forwarder->setup.scheduler, &about, &again_ms))
                probe_send(forwarder, &about);
        return again_ms;
}

void probes_cancel(struct forwarder *forwarder)
{
        struct probe *probe, *next;

        DL_FOREACH_SAFE (forwarder->probes, probe, next) {
                (void)exchange_cancel(probe->exchange);
                probe_end(probe, BREAKER_NOTHING, 0);
        }
}
