/*
 * loop: see loop.h. The mailbox is a list under its own mutex, with an async handle as the bell.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

struct loop {
        uv_loop_t uv;
        uv_async_t bell;
        pthread_mutex_t mutex;   /* a leaf: nothing else is locked while it is held */
        struct mail *mail;       /* guarded by mutex; oldest first */
        struct mail **mail_tail; /* guarded by mutex */
};

/* A timer that is later than this waits for one more turn. A busy loop is late by less. */
#define LATE_MS 250

struct loop_timer {
        uv_timer_t uv;
        uint64_t due_ms; /* by the clock of uv_now() */
        bool deferred;   /* it was late, and waits for the turn to read what has arrived */
        void (*fire)(void *arg);
        void *arg;
};

struct loop_watch {
        uv_poll_t uv;
        void (*gone)(void *arg);
        void *arg;
};

struct loop_work {
        uv_work_t uv;
        void (*run)(void *arg);
        void (*done)(void *arg);
        void *arg;
};

/* Of the handles that are part of a structure which ends with them. */
static void free_closed(uv_handle_t *handle)
{
        free(handle->data);
}

static void on_bell(uv_async_t *bell)
{
        struct loop *loop = bell->data;

        (void)pthread_mutex_lock(&loop->mutex);
        struct mail *mail = loop->mail;
        loop->mail = NULL;
        loop->mail_tail = &loop->mail;
        (void)pthread_mutex_unlock(&loop->mutex);

        while (mail) {
                /* Delivering may free the mail or post it again. */
                struct mail *next = mail->next;
                mail->deliver(mail);
                mail = next;
        }
}

int loop_new(struct loop **ret_loop)
{
        struct loop *loop = calloc(1, sizeof *loop);

        if (!loop)
                return -ENOMEM;
        loop->mail_tail = &loop->mail;
        int r = uv_loop_init(&loop->uv);
        if (r < 0) {
                free(loop);
                return r;
        }
        r = uv_async_init(&loop->uv, &loop->bell, on_bell);
        if (r < 0) {
                (void)uv_loop_close(&loop->uv);
                free(loop);
                return r;
        }
        loop->bell.data = loop;
        (void)pthread_mutex_init(&loop->mutex, NULL);
        *ret_loop = loop;
        return 0;
}

void loop_free(struct loop *loop)
{
        if (!loop)
                return;
        uv_close((uv_handle_t *)&loop->bell, NULL);
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
        int r = uv_loop_close(&loop->uv);
        assert(r == 0);
        (void)r;
        (void)pthread_mutex_destroy(&loop->mutex);
        free(loop);
}

void loop_run(struct loop *loop)
{
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
        uv_stop(&loop->uv);
}

void loop_post(struct loop *loop, struct mail *mail)
{
        mail->next = NULL;
        (void)pthread_mutex_lock(&loop->mutex);
        *loop->mail_tail = mail;
        loop->mail_tail = &mail->next;
        (void)pthread_mutex_unlock(&loop->mutex);
        (void)uv_async_send(&loop->bell);
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
        return &loop->uv;
}

int loop_timer_new(struct loop *loop, void (*fire)(void *arg), void *arg,
                   struct loop_timer **ret_timer)
{
        struct loop_timer *timer = calloc(1, sizeof *timer);

        if (!timer)
                return -ENOMEM;
        timer->fire = fire;
        timer->arg = arg;
        timer->uv.data = timer;
        (void)uv_timer_init(&loop->uv, &timer->uv);
        *ret_timer = timer;
        return 0;
}

static void on_timer(uv_timer_t *uv)
{
        struct loop_timer *timer = uv->data;
        uint64_t now_ms = uv_now(uv->loop), repeat_ms = uv_timer_get_repeat(uv);

        if (now_ms - timer->due_ms > LATE_MS && !timer->deferred) {
                timer->deferred = true;
                (void)uv_timer_start(uv, on_timer, 1, repeat_ms);
                return;
        }
        timer->deferred = false;
        timer->due_ms = now_ms + repeat_ms;
        timer->fire(timer->arg);
}

void loop_timer_start(struct loop_timer *timer, int64_t delay_ms, int64_t repeat_ms)
{
        assert(delay_ms >= 0 && repeat_ms >= 0);
        /* libuv counts from the start of the turn, which may be long ago in a busy one. */
        uv_update_time(timer->uv.loop);
        timer->deferred = false;
        timer->due_ms = uv_now(timer->uv.loop) + (uint64_t)delay_ms;
        (void)uv_timer_start(&timer->uv, on_timer, (uint64_t)delay_ms, (uint64_t)repeat_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
        (void)uv_timer_stop(&timer->uv);
}

void loop_timer_free(struct loop_timer *timer)
{
        if (timer)
                uv_close((uv_handle_t *)&timer->uv, free_closed);
}

static void on_watch(uv_poll_t *uv, int status, int events)
{
        struct loop_watch *watch = uv->data;

        (void)status;
        (void)events;
        /* The condition stays; it is told once. */
        (void)uv_poll_stop(uv);
        watch->gone(watch->arg);
}

int loop_watch_new(struct loop *loop, int fd, void (*gone)(void *arg), void *arg,
                   struct loop_watch **ret_watch)
{
        struct loop_watch *watch = calloc(1, sizeof *watch);

        if (!watch)
                return -ENOMEM;
        watch->gone = gone;
        watch->arg = arg;
        watch->uv.data = watch;
        int r = uv_poll_init(&loop->uv, &watch->uv, fd);
        if (r < 0) {
                free(watch);
                return r;
        }
        r = uv_poll_start(&watch->uv, UV_DISCONNECT, on_watch);
        if (r < 0) {
                loop_watch_free(watch);
                return r;
        }
        *ret_watch = watch;
        return 0;
}

void loop_watch_free(struct loop_watch *watch)
{
        if (!watch)
                return;
        (void)uv_poll_stop(&watch->uv);
        uv_close((uv_handle_t *)&watch->uv, free_closed);
}

int loop_work_new(void (*run)(void *arg), void (*done)(void *arg), void *arg,
                  struct loop_work **ret_work)
{
        struct loop_work *work = calloc(1, sizeof *work);

        if (!work)
                return -ENOMEM;
        *work = (struct loop_work){.run = run, .done = done, .arg = arg};
        work->uv.data = work;
        *ret_work = work;
        return 0;
}

static void on_work(uv_work_t *uv)
{
        struct loop_work *work = uv->data;

        work->run(work->arg);
}

static void on_worked(uv_work_t *uv, int status)
{
        struct loop_work *work = uv->data;

        (void)status; /* nothing is cancelled */
        work->done(work->arg);
}

void loop_work_start(struct loop_work *work, struct loop *loop)
{
        int r = uv_queue_work(&loop->uv, &work->uv, on_work, on_worked);

        assert(r == 0); /* it fails only without a function */
        (void)r;
}

void loop_work_free(struct loop_work *work)
{
        free(work);
}
