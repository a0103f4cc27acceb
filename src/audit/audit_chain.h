/*
 * audit_chain: how the lines of an audit file hang together, for who writes and who verifies them.
 *
 * A line is {"seq":N, its members, "entry":N where it has one, "prev":"…","hash":"…"}. A file
 * begins with a line of the event "opened". What a crash has left of a line stays where it is; the
 * line that follows is of the event "torn", and its outcome is the hash of what was left.
 *
 * Not locked; a value belongs to one thread.
 */
#ifndef SOLVEGATE_AUDIT_AUDIT_CHAIN_H
#define SOLVEGATE_AUDIT_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

#define AUDIT_HASH_CHARS        64
#define AUDIT_LINE_BYTES_MAX    4096 /* with its newline */
#define AUDIT_MEMBERS_BYTES_MAX 3800 /* which leave room in a line for the rest of it */

/* The SHA-256 of some text in hexadecimal digits. Returns 0 or -ENOMEM. */
int audit_hash(const void *text, size_t len, char ret_hash[static AUDIT_HASH_CHARS + 1]);

/* What a line says of its place. The texts point into the line. */
struct audit_line {
        int64_t seq;
        int64_t entry; /* 0: it has none */
        bool opened;   /* its event */
        bool torn;
        const char *outcome; /* of a torn one: AUDIT_HASH_CHARS digits */
        const char *members; /* as audit_chain_append() took them */
        size_t members_len;
        const char *prev; /* AUDIT_HASH_CHARS digits */
        const char *hash; /* the same */
        size_t hashed;    /* how many bytes of the line the hash covers */
};

/* Reads a line, without its newline. Returns 0, or -EBADMSG for what is no line of an audit. */
int audit_line_read(const char *line, size_t len, struct audit_line *ret_line);

/* Whether its hash is that of its text. Returns 1, 0 or -ENOMEM. */
int audit_line_is_sound(const char *line, const struct audit_line *read);

/* Whether they make a line that reads as one, and is JSON. */
bool audit_members_are_sound(const char *members);

/* The end of a chain: what the next line hangs on. */
struct audit_chain {
        int64_t seq;                     /* of the last line; 0: there is none */
        int64_t entry;                   /* the highest entry so far */
        char hash[AUDIT_HASH_CHARS + 1]; /* of the last line; zeros before the first */

        /* for verifying alone */
        int64_t faulty;                   /* lines since then that are not sound */
        char piece[AUDIT_HASH_CHARS + 1]; /* the hash of the line before, if that is no record */
};

void audit_chain_init(struct audit_chain *chain);

/*
 * Appends the next line, with its newline, made of members ("\"time\":…" on, without braces) and
 * the entry's number unless that is 0; and moves the chain on. Returns 0, -ENOMEM or -EMSGSIZE.
 */
int audit_chain_append(struct audit_chain *chain, const char *members, int64_t entry,
                       struct strbuf *ret_line);

/* What verifying one line after the other finds. */
enum audit_verdict {
        AUDIT_SOUND,
        AUDIT_SOUND_AFTER_PIECE, /* and the line before, which was no record, is no fault: this one
                                    tells of it */
        AUDIT_NO_RECORD,         /* no line of an audit file; or cut off */
        AUDIT_CHANGED,           /* its hash is not that of its text */
        AUDIT_AFTER_GAP,         /* it is sound, but lines before it are missing */
        AUDIT_OUT_OF_PLACE,      /* it is sound, but its place is further up, or it stands twice */
        AUDIT_AFTER_OTHER,       /* it is sound, but the line before is not the one it hangs on */
};

/*
 * Verifies the line that comes next, without its newline, and moves the chain on to it where it is
 * sound and not out of place. So each fault is told once, at its own line, whatever comes after it.
 * With begins, the chain is not known yet: the line is taken as the first. Returns 0, or -ENOMEM
 * with the chain untouched.
 */
int audit_chain_verify(struct audit_chain *chain, const char *line, size_t len, bool begins,
                       enum audit_verdict *ret_verdict);

#endif
