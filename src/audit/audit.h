/*
 * audit: the trail of what was refused and what was charged, one JSON object on a line.
 *
 *      {"seq":7,"time":"2026-11-22T16:05:45.123Z","event":"charged","client":"ci",
 *       "address":"192.0.2.7","site":"staging.example.com","job":"h-…","upstream":"pro",
 *       "outcome":"solved","charge":1,"day":"2026-11-22","entry":3,"prev":"<64 hex
 * digits>","hash":"<64 hex digits>"}
 *
 * The file is only appended to, and `charge` is null where nobody knows. `hash` is the SHA-256 of
 * the line up to the comma before it, `prev` the hash of the line before, so that a line that was
 * changed, taken out or moved is found (audit_chain.h). The chain goes on over a rotation: a new
 * file begins with a line of the event "opened", whose prev is the last hash of the file before. No
 * line has a credential, a token or an image.
 *
 * A charge comes through the store, as an entry with a number: it is written into the database in
 * the same transaction as the charge, into the file after that, and forgotten by the database when
 * the file is on disk. So each charge is in the file once, whatever crashes when. A refusal is
 * written by and by; those that come too fast are only counted, and a crash may take the last ones.
 *
 * One thread writes. Nobody else waits for the disk. Thread: any, but where it says otherwise.
 */
#ifndef SOLVEGATE_AUDIT_AUDIT_H
#define SOLVEGATE_AUDIT_AUDIT_H

#include "audit/audit_describe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit;
struct strbuf;

/* What waits in memory while the disk is slow, or full; audit_refusals.h has more. */
#define AUDIT_SUMS_WAITING_MAX    5000
#define AUDIT_ENTRIES_WAITING_MAX 200000

/*
 * Opens the file, made with mode 0600 if it is missing, and its directory with 0700; and finds the
 * end of its chain. A last line that a crash has cut off is left as it is, ended, and told of in a
 * line of the event "torn". A file that is locked by another daemon, or is no audit file, is left
 * untouched. On failure returns -errno with a sentence in problem.
 */
int audit_open(const char *path, struct audit **ret_audit, struct strbuf *problem);

/* Starts the thread. Signals are blocked by the caller. Returns 0 or -errno. */
int audit_start(struct audit *audit);

/*
 * Writes what is left (once, if the disk is full), ends the thread, and closes. Requires that
 * nobody calls any more. Takes NULL.
 */
void audit_close(struct audit *audit);

/* Notes a refusal. Never waits; without memory, or beyond its client's rate, it is only counted. */
void audit_refused(struct audit *audit, const struct audit_event *event);

/*
 * Appends an entry that is in the database, with its number; they come in order, and one that is in
 * the file already is passed over. Without a database the number is 0: the line has none. Members
 * that cannot be part of a line, since the database is damaged, become a line with the outcome
 * "unreadable". Never waits. Returns 0, or -ENOMEM where it was not taken: then no later one is
 * taken before it, so that audit_last_entry() stays below it. The caller gives it again, and all
 * after it; until then the audit is not healthy. One without a number cannot be given again.
 */
int audit_entry(struct audit *audit, int64_t entry, const char *members);

/* The number of the last entry that is surely in the file, on disk; 0: none. */
int64_t audit_last_entry(const struct audit *audit);

/*
 * Waits until everything that was given before the call is in the file, on disk. Returns at once
 * while the audit cannot be written, or has not started. For a stop; not for a loop's thread that
 * others wait for.
 */
void audit_flush(struct audit *audit);

/*
 * The file may have been renamed: what comes from now on goes to a new one. For log rotation. Never
 * waits. While the new one cannot be opened the lines still go to the old one, which is healthy,
 * but audit_problem() says so; it is tried again.
 */
void audit_reopen(struct audit *audit);

/* Whether the last write succeeded. */
bool audit_healthy(const struct audit *audit);

/* How often the file was removed, and a new one begun in its place. */
unsigned audit_removals(const struct audit *audit);

/* Copies what is wrong now, without the file's name; or an empty text. */
void audit_problem(struct audit *audit, char *ret_text, size_t size);

#endif
