/*
 * api: solve, status and balance, as both generations of the vendor's API have them.
 *
 * A fault that refuses comes before everything else, one that spoils comes last: the job is then
 * taken and charged.
 */
#include "sim/request.h"

#include "base/clock.h"
#include "sim/counters.h"
#include "sim/journal.h"
#include "sim/reply.h"
#include "sim/sim.h"
#include "sim/spoil.h"

#include <errno.h>
#include <stdio.h>

/* Tells whether the request may go on; otherwise the reply says why not. */
static bool admit(struct sim_request *request, struct sim_reply *reply)
{
        if (sim_spoil_refuse(&request->fault, request->uid, request->apikey, reply))
                return false;
        if (sim_vendor_admits(request->sim->vendor, request->uid, request->apikey))
                return true;
        sim_counters_add(request->sim->counters, SIM_COUNTER_UNAUTHORIZED, 1);
        sim_reply_say(reply, 401, "Invalid APIKEY", "Unauthorized");
        return false;
}

/* The shape that a fault gives to the answer about a job, or else the ordinary one. */
static enum sim_shape pick_shape(const struct sim_fault *fault, enum sim_shape ordinary)
{
        if (fault->kind == SIM_FAULT_SKIP)
                return SIM_SHAPE_SKIP;
        if (fault->kind == SIM_FAULT_NOID)
                return SIM_SHAPE_NOID;
        return fault->kind == SIM_FAULT_DUPLICATE ? SIM_SHAPE_DUPLICATE : ordinary;
}

static void say_rate_limited(struct sim_request *request, struct sim_reply *reply)
{
        sim_counters_add(request->sim->counters, SIM_COUNTER_OVER_CONCURRENCY, 1);
        reply->code = 429;
        (void)strbuf_puts(&reply->body,
                          "{\"code\":16,\"msg\":\"RATE_LIMITED\",\"retryAfterSec\":1}");
}

/* Takes the job. Returns whether it was; otherwise the reply says why not. */
static bool accept_job(struct sim_request *request, int64_t *ret_due_ms, struct sim_reply *reply)
{
        struct sim *sim = request->sim;
        struct sim_body body;
        const char *problem;

        int r = sim_body_read(request->body.data, request->body.len, &body, &problem);
        if (r == -EBADMSG) {
                sim_counters_add(sim->counters, SIM_COUNTER_REJECTED, 1);
                sim_reply_say(reply, 400, problem, "error");
                return false;
        }
        if (r == 0) {
                r = sim_vendor_accept(sim->vendor, &body, request->id, ret_due_ms);
                sim_body_done(&body);
        }
        if (r == -EAGAIN)
                say_rate_limited(request, reply);
        else if (r < 0)
                sim_reply_say(reply, 500, "the simulator is out of memory", "error");
        else
                sim_journal_set_job(sim->journal, request->ticket, request->id, true);
        return r == 0;
}

static void say_job(struct sim_request *request, enum sim_shape shape, struct sim_reply *reply)
{
        if (sim_vendor_answer(request->sim->vendor, request->id, shape, &reply->body) < 0)
                sim_reply_say(reply, 404, "no job has this id", "error");
}

void sim_api_solve(struct sim_request *request, struct sim_reply *reply)
{
        bool pro = sim_vendor_is_pro(request->sim->vendor);
        enum sim_shape ordinary = pro ? SIM_SHAPE_STATUS : SIM_SHAPE_QUEUED;
        enum sim_shape shape = pick_shape(&request->fault, ordinary);
        int64_t due_ms;

        if (!admit(request, reply) || !accept_job(request, &due_ms, reply))
                return;
        if (pro && shape == ordinary && !sim_wait(request->sim, due_ms - clock_monotonic_ms())) {
                reply->delivery = SIM_DELIVERY_CLOSE;
                return;
        }
        say_job(request, shape, reply);
        sim_spoil_answer(&request->fault, reply);
}

void sim_api_status(struct sim_request *request, struct sim_reply *reply)
{
        const char *id =
                MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "id");

        if (sim_spoil_refuse(&request->fault, request->uid, request->apikey, reply))
                return;
        /* An id that does not fit is unknown, and stays so when it is cut. */
        if (id)
                (void)snprintf(request->id, sizeof request->id, "%s", id);
        if (id)
                sim_journal_set_job(request->sim->journal, request->ticket, id, false);
        say_job(request, pick_shape(&request->fault, SIM_SHAPE_STATUS), reply);
        sim_spoil_answer(&request->fault, reply);
}

/* The faults that are about a job have something to say about none, too. */
static bool say_no_job(const struct sim_fault *fault, struct sim_reply *reply)
{
        if (fault->kind == SIM_FAULT_SKIP)
                sim_reply_say(reply, 200, "the request was skipped", "skip");
        else if (fault->kind == SIM_FAULT_NOID)
                (void)strbuf_puts(&reply->body, "{\"status\":\"new\"}");
        else if (fault->kind == SIM_FAULT_DUPLICATE)
                (void)strbuf_puts(&reply->body, "{\"status\":\"active\",\"status\":\"active\"}");
        else
                return false;
        return true;
}

void sim_api_balance(struct sim_request *request, struct sim_reply *reply)
{
        if (!admit(request, reply))
                return;
        if (!say_no_job(&request->fault, reply))
                sim_vendor_balance(request->sim->vendor, &reply->body);
        sim_spoil_answer(&request->fault, reply);
}
