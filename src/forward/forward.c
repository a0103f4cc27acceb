/*
 * forward: see forward.h.
 */
#include "forward/forward.h"

#include "base/clock.h"
#include "base/loop.h"
#include "dispatch/scheduler.h"
#include "forward/flight.h"
#include "forward/forwarder.h"
#include "forward/probe.h"
#include "upstream/account.h"
#include "upstream/transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static void on_again(void *arg)
{
        forwarder_kick(arg);
}

/* The arbiter has said whose turn it is. */
static void on_turn_mail(struct mail *mail)
{
        struct scheduler_taker *taker =
                (struct scheduler_taker *)((char *)mail - offsetof(struct scheduler_taker, mail));

        atomic_store(&taker->posted, false);
        taker->told = true;
        forwarder_kick((struct forwarder *)((char *)taker - offsetof(struct forwarder, taker)));
        taker->told = false;
}

int forwarder_new(const struct forwarder_setup *setup, struct forwarder **ret_forwarder)
{
        struct forwarder *forwarder = calloc(1, sizeof *forwarder);

        if (!forwarder)
                return -ENOMEM;
        forwarder->setup = *setup;
        forwarder->kick = forwarder_kick;
        forwarder->taker.loop = setup->loop;
        forwarder->taker.mail.deliver = on_turn_mail;
        int r = loop_timer_new(setup->loop, on_again, forwarder, &forwarder->again);
        if (r == 0)
                r = transfers_new(setup->loop, &forwarder->transfers);
        if (r < 0) {
                forwarder_free(forwarder);
                return r;
        }
        *ret_forwarder = forwarder;
        return 0;
}

void forwarder_free(struct forwarder *forwarder)
{
        if (!forwarder)
                return;
        assert(!forwarder->flights);
        probes_cancel(forwarder);
        transfers_free(forwarder->transfers);
        loop_timer_free(forwarder->again);
        free(forwarder);
}

struct transfers *forwarder_transfers(struct forwarder *forwarder)
{
        return forwarder->transfers;
}

void forwarder_renew_connections(struct forwarder *forwarder)
{
        transfers_renew(forwarder->transfers);
}

struct loop *forwarder_loop(struct forwarder *forwarder)
{
        return forwarder->setup.loop;
}

void forwarder_resume(struct forwarder *forwarder)
{
        struct scheduler_turn turn;

        while (scheduler_take_accepted(forwarder->setup.scheduler, &turn))
                flight_resume(forwarder, &turn);
}

/* Whether a purchase may be taken. If not, sets *ret_again_ms where a pause ends that. Beyond the
 * maximum of refused ones the next end that is stored kicks. */
static bool may_take(struct forwarder *forwarder, int64_t *ret_again_ms)
{
        return forwarder->refused < FLIGHTS_REFUSED_MAX &&
               shortage_allows(&forwarder->shortage, forwarder->in_flight, clock_monotonic_ms(),
                               ret_again_ms);
}

void forwarder_kick(struct forwarder *forwarder)
{
        struct scheduler_turn turn;
        int64_t again_ms = INT64_MAX, probe_ms;
        int refused = 0;

        if (forwarder->aborted)
                return;
        probe_ms = probes_send(forwarder);
        while (refused < FLIGHTS_REFUSED_MAX && may_take(forwarder, &again_ms) &&
               scheduler_take(forwarder->setup.scheduler, &forwarder->taker, &turn, &again_ms))
                refused += !flight_start(forwarder, &turn);
        if (refused == FLIGHTS_REFUSED_MAX && forwarder->refused < FLIGHTS_REFUSED_MAX)
                again_ms = 0; /* the rest in another turn of the loop */
        if (probe_ms < again_ms)
                again_ms = probe_ms;
        if (again_ms == INT64_MAX)
                return;
        int64_t now_ms = clock_monotonic_ms();
        loop_timer_start(forwarder->again, again_ms > now_ms ? again_ms - now_ms : 1, 0);
}

void forwarder_abort(struct forwarder *forwarder)
{
        forwarder->aborted = true;
        probes_cancel(forwarder);
        flight_abort_all(forwarder);
}
