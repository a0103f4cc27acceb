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
 * To be called after the server's policy was replaced. Refuses requests whose token is not valid
 * any more: held ones now, the others before their response.
 */
void request_revoke_all(struct server *server);

/* Handlers of libmicrohttpd's events. */
enum MHD_Result request_on_access(void *arg, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **request_arg);
void request_on_completed(void *arg, struct MHD_Connection *mhd, void **request_arg,
                          enum MHD_RequestTerminationCode code);

/* For connection_table_new(). */
extern const struct connection_events request_connection_events;

#endif
