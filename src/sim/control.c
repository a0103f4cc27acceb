/*
 * control: what the person who runs the simulator calls: counters, requests, reset, faults, stray
 * responses.
 */
#include "sim/request.h"

#include "sim/counters.h"
#include "sim/journal.h"
#include "sim/reply.h"
#include "sim/sim.h"

#include <errno.h>

static void say_ok(struct sim_reply *reply)
{
        (void)strbuf_puts(&reply->body, "{\"status\":\"ok\"}");
}

void sim_control_counters(struct sim_request *request, struct sim_reply *reply)
{
        sim_vendor_settle(request->sim->vendor);
        sim_counters_write(request->sim->counters, &reply->body);
}

void sim_control_requests(struct sim_request *request, struct sim_reply *reply)
{
        sim_journal_write(request->sim->journal, &reply->body);
}

void sim_control_reset(struct sim_request *request, struct sim_reply *reply)
{
        sim_vendor_settle(request->sim->vendor);
        sim_faults_clear(request->sim->faults);
        sim_journal_clear(request->sim->journal);
        sim_counters_reset(request->sim->counters);
        say_ok(reply);
}

void sim_control_add_faults(struct sim_request *request, struct sim_reply *reply)
{
        char problem[SIM_FAULT_PROBLEM_BYTES_MAX];

        int r = sim_faults_add(request->sim->faults, request->body.data, request->body.len,
                               problem);
        if (r == -EINVAL)
                sim_reply_say(reply, 400, problem, "error");
        else if (r < 0)
                sim_reply_say(reply, 500, "the simulator is out of memory", "error");
        else
                say_ok(reply);
}

void sim_control_order_strays(struct sim_request *request, struct sim_reply *reply)
{
        atomic_fetch_add(&request->sim->stray_orders, 1);
        say_ok(reply);
}

void sim_control_clear_faults(struct sim_request *request, struct sim_reply *reply)
{
        sim_faults_clear(request->sim->faults);
        say_ok(reply);
}
