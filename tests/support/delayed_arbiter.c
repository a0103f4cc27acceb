/*
 * delayed_arbiter: see delayed_arbiter.h.
 */
#include "delayed_arbiter.h"

#include "dispatch/arbiter.h"
#include "dispatch/scheduler.h"
#include "job/job.h"
#include "job/purchase.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

/* A question that waits for its next step: one of the first two. */
struct waiting {
        struct arbiter_admission *admission;
        struct arbiter_turn *turn;
        struct waiting *prev, *next;
};

struct delayed_arbiter {
        struct arbiter base; /* first */
        struct arbiter *inner;
        struct delayed_arbiter_options options;
        pthread_t thread;     /* valid with options.by_itself */
        unsigned turns_asked; /* guarded by the scheduler's mutex */

        pthread_mutex_t mutex; /* guards what follows; taken under the scheduler's */
        pthread_cond_t changed;
        struct waiting *asked, *decided;
        bool given_up;
        bool ending;
};

static struct delayed_arbiter *self_of(struct arbiter *arbiter)
{
        return (struct delayed_arbiter *)arbiter;
}

static struct waiting *pop(struct delayed_arbiter *self, struct waiting **list)
{
        (void)pthread_mutex_lock(&self->mutex);
        struct waiting *first = *list;
        if (first)
                DL_DELETE(*list, first);
        (void)pthread_mutex_unlock(&self->mutex);
        return first;
}

static void push(struct delayed_arbiter *self, struct waiting **list, struct waiting *waiting)
{
        (void)pthread_mutex_lock(&self->mutex);
        DL_APPEND(*list, waiting);
        (void)pthread_cond_signal(&self->changed);
        (void)pthread_mutex_unlock(&self->mutex);
}

/* ---- the steps ---- */

/* The inner arbiter's answer is in the question, and handed over later. */
static void keep_decision(struct arbiter_admission *admission)
{
        (void)admission;
}

static void keep_turn(struct arbiter_turn *turn)
{
        (void)turn;
}

static struct waiting *new_waiting(void)
{
        struct waiting *waiting = calloc(1, sizeof *waiting);

        if (!waiting)
                abort();
        return waiting;
}

static void admit(struct arbiter *arbiter, struct arbiter_admission *admission)
{
        struct delayed_arbiter *self = self_of(arbiter);

        if (self->given_up) {
                admission->decision = ARBITER_UNAVAILABLE;
                admission->then_locked(admission);
                return;
        }
        struct waiting *waiting = new_waiting();
        waiting->admission = admission;
        push(self, &self->asked, waiting);
}

static void ask_turn(struct arbiter *arbiter, struct arbiter_turn *turn)
{
        struct delayed_arbiter *self = self_of(arbiter);

        if (!self->options.turns || (self->options.by_itself && ++self->turns_asked % 4 == 0)) {
                arbiter_turn_locked(self->inner, turn);
                return;
        }
        if (self->given_up) {
                turn->flow = NULL;
                turn->then_locked(turn);
                return;
        }
        struct waiting *waiting = new_waiting();
        waiting->turn = turn;
        push(self, &self->asked, waiting);
}

static void decide_admission(struct delayed_arbiter *self, struct arbiter_admission *admission)
{
        void (*then_locked)(struct arbiter_admission *) = admission->then_locked;

        admission->then_locked = keep_decision;
        arbiter_admit_locked(self->inner, admission);
        admission->then_locked = then_locked;
}

static void decide_turn(struct delayed_arbiter *self, struct arbiter_turn *turn)
{
        void (*then_locked)(struct arbiter_turn *) = turn->then_locked;

        turn->then_locked = keep_turn;
        arbiter_turn_locked(self->inner, turn);
        turn->then_locked = then_locked;
}

static bool decide_locked(struct delayed_arbiter *self)
{
        struct waiting *waiting = pop(self, &self->asked);

        if (!waiting)
                return false;
        if (waiting->admission)
                decide_admission(self, waiting->admission);
        else
                decide_turn(self, waiting->turn);
        push(self, &self->decided, waiting);
        return true;
}

static void tell(const struct waiting *waiting)
{
        if (waiting->admission)
                waiting->admission->then_locked(waiting->admission);
        else
                waiting->turn->then_locked(waiting->turn);
}

static bool hand_over_locked(struct delayed_arbiter *self)
{
        struct waiting *waiting = pop(self, &self->decided);

        if (!waiting)
                return false;
        tell(waiting);
        free(waiting);
        return true;
}

bool delayed_arbiter_decide(struct arbiter *arbiter)
{
        scheduler_lock(arbiter->scheduler);
        bool taken = decide_locked(self_of(arbiter));
        scheduler_unlock(arbiter->scheduler);
        return taken;
}

bool delayed_arbiter_hand_over(struct arbiter *arbiter)
{
        scheduler_lock(arbiter->scheduler);
        bool taken = hand_over_locked(self_of(arbiter));
        scheduler_unlock(arbiter->scheduler);
        return taken;
}

static void give_up(struct arbiter *arbiter)
{
        struct delayed_arbiter *self = self_of(arbiter);
        struct waiting *waiting;

        self->given_up = true;
        while (hand_over_locked(self))
                ;
        while ((waiting = pop(self, &self->asked))) {
                if (waiting->admission)
                        waiting->admission->decision = ARBITER_UNAVAILABLE;
                else
                        waiting->turn->flow = NULL;
                tell(waiting);
                free(waiting);
        }
}

/* ---- by itself ---- */

/* Waits until there is something to do. Returns false at the end. */
static bool wait_for_work(struct delayed_arbiter *self)
{
        (void)pthread_mutex_lock(&self->mutex);
        while (!self->asked && !self->decided && !self->ending)
                (void)pthread_cond_wait(&self->changed, &self->mutex);
        bool ending = self->ending;
        (void)pthread_mutex_unlock(&self->mutex);
        return !ending;
}

static void *run(void *arg)
{
        struct delayed_arbiter *self = arg;
        unsigned state = self->options.seed;

        while (wait_for_work(self)) {
                int delay_us = rand_r(&state) % (self->options.delay_max_ms * 1000 + 1);
                (void)usleep((unsigned)delay_us);
                if (rand_r(&state) % 2 == 0)
                        (void)delayed_arbiter_decide(&self->base);
                else
                        (void)delayed_arbiter_hand_over(&self->base);
        }
        return NULL;
}

/* The daemon's signals are not for this thread, which may begin before they are blocked. */
static void start(struct delayed_arbiter *self)
{
        sigset_t all, before;

        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        if (pthread_create(&self->thread, NULL, run, self) != 0)
                abort();
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- what is not delayed ---- */

static void undo(struct arbiter *arbiter, const struct arbiter_admission *admission)
{
        arbiter_undo_locked(self_of(arbiter)->inner, admission);
}

static int reserve(struct arbiter *arbiter, struct client *client, int64_t *ret_day)
{
        return arbiter_reserve_locked(self_of(arbiter)->inner, client, ret_day);
}

static void settle(struct arbiter *arbiter, struct client *client, int64_t day)
{
        arbiter_settle_locked(self_of(arbiter)->inner, client, day);
}

static void release(struct arbiter *arbiter, struct client *client, int64_t day)
{
        arbiter_release_locked(self_of(arbiter)->inner, client, day);
}

static void open_purchase(struct arbiter *arbiter, struct purchase *purchase)
{
        arbiter_open_locked(self_of(arbiter)->inner, purchase);
}

static void close_purchase(struct arbiter *arbiter, struct purchase *purchase)
{
        arbiter_close_locked(self_of(arbiter)->inner, purchase);
}

static void solved(struct arbiter *arbiter, struct job *job)
{
        arbiter_solved_locked(self_of(arbiter)->inner, job);
}

static int claim_key(struct arbiter *arbiter, struct job *job, struct job **ret_other)
{
        return arbiter_claim_key_locked(self_of(arbiter)->inner, job, ret_other);
}

static void release_key(struct arbiter *arbiter, struct job *job)
{
        arbiter_release_key_locked(self_of(arbiter)->inner, job);
}

static void forget(struct arbiter *arbiter, struct job *job)
{
        arbiter_forget(self_of(arbiter)->inner, job);
}

static void wants(struct arbiter *arbiter, struct queue_flow *flow, bool does)
{
        arbiter_wants_locked(self_of(arbiter)->inner, flow, does);
}

static void turn_resumed(struct arbiter *arbiter, struct queue_flow *flow,
                         const struct account *account)
{
        arbiter_turn_resumed_locked(self_of(arbiter)->inner, flow, account);
}

static void turn_over(struct arbiter *arbiter, struct queue_flow *flow,
                      const struct account *account)
{
        arbiter_turn_over_locked(self_of(arbiter)->inner, flow, account);
}

static void turn_unused(struct arbiter *arbiter, struct queue_flow *flow)
{
        arbiter_turn_unused_locked(self_of(arbiter)->inner, flow);
}

static void limits_changed(struct arbiter *arbiter)
{
        arbiter_limits_changed_locked(self_of(arbiter)->inner);
}

static void close_arbiter(struct arbiter *arbiter)
{
        struct delayed_arbiter *self = self_of(arbiter);

        if (self->options.by_itself) {
                (void)pthread_mutex_lock(&self->mutex);
                self->ending = true;
                (void)pthread_cond_signal(&self->changed);
                (void)pthread_mutex_unlock(&self->mutex);
                (void)pthread_join(self->thread, NULL);
        }
        arbiter_close(self->inner);
}

static void free_arbiter(struct arbiter *arbiter)
{
        struct delayed_arbiter *self = self_of(arbiter);

        arbiter_free(self->inner);
        (void)pthread_cond_destroy(&self->changed);
        (void)pthread_mutex_destroy(&self->mutex);
        free(self);
}

struct arbiter *delayed_arbiter_new(struct arbiter *inner,
                                    const struct delayed_arbiter_options *options)
{
        static const struct arbiter_backend backend = {
                .admit = admit,
                .undo = undo,
                .reserve = reserve,
                .settle = settle,
                .release = release,
                .open_purchase = open_purchase,
                .close_purchase = close_purchase,
                .solved = solved,
                .claim_key = claim_key,
                .release_key = release_key,
                .forget = forget,
                .wants = wants,
                .turn = ask_turn,
                .turn_resumed = turn_resumed,
                .turn_over = turn_over,
                .turn_unused = turn_unused,
                .limits_changed = limits_changed,
                .give_up = give_up,
                .close = close_arbiter,
                .free = free_arbiter,
        };
        struct delayed_arbiter *self = calloc(1, sizeof *self);

        if (!self)
                abort();
        self->base.backend = &backend;
        self->inner = inner;
        self->options = *options;
        (void)pthread_mutex_init(&self->mutex, NULL);
        (void)pthread_cond_init(&self->changed, NULL);
        if (options->by_itself)
                start(self);
        return &self->base;
}
