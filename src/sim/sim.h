/*
 * sim: what all requests of one simulator share, and how they wait.
 *
 * Thread: any; each part has its own lock. A lock is held while another is taken in one order
 * only: the vendor's, then the counters'.
 */
#ifndef SOLVEGATE_SIM_SIM_H
#define SOLVEGATE_SIM_SIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sim {
        int api;     /* generation, 1 or 2 */
        int stop_fd; /* an eventfd, readable for ever once the simulator stops */
        struct sim_counters *counters;
        struct sim_journal *journal;
        struct sim_faults *faults;
        struct sim_vendor *vendor;
        atomic_uint stray_orders; /* how often stray responses were ordered */
};

/* Makes the parts but the vendor, which needs the port. The caller frees with sim_done(). */
int sim_init(struct sim *ret_sim, int api);
void sim_done(struct sim *sim);

/* Ends every wait, now and later. */
void sim_stop(struct sim *sim);

/* Sleeps, not at all for 0 or less. Returns false at once when the simulator stops. */
bool sim_wait(const struct sim *sim, int64_t delay_ms);

/*
 * Sleeps until the other side of socket_fd closes (true), or the simulator stops or delay_ms has
 * passed (false). delay_ms < 0 waits for ever.
 */
bool sim_wait_for_close(const struct sim *sim, int socket_fd, int64_t delay_ms);

/*
 * Sleeps until socket_fd has something to read, its end included, or the simulator stops (true),
 * or delay_ms has passed (false).
 */
bool sim_wait_for_input(const struct sim *sim, int socket_fd, int64_t delay_ms);

#endif
