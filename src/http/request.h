/*
 * request: the life of a request, from its header to its end; request_private.h has its phases.
 *
 * Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_REQUEST_H
#define SOLVEGATE_HTTP_REQUEST_H

#include <microhttpd.h>
#include <stddef.h>

struct connection_events;
struct server;

/*
 * The server's policy was replaced: whose token is no client's any more is refused, now where it is
 * held, else when it is answered. To be called after each replacement.
 */
void request_revoke_all(struct server *server);

/* Handlers of libmicrohttpd's events. */
enum MHD_Result request_on_access(void *arg, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **request_arg);
void request_on_completed(void *arg, struct MHD_Connection *mhd, void **request_arg,
                          enum MHD_RequestTerminationCode code);

/* What connections report. */
extern const struct connection_events request_connection_events;

#endif
