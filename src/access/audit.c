/*
 * audit: see audit.h. The lines that wait, and the thread that writes them.
 *
 * The thread takes all that waits, writes it, and syncs it at once if a charge is among it: so one
 * sync is for all charges that came during the last one. Refusals alone are synced once a second.
 *
 * A write that fails is tried again until it succeeds; nothing that was taken is dropped. The mutex
 * is a leaf, and never held over a write.
 */
#include "access/audit.h"

#include "access/audit_file.h"
#include "base/clock.h"
#include "base/strbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#define RETRY_MS          250
#define SYNC_MS           1000 /* how long a refusal is not on disk */
#define SUM_MS            1000
#define PROBLEM_BYTES_MAX 128
#define NEVER             INT64_MAX
#define REFUSAL_LEVEL     1000 /* what one costs of the level below, which rises by the millisecond */

/* A line that waits. */
struct note {
        bool refusal;
        int64_t entry;
        struct note *prev, *next;
        char members[];
};

struct audit {
        pthread_mutex_t mutex;
        pthread_cond_t wake; /* by the monotonic clock */

        /* guarded by mutex */
        struct note *waiting;
        int64_t refusals_waiting, entries_waiting; /* those the thread has taken as well */
        int64_t level;                             /* of the bucket for refusals */
        int64_t level_ms;                          /* when it was so high */
        int64_t summed; /* refusals that are only counted, not told of yet */
        int64_t last_taken;
        bool entry_lost; /* one was not taken */
        bool reopen;
        bool closing;
        char problem[PROBLEM_BYTES_MAX];

        atomic_bool failing;
        _Atomic int64_t last_entry;
        atomic_bool stuck; /* as entry_lost */

        /* the thread's, and before it starts the opener's */
        struct audit_file file;
        struct note *taken; /* not in the file's lines yet */
        int64_t retry_ms;   /* failing: when to try again */
        int64_t reopen_ms;  /* not before */
        int64_t sync_ms;    /* when what was written has to be on disk; NEVER: all is */
        int64_t sum_ms;     /* when the next line may sum up */

        pthread_t thread;
        bool started;
};

static int init_locks(struct audit *audit)
{
        pthread_condattr_t attributes;
        int r = -pthread_mutex_init(&audit->mutex, NULL);

        if (r < 0)
                return r;
        r = -pthread_condattr_init(&attributes);
        if (r == 0) {
                (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
                r = -pthread_cond_init(&audit->wake, &attributes);
                (void)pthread_condattr_destroy(&attributes);
        }
        if (r < 0)
                (void)pthread_mutex_destroy(&audit->mutex);
        return r;
}

int audit_open(const char *path, struct audit **ret_audit, struct strbuf *problem)
{
        struct audit *audit = calloc(1, sizeof *audit);
        int r = audit ? init_locks(audit) : -ENOMEM;

        if (r < 0) {
                (void)strbuf_printf(problem, "%s: %s", path, strerror(-r));
                free(audit);
                return r;
        }
        r = audit_file_open(path, &audit->file, problem);
        if (r < 0) {
                (void)pthread_cond_destroy(&audit->wake);
                (void)pthread_mutex_destroy(&audit->mutex);
                free(audit);
                return r;
        }
        audit->level = (int64_t)AUDIT_REFUSALS_BURST * REFUSAL_LEVEL;
        audit->level_ms = clock_monotonic_ms();
        audit->sync_ms = audit->file.lines.len > 0 ? 0 : NEVER;
        audit->last_taken = audit->file.chain.entry;
        atomic_init(&audit->last_entry, audit->file.chain.entry);
        *ret_audit = audit;
        return 0;
}

static struct note *note_new(const char *members, size_t len)
{
        struct note *note = malloc(sizeof *note + len + 1);

        if (!note)
                return NULL;
        *note = (struct note){0};
        memcpy(note->members, members, len + 1);
        return note;
}

/* Whether one more refusal gets a line of its own. */
static bool admit_refusal_locked(struct audit *audit)
{
        const int64_t top = (int64_t)AUDIT_REFUSALS_BURST * REFUSAL_LEVEL;
        int64_t now_ms = clock_monotonic_ms(), passed_ms = now_ms - audit->level_ms;

        if (passed_ms > top / AUDIT_REFUSALS_PER_S)
                passed_ms = top / AUDIT_REFUSALS_PER_S;
        audit->level_ms = now_ms;
        audit->level += passed_ms * AUDIT_REFUSALS_PER_S;
        if (audit->level > top)
                audit->level = top;
        if (audit->level < REFUSAL_LEVEL || audit->refusals_waiting >= AUDIT_REFUSALS_WAITING_MAX)
                return false;
        audit->level -= REFUSAL_LEVEL;
        audit->refusals_waiting++;
        return true;
}

void audit_refused(struct audit *audit, const struct audit_event *event)
{
        struct note *note = NULL;

        (void)pthread_mutex_lock(&audit->mutex);
        bool admitted = admit_refusal_locked(audit);
        (void)pthread_mutex_unlock(&audit->mutex);
        if (admitted) {
                char *members = audit_describe(event);
                note = members ? note_new(members, strlen(members)) : NULL;
                free(members);
        }
        (void)pthread_mutex_lock(&audit->mutex);
        if (note) {
                note->refusal = true;
                DL_APPEND(audit->waiting, note);
        } else {
                audit->refusals_waiting -= admitted;
                audit->summed++;
        }
        (void)pthread_cond_signal(&audit->wake);
        (void)pthread_mutex_unlock(&audit->mutex);
}

/* Whether it can be a part of a line: the database may be damaged. */
static bool members_are_sane(const char *members)
{
        size_t len = strlen(members);

        if (len > AUDIT_MEMBERS_BYTES_MAX)
                return false;
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)members[i] < ' ')
                        return false;
        return true;
}

/* Returns whether the note was taken over. */
static bool take_entry_locked(struct audit *audit, struct note *note)
{
        if (!note || audit->entry_lost || audit->entries_waiting >= AUDIT_ENTRIES_WAITING_MAX) {
                audit->entry_lost = true;
                atomic_store(&audit->stuck, true);
                return false;
        }
        if (note->entry > 0)
                audit->last_taken = note->entry;
        audit->entries_waiting++;
        DL_APPEND(audit->waiting, note);
        (void)pthread_cond_signal(&audit->wake);
        return true;
}

int audit_entry(struct audit *audit, int64_t entry, const char *members)
{
        struct note *note = members_are_sane(members) ? note_new(members, strlen(members)) : NULL;
        int r = 0;

        if (note)
                note->entry = entry;
        (void)pthread_mutex_lock(&audit->mutex);
        if (entry > 0 && entry <= audit->last_taken)
                free(note);
        else if (!take_entry_locked(audit, note)) {
                free(note);
                r = -ENOMEM;
        }
        (void)pthread_mutex_unlock(&audit->mutex);
        return r;
}

int64_t audit_last_entry(const struct audit *audit)
{
        return atomic_load(&audit->last_entry);
}

void audit_reopen(struct audit *audit)
{
        (void)pthread_mutex_lock(&audit->mutex);
        audit->reopen = true;
        (void)pthread_cond_signal(&audit->wake);
        (void)pthread_mutex_unlock(&audit->mutex);
}

bool audit_healthy(const struct audit *audit)
{
        return !atomic_load(&audit->failing) && !atomic_load(&audit->stuck);
}

void audit_problem(struct audit *audit, char *ret_text, size_t size)
{
        (void)pthread_mutex_lock(&audit->mutex);
        if (audit->problem[0] == '\0' && audit->entry_lost)
                (void)snprintf(ret_text, size, "%s",
                               "more charges than memory has room for; they are in the "
                               "database, and go into the audit at the next start");
        else
                (void)snprintf(ret_text, size, "%s", audit->problem);
        (void)pthread_mutex_unlock(&audit->mutex);
}

/* A line that says how many refusals have none, at most one each second. */
static void sum_up_locked(struct audit *audit, int64_t now_ms)
{
        const struct audit_event event = {
                .wall_ms = clock_wall_ms(),
                .event = "refused",
                .outcome = "summed",
        };
        char *members = audit_describe(&event), *counted = NULL;

        if (members && asprintf(&counted, "%s,\"count\":%" PRId64, members, audit->summed) < 0)
                counted = NULL;
        struct note *note = counted ? note_new(counted, strlen(counted)) : NULL;
        if (note) {
                note->refusal = true;
                audit->refusals_waiting++;
                audit->summed = 0;
                DL_APPEND(audit->waiting, note);
        }
        audit->sum_ms = now_ms + SUM_MS;
        free(members);
        free(counted);
}

/* When there is something to do: a time of the monotonic clock, 0 for at once, or NEVER. */
static int64_t next_turn_ms_locked(const struct audit *audit)
{
        int64_t turn_ms = audit->sync_ms;

        if (audit->closing)
                return 0;
        if (atomic_load(&audit->failing))
                return audit->retry_ms;
        if (audit->waiting)
                return 0;
        if (audit->summed > 0 && audit->sum_ms < turn_ms)
                turn_ms = audit->sum_ms;
        if (audit->reopen && audit->reopen_ms < turn_ms)
                turn_ms = audit->reopen_ms;
        return turn_ms;
}

static void wait_locked(struct audit *audit)
{
        int64_t turn_ms;

        while ((turn_ms = next_turn_ms_locked(audit)) > clock_monotonic_ms()) {
                const struct timespec turn = {
                        .tv_sec = turn_ms / 1000,
                        .tv_nsec = turn_ms % 1000 * 1000000,
                };
                if (turn_ms == NEVER)
                        (void)pthread_cond_wait(&audit->wake, &audit->mutex);
                else
                        (void)pthread_cond_timedwait(&audit->wake, &audit->mutex, &turn);
        }
}

/* Puts what was taken into the file's lines, as far as there is room. */
static int fill_file(struct audit *audit, int64_t *refusals, int64_t *entries)
{
        while (audit->taken) {
                struct note *note = audit->taken;
                int r = audit_file_append(&audit->file, note->members, note->entry);
                if (r < 0)
                        return r == -ENOBUFS ? 0 : r;
                *(note->refusal ? refusals : entries) += 1;
                if (!note->refusal)
                        audit->sync_ms = 0;
                else if (audit->sync_ms == NEVER)
                        audit->sync_ms = clock_monotonic_ms() + SYNC_MS;
                DL_DELETE(audit->taken, note);
                free(note);
        }
        return 0;
}

static int sync_file(struct audit *audit)
{
        int r = audit_file_sync(&audit->file);

        if (r == 0) {
                audit->sync_ms = NEVER;
                atomic_store(&audit->last_entry, audit->file.chain.entry);
        }
        return r;
}

/* Writes all that was taken. sync: it is not to wait for its time. */
static int write_taken(struct audit *audit, bool sync, int64_t *refusals, int64_t *entries)
{
        do {
                int r = fill_file(audit, refusals, entries);
                if (r == 0)
                        r = audit_file_write(&audit->file);
                if (r == 0 && audit->file.lines.len > 0 &&
                    (sync || audit->taken || audit->sync_ms <= clock_monotonic_ms()))
                        r = sync_file(audit);
                if (r < 0)
                        return r;
        } while (audit->taken);
        return 0;
}

static void set_problem_locked(struct audit *audit, const char *what, int error)
{
        if (error == 0)
                audit->problem[0] = '\0';
        else
                (void)snprintf(audit->problem, sizeof audit->problem, "%s%s", what,
                               strerror(-error));
}

/* Takes what waits and writes it, then goes to another file if that was asked for. */
static void do_turn_locked(struct audit *audit)
{
        int64_t refusals = 0, entries = 0, now_ms = clock_monotonic_ms();
        bool reopen = audit->reopen && (now_ms >= audit->reopen_ms || audit->closing);
        bool sync = audit->closing || reopen || atomic_load(&audit->failing);

        if (audit->summed > 0 && (now_ms >= audit->sum_ms || audit->closing))
                sum_up_locked(audit, now_ms);
        DL_CONCAT(audit->taken, audit->waiting);
        audit->waiting = NULL;
        if (reopen) /* one that is asked for from now on is another */
                audit->reopen = false;
        (void)pthread_mutex_unlock(&audit->mutex);

        int error = write_taken(audit, sync, &refusals, &entries);
        int reopen_error = error == 0 && reopen ? audit_file_reopen(&audit->file) : 0;

        (void)pthread_mutex_lock(&audit->mutex);
        audit->refusals_waiting -= refusals;
        audit->entries_waiting -= entries;
        if (error < 0 || reopen_error < 0)
                audit->reopen |= reopen;
        audit->reopen_ms = reopen_error < 0 ? now_ms + RETRY_MS : audit->reopen_ms;
        audit->retry_ms = now_ms + RETRY_MS;
        atomic_store(&audit->failing, error < 0);
        if (error < 0)
                set_problem_locked(audit, "", error);
        else if (reopen || !audit->reopen)
                set_problem_locked(audit, "no new file: ", reopen_error);
}

static void *writer_main(void *arg)
{
        struct audit *audit = arg;
        bool closing;

        (void)pthread_mutex_lock(&audit->mutex);
        do {
                wait_locked(audit);
                closing = audit->closing;
                do_turn_locked(audit);
        } while (!closing);
        (void)pthread_mutex_unlock(&audit->mutex);
        return NULL;
}

int audit_start(struct audit *audit)
{
        sigset_t all, before;

        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are main's */
        int r = -pthread_create(&audit->thread, NULL, writer_main, audit);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r == 0) {
                audit->started = true;
                (void)pthread_setname_np(audit->thread, "audit");
        }
        return r;
}

static void free_notes(struct note *notes)
{
        struct note *note, *next;

        DL_FOREACH_SAFE (notes, note, next)
                free(note);
}

void audit_close(struct audit *audit)
{
        if (!audit)
                return;
        if (audit->started) {
                (void)pthread_mutex_lock(&audit->mutex);
                audit->closing = true;
                (void)pthread_cond_signal(&audit->wake);
                (void)pthread_mutex_unlock(&audit->mutex);
                (void)pthread_join(audit->thread, NULL);
        }
        free_notes(audit->waiting);
        free_notes(audit->taken);
        audit_file_close(&audit->file);
        (void)pthread_cond_destroy(&audit->wake);
        (void)pthread_mutex_destroy(&audit->mutex);
        free(audit);
}
