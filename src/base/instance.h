/*
 * instance: the name of this process among all gateways, by which it recognizes its own requests.
 *
 * Each request to an upstream has it in Via (RFC 9110, 7.6.3). A request that comes in with it was
 * sent by this process, whatever DNS, NAT or proxy it went through. It is drawn at random at each
 * start, so two gateways in a row never take each other's requests for their own. It is not a
 * secret: a caller that sends it has only its own request refused.
 */
#ifndef SOLVEGATE_BASE_INSTANCE_H
#define SOLVEGATE_BASE_INSTANCE_H

/* What a refused request has as its code in JSON. Sender and receiver are the same program. */
#define INSTANCE_LOOP_CODE "loop_detected"

/* Returns the pseudonym, such as "solvegate-Zx3_kQ0aB1cD2eF-", static text. Thread: any. */
const char *instance_name(void);

/* Returns the value of the Via field, "1.1 " and the pseudonym, static text. Thread: any. */
const char *instance_via(void);

#endif
