/*
 * recover_lost: see recover_lost.h.
 */
#include "gateway/recover_lost.h"

#include "audit/audit.h"
#include "audit/audit_history.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_NAMED_MAX 16
#define NAMES_BYTES_MAX   2048

/* How many of the charges a client has. */
struct lost_client {
        char name[AUDIT_WORD_BYTES_MAX + 1];
        int64_t charges;
};

/* What was read of the audit file. */
struct lost {
        struct audit_history *history;
        struct audit_charge_line line; /* the last one */
        int64_t charged, unknown;
        int64_t first_ms, last_ms;
        struct lost_client clients[CLIENTS_NAMED_MAX];
        size_t clients_count;
        int64_t others; /* charges of clients that are not named */
};

static void count_client(struct lost *lost, const char *name)
{
        size_t i = 0;

        while (i < lost->clients_count && strcmp(lost->clients[i].name, name) != 0)
                i++;
        if (i == CLIENTS_NAMED_MAX) {
                lost->others++;
                return;
        }
        if (i == lost->clients_count) {
                lost->clients_count++;
                (void)snprintf(lost->clients[i].name, sizeof lost->clients[i].name, "%s", name);
        }
        lost->clients[i].charges++;
}

static void count_charge(struct lost *lost, const struct audit_charge_line *line)
{
        lost->charged += line->charged;
        lost->unknown += !line->charged;
        if (lost->last_ms == 0 || line->wall_ms > lost->last_ms)
                lost->last_ms = line->wall_ms;
        if (lost->first_ms == 0 || line->wall_ms < lost->first_ms)
                lost->first_ms = line->wall_ms;
        count_client(lost, line->client);
}

static int next_charge(void *arg, struct store_lost_charge *ret_charge)
{
        struct lost *lost = arg;
        int r;

        do
                r = audit_history_next(lost->history, &lost->line);
        while (r > 0 && lost->line.client[0] == '\0'); /* it can count for no client */
        if (r <= 0)
                return r;
        count_charge(lost, &lost->line);
        *ret_charge = (struct store_lost_charge){
                .entry = lost->line.entry,
                .wall_ms = lost->line.wall_ms,
                .day = lost->line.day,
                .charged = lost->line.charged,
                .job = lost->line.job,
                .client = lost->line.client,
                .upstream = lost->line.upstream,
        };
        return 1;
}

/* ---- what is logged ---- */

/* "ci 30, web 10"; the caller frees. NULL: no memory. */
static char *name_clients(const struct lost *lost)
{
        struct strbuf names;

        strbuf_init(&names, NAMES_BYTES_MAX);
        for (size_t i = 0; i < lost->clients_count; i++)
                (void)strbuf_printf(&names, "%s%s %" PRId64, i > 0 ? ", " : "",
                                    lost->clients[i].name, lost->clients[i].charges);
        if (lost->others > 0)
                (void)strbuf_printf(&names, ", others %" PRId64, lost->others);
        return strbuf_take(&names, NULL);
}

/* No charge is missing, but what was in flight at the crash may have been sent. */
static void log_lost_log(const struct config *config, const struct store_restored *restored)
{
        const struct log_field fields[] = {
                LOG_TEXT("directory", config->state_directory),
                LOG_INTEGER("ended", restored->ended),
                LOG_TEXT("detail", "jobs.db-wal was removed, or an older copy of jobs.db was "
                                   "restored; the audit file has no charge since then, but jobs "
                                   "that were in flight may have been charged"),
        };

        log_event(LOG_LEVEL_ERROR, "the database has lost its last records", fields,
                  sizeof fields / sizeof *fields);
}

/* missing: how many entries the numbers say that there were, after the one that is known. */
static void log_lost_charges(const struct lost *lost, const struct config *config, int64_t known,
                             int64_t missing, const struct store_restored *restored)
{
        int64_t found = lost->charged + lost->unknown;
        char first[CLOCK_TEXT_BYTES], last[CLOCK_TEXT_BYTES];
        char *clients = name_clients(lost);

        clock_write_s(lost->first_ms, first);
        clock_write_s(lost->last_ms, last);
        const struct log_field fields[] = {
                LOG_TEXT("directory", config->state_directory),
                LOG_INTEGER("charged", lost->charged),
                LOG_INTEGER("unknown", lost->unknown),
                LOG_TEXT("first", found > 0 ? first : NULL),
                LOG_TEXT("last", found > 0 ? last : NULL),
                LOG_INTEGER("first_entry", known + 1),
                LOG_INTEGER("last_entry", known + missing),
                LOG_TEXT("clients", found > 0 ? clients : NULL),
                LOG_INTEGER("ended", restored->ended),
                LOG_TEXT("detail",
                         "jobs.db-wal was removed or damaged, or an older copy of jobs.db "
                         "was restored; jobs and results since then are missing"),
        };

        log_event(LOG_LEVEL_ERROR,
                  "the database has lost its last records; the charges that the audit file has "
                  "were counted again",
                  fields, sizeof fields / sizeof *fields);
        free(clients);
        if (missing > found)
                log_error("%" PRId64 " of %" PRId64 " charges that the database has lost are not "
                          "counted: their lines are damaged, or are neither in %s nor in a file "
                          "before it that is beside it and not compressed",
                          missing - found, missing, config->audit.file);
}

static int count_again(struct store *store, const struct config *config, int64_t known,
                       int64_t last, struct strbuf *problem)
{
        struct lost lost = {0};
        struct store_restored restored = {0};
        char reason[256];

        int r = audit_history_open(config->audit.file, known, &lost.history);
        const struct store_losses losses = {
                .last_entry = last > known ? last : known,
                .resend = config->retry.on_unknown == ON_UNKNOWN_RETRY,
                .next = next_charge,
                .arg = &lost,
        };
        if (r == 0)
                r = store_restore(store, &losses, &restored);
        audit_history_close(lost.history);
        if (r == 0) {
                if (last > known)
                        log_lost_charges(&lost, config, known, last - known, &restored);
                else
                        log_lost_log(config, &restored);
                return 0;
        }
        store_problem(store, reason, sizeof reason);
        (void)strbuf_printf(problem,
                            "%s: charges that the database in %s has lost cannot be counted: %s",
                            config->audit.file, config->state_directory,
                            reason[0] != '\0' ? reason : strerror(-r));
        return r;
}

int recover_lost(struct store *store, const struct audit *audit, const struct config *config,
                 struct strbuf *problem)
{
        int64_t known = -1, last = audit_last_entry(audit);

        int r = store_last_entry(store, &known);
        if (r < 0) {
                (void)strbuf_printf(problem, "the store in %s could not be read: %s",
                                    config->state_directory, strerror(-r));
                return r;
        }
        if (known < 0 || (last <= known && !store_log_is_lost(store)))
                return 0;
        return count_again(store, config, known, last, problem);
}
