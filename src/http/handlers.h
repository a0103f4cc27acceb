/*
 * handlers: those of tools and of the admin address, one file for each group; control.h has those
 * of the admin socket. See struct route.
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
