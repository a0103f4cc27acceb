/*
 * shortage: how many flights a forwarder may have while file descriptors or memory for connections
 * are short. A flight that cannot be sent for this reason costs two records of the store, so it is
 * not repeated for each slot.
 *
 * The first shortage limits the flights to those that are in flight. From then on, each answer that
 * arrives over a connection raises the limit by one. The end of a pause raises it, too: by one
 * after a pause with a shortage, and the next pause is longer; otherwise by twice as many as the
 * end before, until there is no limit any more.
 *
 * Not locked: it belongs to a forwarder. Times are monotonic, in milliseconds.
 */
#ifndef SOLVEGATE_FORWARD_SHORTAGE_H
#define SOLVEGATE_FORWARD_SHORTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHORTAGE_PAUSE_MIN_MS 250
#define SHORTAGE_PAUSE_MAX_MS 4000
#define SHORTAGE_STEP_MAX     256 /* a larger one ends the limit */

/* All zero: without a limit. */
struct shortage {
        bool limited;
        /* valid with limited */
        size_t flights_max;
        size_t step;       /* by which the end of the last pause raised it, or 1 */
        int pauses;        /* with a shortage, in a row; 1 if there was none */
        bool noted;        /* there was a shortage in the present pause */
        int64_t resume_ms; /* the end of the pause */
};

/* A flight got no connection; flights others are in flight. */
void shortage_note(struct shortage *shortage, size_t flights, int64_t now_ms);

/* A flight had a connection. */
void shortage_note_connection(struct shortage *shortage);

/* Returns whether one more flight may begin beside flights others. If not, sets *ret_again_ms to
 * the end of the pause. */
bool shortage_allows(struct shortage *shortage, size_t flights, int64_t now_ms,
                     int64_t *ret_again_ms);

#endif
