/*
 * verdict: how the gateway's verdicts are said in HTTP (contract, section 3).
 */
#ifndef SOLVEGATE_HTTP_VERDICT_H
#define SOLVEGATE_HTTP_VERDICT_H

#include "gateway/gateway.h"

struct request;

/* Refuses the request unless the verdict is GATEWAY_OK. */
void verdict_refuse(struct request *request, enum gateway_verdict verdict, const char *message);

#endif
