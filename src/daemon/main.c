/*
 * main: solvegate, the gateway daemon, with the embedded backends.
 */
#include "daemon/daemon.h"
#include "daemon/service.h"
#include "dispatch/arbiter_local.h"
#include "store/sqlite/sqlite_store.h"

int main(int argc, char **argv)
{
        static const struct service_backends backends = {
                .open_store = sqlite_store_open,
                .make_arbiter = arbiter_local_new,
        };

        return daemon_run(argc, argv, &backends);
}
