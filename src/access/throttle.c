/*
 * throttle: see throttle.h. Entries in a table by address and in a list, whose head failed longest
 * ago. An entry that made room while answers were held is made anew without them.
 */
#include "access/throttle.h"

#include "base/address.h"
#include "base/hash_table.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

struct suspect {
        struct in6_addr origin; /* the key */
        int failures;           /* those that are not forgotten */
        int64_t since_ms;       /* from when on the next one is being forgotten */
        int waiting;            /* answers that are held */
        struct suspect *prev, *next;
        UT_hash_handle hh;
};

struct throttle {
        pthread_mutex_t mutex;
        /* guarded by mutex */
        struct suspect *table;
        struct suspect *oldest; /* the list */
};

int throttle_new(struct throttle **ret_throttle)
{
        struct throttle *throttle = calloc(1, sizeof *throttle);

        if (!throttle)
                return -ENOMEM;
        (void)pthread_mutex_init(&throttle->mutex, NULL);
        *ret_throttle = throttle;
        return 0;
}

static void forget_suspect(struct throttle *throttle, struct suspect *suspect)
{
        DL_DELETE(throttle->oldest, suspect);
        HASH_DEL(throttle->table, suspect);
        free(suspect);
}

void throttle_free(struct throttle *throttle)
{
        if (!throttle)
                return;
        while (throttle->oldest)
                forget_suspect(throttle, throttle->oldest);
        (void)pthread_mutex_destroy(&throttle->mutex);
        free(throttle);
}

/* What is no address, which nobody can choose, counts as one origin. */
static struct in6_addr origin_of(const char *address)
{
        char bare[INET6_ADDRSTRLEN] = "";
        size_t len = strcspn(address, "%"); /* a zone says which of our interfaces it is */
        struct in6_addr origin;

        if (len < sizeof bare)
                memcpy(bare, address, len);
        (void)address_parse(bare, &origin);
        return address_network(origin);
}

static struct suspect *find_locked(struct throttle *throttle, const struct in6_addr *origin)
{
        struct suspect *suspect;

        HASH_FIND(hh, throttle->table, origin, sizeof *origin, suspect);
        return suspect;
}

/* Finds or makes an entry, and makes it the youngest. NULL: no memory. */
static struct suspect *need_locked(struct throttle *throttle, const struct in6_addr *origin,
                                   int64_t now_ms)
{
        struct suspect *suspect = find_locked(throttle, origin);

        if (suspect) {
                DL_DELETE(throttle->oldest, suspect);
                DL_APPEND(throttle->oldest, suspect);
                return suspect;
        }
        if (HASH_COUNT(throttle->table) >= THROTTLE_ADDRESSES)
                forget_suspect(throttle, throttle->oldest);
        suspect = calloc(1, sizeof *suspect);
        if (!suspect)
                return NULL;
        suspect->origin = *origin;
        suspect->since_ms = now_ms;
        HASH_ADD(hh, throttle->table, origin, sizeof suspect->origin, suspect);
        if (!suspect->hh.tbl) {
                free(suspect);
                return NULL;
        }
        DL_APPEND(throttle->oldest, suspect);
        return suspect;
}

/* Forgets what the time that has passed allows. */
static void forgive(struct suspect *suspect, int64_t now_ms)
{
        int64_t times = (now_ms - suspect->since_ms) / THROTTLE_FORGET_MS;

        if (times >= suspect->failures) {
                suspect->failures = 0;
                suspect->since_ms = now_ms;
        } else if (times > 0) {
                suspect->failures -= (int)times;
                suspect->since_ms += times * THROTTLE_FORGET_MS;
        }
}

/* The pause after so many failures. */
static int64_t pause_ms(int failures)
{
        int64_t pause = THROTTLE_FIRST_MS;

        if (failures <= THROTTLE_FREE)
                return 0;
        for (int i = THROTTLE_FREE + 1; i < failures && pause < THROTTLE_PAUSE_MAX_MS; i++)
                pause *= 2;
        return pause < THROTTLE_PAUSE_MAX_MS ? pause : THROTTLE_PAUSE_MAX_MS;
}

static int64_t fail_locked(struct throttle *throttle, const struct in6_addr *origin, int64_t now_ms)
{
        struct suspect *suspect = need_locked(throttle, origin, now_ms);

        if (!suspect)
                return -EBUSY;
        forgive(suspect, now_ms);
        /* No more than the longest pause takes, so that it is forgotten in a time that one can
         * wait. */
        if (pause_ms(suspect->failures) < THROTTLE_PAUSE_MAX_MS)
                suspect->failures++;
        int64_t pause = pause_ms(suspect->failures);
        if (pause == 0)
                return 0;
        if (suspect->waiting >= THROTTLE_WAITING)
                return -EBUSY;
        suspect->waiting++;
        return pause;
}

int64_t throttle_fail(struct throttle *throttle, const char *address, int64_t now_ms)
{
        struct in6_addr origin = origin_of(address);

        (void)pthread_mutex_lock(&throttle->mutex);
        int64_t pause = fail_locked(throttle, &origin, now_ms);
        (void)pthread_mutex_unlock(&throttle->mutex);
        return pause;
}

void throttle_end(struct throttle *throttle, const char *address)
{
        struct in6_addr origin = origin_of(address);

        (void)pthread_mutex_lock(&throttle->mutex);
        struct suspect *suspect = find_locked(throttle, &origin);
        if (suspect && suspect->waiting > 0)
                suspect->waiting--;
        (void)pthread_mutex_unlock(&throttle->mutex);
}
