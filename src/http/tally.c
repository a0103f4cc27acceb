/*
 * tally: see tally.h. The counters are relaxed atomics: each by itself is right, and no more is
 * promised.
 */
#include "http/tally.h"

#include "base/metrics.h"
#include "base/strbuf.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CACHE_LINE_BYTES 64

static const char *const endpoint_names[TALLY_ENDPOINTS] = {
        [TALLY_OTHER] = "other",     [TALLY_SOLVE] = "solve",   [TALLY_STATUS] = "status",
        [TALLY_BALANCE] = "balance", [TALLY_USAGE] = "usage",   [TALLY_METRICS] = "metrics",
        [TALLY_HEALTHZ] = "healthz", [TALLY_READYZ] = "readyz", [TALLY_CONTROL] = "control",
};

/* Every code that solvegate answers, the most frequent one first; what is none of them, last. */
static const struct {
        unsigned code;
        const char *name;
} codes[] = {
        {200, "200"}, {204, "204"}, {400, "400"}, {401, "401"}, {403, "403"},
        {404, "404"}, {405, "405"}, {408, "408"}, {409, "409"}, {411, "411"},
        {413, "413"}, {414, "414"}, {415, "415"}, {422, "422"}, {429, "429"},
        {431, "431"}, {503, "503"}, {505, "505"}, {0, "other"},
};

#define CODES (sizeof codes / sizeof *codes)

struct tally_part {
        alignas(CACHE_LINE_BYTES) _Atomic int64_t numbers[TALLY_ENDPOINTS][CODES];
        struct tally_part *next;
};

struct tally {
        pthread_mutex_t mutex;
        struct tally_part *parts; /* guarded by mutex */
};

const char *tally_endpoint_name(enum tally_endpoint endpoint)
{
        return endpoint_names[endpoint];
}

int tally_new(struct tally **ret_tally)
{
        struct tally *tally = calloc(1, sizeof *tally);

        if (!tally)
                return -ENOMEM;
        (void)pthread_mutex_init(&tally->mutex, NULL);
        *ret_tally = tally;
        return 0;
}

void tally_free(struct tally *tally)
{
        if (!tally)
                return;
        while (tally->parts) {
                struct tally_part *part = tally->parts;
                tally->parts = part->next;
                free(part);
        }
        (void)pthread_mutex_destroy(&tally->mutex);
        free(tally);
}

struct tally_part *tally_join(struct tally *tally)
{
        struct tally_part *part = aligned_alloc(CACHE_LINE_BYTES, sizeof *part);

        if (!part)
                return NULL;
        for (size_t i = 0; i < TALLY_ENDPOINTS; i++) {
                for (size_t j = 0; j < CODES; j++)
                        atomic_init(&part->numbers[i][j], 0);
        }
        (void)pthread_mutex_lock(&tally->mutex);
        part->next = tally->parts;
        tally->parts = part;
        (void)pthread_mutex_unlock(&tally->mutex);
        return part;
}

void tally_count(struct tally_part *part, enum tally_endpoint endpoint, unsigned code)
{
        size_t i = 0;

        while (i < CODES - 1 && codes[i].code != code)
                i++;
        (void)atomic_fetch_add_explicit(&part->numbers[endpoint][i], 1, memory_order_relaxed);
}

static int64_t sum_locked(const struct tally *tally, size_t endpoint, size_t code)
{
        int64_t sum = 0;

        for (struct tally_part *part = tally->parts; part; part = part->next)
                sum += atomic_load_explicit(&part->numbers[endpoint][code], memory_order_relaxed);
        return sum;
}

void tally_write(struct tally *tally, struct strbuf *text)
{
        static const struct metric requests = {
                "solvegate_http_requests_total",
                METRIC_COUNTER,
                "Requests that were answered, by what was asked for and the code of HTTP.",
                {"endpoint", "code"},
        };

        metrics_begin(text, &requests);
        (void)pthread_mutex_lock(&tally->mutex);
        for (size_t i = 0; i < TALLY_ENDPOINTS; i++) {
                for (size_t j = 0; j < CODES; j++) {
                        const char *const labels[] = {endpoint_names[i], codes[j].name};
                        int64_t number = sum_locked(tally, i, j);
                        if (number > 0)
                                metrics_sample(text, &requests, labels, number);
                }
        }
        (void)pthread_mutex_unlock(&tally->mutex);
}
