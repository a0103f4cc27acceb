/*
 * forward: takes jobs from the scheduler and follows each until it is final, on one loop.
 *
 * Each worker has one forwarder. A job under way is a flight: it holds a slot of its account, a
 * reference to its job, and at every moment either one exchange or one timer. What is done on
 * which answer stands in docs/architecture.md, "When a job is sent, and what follows".
 *
 * Thread: the loop's.
 */
#ifndef SOLVEGATE_ENGINE_FORWARD_H
#define SOLVEGATE_ENGINE_FORWARD_H

struct config;
struct forwarder;
struct loop;
struct results;
struct scheduler;
struct transfers;

/* All that is passed must outlive the forwarder. Returns 0 or -ENOMEM. */
int forwarder_new(const struct config *config, struct loop *loop, struct results *results,
                  struct scheduler *scheduler, struct forwarder **ret_forwarder);

/* Requires that no job is under way. Takes NULL. */
void forwarder_free(struct forwarder *forwarder);

/* Sends what may be sent now. To be called after a job was submitted. */
void forwarder_kick(struct forwarder *forwarder);

/* Ends every job under way: the time to stop has come. Those that were sent are outcome_unknown. */
void forwarder_abort(struct forwarder *forwarder);

/* The transfers of this loop, for what is no job. */
struct transfers *forwarder_transfers(struct forwarder *forwarder);

#endif
