/*
 * audit_history: the charges that an audit file has after a given entry, the newest first; for a
 * start that finds the database behind its audit.
 *
 * Reads backward, so it costs as much as there is to find. Where the file begins after that entry,
 * it goes on in the file before, if that is in the same directory under a longer name
 * (audit.jsonl.1, audit.jsonl-20261130) and not compressed: the first line of a file names the last
 * hash of the one before. A line counts only if its hash is that of its text.
 *
 * Not locked; it belongs to one thread. The daemon may have the file open to write.
 */
#ifndef SOLVEGATE_AUDIT_AUDIT_HISTORY_H
#define SOLVEGATE_AUDIT_AUDIT_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

struct audit_history;

#define AUDIT_WORD_BYTES_MAX 64 /* of a word in a line, see audit_describe() */

/* A charge, or a possible one. The texts are empty where the line has null. */
struct audit_charge_line {
        int64_t entry;
        int64_t wall_ms;
        int64_t day;  /* on which it counts, since 1970; that of wall_ms where the line has none */
        bool charged; /* "charge":1, else null */
        char client[AUDIT_WORD_BYTES_MAX + 1];
        char job[AUDIT_WORD_BYTES_MAX + 1];
        char upstream[AUDIT_WORD_BYTES_MAX + 1];
};

/* Opens the file to read the charges with an entry above after. Returns 0 or -errno. */
int audit_history_open(const char *path, int64_t after, struct audit_history **ret_history);

/* Returns 1 with the next charge, 0 when there are no more, or -errno. Each entry comes once. */
int audit_history_next(struct audit_history *history, struct audit_charge_line *ret_charge);

/* Takes NULL. */
void audit_history_close(struct audit_history *history);

#endif
