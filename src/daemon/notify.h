/*
 * notify: what the service manager is told (sd_notify(3)): that the daemon is ready, reloads, stops
 * or is alive, and one line on what it does now. Where nobody listens, since $NOTIFY_SOCKET is not
 * set, nothing is told.
 *
 * Thread: main.
 */
#ifndef SOLVEGATE_DAEMON_NOTIFY_H
#define SOLVEGATE_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#define NOTIFY_STATUS_BYTES_MAX 512

enum notify_state {
        NOTIFY_STARTING,
        NOTIFY_READY,
        NOTIFY_RELOADING, /* was ready, and will be again */
        NOTIFY_STOPPING,
        NOTIFY_ENDING, /* the last one: it stops, and what is left should take a moment */
};

/* A value, open for those that have one in them; changed here only. */
struct notify {
        bool enabled;  /* somebody listens */
        bool troubled; /* what was told last did not arrive */
        enum notify_state state;
        int64_t watchdog_ms; /* within which it wants to hear of life; 0: it does not */
        int64_t ending_ms;   /* monotonic: when its end began */
        int64_t told_ms;     /* likewise: when the line was told last */
        char status[NOTIFY_STATUS_BYTES_MAX]; /* the line that was told last */
};

/* Reads the environment, and takes the watchdog's part out of it. To be called before there is
 * another thread. */
void notify_init(struct notify *notify);

/* What is stored is read back, which may take longer than a start may otherwise. */
void notify_starting(struct notify *notify);

/* So many of all rows are read; all is 0 as long as they are counted. Asks for more time: call it
 * once a second at most, as long as something is read. */
void notify_reading(struct notify *notify, int64_t done, int64_t all);

/* It cannot start, and why: one line, which the service manager shows with the failure. */
void notify_failed(struct notify *notify, const char *problem);

/* The listeners are open. status: what it does now, one line. */
void notify_ready(struct notify *notify, const char *status);

/* Tells the line if it is another one, once a second at most: call it again and again. */
void notify_status(struct notify *notify, const char *status);

/* A reload begins; and is over, as it may be. Nothing is told of one that ends after a stop began,
 * or that never began. */
void notify_reloading(struct notify *notify);
void notify_reloaded(struct notify *notify, const char *status);

/* It stops, and takes its time for that as long as notify_alive() is called. */
void notify_stopping(struct notify *notify, const char *status);

/* Nothing under way is waited for any more, so what is left takes a moment, or hangs: from now on
 * more time is asked for as long only as this, half a minute each time, so that it may be twice
 * this before the service manager ends it. Calls after the first change nothing. */
#define NOTIFY_ENDING_MS 30000
void notify_ending(struct notify *notify);

/* Every loop has turned. */
void notify_alive(struct notify *notify);

/* How often to call notify_alive(): a third of what is allowed. */
int64_t notify_beat_ms(const struct notify *notify);

#endif
