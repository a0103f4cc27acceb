/*
 * reload_words: what a reload changes, in words, for the log and for operators. Each function
 * appends one phrase, or nothing where all is as it was; names come as many as fit.
 */
#ifndef SOLVEGATE_DAEMON_RELOAD_WORDS_H
#define SOLVEGATE_DAEMON_RELOAD_WORDS_H

#define RELOAD_WORDS_BYTES_MAX 4096

struct config;
struct entry_unwanted_counts;
struct gateway;
struct gateway_change;
struct policy;
struct strbuf;

/* `clients: +a -b; new token: c` */
void reload_words_clients(const struct policy *before, const struct policy *after,
                          struct strbuf *text);

/* `upstreams: +a -b; new credential: c`; before the change is applied. */
void reload_words_upstreams(const struct gateway *gateway, const struct gateway_change *change,
                            struct strbuf *text);

/* `changed: limits.queue_jobs, sites.allow`: keys that reload, but for clients and upstreams. */
void reload_words_keys(const struct config *running, const struct config *merged,
                       struct strbuf *text);

/* `waiting jobs: 12 cancelled, 1 not sent again` */
void reload_words_jobs(const struct entry_unwanted_counts *counts, struct strbuf *text);

#endif
