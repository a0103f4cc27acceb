/*
 * number: the numbers of purchases. The upper 32 bits are the number of the gateway that took the
 * purchase, so several gateways can number theirs in one store without asking each other. A
 * gateway counts from 1. One that has a store for itself is gateway 0; its count may exceed 32 bits
 * after some years, and then goes on in the numbers of others, which it does not have.
 */
#ifndef SOLVEGATE_JOB_NUMBER_H
#define SOLVEGATE_JOB_NUMBER_H

#include <stdint.h>

#define NUMBER_GATEWAY_SHIFT 32

/* The n-th number of a gateway. */
static inline int64_t number_of(int64_t gateway, int64_t n)
{
        return gateway << NUMBER_GATEWAY_SHIFT | n;
}

#endif
