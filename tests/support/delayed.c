/*
 * solvegate-delayed: the daemon with backends that answer late, for tests/stress/run. It is never
 * installed.
 *
 * SOLVEGATE_TEST_SEED              the source of all that is random (0)
 * SOLVEGATE_TEST_ARBITER_DELAY_MS  up to so many ms pass between two steps of the arbiter: it takes
 *                                  a decision, or hands one over (5)
 * SOLVEGATE_TEST_STORE_DELAY_MS    the store holds each record for up to so many ms (20)
 * SOLVEGATE_TEST_STORE_FAILURES    of 1,000 records that may fail, so many do (0)
 */
#include "daemon/daemon.h"
#include "daemon/service.h"
#include "delayed_arbiter.h"
#include "dispatch/arbiter_local.h"
#include "manual_store.h"
#include "store/sqlite/sqlite_store.h"

#include <stdlib.h>

static int read_number(const char *name, int otherwise)
{
        const char *text = getenv(name);

        return text ? atoi(text) : otherwise;
}

static int open_store(const char *directory, struct store **ret_store, struct strbuf *problem)
{
        const struct manual_store_options options = {
                .seed = (unsigned)read_number("SOLVEGATE_TEST_SEED", 0),
                .delay_max_ms = read_number("SOLVEGATE_TEST_STORE_DELAY_MS", 20),
                .failures_per_mille = read_number("SOLVEGATE_TEST_STORE_FAILURES", 0),
        };
        struct store *inner;
        int r = sqlite_store_open(directory, &inner, problem);

        if (r == 0)
                *ret_store = manual_store_new(inner, &options);
        return r;
}

static int make_arbiter(struct results *results, struct arbiter **ret_arbiter)
{
        const struct delayed_arbiter_options options = {
                .turns = true,
                .by_itself = true,
                .seed = (unsigned)read_number("SOLVEGATE_TEST_SEED", 0),
                .delay_max_ms = read_number("SOLVEGATE_TEST_ARBITER_DELAY_MS", 5),
        };
        struct arbiter *inner;
        int r = arbiter_local_new(results, &inner);

        if (r == 0)
                *ret_arbiter = delayed_arbiter_new(inner, &options);
        return r;
}

int main(int argc, char **argv)
{
        static const struct service_backends backends = {
                .open_store = open_store,
                .make_arbiter = make_arbiter,
        };

        return daemon_run(argc, argv, &backends);
}
