/*
 * server: see server.h.
 */
#include "sim/server.h"

#include "sim/counters.h"
#include "sim/journal.h"
#include "sim/reply.h"
#include "sim/request.h"
#include "sim/sim.h"
#include "sim/spoil.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG           1024
#define CONNECTIONS_MAX   8192
#define THREAD_STACK_SIZE ((size_t)512 * 1024)

struct sim_server {
        struct MHD_Daemon *daemon;
};

/* The routes of both generations and the simulator's own. */
static const struct sim_route routes[] = {
        {"/api/solve", "POST", 1, SIM_ENDPOINT_SOLVE, sim_api_solve},
        {"/api/status", "GET", 1, SIM_ENDPOINT_STATUS, sim_api_status},
        {"/api/account/balance", "GET", 1, SIM_ENDPOINT_BALANCE, sim_api_balance},
        {"/solve", "POST", 2, SIM_ENDPOINT_SOLVE, sim_api_solve},
        {"/status", "GET", 2, SIM_ENDPOINT_STATUS, sim_api_status},
        {"/balance", "GET", 2, SIM_ENDPOINT_BALANCE, sim_api_balance},
        {"/sim/counters", "GET", 0, SIM_ENDPOINT_SOLVE, sim_control_counters},
        {"/sim/requests", "GET", 0, SIM_ENDPOINT_SOLVE, sim_control_requests},
        {"/sim/reset", "POST", 0, SIM_ENDPOINT_SOLVE, sim_control_reset},
        {"/sim/faults", "POST", 0, SIM_ENDPOINT_SOLVE, sim_control_add_faults},
        {"/sim/strays", "POST", 0, SIM_ENDPOINT_SOLVE, sim_control_order_strays},
        {"/sim/faults", "DELETE", 0, SIM_ENDPOINT_SOLVE, sim_control_clear_faults},
};

/* NULL: none; ret_allow then has the methods of the path. */
static const struct sim_route *find_route(int api, const char *path, const char *method,
                                          char ret_allow[static 32])
{
        ret_allow[0] = '\0';
        for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
                const struct sim_route *route = &routes[i];
                if ((route->api != 0 && route->api != api) || strcmp(route->path, path) != 0)
                        continue;
                if (strcmp(route->method, method) == 0)
                        return route;
                size_t used = strlen(ret_allow);
                (void)snprintf(ret_allow + used, 32 - used, "%s%s", used > 0 ? ", " : "",
                               route->method);
        }
        return NULL;
}

static void request_free(struct sim_request *request)
{
        if (!request)
                return;
        sim_request_leave(request);
        if (request->stray_waits)
                sim_counters_lower(request->sim->counters, SIM_GAUGE_STRAYS);
        strbuf_done(&request->body);
        free(request);
}

static enum MHD_Result begin(struct sim *sim, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, void **con_cls)
{
        struct sim_request *request = calloc(1, sizeof *request);
        struct sim_reply reply;

        if (!request)
                return MHD_NO;
        request->sim = sim;
        request->connection = connection;
        strbuf_init(&request->body, SIM_BODY_BYTES_MAX);
        request->route = find_route(sim->api, url, method, request->allow);
        *con_cls = request;
        if (!request->route || request->route->api == 0)
                return MHD_YES;
        sim_request_arrive(request, version);
        if (request->fault.kind != SIM_FAULT_RESET_EARLY && request->fault.kind != SIM_FAULT_EARLY)
                return MHD_YES;
        sim_reply_init(&reply);
        if (request->fault.kind == SIM_FAULT_RESET_EARLY)
                reply.delivery = SIM_DELIVERY_RESET;
        else
                (void)sim_spoil_refuse(&request->fault, request->uid, request->apikey, &reply);
        return sim_request_deliver(request, &reply);
}

/* A body above the ceiling is read to its end and dropped; that keeps the answer deliverable. */
static void take_piece(struct sim_request *request, const char *piece, size_t len)
{
        request->received += len;
        (void)strbuf_append(&request->body, piece, len);
        if (request->route && request->route->api != 0 &&
            request->route->endpoint == SIM_ENDPOINT_SOLVE)
                sim_counters_add(request->sim->counters, SIM_COUNTER_SOLVE_BYTES, len);
}

static void note_body(struct sim_request *request)
{
        char digest[DIGEST_HEX_BYTES];

        if (request->route->endpoint == SIM_ENDPOINT_SOLVE && !request->body.failed &&
            digest_hex(request->body.data, request->body.len, digest) == 0)
                sim_journal_set_body(request->sim->journal, request->ticket, request->received,
                                     digest);
}

static enum MHD_Result answer(struct sim_request *request)
{
        struct sim_reply reply;

        sim_reply_init(&reply);
        if (request->route && request->route->api != 0)
                note_body(request);
        if (request->body.failed) {
                sim_counters_add(request->sim->counters, SIM_COUNTER_REJECTED, 1);
                sim_reply_say(&reply, 413, "the body is too large", "error");
        } else if (request->route) {
                request->route->handle(request, &reply);
        } else if (request->allow[0]) {
                sim_reply_say(&reply, 405, "this path does not know the method", "error");
                memcpy(reply.allow, request->allow, sizeof request->allow);
        } else {
                sim_reply_say(&reply, 404, "there is no such path", "error");
        }
        return sim_request_deliver(request, &reply);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_len, void **con_cls)
{
        if (!*con_cls)
                return begin(cls, connection, url, method, version, con_cls);
        if (*upload_len == 0)
                return answer(*con_cls);
        take_piece(*con_cls, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode why)
{
        (void)cls;
        (void)connection;
        if (*con_cls && why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
                sim_request_follow_up(*con_cls);
        request_free(*con_cls);
        *con_cls = NULL;
}

/* The context of a connection tells whether it has been counted; see arrival.c. */
static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
        (void)cls;
        (void)connection;
        switch (what) {
        case MHD_CONNECTION_NOTIFY_STARTED:
                *socket_context = calloc(1, sizeof(bool));
                break;
        case MHD_CONNECTION_NOTIFY_CLOSED:
                free(*socket_context);
                *socket_context = NULL;
                break;
        }
}

/* Fills in an address of either family. Returns its length, or 0 where the text is none. */
static socklen_t read_address(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

        if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
                memcpy(ret, &in, sizeof in);
                return sizeof in;
        }
        if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
                memcpy(ret, &in6, sizeof in6);
                return sizeof in6;
        }
        return 0;
}

static int port_of(int fd, uint16_t *ret_port)
{
        struct sockaddr_storage address;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        socklen_t len = sizeof address;

        if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
                return -errno;
        memcpy(&in, &address, sizeof in);
        memcpy(&in6, &address, sizeof in6);
        *ret_port = ntohs(address.ss_family == AF_INET6 ? in6.sin6_port : in.sin_port);
        return 0;
}

int sim_listen(const char *address, uint16_t port, uint16_t *ret_port)
{
        struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
        socklen_t len = read_address(address, port, &storage);
        int r, one = 1;

        if (len == 0)
                return -EINVAL;
        int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&storage, len) < 0 || listen(fd, BACKLOG) < 0)
                r = -errno;
        else
                r = port_of(fd, ret_port);
        if (r == 0)
                return fd;
        (void)close(fd);
        return r;
}

int sim_server_start(struct sim *sim, int listen_fd, char *certificate, char *key,
                     struct sim_server **ret_server)
{
        struct sim_server *server = calloc(1, sizeof *server);
        unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                         MHD_USE_POLL | MHD_USE_ITC;
        struct MHD_OptionItem tls[] = {
                {MHD_OPTION_HTTPS_MEM_CERT, 0, NULL},
                {MHD_OPTION_HTTPS_MEM_KEY, 0, NULL},
                {MHD_OPTION_END, 0, NULL},
        };

        if (!server) {
                (void)close(listen_fd);
                return -ENOMEM;
        }
        if (certificate) {
                flags |= MHD_USE_TLS;
                tls[0].ptr_value = certificate;
                tls[1].ptr_value = key;
        } else {
                tls[0].option = MHD_OPTION_END;
        }
        server->daemon = MHD_start_daemon(
                flags, 0, NULL, NULL, handle, sim, MHD_OPTION_LISTEN_SOCKET, listen_fd,
                MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_THREAD_STACK_SIZE,
                THREAD_STACK_SIZE, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL, MHD_OPTION_ARRAY, tls,
                MHD_OPTION_END);
        if (!server->daemon) {
                free(server);
                return -EIO;
        }
        *ret_server = server;
        return 0;
}

void sim_server_stop(struct sim_server *server)
{
        if (!server)
                return;
        MHD_stop_daemon(server->daemon);
        free(server);
}
