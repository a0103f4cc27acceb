/*
 * memory_return: when the memory of final jobs goes back to the kernel.
 *
 * malloc_trim(3) takes some milliseconds for each 16 MB that were freed, so it is called for each
 * such piece, and not for less. It is called again when nothing more is freed, for what is left;
 * and a few times after the store has deleted the rows of these jobs: it keeps their IDs until
 * then, and its cache of pages for some seconds more.
 *
 * Pure arithmetic. Not locked. Times are monotonic, in milliseconds.
 */
#ifndef SOLVEGATE_GATEWAY_MEMORY_RETURN_H
#define SOLVEGATE_GATEWAY_MEMORY_RETURN_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_RETURN_BYTES      (16 << 20)
#define MEMORY_RETURN_QUIET_MS   2000 /* nothing more is freed */
#define MEMORY_RETURN_AGAIN_MS   3000
#define MEMORY_RETURN_AFTER_ROWS 3 /* times */

/* All zero at the start. */
struct memory_return {
        int64_t freed_bytes;    /* at the last call */
        int64_t returned_bytes; /* of these, when memory was last returned */
        int left;               /* how often it is to be returned; then at_ms is valid */
        int64_t at_ms;
};

/*
 * Returns whether to return memory now. freed_bytes counts what was freed since the start;
 * rows_wait says that the store has rows of these jobs yet to delete. To be called at each tick.
 */
bool memory_return_due(struct memory_return *memory, int64_t freed_bytes, bool rows_wait,
                       int64_t now_ms);

#endif
