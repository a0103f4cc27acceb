/*
 * request: one HTTP request from its headers to the end of its answer, and the table of routes.
 *
 * A request belongs to the thread of its connection.
 */
#ifndef SOLVEGATE_SIM_REQUEST_H
#define SOLVEGATE_SIM_REQUEST_H

#include "base/strbuf.h"
#include "sim/fault.h"
#include "sim/reply.h"
#include "sim/vendor.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_BODY_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct sim;
struct sim_request;

/* Answers a request whose body was received whole. */
typedef void sim_handler(struct sim_request *request, struct sim_reply *reply);

struct sim_route {
        const char *path;
        const char *method;
        int api;                    /* the generation it belongs to; 0: the simulator's own */
        enum sim_endpoint endpoint; /* where api is not 0 */
        sim_handler *handle;
};

struct sim_request {
        struct sim *sim;
        struct MHD_Connection *connection;
        const struct sim_route *route; /* NULL: there is none, and allow says why */
        char allow[32];                /* the methods of the path, "" when it is unknown */
        struct strbuf body;
        size_t received; /* bytes of body, also of those not kept */

        /* Of requests on the API paths only: */
        struct sim_fault fault; /* what goes wrong with it */
        const char *uid;        /* the headers, NULL where missing */
        const char *apikey;
        uint64_t ticket;       /* in the journal */
        char id[SIM_ID_BYTES]; /* the job it made or asked for; "" for none */
        bool counted;          /* in the gauge of requests */

        /* What follows the answer; set when it is delivered. */
        enum sim_aftermath aftermath;
        enum sim_surplus surplus;
        unsigned stray_orders; /* those before the answer */
        bool stray_waits;      /* in the gauge of stray responses */
};

/* The API, see api.c. */
sim_handler sim_api_solve;
sim_handler sim_api_status;
sim_handler sim_api_balance;

/* What the person who runs the simulator calls, see control.c. */
sim_handler sim_control_counters;
sim_handler sim_control_requests;
sim_handler sim_control_reset;
sim_handler sim_control_add_faults;
sim_handler sim_control_clear_faults;
sim_handler sim_control_order_strays;

/* Notes the arrival of a request on an API path, and takes the fault that hits it. */
void sim_request_arrive(struct sim_request *request, const char *http_version);

/* Notes that it is answered. Does nothing the second time. */
void sim_request_leave(struct sim_request *request);

/* Sends an answer, in whatever way it asks for, and empties it. MHD_NO closes the connection. */
enum MHD_Result sim_request_deliver(struct sim_request *request, struct sim_reply *reply);

/* Does what a fault wants done once the answer has been written to its last byte. */
void sim_request_follow_up(struct sim_request *request);

#endif
