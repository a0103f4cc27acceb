/*
 * journal: see journal.h. A ring: the entry with ticket N stands at N modulo the size.
 */
#include "sim/journal.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/strbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_BYTES 12
#define ID_BYTES      72 /* an id that is longer was not ours: it is cut */

struct entry {
        enum sim_endpoint endpoint;
        char http_version[VERSION_BYTES];
        char *headers_json; /* owned; may be NULL */
        bool credentials;
        bool charged;
        size_t bytes;
        char sha256[DIGEST_HEX_BYTES]; /* "" until the body was received whole */
        char id[ID_BYTES];             /* "" for none */
        int64_t arrived_ms;
};

struct sim_journal {
        pthread_mutex_t mutex;
        uint64_t first; /* the oldest ticket kept; guarded by mutex */
        uint64_t next;  /* the ticket to give out next; guarded by mutex */
        struct entry entries[SIM_JOURNAL_ENTRIES_MAX]; /* guarded by mutex */
};

int sim_journal_new(struct sim_journal **ret_journal)
{
        struct sim_journal *journal = calloc(1, sizeof *journal);

        if (!journal)
                return -ENOMEM;
        (void)pthread_mutex_init(&journal->mutex, NULL);
        *ret_journal = journal;
        return 0;
}

static struct entry *entry_at(struct sim_journal *journal, uint64_t ticket)
{
        return &journal->entries[ticket % SIM_JOURNAL_ENTRIES_MAX];
}

static void drop_oldest_locked(struct sim_journal *journal)
{
        struct entry *oldest = entry_at(journal, journal->first++);

        free(oldest->headers_json);
        oldest->headers_json = NULL;
}

static void clear_locked(struct sim_journal *journal)
{
        while (journal->first < journal->next)
                drop_oldest_locked(journal);
}

void sim_journal_free(struct sim_journal *journal)
{
        if (!journal)
                return;
        clear_locked(journal);
        (void)pthread_mutex_destroy(&journal->mutex);
        free(journal);
}

uint64_t sim_journal_add(struct sim_journal *journal, enum sim_endpoint endpoint,
                         const char *http_version, char *headers_json, bool credentials)
{
        (void)pthread_mutex_lock(&journal->mutex);
        if (journal->next - journal->first == SIM_JOURNAL_ENTRIES_MAX)
                drop_oldest_locked(journal);
        uint64_t ticket = journal->next++;
        struct entry *entry = entry_at(journal, ticket);
        *entry = (struct entry){
                .endpoint = endpoint,
                .headers_json = headers_json,
                .credentials = credentials,
                .arrived_ms = clock_monotonic_ms(),
        };
        (void)snprintf(entry->http_version, sizeof entry->http_version, "%s", http_version);
        (void)pthread_mutex_unlock(&journal->mutex);
        return ticket;
}

/* NULL where the entry gave way or was cleared. */
static struct entry *find_locked(struct sim_journal *journal, uint64_t ticket)
{
        return ticket >= journal->first ? entry_at(journal, ticket) : NULL;
}

void sim_journal_set_body(struct sim_journal *journal, uint64_t ticket, size_t bytes,
                          const char *sha256_hex)
{
        (void)pthread_mutex_lock(&journal->mutex);
        struct entry *entry = find_locked(journal, ticket);
        if (entry) {
                entry->bytes = bytes;
                (void)snprintf(entry->sha256, sizeof entry->sha256, "%s", sha256_hex);
        }
        (void)pthread_mutex_unlock(&journal->mutex);
}

void sim_journal_set_job(struct sim_journal *journal, uint64_t ticket, const char *id, bool charged)
{
        (void)pthread_mutex_lock(&journal->mutex);
        struct entry *entry = find_locked(journal, ticket);
        if (entry) {
                (void)snprintf(entry->id, sizeof entry->id, "%s", id);
                entry->charged = charged;
        }
        (void)pthread_mutex_unlock(&journal->mutex);
}

void sim_journal_clear(struct sim_journal *journal)
{
        (void)pthread_mutex_lock(&journal->mutex);
        clear_locked(journal);
        (void)pthread_mutex_unlock(&journal->mutex);
}

static void write_text_or_null(struct strbuf *out, const char *text)
{
        if (*text)
                (void)strbuf_append_json_string(out, text, strlen(text));
        else
                (void)strbuf_puts(out, "null");
}

static void write_entry(const struct entry *entry, struct strbuf *out)
{
        (void)strbuf_printf(out,
                            "{\"endpoint\":\"%s\",\"http\":", sim_endpoint_name(entry->endpoint));
        write_text_or_null(out, entry->http_version);
        (void)strbuf_printf(out,
                            ",\"time\":%" PRId64 ".%03d,\"headers\":", entry->arrived_ms / 1000,
                            (int)(entry->arrived_ms % 1000));
        (void)strbuf_puts(out, entry->headers_json ? entry->headers_json : "null");
        (void)strbuf_printf(out, ",\"credentials\":%s,\"bytes\":%zu,\"sha256\":",
                            entry->credentials ? "true" : "false", entry->bytes);
        write_text_or_null(out, entry->sha256);
        (void)strbuf_printf(out, ",\"charged\":%s,\"id\":", entry->charged ? "true" : "false");
        write_text_or_null(out, entry->id);
        (void)strbuf_puts(out, "}");
}

void sim_journal_write(struct sim_journal *journal, struct strbuf *out)
{
        (void)pthread_mutex_lock(&journal->mutex);
        (void)strbuf_puts(out, "[");
        for (uint64_t ticket = journal->first; ticket < journal->next; ticket++) {
                if (ticket > journal->first)
                        (void)strbuf_puts(out, ",");
                write_entry(entry_at(journal, ticket), out);
        }
        (void)strbuf_puts(out, "]");
        (void)pthread_mutex_unlock(&journal->mutex);
}
