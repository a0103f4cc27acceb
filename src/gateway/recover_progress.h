/*
 * recover_progress: what is told while the store is read: a caller of each second, for the service
 * manager, and the log, once it takes longer than a moment.
 */
#ifndef SOLVEGATE_GATEWAY_RECOVER_PROGRESS_H
#define SOLVEGATE_GATEWAY_RECOVER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Told of the progress, from the thread that reads: so many rows of all; 0: they are counted. */
struct recover_hook {
        void (*progress)(void *arg, int64_t done, int64_t all);
        void *arg;
};

/* A value; changed here only. */
struct recover_progress {
        const struct recover_hook *hook; /* or NULL */
        int64_t call_at_ms;              /* monotonic: when to call it next */
        int64_t log_at_ms;               /* likewise: when to log the next line */
        bool counted;                    /* it was called with the number of all */
};

/* Begins. now_ms is monotonic, here and below. */
void recover_progress_begin(struct recover_progress *progress, const struct recover_hook *hook,
                            int64_t now_ms);

/* So many rows are read, of all. 0: they are being counted. Calls the hook at once, with the
 * first number of all, and else once a second at most; logs a line after 2 seconds and then each 5.
 */
void recover_progress_note(struct recover_progress *progress, int64_t done, int64_t all,
                           int64_t now_ms);

#endif
