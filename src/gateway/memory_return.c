/*
 * memory_return: see memory_return.h.
 */
#include "gateway/memory_return.h"

bool memory_return_due(struct memory_return *memory, int64_t freed_bytes, bool rows_wait,
                       int64_t now_ms)
{
        if (freed_bytes != memory->freed_bytes) {
                memory->freed_bytes = freed_bytes;
                memory->at_ms = now_ms + MEMORY_RETURN_QUIET_MS;
                if (freed_bytes - memory->returned_bytes < MEMORY_RETURN_BYTES)
                        return false;
                memory->left = 1 + MEMORY_RETURN_AFTER_ROWS;
        } else {
                if (memory->left == 0 || now_ms < memory->at_ms ||
                    (memory->left <= MEMORY_RETURN_AFTER_ROWS && rows_wait))
                        return false;
                memory->left--;
                memory->at_ms = now_ms + MEMORY_RETURN_AGAIN_MS;
        }
        memory->returned_bytes = freed_bytes;
        return true;
}
