/*
 * control: the API of operators, which solvegatectl calls on the admin socket (docs/control.md).
 *
 * Every answer is a JSON object. Times are RFC 3339 by UTC, durations seconds, null is nothing. No
 * answer has a credential, a token, a task or a solution. Thread: main, which answers whatever the
 * workers are busy with; a lock that they want is held for a moment only.
 */
#ifndef SOLVEGATE_HTTP_CONTROL_H
#define SOLVEGATE_HTTP_CONTROL_H

#include <microhttpd.h>

struct json_object;
struct operator_warnings;
struct request;

/* The value of a parameter of the query, or NULL. */
const char *control_parameter(const struct request *request, const char *name);

/* The array of upstreams, for the status too. */
struct json_object *control_upstreams(const struct request *request);

/* The array of what a configuration is warned of: as many as are shown. */
struct json_object *control_warnings(const struct operator_warnings *warnings);

/* "taking", "drained" or "stopping". */
const char *control_state(const struct request *request);

/* The handlers, one file for each group. */
enum MHD_Result control_status_handle(struct request *request);
enum MHD_Result control_jobs_handle(struct request *request);
enum MHD_Result control_job_handle(struct request *request);
enum MHD_Result control_job_cancel(struct request *request);
enum MHD_Result control_clients_handle(struct request *request);
enum MHD_Result control_usage_handle(struct request *request);
enum MHD_Result control_upstreams_handle(struct request *request);
enum MHD_Result control_balance_handle(struct request *request);
enum MHD_Result control_drain_handle(struct request *request);
enum MHD_Result control_resume_handle(struct request *request);
enum MHD_Result control_reload_handle(struct request *request);

#endif
