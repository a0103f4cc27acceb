/*
 * gateway_operator: the list of jobs, and the orders that operators give.
 */
#ifndef SOLVEGATE_GATEWAY_GATEWAY_OPERATOR_H
#define SOLVEGATE_GATEWAY_GATEWAY_OPERATOR_H

#include "dispatch/scheduler.h"

#include <stdbool.h>
#include <stddef.h>

struct gateway;
struct job;

/* Called with a job. What it points to is valid during the call. */
typedef void gateway_job_fn(void *arg, const struct scheduler_job *job);

/*
 * Calls each() for the jobs that choice selects and that are not final, the oldest first, and
 * stores in *ret_total how many there are without its limit. Returns 0, or -ENOMEM before the first
 * call. Thread: any.
 */
int gateway_each_job(struct gateway *gateway, const struct scheduler_choice *choice,
                     gateway_job_fn *each, void *arg, size_t *ret_total);

/* Calls show() once, with the current state of a job. Thread: any. */
void gateway_show_job(struct gateway *gateway, struct job *job, gateway_job_fn *show, void *arg);

/* Returns whether jobs are accepted. Thread: any. */
enum scheduler_mode gateway_mode(struct gateway *gateway);

/* Accepts no more jobs, or accepts them again, and logs it if that is a change. Returns the mode
 * from then on, which a stop has set for good. Thread: any. */
enum scheduler_mode gateway_set_drained(struct gateway *gateway, bool drained);

#endif
