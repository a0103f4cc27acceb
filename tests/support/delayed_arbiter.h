/*
 * delayed_arbiter: an arbiter for tests that lets another one decide, later, and tells it later
 * still. What is asked waits to be decided, and what is decided to be handed over; both in order.
 */
#ifndef SOLVEGATE_TESTS_DELAYED_ARBITER_H
#define SOLVEGATE_TESTS_DELAYED_ARBITER_H

#include <stdbool.h>
#include <stddef.h>

struct arbiter;

struct delayed_arbiter_options {
        bool turns;       /* turns are delayed too, not only admissions; by itself, three of four */
        bool by_itself;   /* a thread takes the steps, each after a random time; else the test */
        unsigned seed;    /* valid with by_itself, as the next */
        int delay_max_ms; /* before each step */
};

/* Takes over inner. Aborts where it cannot be made. */
struct arbiter *delayed_arbiter_new(struct arbiter *inner,
                                    const struct delayed_arbiter_options *options);

/* Takes the next step of one kind. Returns false if there is none. Thread: one, without the
 * scheduler's mutex. */
bool delayed_arbiter_decide(struct arbiter *arbiter);
bool delayed_arbiter_hand_over(struct arbiter *arbiter);

#endif
