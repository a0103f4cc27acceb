/*
 * audit: see audit.h. The lines that wait, and the thread that writes them.
 *
 * The thread takes all that waits, writes it, and syncs it at once if a charge is among it: so one
 * sync is for all charges that came during the last one. Refusals alone are synced once a second.
 *
 * A write that fails is tried again until it succeeds; nothing that was taken is dropped. A file
 * that was deleted is followed by a new one before anything is written, and nothing counts as on
 * disk that went into it after. The mutex is a leaf, and never held over a write.
 */
#include "audit/audit.h"

#include "audit/audit_file.h"
#include "audit/audit_refusals.h"
#include "base/clock.h"
#include "base/strbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
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

enum kind {
        CHARGE,
        REFUSAL,
        SUM, /* of refusals that have no line */
        KINDS,
};

/* A line that waits. */
struct note {
        enum kind kind;
        struct audit_source *source; /* REFUSAL: whose it is */
        int64_t entry;
        struct note *prev, *next;
        char members[];
};

struct audit {
        pthread_mutex_t mutex;
        pthread_cond_t wake;   /* by the monotonic clock */
        pthread_cond_t turned; /* the thread has done a turn */

        /* guarded by mutex */
        struct note *waiting;
        int64_t waiting_of[KINDS]; /* how many; those the thread has taken as well */
        struct audit_refusals refusals;
        int64_t given, on_disk; /* how many notes since the start */
        int64_t last_taken;
        bool entry_lost;    /* one was not taken: */
        int64_t lost_entry; /* its number; 0: it has none, and cannot be given again */
        bool flush;         /* somebody waits until all that was given is on disk */
        bool reopen;
        bool closing;
        char problem[PROBLEM_BYTES_MAX];

        atomic_bool failing;
        atomic_uint removals;
        _Atomic int64_t last_entry;
        atomic_bool stuck; /* as entry_lost */

        /* the thread's, and before it starts the opener's */
        struct audit_file file;
        struct note *taken; /* not in the file's lines yet */
        int64_t filled;     /* how many notes are in them, or were */
        int64_t synced;     /* how many of those are on disk */
        int64_t retry_ms;   /* failing: when to try again */
        int64_t reopen_ms;  /* not before */
        int64_t sync_ms;    /* when what was written has to be on disk; NEVER: all is */
        int64_t sum_ms;     /* when the next lines may sum up */

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
        if (r == 0) {
                r = -pthread_cond_init(&audit->turned, NULL);
                if (r < 0)
                        (void)pthread_cond_destroy(&audit->wake);
        }
        if (r < 0)
                (void)pthread_mutex_destroy(&audit->mutex);
        return r;
}

static void done_locks(struct audit *audit)
{
        (void)pthread_cond_destroy(&audit->turned);
        (void)pthread_cond_destroy(&audit->wake);
        (void)pthread_mutex_destroy(&audit->mutex);
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
        r = audit_refusals_init(&audit->refusals, clock_monotonic_ms());
        if (r == 0)
                r = audit_file_open(path, &audit->file, problem);
        if (r < 0) {
                audit_refusals_done(&audit->refusals);
                done_locks(audit);
                free(audit);
                return r;
        }
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

/* It is counted in waiting_of already. */
static void append_note_locked(struct audit *audit, struct note *note)
{
        DL_APPEND(audit->waiting, note);
        audit->given++;
        (void)pthread_cond_signal(&audit->wake);
}

void audit_refused(struct audit *audit, const struct audit_event *event)
{
        int64_t now_ms = clock_monotonic_ms();
        struct note *note = NULL;

        (void)pthread_mutex_lock(&audit->mutex);
        struct audit_source *source = audit_refusals_find(&audit->refusals, event->client, now_ms);
        bool admitted = audit_refusals_admit(&audit->refusals, source, now_ms);
        (void)pthread_mutex_unlock(&audit->mutex);
        if (admitted) {
                char *members = audit_describe(event);
                note = members ? note_new(members, strlen(members)) : NULL;
                free(members);
        }
        (void)pthread_mutex_lock(&audit->mutex);
        if (note) {
                note->kind = REFUSAL;
                note->source = source;
                audit->waiting_of[REFUSAL]++;
                append_note_locked(audit, note);
        } else {
                if (admitted)
                        audit_refusals_leave(&audit->refusals, source);
                audit_refusals_sum(&audit->refusals, source);
                (void)pthread_cond_signal(&audit->wake);
        }
        (void)pthread_mutex_unlock(&audit->mutex);
}

/* In place of an entry that a damaged database gives: there was one, that is all we know. */
static struct note *unreadable_note(void)
{
        const struct audit_event event = {
                .wall_ms = clock_wall_ms(),
                .event = "charged",
                .outcome = "unreadable",
                .charge = AUDIT_UNKNOWN,
                .day = clock_day_of(clock_wall_ms()),
        };
        char *members = audit_describe(&event);
        struct note *note = members ? note_new(members, strlen(members)) : NULL;

        free(members);
        return note;
}

static void lose_entry_locked(struct audit *audit, int64_t entry)
{
        if (!audit->entry_lost)
                audit->lost_entry = entry;
        audit->entry_lost = true;
        atomic_store(&audit->stuck, true);
}

/* Returns whether the note was taken over. After one that was not, it must be that one. */
static bool take_entry_locked(struct audit *audit, struct note *note, int64_t entry)
{
        bool in_order = !audit->entry_lost || (entry > 0 && entry == audit->lost_entry);

        if (!note || !in_order || audit->waiting_of[CHARGE] >= AUDIT_ENTRIES_WAITING_MAX) {
                lose_entry_locked(audit, entry);
                return false;
        }
        audit->entry_lost = false;
        atomic_store(&audit->stuck, false);
        if (note->entry > 0)
                audit->last_taken = note->entry;
        audit->waiting_of[CHARGE]++;
        append_note_locked(audit, note);
        return true;
}

int audit_entry(struct audit *audit, int64_t entry, const char *members)
{
        struct note *note = audit_members_are_sound(members) ? note_new(members, strlen(members))
                                                             : unreadable_note();
        int r = 0;

        if (note)
                note->entry = entry;
        (void)pthread_mutex_lock(&audit->mutex);
        if (entry > 0 && entry <= audit->last_taken)
                free(note);
        else if (!take_entry_locked(audit, note, entry)) {
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

void audit_flush(struct audit *audit)
{
        (void)pthread_mutex_lock(&audit->mutex);
        const int64_t given = audit->given;
        while (audit->started && audit->on_disk < given && !atomic_load(&audit->failing)) {
                audit->flush = true;
                (void)pthread_cond_signal(&audit->wake);
                (void)pthread_cond_wait(&audit->turned, &audit->mutex);
        }
        (void)pthread_mutex_unlock(&audit->mutex);
}

unsigned audit_removals(const struct audit *audit)
{
        return atomic_load(&audit->removals);
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
                               "database, and go into the audit when there is room");
        else
                (void)snprintf(ret_text, size, "%s", audit->problem);
        (void)pthread_mutex_unlock(&audit->mutex);
}

/* A line that says how many refusals of a client have none. NULL: no memory. */
static struct note *sum_note(const char *client, int64_t count)
{
        const struct audit_event event = {
                .wall_ms = clock_wall_ms(),
                .event = "refused",
                .client = client,
                .outcome = "summed",
        };
        char *members = audit_describe(&event), *counted = NULL;

        if (members && asprintf(&counted, "%s,\"count\":%" PRId64, members, count) < 0)
                counted = NULL;
        struct note *note = counted ? note_new(counted, strlen(counted)) : NULL;
        free(members);
        free(counted);
        return note;
}

/* A line for each client, at most one each second. What finds no room is in the next one. */
static void sum_up_locked(struct audit *audit, int64_t now_ms)
{
        struct audit_source *source;
        const char *client;
        int64_t count;

        audit->sum_ms = now_ms + SUM_MS;
        while (audit->waiting_of[SUM] < AUDIT_SUMS_WAITING_MAX &&
               audit_refusals_take_sum(&audit->refusals, &source, &client, &count)) {
                struct note *note = sum_note(client, count);
                if (!note) {
                        audit_refusals_sum_back(&audit->refusals, source, count);
                        return;
                }
                note->kind = SUM;
                audit->waiting_of[SUM]++;
                append_note_locked(audit, note);
        }
}

/* When there is something to do: a time of the monotonic clock, 0 for at once, or NEVER. */
static int64_t next_turn_ms_locked(const struct audit *audit)
{
        int64_t turn_ms = audit->sync_ms;

        if (audit->closing)
                return 0;
        if (atomic_load(&audit->failing))
                return audit->retry_ms;
        if (audit->waiting || audit->flush)
                return 0;
        if (audit_refusals_any_summed(&audit->refusals) && audit->sum_ms < turn_ms)
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

/* What a turn has come to. */
struct turn {
        int64_t filled_of[KINDS];
        struct note *refusals; /* those that are in the file's lines now */
        int error;             /* nothing can be written */
        int reopen_error;      /* there is no other file */
};

/* Puts what was taken into the file's lines, as far as there is room. */
static int fill_file(struct audit *audit, struct turn *turn)
{
        while (audit->taken) {
                struct note *note = audit->taken;
                int r = audit_file_append(&audit->file, note->members, note->entry);
                if (r < 0)
                        return r == -ENOBUFS ? 0 : r;
                turn->filled_of[note->kind]++;
                audit->filled++;
                if (note->kind == CHARGE)
                        audit->sync_ms = 0;
                else if (audit->sync_ms == NEVER)
                        audit->sync_ms = clock_monotonic_ms() + SYNC_MS;
                DL_DELETE(audit->taken, note);
                if (note->kind == REFUSAL)
                        DL_APPEND(turn->refusals, note);
                else
                        free(note);
        }
        return 0;
}

static int sync_file(struct audit *audit)
{
        int r = audit_file_sync(&audit->file);

        if (r == 0) {
                audit->sync_ms = NEVER;
                audit->synced = audit->filled;
                atomic_store(&audit->last_entry, audit->file.chain.entry);
        }
        return r;
}

/* Writes all that was taken. sync: it is not to wait for its time. */
static int write_taken(struct audit *audit, bool sync, struct turn *turn)
{
        do {
                int r = fill_file(audit, turn);
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
                               error == -EEXIST ? "another one stands in its place; move it away"
                                                : strerror(-error));
}

/* Writes what was taken; into a new file, if this one is gone. */
static void write_somewhere(struct audit *audit, bool sync, struct turn *turn)
{
        if (audit_file_is_gone(&audit->file)) {
                turn->error = turn->reopen_error = audit_file_reopen(&audit->file);
                if (turn->error == 0)
                        (void)atomic_fetch_add(&audit->removals, 1);
        }
        if (turn->error == 0)
                turn->error = write_taken(audit, sync, turn);
}

/* Then goes to another file if that is asked for. */
static void write_turn(struct audit *audit, bool sync, bool reopen, struct turn *ret_turn)
{
        struct turn turn = {0};

        write_somewhere(audit, sync, &turn);
        if (turn.error == -ESTALE) { /* it was removed meanwhile, which costs no entry */
                turn.error = 0;
                write_somewhere(audit, sync, &turn);
        }
        if (turn.error == 0 && reopen)
                turn.reopen_error = audit_file_reopen(&audit->file);
        *ret_turn = turn;
}

static void finish_turn_locked(struct audit *audit, const struct turn *turn, int64_t now_ms,
                               bool reopen)
{
        const struct note *note;

        for (int kind = 0; kind < KINDS; kind++)
                audit->waiting_of[kind] -= turn->filled_of[kind];
        DL_FOREACH (turn->refusals, note)
                audit_refusals_leave(&audit->refusals, note->source);
        audit->on_disk = audit->synced;
        if (turn->error < 0 || turn->reopen_error < 0)
                audit->reopen |= reopen;
        audit->reopen_ms = turn->reopen_error < 0 ? now_ms + RETRY_MS : audit->reopen_ms;
        audit->retry_ms = now_ms + RETRY_MS;
        atomic_store(&audit->failing, turn->error < 0);
        if (turn->reopen_error < 0)
                set_problem_locked(audit, "no new file: ", turn->reopen_error);
        else if (turn->error < 0 || reopen || !audit->reopen)
                set_problem_locked(audit, "", turn->error);
        (void)pthread_cond_broadcast(&audit->turned);
}

static void free_notes(struct note *notes)
{
        struct note *note, *next;

        DL_FOREACH_SAFE (notes, note, next)
                free(note);
}

/* Takes what waits, and writes it. */
static void do_turn_locked(struct audit *audit)
{
        int64_t now_ms = clock_monotonic_ms();
        bool failing = atomic_load(&audit->failing);
        bool reopen = audit->reopen && (now_ms >= audit->reopen_ms || audit->closing);
        bool sync = audit->closing || reopen || audit->flush || failing;
        struct turn turn;

        /* While nothing can be written there is no end of sums. */
        if (audit_refusals_any_summed(&audit->refusals) &&
            ((now_ms >= audit->sum_ms && !failing) || audit->closing))
                sum_up_locked(audit, now_ms);
        DL_CONCAT(audit->taken, audit->waiting);
        audit->waiting = NULL;
        audit->flush = false;
        if (reopen) /* one that is asked for from now on is another */
                audit->reopen = false;
        (void)pthread_mutex_unlock(&audit->mutex);

        write_turn(audit, sync, reopen, &turn);

        (void)pthread_mutex_lock(&audit->mutex);
        finish_turn_locked(audit, &turn, now_ms, reopen);
        (void)pthread_mutex_unlock(&audit->mutex);
        free_notes(turn.refusals);
        (void)pthread_mutex_lock(&audit->mutex);
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
        int r = -pthread_create(&audit->thread, NULL, writer_main, audit);

        if (r == 0) {
                audit->started = true;
                (void)pthread_setname_np(audit->thread, "audit");
        }
        return r;
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
        audit_refusals_done(&audit->refusals);
        done_locks(audit);
        free(audit);
}
