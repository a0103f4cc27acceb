/*
 * submission: a job on its way in. The arbiter is asked what it is; then the job joins an identical
 * purchase that is under way, is answered by a solved one, or makes a purchase of its own.
 *
 * Until the arbiter has answered, which may be at once, nobody else knows the job: it is in no
 * table, its ID is unknown, and it costs nothing. Whoever submitted it waits, or abandons it; what
 * was decided then is taken back.
 *
 * Thread: any, but where it says otherwise.
 */
#ifndef SOLVEGATE_DISPATCH_SUBMISSION_H
#define SOLVEGATE_DISPATCH_SUBMISSION_H

#include "access/quota.h"

#include <stdbool.h>

struct client;
struct job;
struct loop;
struct purchase;
struct scheduler;
struct submission;
struct waiter;

/* What is submitted. */
struct submission_order {
        struct job *job;            /* nobody else knows it yet; a reference is taken */
        struct client *client;      /* whose it is */
        struct purchase *candidate; /* what it makes if it must; a reference is taken */
        bool fresh;                 /* it may neither join nor be answered by a solved job */
        struct loop *loop; /* of who submits; until the submission is freed, or the arbiter gave
                              up */
};

/* What is told besides. */
struct submission_result {
        struct job *job;              /* a reference, whatever is returned; but not with
                                         -EINPROGRESS, or where it cannot be submitted at all */
        struct job *other;            /* with -EEXIST: a reference */
        enum quota_verdict refused;   /* with -EDQUOT */
        struct quota_figures figures; /* of the client, with -EDQUOT */
        const char *unwanted;         /* with -EACCES: why; static */
};

/*
 * Submits a job. Returns 0: it is in; what scheduler_check() returns; -ENOMEM; -EDQUOT (beyond the
 * client's limits); -EEXIST: the client has a job with this Idempotency-Key; -EACCES: a reload has
 * taken its client or site off meanwhile; or -EINPROGRESS: the arbiter has not answered yet, and
 * *ret_pending is the caller's, to be ended or abandoned. Only a job that makes a purchase costs
 * something. Thread: the loop's.
 */
int submit_job(struct scheduler *scheduler, const struct submission_order *order,
               struct submission_result *ret_result, struct submission **ret_pending);

/* Arms a waiter until the arbiter has answered. Returns false if it has, and no mail will be sent.
 */
bool submission_wait(struct submission *submission, struct waiter *waiter);

/* Disarms it. Returns false when its mail is on the way. */
bool submission_unwait(struct submission *submission, struct waiter *waiter);

/* Takes the answer, and frees the submission. Returns as submit_job(); with -EINPROGRESS there is
 * none yet, and the submission stays the caller's. */
int submission_end(struct submission *submission, struct submission_result *ret_result);

/* Nobody waits for the answer any more: the job is withdrawn now, or when it is there, as by
 * entry_withdraw(). Frees the submission. Takes NULL. */
void submission_abandon(struct submission *submission);

#endif
