/*
 * quota_json: what a client has used and may use, as members of a JSON object. Tools are told of
 * themselves (usage), operators of everybody (control_clients).
 */
#ifndef SOLVEGATE_HTTP_QUOTA_JSON_H
#define SOLVEGATE_HTTP_QUOTA_JSON_H

struct quota_figures;
struct scheduler_usage;
struct strbuf;

/* "daily" and "monthly": {"limit", "used", "reserved", "left", "resets"}. */
void quota_json_windows(struct strbuf *json, const struct quota_figures *figures);

/* "rate": {"limit", "burst", "left"}, or null. */
void quota_json_rate(struct strbuf *json, const struct quota_figures *figures);

/* "max_in_flight": a number, or null. */
void quota_json_max_in_flight(struct strbuf *json, int max_in_flight);

/* "saved": {"cache", "collapsed"}. */
void quota_json_saved(struct strbuf *json, const struct scheduler_usage *usage);

#endif
