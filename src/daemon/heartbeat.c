/*
 * heartbeat: see heartbeat.h.
 */
#include "daemon/heartbeat.h"

#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Mail to one loop, and the answer. */
struct beat {
        struct mail mail;
        struct heartbeat *heartbeat;
        struct loop *loop;
};

struct heartbeat {
        struct heartbeat_setup setup;
        struct loop_timer *timer;
        size_t max, count;
        size_t awaited; /* of the round; main's alone */
        struct beat beats[];
};

static void on_back(struct mail *mail)
{
        struct heartbeat *heartbeat = ((struct beat *)mail)->heartbeat;

        if (--heartbeat->awaited == 0)
                heartbeat->setup.alive(heartbeat->setup.arg);
}

/* Thread: the loop that the beat went to. */
static void on_beat(struct mail *mail)
{
        struct beat *beat = (struct beat *)mail;

        beat->mail.deliver = on_back;
        loop_post(beat->heartbeat->setup.main_loop, &beat->mail);
}

static void on_time(void *arg)
{
        struct heartbeat *heartbeat = arg;

        if (heartbeat->awaited > 0)
                return;
        heartbeat->awaited = heartbeat->count;
        for (size_t i = 0; i < heartbeat->count; i++) {
                heartbeat->beats[i].mail.deliver = on_beat;
                loop_post(heartbeat->beats[i].loop, &heartbeat->beats[i].mail);
        }
        if (heartbeat->count == 0) /* this loop turns, or it would not be here */
                heartbeat->setup.alive(heartbeat->setup.arg);
}

int heartbeat_new(const struct heartbeat_setup *setup, size_t loops_max,
                  struct heartbeat **ret_heartbeat)
{
        struct heartbeat *heartbeat =
                calloc(1, sizeof *heartbeat + loops_max * sizeof heartbeat->beats[0]);

        if (!heartbeat)
                return -ENOMEM;
        heartbeat->setup = *setup;
        heartbeat->max = loops_max;
        int r = loop_timer_new(setup->main_loop, on_time, heartbeat, &heartbeat->timer);
        if (r < 0) {
                free(heartbeat);
                return r;
        }
        *ret_heartbeat = heartbeat;
        return 0;
}

void heartbeat_add(struct heartbeat *heartbeat, struct loop *loop)
{
        assert(heartbeat->count < heartbeat->max);
        heartbeat->beats[heartbeat->count++] = (struct beat){.heartbeat = heartbeat, .loop = loop};
}

void heartbeat_start(struct heartbeat *heartbeat)
{
        loop_timer_start(heartbeat->timer, 0, heartbeat->setup.beat_ms);
}

void heartbeat_free(struct heartbeat *heartbeat)
{
        if (!heartbeat)
                return;
        loop_timer_free(heartbeat->timer);
        free(heartbeat);
}
