/*
 * forward: takes purchases from the scheduler and follows each until it is final, on one loop.
 *
 * Each worker has one forwarder. A purchase under way is a flight, in one phase after the other:
 *
 *      FETCHING    its body is read back from the store, where it is not in memory
 *      RECORDING   that it is being sent is being stored
 *      ASKING      the upstream is asked to solve it
 *      FOLLOWING   the upstream has it queued, and is polled
 *      ENDING      how it ended is being stored
 *
 * It holds a slot of its account from the first phase until the upstream has finished with it:
 * ENDING has none. docs/retries.md says when it is sent again, and what follows from each response.
 *
 * Thread: the loop's.
 */
#ifndef SOLVEGATE_FORWARD_FORWARD_H
#define SOLVEGATE_FORWARD_FORWARD_H

struct forwarder;
struct forwarder_setup;
struct loop;
struct transfers;

/* Returns 0 or -ENOMEM. */
int forwarder_new(const struct forwarder_setup *setup, struct forwarder **ret_forwarder);

/* Requires that nothing is under way. Takes NULL. */
void forwarder_free(struct forwarder *forwarder);

/*
 * Goes on with all that was accepted before the start, by the terms that its accounts have now. To
 * be called before there can be a reload, which may replace them, and before the loop runs.
 */
void forwarder_resume(struct forwarder *forwarder);

/* Sends what may be sent now, and sees to it that the rest is looked at in time. To be called after
 * a job was submitted, and once at the start. */
void forwarder_kick(struct forwarder *forwarder);

/* A configuration was loaded: the next request to each account has a new connection, and so the
 * addresses that its name has now. */
void forwarder_renew_connections(struct forwarder *forwarder);

/*
 * The time to stop has come: ends everything under way. What was accepted, or surely not taken, is
 * left for the next start where it is kept.
 */
void forwarder_abort(struct forwarder *forwarder);

/* The transfers and the loop, for requests that are not jobs. */
struct transfers *forwarder_transfers(struct forwarder *forwarder);
struct loop *forwarder_loop(struct forwarder *forwarder);

#endif
