/*
 * The queue against a model: the selection that looks at every flow for each turn, in random walks
 * of jobs that come, join, leave, wait and come back, of turns that end, and of limits that change.
 */
#include "job/job.h"
#include "job/purchase.h"
#include "queue_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utlist.h>

#include <cmocka.h>

#define FLOWS     12
#define PURCHASES 80
#define WALKS     60
#define STEPS     2000
#define ACCOUNTS  4
#define TURN      (UINT64_C(1) << 20) /* as in the queue */

/* What the model knows of a flow. */
struct model_flow {
        size_t count; /* of its jobs in the flow */
        int in_flight;
        uint64_t tag, turn;
        bool lends; /* it would have been next, and had its maximum in flight */
};

enum place {
        IDLE,
        IN_FLOWS,
        DELAYED,
        TAKEN,
};

struct model_purchase {
        enum place place;
        int taken_by; /* the flow; valid while taken */
};

static struct turned_queue both;
static struct queue_flow flows[FLOWS];
static struct purchase purchases[PURCHASES];
static struct job jobs[2 * PURCHASES]; /* two for each purchase, of which one may be absent */

static struct model_flow model[FLOWS];
static struct model_purchase states[PURCHASES];
static uint64_t model_tag, model_turns;
static int64_t arrivals, now_ms;
static bool retries;
static size_t account; /* for which one is looked for */
static uint64_t seed;

static unsigned next_random(unsigned below)
{
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned)(seed >> 33) % below;
}

/* ---- the model ---- */

static int flow_of(const struct job *job)
{
        return (int)(job->flow - flows);
}

static bool may_take_turns(int flow)
{
        return flows[flow].turns.max_in_flight == 0 ||
               model[flow].in_flight < flows[flow].turns.max_in_flight;
}

static void catch_up(int flow)
{
        if (model[flow].tag < model_tag)
                model[flow].tag = model_tag;
}

static void end_lending(int flow)
{
        if (model[flow].lends && may_take_turns(flow)) {
                model[flow].lends = false;
                catch_up(flow);
        }
}

static void enter(struct purchase *purchase)
{
        struct job *job;

        DL_FOREACH2 (purchase->jobs, job, sibling_next) {
                int flow = flow_of(job);
                if (model[flow].count++ == 0) {
                        catch_up(flow);
                        model[flow].turn = ++model_turns;
                }
        }
        states[purchase - purchases].place = IN_FLOWS;
}

static void leave(const struct job *job)
{
        if (--model[flow_of(job)].count == 0)
                model[flow_of(job)].lends = false;
}

/* One that an account has turned away does not go there again if it is in doubt. */
static bool may_any_like(void *arg, const struct purchase *purchase)
{
        (void)arg;
        return (retries || !purchase->retried) &&
               !(purchase->doubtful && small_set_has(&purchase->turned_away_by, account));
}

/* Nor before its pause is over. */
static bool may_go(void *arg, const struct purchase *purchase)
{
        return may_any_like(arg, purchase) && (purchase->retry_at_ms <= now_ms ||
                                               !small_set_has(&purchase->turned_away_by, account));
}

/* The earliest job of a flow that may go. */
static struct job *first_job(int flow)
{
        struct job *first = NULL, *job;

        for (int i = 0; i < PURCHASES; i++) {
                if (states[i].place != IN_FLOWS || !may_go(NULL, &purchases[i]))
                        continue;
                DL_FOREACH2 (purchases[i].jobs, job, sibling_next) {
                        if (flow_of(job) == flow && (!first || job->arrival < first->arrival))
                                first = job;
                }
        }
        return first;
}

/* The first flow behind the last one, by tag, and of equal tags by turn; -1: there is none. */
static int next_flow(int last)
{
        int next = -1;

        for (int i = 0; i < FLOWS; i++) {
                const struct model_flow *flow = &model[i];
                if (flow->count == 0 || flow->lends)
                        continue;
                if (last >= 0 && (flow->tag < model[last].tag ||
                                  (flow->tag == model[last].tag && flow->turn <= model[last].turn)))
                        continue;
                if (next < 0 || flow->tag < model[next].tag ||
                    (flow->tag == model[next].tag && flow->turn < model[next].turn))
                        next = i;
        }
        return next;
}

static struct job *model_next(void)
{
        bool blocked[FLOWS] = {false};
        struct job *job = NULL;
        int flow = -1;

        while (!job && (flow = next_flow(flow)) >= 0) {
                job = may_take_turns(flow) ? first_job(flow) : NULL;
                blocked[flow] = !job;
        }
        for (int i = 0; i < FLOWS; i++) {
                if (blocked[i] && !may_take_turns(i))
                        model[i].lends = true;
                else if (blocked[i])
                        catch_up(i);
        }
        return job;
}

static void model_take(const struct job *job)
{
        int flow = flow_of(job);
        const struct job *other;

        if (model_tag < model[flow].tag)
                model_tag = model[flow].tag;
        model[flow].tag += TURN / (uint64_t)flows[flow].turns.weight;
        model[flow].in_flight++;
        DL_FOREACH2 (job->purchase->jobs, other, sibling_next)
                leave(other);
        if (model[flow].count > 0)
                model[flow].turn = ++model_turns;
        states[job->purchase - purchases] = (struct model_purchase){TAKEN, flow};
}

/* ---- steps ---- */

static void add_job(struct purchase *purchase, struct job *job)
{
        job->arrival = ++arrivals;
        job->flow = &flows[next_random(FLOWS)];
        job->purchase = purchase;
        DL_APPEND2(purchase->jobs, job, sibling_prev, sibling_next);
}

static void come(int i)
{
        struct purchase *purchase = &purchases[i];

        *purchase = (struct purchase){.number = ++arrivals, .retried = next_random(4) == 0};
        add_job(purchase, &jobs[2 * i]);
        if (next_random(3) == 0)
                add_job(purchase, &jobs[2 * i + 1]);
        queue_add(&both.queue, purchase);
        enter(purchase);
}

static void remove_purchase(int i)
{
        struct job *job;

        if (states[i].place == IN_FLOWS)
                DL_FOREACH2 (purchases[i].jobs, job, sibling_next)
                        leave(job);
        queue_remove(&both.queue, &purchases[i]);
        states[i].place = IDLE;
}

static void end_turn(int i)
{
        int flow = states[i].taken_by;
        struct purchase *purchase = &purchases[i];

        turns_over(&both.turns, &flows[flow].turns);
        model[flow].in_flight--;
        end_lending(flow);
        states[i].place = IDLE;
        if (next_random(3) == 0) {
                turns_give_back(&both.turns, &flows[flow].turns);
                if (model[flow].tag >= TURN / (uint64_t)flows[flow].turns.weight)
                        model[flow].tag -= TURN / (uint64_t)flows[flow].turns.weight;
        }
        if (next_random(2) == 0)
                return;
        purchase->retried = true;
        purchase->doubtful = purchase->doubtful || next_random(3) == 0;
        purchase->retry_at_ms = now_ms + next_random(20);
        small_set_add(&purchase->turned_away_by, next_random(ACCOUNTS));
        if (next_random(2) == 0) {
                queue_add(&both.queue, purchase);
                enter(purchase);
        } else {
                queue_delay(&both.queue, purchase, now_ms + next_random(20));
                states[i].place = DELAYED;
        }
}

/* Those whose moment has come enter their flows, by their moment. */
static void end_delays(void)
{
        for (;;) {
                struct purchase *first = NULL;
                for (int i = 0; i < PURCHASES; i++) {
                        struct purchase *other = &purchases[i];
                        if (states[i].place != DELAYED || other->not_before_ms > now_ms)
                                continue;
                        if (!first || other->not_before_ms < first->not_before_ms ||
                            (other->not_before_ms == first->not_before_ms &&
                             other->number < first->number))
                                first = other;
                }
                if (!first)
                        return;
                enter(first);
        }
}

static void take(void)
{
        const struct queue_filter filter = {may_go, may_any_like, NULL};
        struct queue_flow *flow = NULL;

        retries = next_random(3) > 0;
        account = next_random(ACCOUNTS);
        end_delays();
        const struct job *expected = model_next();
        const struct purchase *purchase = queue_pop(&both, now_ms, &filter, &flow);
        assert_ptr_equal(purchase, expected ? expected->purchase : NULL);
        if (!expected)
                return;
        assert_ptr_equal(flow, expected->flow);
        model_take(expected);
}

static void change_limits(void)
{
        int flow = (int)next_random(FLOWS);

        flows[flow].turns.weight = 1 + (int)next_random(4);
        flows[flow].turns.max_in_flight = (int)next_random(4);
        turns_limits_changed(&both.turns);
        for (int i = 0; i < FLOWS; i++)
                end_lending(i);
}

static void step(void)
{
        int i = (int)next_random(PURCHASES);

        now_ms += next_random(2);
        switch (states[i].place) {
        case IDLE:
                come(i);
                break;
        case TAKEN:
                end_turn(i);
                break;
        case IN_FLOWS:
        case DELAYED:
                if (next_random(10) == 0)
                        remove_purchase(i);
                break;
        }
        if (next_random(50) == 0)
                change_limits();
        take();
        for (i = 0; i < FLOWS; i++) {
                assert_int_equal(flows[i].count, model[i].count);
                if (model[i].count > 0) /* else it catches up when it is not empty any more */
                        assert_int_equal(flows[i].turns.tag, model[i].tag);
        }
}

static void reset_walk(uint64_t number)
{
        seed = number;
        turned_queue_init(&both);
        model_tag = model_turns = 0;
        retries = true;
        arrivals = now_ms = 0;
        for (int i = 0; i < FLOWS; i++) {
                flows[i] = (struct queue_flow){.turns = {.weight = 1 + (int)next_random(4),
                                                         .max_in_flight = (int)next_random(3)}};
                model[i] = (struct model_flow){0};
        }
        for (int i = 0; i < PURCHASES; i++) {
                purchases[i] = (struct purchase){0};
                states[i] = (struct model_purchase){IDLE, 0};
        }
        for (int i = 0; i < 2 * PURCHASES; i++)
                jobs[i] = (struct job){0};
}

static void turns_go_as_if_every_flow_were_looked_at(void **state)
{
        (void)state;
        for (uint64_t walk = 1; walk <= WALKS; walk++) {
                reset_walk(walk);
                for (int i = 0; i < STEPS; i++)
                        step();
        }
}

/* ---- how much is looked at ---- */

#define CROWD 1000

static struct queue_flow crowd_flows[CROWD];
static struct purchase crowd[CROWD];
static struct job crowd_jobs[CROWD];

static bool count_looks(void *arg, const struct purchase *purchase)
{
        size_t *looks = arg;

        ++*looks;
        return may_go(NULL, purchase);
}

static void clients_at_their_maximum_are_not_looked_at_again(void **state)
{
        size_t looks = 0;
        const struct queue_filter filter = {count_looks, may_any_like, &looks};
        struct queue_flow *flow;

        (void)state;
        reset_walk(1);
        for (int i = 0; i < CROWD; i++) {
                crowd_flows[i] = (struct queue_flow){
                        .turns = {.weight = 1, .max_in_flight = 1, .in_flight = i < CROWD - 1}};
                crowd[i] = (struct purchase){.number = i};
                crowd_jobs[i] =
                        (struct job){.arrival = i, .flow = &crowd_flows[i], .purchase = &crowd[i]};
                DL_APPEND2(crowd[i].jobs, &crowd_jobs[i], sibling_prev, sibling_next);
                queue_add(&both.queue, &crowd[i]);
        }
        assert_ptr_equal(queue_pop(&both, 0, &filter, &flow), &crowd[CROWD - 1]);
        assert_int_equal(looks, 1);
        assert_null(both.turns.shares.first); /* all others are parked */
        assert_null(queue_pop(&both, 0, &filter, &flow));
        turns_over(&both.turns, &crowd_flows[7].turns);
        assert_ptr_equal(queue_pop(&both, 0, &filter, &flow), &crowd[7]);
        assert_int_equal(looks, 2);
        for (int i = 0; i < CROWD; i++) {
                if (crowd[i].queued)
                        queue_remove(&both.queue, &crowd[i]);
        }
        assert_null(both.turns.parked);
}

/* Purchases with so many histories have come back; one that is new follows, and is the only one
 * that may go. Returns how many are looked at until it is found. */
static size_t looks_with(int histories)
{
        size_t looks = 0, looks_for_new;
        const struct queue_filter filter = {count_looks, may_any_like, &looks};
        struct queue_flow *flow;

        reset_walk(1);
        retries = false;
        flows[0] = (struct queue_flow){.turns.weight = 1};
        for (int i = 0; i < CROWD; i++) {
                crowd[i] = (struct purchase){.number = i, .retried = i < CROWD - 1};
                if (crowd[i].retried)
                        small_set_add(&crowd[i].turned_away_by, (size_t)(i % histories));
                crowd_jobs[i] =
                        (struct job){.arrival = i, .flow = &flows[0], .purchase = &crowd[i]};
                crowd[i].jobs = crowd_jobs[i].sibling_prev = &crowd_jobs[i];
                queue_add(&both.queue, &crowd[i]);
        }
        assert_ptr_equal(queue_pop(&both, 0, &filter, &flow), &crowd[CROWD - 1]);
        looks_for_new = looks;
        retries = true;
        for (int i = 0; i < CROWD - 1; i++) /* the others are in order, in whatever line */
                assert_ptr_equal(queue_pop(&both, 0, &filter, &flow), &crowd[i]);
        return looks_for_new;
}

static void purchases_of_one_history_are_passed_over_together(void **state)
{
        (void)state;
        assert_int_equal(looks_with(1), 1);
        assert_int_equal(looks_with(QUEUE_LINES - 2), 1);
        assert_true(looks_with(3 * QUEUE_LINES) > 1); /* some of these share a line */
}

/* ---- how many jobs are touched ---- */

/* Each job has a page of its own, which cannot be read before it is touched once. */
static char *pages;
static size_t page_bytes;
static volatile sig_atomic_t touched;

static struct job *paged_job(int i)
{
        return (struct job *)(void *)(pages + (size_t)i * page_bytes);
}

static void on_touch(int signal, siginfo_t *info, void *context)
{
        size_t at = (size_t)((char *)info->si_addr - pages) / page_bytes;

        (void)context;
        if (at >= CROWD ||
            mprotect(pages + at * page_bytes, page_bytes, PROT_READ | PROT_WRITE) < 0)
                _exit(128 + signal);
        touched++;
}

static void watch_pages(struct sigaction *ret_before)
{
        struct sigaction action = {.sa_sigaction = on_touch, .sa_flags = SA_SIGINFO};

        touched = 0;
        assert_int_equal(sigaction(SIGSEGV, &action, ret_before), 0);
        assert_int_equal(mprotect(pages, CROWD * page_bytes, PROT_NONE), 0);
}

static void a_job_that_comes_back_passes_few_others(void **state)
{
        const struct queue_filter filter = {may_go, may_any_like, NULL};
        struct sigaction before;
        struct queue_flow *flow;

        (void)state;
        reset_walk(1);
        page_bytes = (size_t)sysconf(_SC_PAGESIZE);
        assert_true(sizeof(struct job) <= page_bytes);
        pages = mmap(NULL, CROWD * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
        assert_ptr_not_equal(pages, MAP_FAILED);
        flows[0] = (struct queue_flow){.turns.weight = 1};
        for (int i = 0; i < CROWD; i++) {
                crowd[i] = (struct purchase){.number = i};
                *paged_job(i) =
                        (struct job){.arrival = i, .flow = &flows[0], .purchase = &crowd[i]};
                crowd[i].jobs = paged_job(i);
                crowd[i].jobs->sibling_prev = crowd[i].jobs;
                queue_add(&both.queue, &crowd[i]);
        }
        for (int i = 0; i < CROWD; i += CROWD / 10) {
                watch_pages(&before);
                queue_remove(&both.queue, &crowd[i]);
                queue_add(&both.queue, &crowd[i]);
                assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
                assert_in_range(touched, 1, CROWD / 10);
                assert_int_equal(mprotect(pages, CROWD * page_bytes, PROT_READ | PROT_WRITE), 0);
        }
        for (int i = 0; i < CROWD; i++)
                assert_ptr_equal(queue_pop(&both, 0, &filter, &flow), &crowd[i]);
        assert_int_equal(munmap(pages, CROWD * page_bytes), 0);
}

static void what_is_set_aside_is_neither_taken_nor_waited_for(void **state)
{
        const struct queue_filter filter = {may_go, may_any_like, NULL};
        struct queue_flow *flow;

        (void)state;
        reset_walk(1);
        flows[0].turns.max_in_flight = 0;
        purchases[0] = (struct purchase){.number = 1, .retried = true};
        add_job(&purchases[0], &jobs[0]);
        jobs[0].flow = &flows[0];
        queue_set_aside(&both.queue, &purchases[0]);
        assert_null(queue_pop(&both, INT64_MAX - 1, &filter, &flow));
        assert_null(queue_pop_probe(&both, INT64_MAX - 1, &filter, &flow));
        assert_int_equal(queue_delayed_until(&both.queue), INT64_MAX);
        assert_ptr_equal(both.queue.aside, &purchases[0]);
        queue_remove(&both.queue, &purchases[0]);
        assert_int_equal(both.queue.count, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(turns_go_as_if_every_flow_were_looked_at),
                cmocka_unit_test(clients_at_their_maximum_are_not_looked_at_again),
                cmocka_unit_test(purchases_of_one_history_are_passed_over_together),
                cmocka_unit_test(a_job_that_comes_back_passes_few_others),
                cmocka_unit_test(what_is_set_aside_is_neither_taken_nor_waited_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
