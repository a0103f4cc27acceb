/*
 * audit_refusals: see audit_refusals.h.
 */
#include "audit/audit_refusals.h"

#include "audit/audit_history.h"
#include "base/hash_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define MS_PER_SECOND 1000
#define SHARE_DIVISOR 16 /* a client's part of the lines that wait, once half may not */

_Static_assert(MS_PER_SECOND % AUDIT_REFUSALS_PER_S == 0 &&
                       MS_PER_SECOND % AUDIT_STRANGERS_PER_S == 0,
               "one refusal takes whole milliseconds of a bucket");

struct audit_source {
        char name[AUDIT_WORD_BYTES_MAX + 1]; /* "": strangers */
        int64_t per_s, burst;
        int64_t full_ms;                  /* when its bucket will be full again (log_limit.c) */
        int64_t waiting;                  /* lines that are not in the file */
        int64_t summed;                   /* refusals without a line */
        struct audit_source *prev, *next; /* valid with summed */
        UT_hash_handle hh;
};

static struct audit_source *source_new(const char *name, int64_t per_s, int64_t burst,
                                       int64_t now_ms)
{
        struct audit_source *source = calloc(1, sizeof *source);

        if (!source)
                return NULL;
        memcpy(source->name, name, strlen(name) + 1);
        source->per_s = per_s;
        source->burst = burst;
        source->full_ms = now_ms;
        return source;
}

int audit_refusals_init(struct audit_refusals *refusals, int64_t now_ms)
{
        *refusals = (struct audit_refusals){
                .strangers = source_new("", AUDIT_STRANGERS_PER_S, AUDIT_STRANGERS_BURST, now_ms),
        };
        return refusals->strangers ? 0 : -ENOMEM;
}

void audit_refusals_done(struct audit_refusals *refusals)
{
        struct audit_source *source, *next;

        HASH_ITER (hh, refusals->clients, source, next) {
                HASH_DELETE(hh, refusals->clients, source);
                free(source);
        }
        free(refusals->strangers);
}

static struct audit_source *add_client(struct audit_refusals *refusals, const char *name,
                                       size_t len, int64_t now_ms)
{
        struct audit_source *source =
                HASH_COUNT(refusals->clients) < AUDIT_CLIENTS_MAX
                        ? source_new(name, AUDIT_REFUSALS_PER_S, AUDIT_REFUSALS_BURST, now_ms)
                        : NULL;

        if (!source)
                return NULL;
        HASH_ADD(hh, refusals->clients, name, (unsigned)len, source);
        if (!source->hh.tbl) { /* no memory, see HASH_NONFATAL_OOM */
                free(source);
                return NULL;
        }
        return source;
}

struct audit_source *audit_refusals_find(struct audit_refusals *refusals, const char *client,
                                         int64_t now_ms)
{
        size_t len = client ? strlen(client) : 0;
        struct audit_source *source = NULL;

        if (len == 0 || len > AUDIT_WORD_BYTES_MAX)
                return refusals->strangers;
        HASH_FIND(hh, refusals->clients, client, len, source);
        if (!source)
                source = add_client(refusals, client, len, now_ms);
        return source ? source : refusals->strangers;
}

/* While the disk is slow, lines of one client do not take the room of all others. */
static bool has_room(const struct audit_refusals *refusals, const struct audit_source *source)
{
        const int64_t max = AUDIT_REFUSALS_WAITING_MAX;

        if (source == refusals->strangers)
                return source->waiting < AUDIT_STRANGERS_WAITING_MAX;
        return refusals->waiting_clients < max / 2 ||
               (refusals->waiting_clients < max && source->waiting < max / SHARE_DIVISOR);
}

bool audit_refusals_admit(struct audit_refusals *refusals, struct audit_source *source,
                          int64_t now_ms)
{
        const int64_t interval_ms = MS_PER_SECOND / source->per_s;

        if (source->full_ms > now_ms + (source->burst - 1) * interval_ms ||
            !has_room(refusals, source))
                return false;
        source->full_ms = (source->full_ms > now_ms ? source->full_ms : now_ms) + interval_ms;
        source->waiting++;
        refusals->waiting_clients += source != refusals->strangers;
        return true;
}

void audit_refusals_leave(struct audit_refusals *refusals, struct audit_source *source)
{
        source->waiting--;
        refusals->waiting_clients -= source != refusals->strangers;
}

void audit_refusals_sum(struct audit_refusals *refusals, struct audit_source *source)
{
        audit_refusals_sum_back(refusals, source, 1);
}

bool audit_refusals_any_summed(const struct audit_refusals *refusals)
{
        return refusals->summed;
}

bool audit_refusals_take_sum(struct audit_refusals *refusals, struct audit_source **ret_source,
                             const char **ret_client, int64_t *ret_count)
{
        struct audit_source *source = refusals->summed;

        if (!source)
                return false;
        DL_DELETE(refusals->summed, source);
        *ret_source = source;
        *ret_client = source->name[0] ? source->name : NULL;
        *ret_count = source->summed;
        source->summed = 0;
        return true;
}

void audit_refusals_sum_back(struct audit_refusals *refusals, struct audit_source *source,
                             int64_t count)
{
        if (source->summed == 0)
                DL_APPEND(refusals->summed, source);
        source->summed += count;
}
