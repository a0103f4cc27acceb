/*
 * notify: see notify.h.
 *
 * sd_notify(3) waits while the service manager's queue is full; what is told here is a few lines a
 * second at most.
 */
#include "daemon/notify.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define STATUS_PAUSE_MS 1000
#define BEAT_MAX_MS     10000

/* In microseconds, from when it is told. It is told again and again while a store is read; before
 * that a large one is checked, which takes far less than ten minutes. From beat to beat a stop gets
 * 30 s; so long after the last one it is killed. */
#define START_TIME "EXTEND_TIMEOUT_USEC=600000000\n"
#define STOP_TIME  "EXTEND_TIMEOUT_USEC=30000000\n"

void notify_init(struct notify *notify)
{
        const char *socket = getenv("NOTIFY_SOCKET");
        uint64_t watchdog_us = 0;

        *notify = (struct notify){.enabled = socket && socket[0] != '\0'};
        if (sd_watchdog_enabled(1, &watchdog_us) > 0 && notify->enabled)
                notify->watchdog_ms = (int64_t)(watchdog_us / 1000);
}

static void tell(struct notify *notify, const char *text)
{
        if (!notify->enabled)
                return;
        int r = sd_notify(0, text);
        if (r < 0 && !notify->troubled)
                log_warning("cannot tell the service manager ($NOTIFY_SOCKET): %s", strerror(-r));
        notify->troubled = r < 0;
}

/* One line of UTF-8: systemd takes no other, and a newline would begin another assignment. */
static void take_status(struct notify *notify, const char *status)
{
        unsigned char *next = (unsigned char *)notify->status;

        (void)snprintf(notify->status, sizeof notify->status, "%s", status);
        utf8_end_cut(notify->status, sizeof notify->status);
        for (size_t left = strlen(notify->status), len; left > 0; next += len, left -= len) {
                len = utf8_sequence(next, left);
                if (len == 0) {
                        *next = '?';
                        len = 1;
                } else if (*next == '\n') {
                        *next = ' ';
                }
        }
}

/* With the line on what it does now; text ends with a newline or is empty. */
static void tell_with(struct notify *notify, const char *text, const char *status)
{
        char message[NOTIFY_STATUS_BYTES_MAX + 128];

        take_status(notify, status);
        notify->told_ms = clock_monotonic_ms();
        (void)snprintf(message, sizeof message, "%sSTATUS=%s", text, notify->status);
        tell(notify, message);
}

void notify_starting(struct notify *notify)
{
        tell_with(notify, START_TIME, "starting: reading what is stored");
}

void notify_reading(struct notify *notify, int64_t done, int64_t all)
{
        char status[NOTIFY_STATUS_BYTES_MAX];

        if (all > 0)
                (void)snprintf(status, sizeof status,
                               "starting: reading what is stored, %" PRId64 " of %" PRId64, done,
                               all);
        else
                (void)snprintf(status, sizeof status, "starting: counting what is stored");
        tell_with(notify, START_TIME, status);
}

void notify_failed(struct notify *notify, const char *problem)
{
        char status[NOTIFY_STATUS_BYTES_MAX];

        (void)snprintf(status, sizeof status, "cannot start: %s", problem);
        tell_with(notify, "", status);
}

void notify_ready(struct notify *notify, const char *status)
{
        notify->state = NOTIFY_READY;
        tell_with(notify, "READY=1\n", status);
}

void notify_status(struct notify *notify, const char *status)
{
        if (strncmp(status, notify->status, sizeof notify->status - 1) == 0 ||
            clock_monotonic_ms() - notify->told_ms < STATUS_PAUSE_MS)
                return;
        tell_with(notify, "", status);
}

void notify_reloading(struct notify *notify)
{
        if (notify->state != NOTIFY_READY)
                return;
        notify->state = NOTIFY_RELOADING;
        tell_with(notify, "RELOADING=1\n", "reloading");
}

void notify_reloaded(struct notify *notify, const char *status)
{
        if (notify->state == NOTIFY_RELOADING)
                notify_ready(notify, status);
}

void notify_stopping(struct notify *notify, const char *status)
{
        notify->state = NOTIFY_STOPPING;
        tell_with(notify, "STOPPING=1\n" STOP_TIME, status);
}

void notify_ending(struct notify *notify)
{
        if (notify->state == NOTIFY_ENDING)
                return;
        notify->state = NOTIFY_ENDING;
        notify->ending_ms = clock_monotonic_ms();
}

static bool may_ask_for_time(const struct notify *notify)
{
        if (notify->state == NOTIFY_ENDING)
                return clock_monotonic_ms() - notify->ending_ms < NOTIFY_ENDING_MS;
        return notify->state == NOTIFY_STOPPING;
}

void notify_alive(struct notify *notify)
{
        char text[64];

        (void)snprintf(text, sizeof text, "%s%s", notify->watchdog_ms > 0 ? "WATCHDOG=1\n" : "",
                       may_ask_for_time(notify) ? STOP_TIME : "");
        if (text[0])
                tell(notify, text);
}

int64_t notify_beat_ms(const struct notify *notify)
{
        int64_t beat_ms = notify->watchdog_ms > 0 ? notify->watchdog_ms / 3 : BEAT_MAX_MS;

        if (beat_ms > BEAT_MAX_MS)
                return BEAT_MAX_MS;
        return beat_ms > 0 ? beat_ms : 1;
}
