/*
 * quota_json: what a client has used and may use, as JSON values. Tools are told of themselves
 * (usage), operators of everybody (control_clients).
 */
#ifndef SOLVEGATE_HTTP_QUOTA_JSON_H
#define SOLVEGATE_HTTP_QUOTA_JSON_H

struct json_object;
struct quota_figures;
struct quota_window;
struct scheduler_usage;

/* {"limit", "used", "reserved", "left", "resets"}. */
struct json_object *quota_json_window(const struct quota_window *window);

/* {"limit", "burst", "left"}, or null. */
struct json_object *quota_json_rate(const struct quota_figures *figures);

/* A number, or null. */
struct json_object *quota_json_max_in_flight(int max_in_flight);

/* {"cache", "collapsed"}. */
struct json_object *quota_json_saved(const struct scheduler_usage *usage);

#endif
