/*
 * gateway_sweep: drops final jobs, and returns the memory that they leave.
 *
 * Thread: main.
 */
#ifndef SOLVEGATE_GATEWAY_GATEWAY_SWEEP_H
#define SOLVEGATE_GATEWAY_GATEWAY_SWEEP_H

#include <stdbool.h>

struct gateway;

/*
 * Drops some of the results that have expired or exceed results.bytes, and returns their memory to
 * the kernel. Returns whether there are more of them. Call it at each tick, and again soon while
 * there are.
 */
bool gateway_sweep(struct gateway *gateway);

/* At the end: logs what is not logged yet of charged results that were dropped early. */
void gateway_sweep_done(struct gateway *gateway);

#endif
