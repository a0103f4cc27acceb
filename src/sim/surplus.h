/*
 * surplus: a whole response to which there is no request, written behind a right one.
 */
#ifndef SOLVEGATE_SIM_SURPLUS_H
#define SOLVEGATE_SIM_SURPLUS_H

#include <stdbool.h>

struct strbuf;

enum sim_surplus {
        SIM_SURPLUS_SOLVED,       /* 200, a solution */
        SIM_SURPLUS_CODE,         /* 429 with code 16: "later" */
        SIM_SURPLUS_ERROR,        /* 200, an error */
        SIM_SURPLUS_UNAUTHORIZED, /* 401 */
        SIM_SURPLUS_CLOSE,        /* 408 with Connection: close, which an orderly end follows */
};

#define SIM_SURPLUS_FORMS "solved, code, error, unauthorized or close"

/* Finds a response by its name. Returns false, and leaves *ret_surplus as it is, if the name is
 * unknown. */
bool sim_surplus_find(const char *name, enum sim_surplus *ret_surplus);

/* Appends the response: its header and its body. */
void sim_surplus_write(enum sim_surplus surplus, struct strbuf *out);

#endif
