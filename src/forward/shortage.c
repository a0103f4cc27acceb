/*
 * shortage: see shortage.h.
 */
#include "forward/shortage.h"

#include "dispatch/budget.h"

#include <limits.h>

static void begin_pause(struct shortage *shortage, int64_t now_ms)
{
        shortage->noted = false;
        shortage->resume_ms =
                now_ms + budget_backoff_ms(SHORTAGE_PAUSE_MIN_MS, SHORTAGE_PAUSE_MAX_MS,
                                           shortage->pauses, SHORTAGE_PAUSE_MIN_MS);
}

void shortage_note(struct shortage *shortage, size_t flights, int64_t now_ms)
{
        if (!shortage->limited) {
                *shortage = (struct shortage){
                        .limited = true, .flights_max = flights, .step = 1, .pauses = 1};
                begin_pause(shortage, now_ms);
        }
        if (flights < shortage->flights_max)
                shortage->flights_max = flights;
        shortage->noted = true;
}

void shortage_note_connection(struct shortage *shortage)
{
        if (shortage->limited)
                shortage->flights_max++;
}

/* Raises the limit at the end of a pause, and begins the next one. */
static void end_pause(struct shortage *shortage, size_t flights, int64_t now_ms)
{
        if (!shortage->noted) {
                shortage->pauses = 1;
                shortage->step *= 2;
        } else {
                shortage->pauses += shortage->pauses < INT_MAX;
                shortage->step = 1;
        }
        shortage->flights_max = flights + shortage->step;
        shortage->limited = shortage->step <= SHORTAGE_STEP_MAX;
        begin_pause(shortage, now_ms);
}

bool shortage_allows(struct shortage *shortage, size_t flights, int64_t now_ms,
                     int64_t *ret_again_ms)
{
        if (!shortage->limited || flights < shortage->flights_max)
                return true;
        if (now_ms >= shortage->resume_ms) {
                end_pause(shortage, flights, now_ms);
                return true;
        }
        *ret_again_ms = shortage->resume_ms;
        return false;
}
