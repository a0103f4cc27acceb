/*
 * scheduler_slots: the slots of accounts at the service, which an account keeps under whatever
 * names it has in the configuration; see account.h.
 */
#include "dispatch/scheduler_private.h"

#include "upstream/account.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <utlist.h>

static struct account_slots *ref(struct account_slots *slots)
{
        slots->references++;
        return slots;
}

static void unref(struct scheduler *scheduler, struct account_slots *slots)
{
        if (--slots->references > 0)
                return;
        assert(slots->in_flight == 0);
        DL_DELETE(scheduler->slots, slots);
        account_terms_unref(slots->terms);
        free(slots);
}

static bool belong_to(const struct account_slots *slots, const struct account_terms *terms)
{
        const struct account_key a = account_terms_key(slots->terms);
        const struct account_key b = account_terms_key(terms);

        return account_key_same(&a, &b);
}

/* Its own, if they are that account's still, or those of another name; or NULL. */
static struct account_slots *find_locked(const struct scheduler *scheduler,
                                         const struct account *account)
{
        struct account_slots *slots;

        if (account->slots && belong_to(account->slots, account->terms))
                return account->slots;
        DL_FOREACH (scheduler->slots, slots) {
                if (belong_to(slots, account->terms))
                        return slots;
        }
        return NULL;
}

static void assign_locked(struct scheduler *scheduler, struct scheduler_upstream *upstream)
{
        struct account *account = upstream->account;
        struct account_slots *before = account->slots, *slots = find_locked(scheduler, account);

        if (!slots) {
                slots = upstream->spare;
                upstream->spare = NULL;
                slots->number = ++scheduler->slots_number;
                DL_APPEND(scheduler->slots, slots);
        }
        account->slots = ref(slots);
        if (before)
                unref(scheduler, before);
        /* A key that was replaced is forgotten, if nothing in flight needs it. */
        account_terms_unref(slots->terms);
        slots->terms = account_terms_ref(account->terms);
}

void scheduler_slots_assign_locked(struct scheduler *scheduler,
                                   struct scheduler_upstream *upstreams, size_t count)
{
        struct account_slots *slots;

        for (size_t i = 0; i < count; i++)
                assign_locked(scheduler, &upstreams[i]);
        DL_FOREACH (scheduler->slots, slots)
                slots->max_in_flight = 0;
        for (size_t i = 0; i < count; i++) {
                const struct account *account = upstreams[i].account;
                slots = account->slots;
                if (slots->max_in_flight == 0 ||
                    slots->max_in_flight > account->terms->max_in_flight)
                        slots->max_in_flight = account->terms->max_in_flight;
        }
}

bool scheduler_slots_free_locked(const struct account *account)
{
        return account->slots->in_flight < account->slots->max_in_flight;
}

struct account_slots *scheduler_slots_take_locked(struct account *account)
{
        account->in_flight++;
        account->slots->in_flight++;
        return ref(account->slots);
}

void scheduler_slots_release_locked(struct scheduler *scheduler, struct account *account,
                                    struct account_slots *slots)
{
        assert(account->in_flight > 0 && slots->in_flight > 0);
        account->in_flight--;
        slots->in_flight--;
        unref(scheduler, slots);
}

void scheduler_slots_drop_locked(struct scheduler *scheduler, struct account *account)
{
        if (account->slots)
                unref(scheduler, account->slots);
        account->slots = NULL;
}
