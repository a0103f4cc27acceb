/*
 * hold: see hold.h.
 */
#include "http/hold.h"

#include "base/clock.h"
#include "base/loop.h"
#include "http/connection.h"

#include <stddef.h>
#include <utlist.h>

/*
 * libmicrohttpd reads from a resumed connection before it calls the handler, and ends the request
 * where it finds the end of the stream; a connection with a time-out of its own it handles first.
 * It is one of its own where it differs from the daemon's, which no reload changes. To be called
 * while it is not suspended: libmicrohttpd 1.0 changes no time-out of one that is.
 */
static void handle_before_reading(const struct request *request, bool before)
{
        const struct server *server = request->server;
        unsigned timeout_s = server->inactivity_s;

        if (before && ++timeout_s <= server->inactivity_first_s)
                timeout_s = server->inactivity_first_s + 1;
        (void)MHD_set_connection_option(request->mhd, MHD_CONNECTION_OPTION_TIMEOUT, timeout_s);
}

static void resume(struct request *request)
{
        DL_DELETE2(request->server->held, request, held_prev, held_next);
        connection_unhold(request->connection);
        loop_timer_free(request->hold_timer);
        request->hold_timer = NULL;
        request->waited |= 1U << request->held_for;
        request->record.held_us += clock_monotonic_us() - request->record.hold_began_us;
        request->phase = REQUEST_READY;
        request->server->again = true;
        MHD_resume_connection(request->mhd);
}

static void on_waiter_mail(struct mail *mail)
{
        struct waiter *waiter = (struct waiter *)mail;

        resume((struct request *)((char *)waiter - offsetof(struct request, waiter)));
}

void hold_end(struct request *request)
{
        /* Otherwise the mail is on the way and resumes it. */
        if (request->disarm(request))
                resume(request);
}

static void on_hold_over(void *arg)
{
        hold_end(arg);
}

void hold_end_all(struct server *server)
{
        struct request *request, *next;

        DL_FOREACH_SAFE2 (server->held, request, next, held_next) {
                if (request->held_for != HOLD_FOR_STORE && request->held_for != HOLD_FOR_ADMISSION)
                        hold_end(request);
        }
}

static bool may_hold(struct request *request, const struct hold *hold)
{
        switch (hold->what) {
        case HOLD_FOR_ADMISSION:
        case HOLD_FOR_STORE: /* it answers soon */
                return !request->server->closed;
        case HOLD_FOR_PENALTY: /* it could be had for less by closing one side */
        case HOLD_FOR_PARSE:   /* whoever is gone may have sent a job all the same */
        case HOLD_FOR_RELOAD:  /* whoever has said all he has to say waits for the end as well */
                return !request->server->finishing;
        case HOLD_FOR_ANSWER:
                break;
        }
        return !request->server->finishing && connection_hold(request->connection, request);
}

bool request_hold(struct request *request, const struct hold *hold)
{
        if (request->waited & 1U << hold->what || hold->hold_ms <= 0 || !may_hold(request, hold))
                return false;
        request->held_for = hold->what;
        request->disarm = hold->disarm;
        request->waiter = (struct waiter){
                .mail.deliver = on_waiter_mail,
                .loop = request->server->loop,
                .level = hold->level,
        };
        if (loop_timer_new(request->server->loop, on_hold_over, request, &request->hold_timer) <
                    0 ||
            !hold->arm(request)) {
                connection_unhold(request->connection);
                loop_timer_free(request->hold_timer);
                request->hold_timer = NULL;
                return false;
        }
        /* The mail cannot overtake this: it is delivered by the loop, which is busy here. */
        handle_before_reading(request, true);
        MHD_suspend_connection(request->mhd);
        connection_enter(request->connection, CONNECTION_BUSY);
        request->phase = REQUEST_SUSPENDED;
        request->record.hold_began_us = clock_monotonic_us();
        DL_APPEND2(request->server->held, request, held_prev, held_next);
        loop_timer_start(request->hold_timer, hold->hold_ms, 0);
        return true;
}

void hold_answered(const struct request *request)
{
        if (request->waited)
                handle_before_reading(request, false);
}
