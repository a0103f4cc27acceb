/*
 * scheduler_accounts: the accounts of the scheduler: which of them is sent the next job, by what
 * terms, and what a reload makes of them; see scheduler.h.
 */
#include "dispatch/scheduler.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "dispatch/scheduler_private.h"
#include "upstream/account.h"

/* Whether an account may be used again by what is known now, if not at once. */
static bool usable(const struct account *account, int64_t now_ms)
{
        const struct breaker *breaker = &account->breaker;

        return !account->retired && (!breaker->out || breaker->probing == BREAKER_JOB_PROBE ||
                                     (breaker->half_open && breaker->until_ms <= now_ms));
}

bool scheduler_any_usable_locked(const struct scheduler *scheduler)
{
        const struct accounts *accounts = scheduler->setup.accounts;
        int64_t now_ms = clock_monotonic_ms();

        for (size_t i = 0; i < accounts_count(accounts); i++) {
                if (usable(accounts->items[i], now_ms))
                        return true;
        }
        return false;
}

/* Returns whether a is to be used before b. Of equals one that is open has its one probe first, or
 * it would never be used again. */
static bool account_before(const struct account *a, const struct account *b)
{
        if (a->terms->priority != b->terms->priority)
                return a->terms->priority < b->terms->priority;
        if (a->breaker.open != b->breaker.open)
                return a->breaker.open;
        return a->slots->max_in_flight - a->slots->in_flight >
               b->slots->max_in_flight - b->slots->in_flight;
}

bool scheduler_is_free_locked(const struct account *account, int64_t now_ms, int64_t *again_ms)
{
        int64_t next_ms = INT64_MAX;

        if (account->retired || !scheduler_slots_free_locked(account))
                return false;
        if (breaker_allows(&account->breaker, now_ms, &next_ms))
                return true;
        if (next_ms < *again_ms)
                *again_ms = next_ms;
        return false;
}

struct account *scheduler_free_account_locked(const struct scheduler *scheduler,
                                              const struct small_set *but, int64_t now_ms,
                                              int64_t *again_ms)
{
        const struct accounts *accounts = scheduler->setup.accounts;
        struct account *best = NULL;

        for (size_t i = 0; i < accounts_count(accounts); i++) {
                struct account *account = accounts->items[i];
                if (!small_set_has(but, i) && scheduler_is_free_locked(account, now_ms, again_ms) &&
                    (!best || account_before(account, best)))
                        best = account;
        }
        return best;
}

bool scheduler_healthy_but_locked(const struct scheduler *scheduler, const struct small_set *but,
                                  int64_t now_ms)
{
        const struct accounts *accounts = scheduler->setup.accounts;

        for (size_t i = 0; i < accounts_count(accounts); i++) {
                const struct account *account = accounts->items[i];
                if (!account->retired && !small_set_has(but, i) &&
                    breaker_is_healthy(&account->breaker, now_ms))
                        return true;
        }
        return false;
}

void scheduler_look_locked(const struct scheduler *scheduler, struct scheduler_turn *turn)
{
        const struct purchase *purchase = turn->purchase;

        turn->deadline_ms = purchase->deadline_ms;
        turn->time_ms = purchase->time_ms;
        turn->attempt_left =
                entry_has_tries_locked(scheduler, purchase, purchase->attempts - turn->counted);
}

bool scheduler_is_outdated_locked(const struct scheduler_turn *turn)
{
        return turn->account->retired || turn->account->health != turn->health;
}

bool scheduler_has_other(struct scheduler *scheduler, const struct scheduler_turn *turn)
{
        const struct accounts *accounts = scheduler->setup.accounts;
        int64_t now_ms = clock_monotonic_ms();
        bool other = false;

        (void)pthread_mutex_lock(&scheduler->mutex);
        for (size_t i = 0; i < accounts_count(accounts); i++) {
                const struct account *candidate = accounts->items[i];
                if (usable(candidate, now_ms) &&
                    (candidate != turn->account || scheduler_is_outdated_locked(turn)))
                        other = true;
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return other;
}

/* ---- terms ---- */

struct account_terms *scheduler_terms(struct scheduler *scheduler, struct scheduler_turn *turn)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler_look_locked(scheduler, turn);
        struct account_terms *terms = turn->account->terms;
        if (!account_terms_same_jobs(terms, turn->terms))
                terms = turn->terms;
        (void)account_terms_ref(terms);
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return terms;
}

struct account_terms *scheduler_account_terms(struct scheduler *scheduler,
                                              const struct account *account, unsigned *ret_health)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        struct account_terms *terms = account->retired ? NULL : account_terms_ref(account->terms);
        *ret_health = account->health;
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return terms;
}

size_t scheduler_first_account(struct scheduler *scheduler)
{
        const struct accounts *accounts = scheduler->setup.accounts;
        size_t first = accounts_count(accounts);

        (void)pthread_mutex_lock(&scheduler->mutex);
        for (size_t i = 0; i < accounts_count(accounts); i++) {
                const struct account *account = accounts->items[i];
                if (!account->retired &&
                    (first == accounts_count(accounts) ||
                     account->terms->priority < accounts->items[first]->terms->priority))
                        first = i;
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return first;
}

/* ---- health ---- */

static void log_health(const struct account *account)
{
        const char *name = account->name;

        if (account->breaker.out)
                log_error("upstream %s is out: it refuses the account; it is probed again in "
                          "%lld s (retry.recheck), or once a reload brings another credential",
                          name, (long long)(account->breaker.pause_ms / 1000));
        else if (account->breaker.open)
                log_warning("upstream %s fails: it is sent no jobs; its balance is asked for every "
                            "%lld ms (retry.probe), and when that is answered, one job is sent",
                            name, (long long)account->breaker.probe_ms);
        else
                log_info("upstream %s is well again", name);
}

void scheduler_note(struct scheduler *scheduler, struct scheduler_turn *turn,
                    enum breaker_result result, int64_t retry_after_ms)
{
        struct account *account = turn->account;

        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler_look_locked(scheduler, turn);
        if (!scheduler_is_outdated_locked(turn)) {
                bool out = account->breaker.out;
                bool changed = breaker_end(&account->breaker, turn->probe, result, retry_after_ms,
                                           clock_monotonic_ms());
                if (changed || out != account->breaker.out)
                        log_health(account);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

/* ---- free probes ---- */

/* Takes the first that is due; *again_ms is lowered to when the next one is. */
static struct account *due_probe_locked(const struct scheduler *scheduler, int64_t now_ms,
                                        int64_t *again_ms)
{
        const struct accounts *accounts = scheduler->setup.accounts;

        for (size_t i = 0; i < accounts_count(accounts); i++) {
                struct account *account = accounts->items[i];
                int64_t next_ms = INT64_MAX;
                if (account->retired)
                        continue;
                if (breaker_wants_free_probe(&account->breaker, now_ms, &next_ms))
                        return account;
                if (next_ms < *again_ms)
                        *again_ms = next_ms;
        }
        return NULL;
}

bool scheduler_take_probe(struct scheduler *scheduler, struct scheduler_probe *ret_probe,
                          int64_t *ret_again_ms)
{
        struct account *account = NULL;

        *ret_again_ms = INT64_MAX;
        (void)pthread_mutex_lock(&scheduler->mutex);
        if (!scheduler->draining)
                account = due_probe_locked(scheduler, clock_monotonic_ms(), ret_again_ms);
        if (account) {
                breaker_begin_free_probe(&account->breaker);
                *ret_probe = (struct scheduler_probe){
                        .account = account,
                        .terms = account_terms_ref(account->terms),
                        .health = account->health,
                };
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        return account;
}

void scheduler_end_probe(struct scheduler *scheduler, const struct scheduler_probe *probe,
                         enum breaker_result result, int64_t retry_after_ms)
{
        struct account *account = probe->account;
        int64_t now_ms = clock_monotonic_ms();
        struct small_set itself = {0};

        small_set_add(&itself, account->index);
        (void)pthread_mutex_lock(&scheduler->mutex);
        if (account->health == probe->health) {
                bool alone = !scheduler_healthy_but_locked(scheduler, &itself, now_ms);
                breaker_end_free_probe(&account->breaker, result, alone, retry_after_ms, now_ms);
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
        account_terms_unref(probe->terms);
}

/* ---- reloading ---- */

static void retire_all_locked(const struct accounts *accounts)
{
        for (size_t i = 0; i < accounts_count(accounts); i++)
                accounts->items[i]->retired = true;
}

/* Gives an account its terms; those that it had until now take their place in upstream. */
static void renew_locked(struct scheduler_upstream *upstream, const struct config *config)
{
        struct account *account = upstream->account;
        struct account_terms *before = account->terms;

        account->retired = false;
        account->gone = false;
        if (upstream->terms) {
                account->terms = upstream->terms;
                upstream->terms = before;
        }
        if (upstream->anew) {
                account->health++;
                breaker_init(&account->breaker, config->retry.probe_ms, config->retry.recheck_ms);
        }
        account->breaker.probe_ms = config->retry.probe_ms;
        account->breaker.recheck_ms = config->retry.recheck_ms;
}

void scheduler_reconfigure(struct scheduler *scheduler, const struct config *config,
                           struct scheduler_upstream *upstreams, size_t count)
{
        (void)pthread_mutex_lock(&scheduler->mutex);
        scheduler->config = config;
        scheduler->queued_max = (size_t)config->limits.queue_jobs;
        scheduler->unfinished_max = scheduler->queued_max;
        retire_all_locked(scheduler->setup.accounts);
        for (size_t i = 0; i < count; i++) {
                renew_locked(&upstreams[i], config);
                scheduler->unfinished_max += (size_t)upstreams[i].account->terms->max_in_flight;
        }
        scheduler_slots_assign_locked(scheduler, upstreams, count);
        (void)pthread_mutex_unlock(&scheduler->mutex);
}

void scheduler_forget_retired(struct scheduler *scheduler)
{
        const struct accounts *accounts = scheduler->setup.accounts;

        (void)pthread_mutex_lock(&scheduler->mutex);
        for (size_t i = 0; i < accounts_count(accounts); i++) {
                struct account *account = accounts->items[i];
                account->gone = account->retired && account->in_flight == 0;
                if (account->gone) {
                        scheduler_slots_drop_locked(scheduler, account);
                        account_terms_unref(account->terms);
                        account->terms = NULL;
                }
        }
        (void)pthread_mutex_unlock(&scheduler->mutex);
}
