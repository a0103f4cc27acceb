/*
 * manual_store: see manual_store.h.
 *
 * Each thing that is held has a due time. One that concerns the same purchase as an earlier one is
 * not due before it; and what is due at the same time is released in the order of the list.
 */
#include "manual_store.h"

#include "base/clock.h"
#include "job/job.h"
#include "store/backend.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#define WAIT_MS_MAX 60000

/* One of record, fetch and gone. */
struct held {
        struct store_record *record;
        struct store_fetch *fetch;
        struct job *gone; /* copies with no more than their IDs, as an array that is a list, too */
        int64_t due_ms;   /* monotonic; valid where the store releases by itself */
        struct held *prev, *next;
};

struct manual_store {
        struct store base;
        struct store *inner;
        bool by_itself;
        struct manual_store_options options;
        bool started;
        pthread_t thread;

        pthread_mutex_t mutex; /* outside of the inner store's */
        pthread_cond_t wake;   /* monotonic */
        /* guarded by mutex */
        struct held *list; /* in the order in which they were given */
        bool unhealthy;
        int64_t healthy_at_ms; /* monotonic; valid while unhealthy */
        bool giving_up;
        bool closing;
};

static struct manual_store *manual_of(struct store *base)
{
        return (struct manual_store *)base; /* its first member */
}

static void lock(struct manual_store *store)
{
        (void)pthread_mutex_lock(&store->mutex);
}

static void unlock(struct manual_store *store)
{
        (void)pthread_cond_broadcast(&store->wake);
        (void)pthread_mutex_unlock(&store->mutex);
}

static void wait_until_locked(struct manual_store *store, int64_t then_ms)
{
        const struct timespec then = {
                .tv_sec = then_ms / 1000,
                .tv_nsec = then_ms % 1000 * 1000000,
        };

        (void)pthread_cond_timedwait(&store->wake, &store->mutex, &then);
}

/* ---- the order ---- */

static bool names(const struct held *held, const struct purchase *purchase)
{
        const struct store_record *record = held->record;

        if (!purchase)
                return false;
        if (!record)
                return held->fetch && held->fetch->purchase == purchase;
        for (size_t i = 0; i < record->dropped_count; i++) {
                if (record->dropped[i] == purchase)
                        return true;
        }
        return record->purchase == purchase;
}

/* Whether a later one may be released before an earlier one. */
static bool is_independent(const struct held *earlier, const struct held *later)
{
        const struct store_record *record = later->record;

        if (later->gone)
                return false;
        if (!record)
                return !names(earlier, later->fetch->purchase);
        for (size_t i = 0; i < record->dropped_count; i++) {
                if (names(earlier, record->dropped[i]))
                        return false;
        }
        return !names(earlier, record->purchase);
}

static int random_locked(struct manual_store *store, int bound)
{
        return bound > 0 ? rand_r(&store->options.seed) % bound : 0;
}

static void hold_locked(struct manual_store *store, struct held *held)
{
        const struct held *earlier;

        held->due_ms = clock_monotonic_ms() + random_locked(store, store->options.delay_max_ms + 1);
        DL_FOREACH (store->list, earlier) {
                if (earlier->due_ms > held->due_ms && !is_independent(earlier, held))
                        held->due_ms = earlier->due_ms;
        }
        DL_APPEND(store->list, held);
}

static struct held *new_held(void)
{
        struct held *held = calloc(1, sizeof *held);

        if (!held)
                abort();
        return held;
}

/* ---- what becomes of them ---- */

static void free_held(struct held *held)
{
        free(held->gone);
        free(held);
}

static void release_locked(struct manual_store *store, struct held *held)
{
        DL_DELETE(store->list, held);
        if (held->record)
                store_write(store->inner, held->record);
        else if (held->fetch)
                store_fetch_body(store->inner, held->fetch);
        else
                (void)store_forget(store->inner, held->gone);
        free_held(held);
}

static bool may_fail(const struct held *held)
{
        return held->record && !held->record->must;
}

static void fail_locked(struct manual_store *store, struct held *held)
{
        DL_DELETE(store->list, held);
        store_record_complete(held->record, -EIO);
        free_held(held);
}

/* As a commit that fails: no record that may fail is left. */
static void fail_commit_locked(struct manual_store *store)
{
        struct held *held, *next;

        store->unhealthy = true;
        store->healthy_at_ms =
                clock_monotonic_ms() + random_locked(store, store->options.delay_max_ms);
        DL_FOREACH_SAFE (store->list, held, next) {
                if (may_fail(held))
                        fail_locked(store, held);
        }
}

static bool fails_now_locked(struct manual_store *store, const struct held *held)
{
        return may_fail(held) && !store->giving_up &&
               random_locked(store, 1000) < store->options.failures_per_mille;
}

/* The one that is due first, or NULL. */
static struct held *next_locked(struct manual_store *store)
{
        struct held *held, *first = NULL;

        DL_FOREACH (store->list, held) {
                if (!first || held->due_ms < first->due_ms)
                        first = held;
        }
        return first;
}

/* Releases what is due. Returns when the next is. */
static int64_t release_due_locked(struct manual_store *store)
{
        struct held *held;

        if (store->unhealthy && !store->giving_up && clock_monotonic_ms() < store->healthy_at_ms)
                return store->healthy_at_ms;
        store->unhealthy = false;
        while ((held = next_locked(store))) {
                if (!store->giving_up && held->due_ms > clock_monotonic_ms())
                        return held->due_ms;
                if (fails_now_locked(store, held)) {
                        fail_commit_locked(store);
                        return store->healthy_at_ms;
                }
                release_locked(store, held);
        }
        return INT64_MAX;
}

static void *release_main(void *arg)
{
        struct manual_store *store = arg;

        lock(store);
        while (!store->closing) {
                int64_t next_ms = release_due_locked(store);
                if (next_ms < INT64_MAX)
                        wait_until_locked(store, next_ms);
                else if (!store->list)
                        (void)pthread_cond_wait(&store->wake, &store->mutex);
        }
        unlock(store);
        return NULL;
}

/* ---- the functions of the table ---- */

static void manual_set_audit(struct store *base, const struct store_audit *audit)
{
        store_set_audit(manual_of(base)->inner, audit);
}

static int manual_load(struct store *base, const struct store_filter *filter,
                       int64_t finished_after_wall_ms, const struct store_visitor *visitor,
                       struct strbuf *problem)
{
        return store_load(manual_of(base)->inner, filter, finished_after_wall_ms, visitor, problem);
}

static int manual_ledger(struct store *base, const struct store_filter *filter,
                         void (*row)(void *arg, const struct store_ledger_row *row), void *arg)
{
        return store_ledger(manual_of(base)->inner, filter, row, arg);
}

static int manual_usage(struct store *base, const struct store_filter *filter,
                        void (*row)(void *arg, const struct store_usage_row *row), void *arg)
{
        return store_usage(manual_of(base)->inner, filter, row, arg);
}

static int manual_start(struct store *base)
{
        struct manual_store *store = manual_of(base);
        int r = store_start(store->inner);

        if (r == 0 && store->by_itself)
                r = -pthread_create(&store->thread, NULL, release_main, store);
        store->started = r == 0 && store->by_itself;
        return r;
}

static int64_t manual_next_number(struct store *base)
{
        return store_next_number(manual_of(base)->inner);
}

static void manual_write(struct store *base, struct store_record *record)
{
        struct manual_store *store = manual_of(base);

        lock(store);
        if (store->unhealthy && !record->must) {
                store_record_complete(record, -EIO);
        } else {
                struct held *held = new_held();
                held->record = record;
                hold_locked(store, held);
        }
        unlock(store);
}

static void manual_fetch_body(struct store *base, struct store_fetch *fetch)
{
        struct manual_store *store = manual_of(base);
        struct held *held = new_held();

        held->fetch = fetch;
        lock(store);
        hold_locked(store, held);
        unlock(store);
}

static int manual_forget(struct store *base, const struct job *gone)
{
        struct manual_store *store = manual_of(base);
        struct held *held = new_held();
        const struct job *job;
        size_t count = 0;

        DL_COUNT2(gone, job, count, expiry_next);
        held->gone = calloc(count, sizeof *held->gone);
        if (!held->gone)
                abort();
        count = 0;
        DL_FOREACH2 (gone, job, expiry_next) {
                memcpy(held->gone[count].id, job->id, sizeof job->id);
                if (count > 0)
                        held->gone[count - 1].expiry_next = &held->gone[count];
                count++;
        }
        lock(store);
        hold_locked(store, held);
        unlock(store);
        return 0;
}

static bool manual_forgets(struct store *base)
{
        struct manual_store *store = manual_of(base);
        const struct held *held;
        bool forgets = false;

        lock(store);
        DL_FOREACH (store->list, held)
                forgets = forgets || held->gone;
        unlock(store);
        return forgets || store_forgets(store->inner);
}

static bool manual_healthy(struct store *base)
{
        struct manual_store *store = manual_of(base);

        lock(store);
        bool unhealthy = store->unhealthy;
        unlock(store);
        return !unhealthy && store_healthy(store->inner);
}

static void manual_problem(struct store *base, char *ret_text, size_t size)
{
        store_problem(manual_of(base)->inner, ret_text, size);
}

static void manual_give_up(struct store *base)
{
        struct manual_store *store = manual_of(base);

        lock(store);
        store->giving_up = true;
        unlock(store);
        store_give_up(store->inner);
}

static size_t manual_close(struct store *base)
{
        struct manual_store *store = manual_of(base);

        lock(store);
        store->closing = true;
        unlock(store);
        if (store->started)
                (void)pthread_join(store->thread, NULL);
        manual_store_release_all(base);
        size_t lost = store_close(store->inner);
        (void)pthread_cond_destroy(&store->wake);
        (void)pthread_mutex_destroy(&store->mutex);
        free(store);
        return lost;
}

/* ---- of a store in files ---- */

static bool manual_detached(struct store *base)
{
        return store_detached(manual_of(base)->inner);
}

static void manual_look(struct store *base)
{
        store_look(manual_of(base)->inner);
}

static bool manual_lock_was_made(struct store *base)
{
        return store_lock_was_made(manual_of(base)->inner);
}

static enum store_loss manual_loss(struct store *base)
{
        return store_loss(manual_of(base)->inner);
}

static int manual_last_entry(struct store *base, int64_t *ret_entry)
{
        return store_last_entry(manual_of(base)->inner, ret_entry);
}

static bool manual_log_is_lost(struct store *base)
{
        return store_log_is_lost(manual_of(base)->inner);
}

static int manual_restore(struct store *base, const struct store_losses *losses,
                          struct store_restored *ret_restored)
{
        return store_restore(manual_of(base)->inner, losses, ret_restored);
}

static const struct store_files manual_files = {
        .detached = manual_detached,
        .look = manual_look,
        .lock_was_made = manual_lock_was_made,
        .loss = manual_loss,
        .last_entry = manual_last_entry,
        .log_is_lost = manual_log_is_lost,
        .restore = manual_restore,
};

static const struct store_backend manual_backend = {
        .set_audit = manual_set_audit,
        .load = manual_load,
        .ledger = manual_ledger,
        .usage = manual_usage,
        .start = manual_start,
        .next_number = manual_next_number,
        .write = manual_write,
        .fetch_body = manual_fetch_body,
        .forget = manual_forget,
        .forgets = manual_forgets,
        .healthy = manual_healthy,
        .problem = manual_problem,
        .give_up = manual_give_up,
        .close = manual_close,
        .files = &manual_files,
};

/* ---- what a test does ---- */

struct store *manual_store_new(struct store *inner, const struct manual_store_options *options)
{
        struct manual_store *store = calloc(1, sizeof *store);
        pthread_condattr_t monotonic;

        if (!store)
                abort();
        store->base.backend = &manual_backend;
        store->inner = inner;
        store->by_itself = options;
        if (options)
                store->options = *options;
        (void)pthread_mutex_init(&store->mutex, NULL);
        (void)pthread_condattr_init(&monotonic);
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&store->wake, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
        return &store->base;
}

static size_t count_locked(const struct manual_store *store)
{
        const struct held *held;
        size_t count;

        DL_COUNT(store->list, held, count);
        return count;
}

size_t manual_store_held(struct store *base)
{
        struct manual_store *store = manual_of(base);

        lock(store);
        size_t count = count_locked(store);
        unlock(store);
        return count;
}

void manual_store_wait(struct store *base, size_t count)
{
        struct manual_store *store = manual_of(base);
        int64_t until_ms = clock_monotonic_ms() + WAIT_MS_MAX;

        lock(store);
        while (count_locked(store) < count) {
                if (clock_monotonic_ms() >= until_ms) {
                        (void)fprintf(stderr, "manual_store: %zu are held, not %zu\n",
                                      count_locked(store), count);
                        abort();
                }
                wait_until_locked(store, until_ms);
        }
        unlock(store);
}

void manual_store_release_one(struct store *base)
{
        struct manual_store *store = manual_of(base);

        lock(store);
        assert(store->list);
        release_locked(store, store->list);
        unlock(store);
}

void manual_store_release_all(struct store *base)
{
        struct manual_store *store = manual_of(base);

        lock(store);
        while (store->list)
                release_locked(store, store->list);
        unlock(store);
}

void manual_store_fail_one(struct store *base)
{
        struct manual_store *store = manual_of(base);

        lock(store);
        assert(store->list && may_fail(store->list));
        fail_locked(store, store->list);
        unlock(store);
}

void manual_store_discard(struct store *base)
{
        struct manual_store *store = manual_of(base);
        struct held *held, *next;

        lock(store);
        DL_FOREACH_SAFE (store->list, held, next) {
                assert(!held->fetch);
                DL_DELETE(store->list, held);
                if (held->record)
                        store_record_complete(held->record, -ECANCELED);
                free_held(held);
        }
        unlock(store);
}
