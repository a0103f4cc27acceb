/*
 * operator: see operator.h.
 */
#include "daemon/operator.h"

#include "base/clock.h"
#include "daemon/reload.h"
#include "daemon/worker.h"
#include "job/waiter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)

static void tell_view(void *arg, struct operator_view *ret_view)
{
        const struct operator_state *state = arg;

        *ret_view = state->view;
}

/* A reload that is under way has read the file already: what is asked for now is the next one. */
static bool ask_reload(void *arg, struct waiter *waiter, int64_t *ret_number)
{
        struct operator_state *state = arg;
        const struct operator_reloader *reloader = &state->reloader;

        if (state->stopped || !reloader->begin)
                return false;
        *ret_number = state->reloads + (reloader->under_way(reloader->arg) ? 2 : 1);
        if (waiter)
                waiters_add_locked(&state->waiters[*ret_number % 2], waiter);
        reloader->begin(reloader->arg); /* one that fails ends here */
        return true;
}

/* Another reload may have ended between the mail to who waits and his looking. */
static int tell_outcome(void *arg, int64_t number, struct operator_reload *ret_reload)
{
        const struct operator_state *state = arg;
        const struct operator_report *report = &state->reports[number % OPERATOR_REPORTS_KEPT];

        if (number > state->reloads)
                return state->stopped ? -ESHUTDOWN : -EINPROGRESS;
        if (number + OPERATOR_REPORTS_KEPT <= state->reloads || !report->message ||
            !report->restart)
                return -ENOENT;
        *ret_reload = (struct operator_reload){
                .ok = report->ok,
                .message = report->message,
                .restart = report->restart,
                .warnings = {(const char *const *)report->warnings.texts, report->warnings.kept,
                             report->warnings.count},
        };
        return 0;
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
                .outcome = tell_outcome,
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

static void report_done(struct operator_report *report)
{
        free(report->message);
        free(report->restart);
        warnings_done(&report->warnings);
        *report = (struct operator_report){0};
}

static void keep(struct operator_report *kept, const struct reload_report *report)
{
        report_done(kept);
        kept->ok = report->ok;
        kept->message = strdup(report->message);
        kept->restart = strdup(report->restart);
        if (report->warnings)
                warnings_copy(report->warnings, &kept->warnings);
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
        state->reloads++;
        keep(&state->reports[state->reloads % OPERATOR_REPORTS_KEPT], report);
        waiters_wake_locked(&state->waiters[state->reloads % 2], WAITER_FINAL);
}

void operator_attend(struct operator_state *state, const struct config *config,
                     struct tls_identity *const *identities, bool always)
{
        int64_t hour = clock_wall_ms() / HOUR_MS;

        if (!always && hour == state->attended_hour)
                return;
        state->attended_hour = hour;
        warnings_done(&state->attention);
        warnings_find(&state->attention, config, identities);
        state->view.attention = (struct operator_warnings){
                .texts = (const char *const *)state->attention.texts,
                .shown = state->attention.urgent_kept,
                .count = state->attention.urgent,
        };
}

void operator_stop(struct operator_state *state)
{
        state->stopped = true;
        state->asker = NULL;
        for (int i = 0; i < 2; i++)
                waiters_wake_locked(&state->waiters[i], WAITER_FINAL);
}

void operator_done(struct operator_state *state)
{
        for (int i = 0; i < OPERATOR_REPORTS_KEPT; i++)
                report_done(&state->reports[i]);
        warnings_done(&state->attention);
}
