/*
 * server: the simulator's HTTP side, libmicrohttpd with a thread for each connection.
 *
 * A thread for each connection costs more than a loop, and lets a handler simply sleep: latency,
 * hanging and dripping need no state machine here.
 */
#ifndef SOLVEGATE_SIM_SERVER_H
#define SOLVEGATE_SIM_SERVER_H

#include <stdint.h>

struct sim;
struct sim_server;

/*
 * Opens a listening socket on an IPv4 or IPv6 address. Returns its descriptor, with the port that
 * the kernel chose when port was 0, or -errno; -EINVAL: address is none.
 */
int sim_listen(const char *address, uint16_t port, uint16_t *ret_port);

/*
 * Starts to serve on listen_fd, which the server closes from now on, with TLS if certificate and
 * key (PEM, kept by the caller, not changed) are not NULL. The caller stops it with
 * sim_server_stop(). Returns 0, -ENOMEM, or -EIO where libmicrohttpd would not start (it does not
 * say why; with TLS it is the certificate or key).
 */
int sim_server_start(struct sim *sim, int listen_fd, char *certificate, char *key,
                     struct sim_server **ret_server);

/* Closes all connections and frees the server. sim_stop() must have been called. */
void sim_server_stop(struct sim_server *server);

#endif
