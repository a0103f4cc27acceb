/*
 * audit_chain: see audit_chain.h.
 *
 * A line is read from both of its ends, without a JSON parser: what stands between is covered by
 * the hash, and inside a JSON string no quote stands without a backslash, so the names searched for
 * are found where they are names.
 */
#include "audit/audit_chain.h"

#include "base/digest.h"
#include "base/json.h"
#include "base/strbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD    "{\"seq\":"
#define TIME    ",\"time\":\""
#define EVENT   "\",\"event\":\""
#define OUTCOME ",\"outcome\":\""
#define ENTRY   ",\"entry\":"
#define PREV    ",\"prev\":\""
#define HASH    ",\"hash\":\""
#define TAIL    "\"}"

#define TEXT_LEN(text) (sizeof(text) - 1)

/* `,"prev":"…"` and `,"hash":"…"}` are as long in every line. */
#define PREV_BYTES (TEXT_LEN(PREV) + AUDIT_HASH_CHARS + 1)
#define HASH_BYTES (TEXT_LEN(HASH) + AUDIT_HASH_CHARS + TEXT_LEN(TAIL))

#define NUMBER_BYTES_MAX 19 /* of INT64_MAX */

_Static_assert(TEXT_LEN(HEAD) + 1 + AUDIT_MEMBERS_BYTES_MAX + TEXT_LEN(ENTRY) +
                               (size_t)2 * NUMBER_BYTES_MAX + PREV_BYTES + HASH_BYTES + 1 <=
                       AUDIT_LINE_BYTES_MAX,
               "members of any length allowed fit into a line");

int audit_hash(const void *text, size_t len, char ret_hash[static AUDIT_HASH_CHARS + 1])
{
        return digest_hex(text, len, ret_hash);
}

/* A part of a line that has not been read. */
struct rest {
        const char *next, *end;
};

static bool take_text(struct rest *rest, const char *text)
{
        size_t len = strlen(text);

        if ((size_t)(rest->end - rest->next) < len || memcmp(rest->next, text, len) != 0)
                return false;
        rest->next += len;
        return true;
}

static bool take_hash(struct rest *rest, const char **ret_hash)
{
        if (rest->end - rest->next < AUDIT_HASH_CHARS)
                return false;
        for (int i = 0; i < AUDIT_HASH_CHARS; i++)
                if (rest->next[i] == '\0' || !strchr(HEX_DIGITS, rest->next[i]))
                        return false;
        *ret_hash = rest->next;
        rest->next += AUDIT_HASH_CHARS;
        return true;
}

/* A number above 0, written in the one way in which we write it. */
static bool take_number(struct rest *rest, int64_t *ret_number)
{
        int64_t number = 0;
        const char *first = rest->next;

        while (rest->next < rest->end && *rest->next >= '0' && *rest->next <= '9') {
                int digit = *rest->next++ - '0';
                if (number > (INT64_MAX - digit) / 10)
                        return false;
                number = number * 10 + digit;
        }
        if (number == 0 || *first == '0')
                return false;
        *ret_number = number;
        return true;
}

/* Takes the two hashes off the end. */
static bool take_links(struct rest *rest, struct audit_line *line)
{
        if ((size_t)(rest->end - rest->next) < PREV_BYTES + HASH_BYTES)
                return false;
        struct rest links = {rest->end - PREV_BYTES - HASH_BYTES, rest->end};
        rest->end = links.next;
        return take_text(&links, PREV) && take_hash(&links, &line->prev) &&
               take_text(&links, "\"" HASH) && take_hash(&links, &line->hash) &&
               take_text(&links, TAIL);
}

/* Takes the entry's number off the end, if there is one. */
static void take_entry(struct rest *rest, struct audit_line *line)
{
        const char *digits = rest->end;

        while (digits > rest->next && digits[-1] >= '0' && digits[-1] <= '9')
                digits--;
        if ((size_t)(digits - rest->next) < TEXT_LEN(ENTRY))
                return;
        struct rest entry = {digits - TEXT_LEN(ENTRY), rest->end};
        const char *before = entry.next;
        if (take_text(&entry, ENTRY) && take_number(&entry, &line->entry))
                rest->end = before;
}

static bool take_event(struct rest *rest, struct audit_line *line)
{
        if (!take_text(rest, TIME))
                return false;
        while (rest->next < rest->end && *rest->next != '"')
                rest->next++;
        if (!take_text(rest, EVENT))
                return false;
        line->opened = take_text(rest, "opened\"");
        line->torn = take_text(rest, "torn\"");
        return true;
}

/* The outcome of a torn line, whose other members have no text. */
static bool take_torn_outcome(struct rest *rest, struct audit_line *line)
{
        const char *found =
                memmem(rest->next, (size_t)(rest->end - rest->next), OUTCOME, TEXT_LEN(OUTCOME));

        if (!found)
                return false;
        rest->next = found + TEXT_LEN(OUTCOME);
        return take_hash(rest, &line->outcome);
}

int audit_line_read(const char *line, size_t len, struct audit_line *ret_line)
{
        struct audit_line read = {0};
        struct rest rest = {line, line + len};

        if (len >= AUDIT_LINE_BYTES_MAX || memchr(line, '\n', len))
                return -EBADMSG;
        if (!take_links(&rest, &read) || !take_text(&rest, HEAD) || !take_number(&rest, &read.seq))
                return -EBADMSG;
        take_entry(&rest, &read);
        if (rest.next == rest.end)
                return -EBADMSG;
        read.members = rest.next + 1; /* behind a comma */
        read.members_len = (size_t)(rest.end - read.members);
        if (!take_event(&rest, &read) || (read.torn && !take_torn_outcome(&rest, &read)))
                return -EBADMSG;
        read.hashed = len - HASH_BYTES;
        *ret_line = read;
        return 0;
}

int audit_line_is_sound(const char *line, const struct audit_line *read)
{
        char hash[AUDIT_HASH_CHARS + 1];
        int r = audit_hash(line, read->hashed, hash);

        return r < 0 ? r : memcmp(hash, read->hash, AUDIT_HASH_CHARS) == 0;
}

bool audit_members_are_sound(const char *members)
{
        char text[AUDIT_MEMBERS_BYTES_MAX + 3]; /* as they stand in a line: behind a comma */
        struct audit_line line = {0};
        struct json_reader reader;

        if (strlen(members) > AUDIT_MEMBERS_BYTES_MAX)
                return false;
        int len = snprintf(text, sizeof text, ",%s}", members);
        for (int i = 0; i < len; i++)
                if ((unsigned char)text[i] < ' ')
                        return false;
        if (!take_event(&(struct rest){text, text + len - 1}, &line) || line.opened || line.torn)
                return false;
        text[0] = '{';
        json_reader_init(&reader, text, (size_t)len);
        return json_reader_skip(&reader, NULL) == 0 && json_reader_end(&reader) == 0;
}

void audit_chain_init(struct audit_chain *chain)
{
        *chain = (struct audit_chain){0};
        memset(chain->hash, '0', AUDIT_HASH_CHARS);
}

int audit_chain_append(struct audit_chain *chain, const char *members, int64_t entry,
                       struct strbuf *ret_line)
{
        char line[AUDIT_LINE_BYTES_MAX + 1], hash[AUDIT_HASH_CHARS + 1], number[32] = "";

        if (strlen(members) > AUDIT_MEMBERS_BYTES_MAX)
                return -EMSGSIZE;
        if (entry > 0)
                (void)snprintf(number, sizeof number, ENTRY "%" PRId64, entry);
        int len = snprintf(line, sizeof line, HEAD "%" PRId64 ",%s%s" PREV "%s\"", chain->seq + 1,
                           members, number, chain->hash);
        int r = audit_hash(line, (size_t)len, hash);
        if (r < 0)
                return r;
        len += snprintf(line + len, sizeof line - (size_t)len, HASH "%s" TAIL "\n", hash);
        r = strbuf_append(ret_line, line, (size_t)len);
        if (r < 0)
                return r;
        chain->seq++;
        if (entry > chain->entry)
                chain->entry = entry;
        memcpy(chain->hash, hash, sizeof chain->hash);
        return 0;
}

static bool hangs_on(const struct audit_line *read, const char hash[static AUDIT_HASH_CHARS + 1])
{
        return memcmp(read->prev, hash, AUDIT_HASH_CHARS) == 0;
}

/* The first line of all: it has nothing before it, or says that it begins a file. */
static enum audit_verdict judge_first(const struct audit_chain *chain,
                                      const struct audit_line *read)
{
        struct audit_chain none;

        audit_chain_init(&none);
        if (read->seq == 1 && !hangs_on(read, none.hash))
                return AUDIT_AFTER_OTHER;
        return read->opened || chain->faulty > 0 ? AUDIT_SOUND : AUDIT_AFTER_GAP;
}

/*
 * A faulty line stands for a record that was there, or was put in: so that many numbers may be
 * left out after it, or none.
 */
static enum audit_verdict judge_next(const struct audit_chain *chain, const struct audit_line *read)
{
        if (read->seq <= chain->seq)
                return AUDIT_OUT_OF_PLACE;
        if (read->seq - chain->seq - 1 > chain->faulty)
                return AUDIT_AFTER_GAP;
        if (read->seq == chain->seq + 1 && !hangs_on(read, chain->hash))
                return AUDIT_AFTER_OTHER;
        return AUDIT_SOUND;
}

/* A line that tells of a piece must stand behind it. */
static enum audit_verdict judge_torn(const struct audit_chain *chain, const struct audit_line *read)
{
        if (memcmp(chain->piece, read->outcome, AUDIT_HASH_CHARS) == 0)
                return AUDIT_SOUND_AFTER_PIECE;
        return chain->faulty > 0 ? AUDIT_SOUND : AUDIT_AFTER_GAP;
}

static void move_to(struct audit_chain *chain, const struct audit_line *read)
{
        chain->seq = read->seq;
        if (read->entry > chain->entry)
                chain->entry = read->entry;
        memcpy(chain->hash, read->hash, AUDIT_HASH_CHARS);
        chain->faulty = 0;
}

static int verify_faulty(struct audit_chain *chain, const char *line, size_t len)
{
        int r = audit_hash(line, len, chain->piece);

        if (r == 0)
                chain->faulty++;
        return r;
}

int audit_chain_verify(struct audit_chain *chain, const char *line, size_t len, bool begins,
                       enum audit_verdict *ret_verdict)
{
        struct audit_line read;
        enum audit_verdict verdict;

        if (audit_line_read(line, len, &read) < 0) {
                *ret_verdict = AUDIT_NO_RECORD;
                return verify_faulty(chain, line, len);
        }
        int sound = audit_line_is_sound(line, &read);
        if (sound < 0)
                return sound;
        if (!sound) {
                *ret_verdict = AUDIT_CHANGED;
                chain->piece[0] = '\0';
                chain->faulty++;
                return 0;
        }
        verdict = begins ? judge_first(chain, &read) : judge_next(chain, &read);
        if (verdict == AUDIT_SOUND && read.torn)
                verdict = judge_torn(chain, &read);
        chain->piece[0] = '\0';
        if (verdict != AUDIT_OUT_OF_PLACE)
                move_to(chain, &read);
        *ret_verdict = verdict;
        return 0;
}
