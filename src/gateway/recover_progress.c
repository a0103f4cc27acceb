/*
 * recover_progress: see recover_progress.h.
 */
#include "gateway/recover_progress.h"

#include "base/log.h"

#include <stddef.h>

#define CALL_EACH_MS      1000
#define LOG_AFTER_MS      2000
#define LOG_AGAIN_EACH_MS 5000

void recover_progress_begin(struct recover_progress *progress, const struct recover_hook *hook,
                            int64_t now_ms)
{
        *progress = (struct recover_progress){
                .hook = hook,
                .call_at_ms = now_ms,
                .log_at_ms = now_ms + LOG_AFTER_MS,
        };
}

void recover_progress_note(struct recover_progress *progress, int64_t done, int64_t all,
                           int64_t now_ms)
{
        const struct log_field fields[] = {
                LOG_INTEGER("read", done),
                LOG_INTEGER("of", all),
        };

        if (progress->hook && (now_ms >= progress->call_at_ms || (all > 0 && !progress->counted))) {
                progress->hook->progress(progress->hook->arg, done, all);
                progress->call_at_ms = now_ms + CALL_EACH_MS;
                progress->counted = all > 0;
        }
        if (now_ms >= progress->log_at_ms) {
                log_event(LOG_LEVEL_INFO, "reading the store", fields, all > 0 ? 2 : 0);
                progress->log_at_ms = now_ms + LOG_AGAIN_EACH_MS;
        }
}
