/*
 * scheduler_ids: which id at the service belongs to which task, for all purchases that are accepted
 * and not final, by account at the service.
 *
 * An answer with an id that is in use may be another job's answer: taken for this one's, two
 * clients would get one result. Only identical tasks may have one id, since their results are the
 * same.
 */
#include "base/hash_table.h"
#include "dispatch/scheduler_private.h"

#include "upstream/account.h"
#include "upstream/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An id in use, by one purchase or by several identical ones. */
struct upstream_id {
        UT_hash_handle hh;
        struct task_identity identity;
        unsigned purchases;
        char key[]; /* see write_key() */
};

#define KEY_BYTES_MAX (sizeof(int64_t) + UPSTREAM_ID_BYTES_MAX)

/* The account by the number of its slots, and the id. Returns the length. */
static size_t write_key(const struct account_slots *slots, const char *id,
                        char ret_key[static KEY_BYTES_MAX])
{
        size_t len = strnlen(id, UPSTREAM_ID_BYTES_MAX);

        memcpy(ret_key, &slots->number, sizeof slots->number);
        memcpy(ret_key + sizeof slots->number, id, len);
        return sizeof slots->number + len;
}

static struct upstream_id *find_locked(const struct scheduler *scheduler, const char *key,
                                       size_t len)
{
        struct upstream_id *found = NULL;

        HASH_FIND(hh, scheduler->ids, key, len, found);
        return found;
}

static bool same_task(const struct upstream_id *id, const struct purchase *purchase)
{
        return memcmp(&id->identity, &purchase->identity, sizeof id->identity) == 0;
}

/* Returns NULL without memory. */
static struct upstream_id *add_locked(struct scheduler *scheduler, const struct purchase *purchase,
                                      const char *key, size_t len)
{
        struct upstream_id *id = calloc(1, sizeof *id + len);

        if (!id)
                return NULL;
        id->identity = purchase->identity;
        memcpy(id->key, key, len);
        HASH_ADD_KEYPTR(hh, scheduler->ids, id->key, len, id);
        if (id->hh.tbl)
                return id;
        free(id); /* HASH_NONFATAL_OOM */
        return NULL;
}

static int claim_locked(struct scheduler *scheduler, const struct scheduler_turn *turn,
                        const char *upstream_id)
{
        char key[KEY_BYTES_MAX];
        struct purchase *purchase = turn->purchase;
        size_t len = write_key(turn->slots, upstream_id, key);
        struct upstream_id *id = find_locked(scheduler, key, len);

        if (id && !same_task(id, purchase))
                return -EEXIST;
        if (!id)
                id = add_locked(scheduler, purchase, key, len);
        if (!id)
                return -ENOMEM;
        id->purchases++;
        purchase->id_in_use = id;
        return 0;
}

int scheduler_claim_id(struct scheduler *scheduler, const struct scheduler_turn *turn,
                       const char *upstream_id)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        int r = claim_locked(scheduler, turn, upstream_id);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return r;
}

bool scheduler_has_id(struct scheduler *scheduler, const struct scheduler_turn *turn,
                      const char *upstream_id)
{
        char key[KEY_BYTES_MAX];

        (void)pthread_mutex_lock(&scheduler->mutex);
        size_t len = write_key(turn->slots, upstream_id, key);
        const struct upstream_id *id = find_locked(scheduler, key, len);
        bool others = id && !same_task(id, turn->purchase);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return others;
}

void scheduler_release_id_locked(struct scheduler *scheduler, struct purchase *purchase)
{
        struct upstream_id *id = purchase->id_in_use;

        purchase->id_in_use = NULL;
        if (!id || --id->purchases > 0)
                return;
        HASH_DELETE(hh, scheduler->ids, id);
        free(id);
}
