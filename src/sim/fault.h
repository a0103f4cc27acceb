/*
 * fault: what the simulator was told to do wrong, and when.
 *
 * A fault is written ENDPOINT:KIND[=VALUE][*COUNT]. The faults stand in a list in the order they
 * were added; a request takes the first of its endpoint that has some of its count left. One
 * mutex; never held while another lock is taken. Thread: any.
 */
#ifndef SOLVEGATE_SIM_FAULT_H
#define SOLVEGATE_SIM_FAULT_H

#include "sim/reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_FAULTS_MAX              256
#define SIM_FAULT_TEXT_BYTES_MAX    256
#define SIM_FAULT_PROBLEM_BYTES_MAX 160

/* The three things the vendor's API does, whatever their paths are. */
enum sim_endpoint {
        SIM_ENDPOINT_SOLVE,
        SIM_ENDPOINT_STATUS,
        SIM_ENDPOINT_BALANCE,
        SIM_ENDPOINTS,
};

enum sim_fault_kind {
        SIM_FAULT_NONE,        /* the request goes its ordinary way */
        SIM_FAULT_STATUS,      /* refuse with an HTTP code */
        SIM_FAULT_CODE,        /* refuse with a code in the body */
        SIM_FAULT_ERROR,       /* refuse with a message */
        SIM_FAULT_ECHO,        /* refuse with a message that quotes the credentials */
        SIM_FAULT_RESET_EARLY, /* reset before the body is read */
        SIM_FAULT_EARLY,       /* refuse with an HTTP code before the body is read */
        SIM_FAULT_SKIP,        /* from here on the job is taken and charged */
        SIM_FAULT_NOID,        /* a queued answer that names no job */
        SIM_FAULT_DUPLICATE,   /* a solved answer with members given twice */
        SIM_FAULT_RESET,       /* reset instead of an answer */
        SIM_FAULT_CLOSE,       /* an orderly close instead of an answer */
        SIM_FAULT_TRUNCATE,    /* half of the answer */
        SIM_FAULT_GARBAGE,     /* bytes that are no text */
        SIM_FAULT_HTML,        /* a page */
        SIM_FAULT_EMPTY,       /* no body */
        SIM_FAULT_NOTOBJECT,   /* JSON, but no object */
        SIM_FAULT_NUMERIC,     /* a status that is a number */
        SIM_FAULT_HUGE,        /* far too much */
        SIM_FAULT_DEEP,        /* nested far too deep */
        SIM_FAULT_DRIP,        /* the answer, very slowly */
        SIM_FAULT_HANG,        /* no answer, ever */
        SIM_FAULT_SLOW,        /* the answer, later */
        SIM_FAULT_RESET_AFTER, /* the whole answer, then a reset */
        SIM_FAULT_STRAY,       /* the answer, then a surplus one on the idle connection */
        SIM_FAULT_DOUBLE,      /* the answer and a surplus one at once */
        SIM_FAULT_SPLIT,       /* the same, but half of the surplus one later */
};

/* How a refusal says when to come back. */
enum sim_retry_after {
        SIM_RETRY_AFTER_NONE,
        SIM_RETRY_AFTER_SECONDS,
        SIM_RETRY_AFTER_DATE,
};

struct sim_fault {
        enum sim_endpoint endpoint;
        enum sim_fault_kind kind;
        int code;                            /* of STATUS, EARLY, CODE and HTML */
        enum sim_retry_after retry_after;    /* of STATUS */
        int retry_after_seconds;             /* of STATUS */
        int64_t delay_ms;                    /* of SLOW */
        enum sim_surplus surplus;            /* of STRAY, DOUBLE and SPLIT */
        char text[SIM_FAULT_TEXT_BYTES_MAX]; /* of ERROR */
        unsigned long left;                  /* requests still to hit */
        bool forever;                        /* left does not count */
};

struct sim_faults;

/* The name that faults and the list of requests use; static text. */
const char *sim_endpoint_name(enum sim_endpoint endpoint);

/* The caller frees *ret_faults with sim_faults_free(). Returns 0 or -ENOMEM. */
int sim_faults_new(struct sim_faults **ret_faults);
void sim_faults_free(struct sim_faults *faults);

/*
 * Reads one SPEC of len bytes. Returns 0, or -EINVAL with what is wrong, in one line, in problem.
 */
int sim_fault_parse(const char *spec, size_t len, struct sim_fault *ret_fault,
                    char problem[static SIM_FAULT_PROBLEM_BYTES_MAX]);

/*
 * Adds every SPEC of a text, one a line; empty lines are left out. Adds all or none. Returns 0,
 * -EINVAL with problem written, or -ENOMEM.
 */
int sim_faults_add(struct sim_faults *faults, const char *text, size_t len,
                   char problem[static SIM_FAULT_PROBLEM_BYTES_MAX]);

/* Forgets all faults. */
void sim_faults_clear(struct sim_faults *faults);

/* Takes the fault that hits this request: its kind is SIM_FAULT_NONE when none does. */
void sim_faults_take(struct sim_faults *faults, enum sim_endpoint endpoint,
                     struct sim_fault *ret_fault);

#endif
