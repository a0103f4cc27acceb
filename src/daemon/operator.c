/*
 * operator: see operator.h.
 */
#include "daemon/operator.h"

#include "base/clock.h"
#include "daemon/reload.h"
#include "daemon/worker.h"
#include "job/waiter.h"

#include <stdio.h>
#include <stdlib.h>

static void tell_view(void *arg, struct operator_view *ret_view)
{
        const struct operator_state *state = arg;

        *ret_view = state->view;
}

/* A reload that is under way has read the file already: what is asked for now is the next one. */
static bool ask_reload(void *arg, struct waiter *waiter, int64_t *ret_number)
{
        struct operator_state *state = arg;

        if (!state->reload)
                return false;
        *ret_number = state->view.reloads + (reload_is_under_way(state->reload) ? 2 : 1);
        if (waiter)
                waiters_add_locked(&state->waiters[*ret_number % 2], waiter);
        reload_begin(state->reload); /* one that fails ends here */
        return true;
}

static bool unwait(void *arg, struct waiter *waiter, int64_t number)
{
        struct operator_state *state = arg;

        return waiters_remove_locked(&state->waiters[number % 2], waiter);
}

static void ask_balances(void *arg)
{
        const struct operator_state *state = arg;

        if (state->asker)
                worker_ask_balances(state->asker);
}

void operator_init(struct operator_state *state, const char *file,
                   const struct server_shared *connections)
{
        *state = (struct operator_state){0};
        /* Operators are elsewhere, so a path that counts from here says nothing to them. */
        if (file[0] == '/' || !realpath(file, state->file))
                (void)snprintf(state->file, sizeof state->file, "%s", file);
        state->hooks = (struct operator_hooks){
                .arg = state,
                .view = tell_view,
                .reload = ask_reload,
                .unwait = unwait,
                .ask_balances = ask_balances,
        };
        state->view = (struct operator_view){
                .file = state->file,
                .started_wall_ms = clock_wall_ms(),
                .started_ms = clock_monotonic_ms(),
                .loaded_wall_ms = clock_wall_ms(),
                .reload = {.message = "", .restart = ""},
                .connections = connections,
        };
}

void operator_reload_ended(const struct reload_report *report, void *arg)
{
        struct operator_state *state = arg;

        state->view.reload = (struct operator_reload){
                .at_wall_ms = report->at_wall_ms,
                .ok = report->ok,
                .message = report->message,
                .restart = report->restart,
        };
        if (report->ok)
                state->view.loaded_wall_ms = report->at_wall_ms;
        state->view.reloads++;
        waiters_wake_locked(&state->waiters[state->view.reloads % 2], WAITER_FINAL);
}
