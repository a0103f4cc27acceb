/*
 * handlers: the handlers of requests by tools and on the admin address, see struct route. Each
 * group has a file. control.h has the handlers of the admin socket.
 */
#ifndef SOLVEGATE_HTTP_HANDLERS_H
#define SOLVEGATE_HTTP_HANDLERS_H

#include <microhttpd.h>

struct request;

enum MHD_Result solve_handle(struct request *request);
enum MHD_Result status_handle(struct request *request);
enum MHD_Result status_cancel(struct request *request);
enum MHD_Result balance_handle(struct request *request);
enum MHD_Result usage_handle(struct request *request);
enum MHD_Result health_handle(struct request *request);
enum MHD_Result ready_handle(struct request *request);
enum MHD_Result metrics_handle(struct request *request);

#endif
