/*
 * spoil: what a fault makes of an answer.
 */
#ifndef SOLVEGATE_SIM_SPOIL_H
#define SOLVEGATE_SIM_SPOIL_H

#include <stdbool.h>

struct sim_fault;
struct sim_reply;

/*
 * Writes the refusal, if the fault is one: the request is then answered without a look at it, and
 * nothing is charged. uid and apikey are what the request brought, or NULL. Returns whether it
 * wrote one.
 */
bool sim_spoil_refuse(const struct sim_fault *fault, const char *uid, const char *apikey,
                      struct sim_reply *reply);

/*
 * Spoils a right answer, if the fault does so. The shapes that are about a job (skip, noid,
 * duplicate) are not made here: see sim_vendor_answer().
 */
void sim_spoil_answer(const struct sim_fault *fault, struct sim_reply *reply);

#endif
