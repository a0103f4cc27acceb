/*
 * audit_history: see audit_history.h.
 */
#include "audit/audit_history.h"

#include "audit/audit_chain.h"
#include "audit/audit_tail.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/strbuf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPEN_FLAGS       (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
#define CANDIDATES_MAX   256  /* files that are looked at for the one before */
#define FILES_BEFORE_MAX 1000 /* a chain that is longer is not followed further */

struct audit_history {
        char *directory, *name; /* of the current file */
        int64_t after;
        int64_t below; /* entries from here on were given out */
        int files;     /* that were followed */
        bool done;
        struct audit_tail tail;
};

/* ---- files ---- */

static int open_at(struct audit_history *history, const char *name)
{
        int directory = open(history->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat status;

        if (directory < 0)
                return -errno;
        int fd = openat(directory, name, OPEN_FLAGS);
        int r = fd < 0 || fstat(fd, &status) < 0 ? -errno : 0;
        if (r == 0 && !S_ISREG(status.st_mode))
                r = -EINVAL;
        (void)close(directory);
        if (r < 0) {
                if (fd >= 0)
                        (void)close(fd);
                return r;
        }
        audit_tail_init(&history->tail, fd, status.st_size);
        return 0;
}

/* Whether the last record of what was opened has this hash. */
static bool ends_with(struct audit_history *history, const char *hash)
{
        struct audit_line read;
        const char *line;
        size_t len;

        while (audit_tail_take(&history->tail, &line, &len) > 0) {
                if (audit_line_read(line, len, &read) == 0)
                        return memcmp(read.hash, hash, AUDIT_HASH_CHARS) == 0;
        }
        return false;
}

/* Opens a file if it is the one that ends with this hash. Its last record is read twice. */
static bool open_if_before(struct audit_history *history, const char *name, const char *hash)
{
        if (open_at(history, name) < 0)
                return false;
        bool found = ends_with(history, hash);
        (void)close(history->tail.fd);
        history->tail.fd = -1;
        return found && open_at(history, name) == 0;
}

/* Goes to the file before, which ends with this hash. Returns false where it is not found. */
static bool open_before(struct audit_history *history, const char hash[static AUDIT_HASH_CHARS + 1])
{
        size_t len = strlen(history->name);
        struct dirent *entry;
        int candidates = 0;
        bool found = false;

        (void)close(history->tail.fd);
        history->tail.fd = -1;
        DIR *directory = history->files++ < FILES_BEFORE_MAX ? opendir(history->directory) : NULL;
        while (directory && !found && candidates < CANDIDATES_MAX && (entry = readdir(directory))) {
                if (strncmp(entry->d_name, history->name, len) != 0 || entry->d_name[len] == '\0')
                        continue;
                candidates++;
                found = open_if_before(history, entry->d_name, hash);
        }
        if (directory)
                (void)closedir(directory);
        return found;
}

/* ---- lines ---- */

static int64_t read_time(const char *format, const char *text)
{
        struct tm date = {0};
        const char *rest = strptime(text, format, &date);

        return rest ? (int64_t)timegm(&date) * 1000 + (*rest == '.' ? atoi(rest + 1) : 0) : 0;
}

/* A text member, or an empty text where it is null or longer than it can be. */
static int read_text(struct json_reader *reader, char ret_text[static AUDIT_WORD_BYTES_MAX + 1])
{
        struct strbuf decoded;
        struct json_span span;
        enum json_type type;

        ret_text[0] = '\0';
        if (json_reader_peek(reader, &type) < 0 || type != JSON_STRING)
                return json_reader_skip(reader, NULL);
        strbuf_init(&decoded, AUDIT_WORD_BYTES_MAX + 1);
        int r = json_reader_string(reader, &span);
        if (r == 0 && json_string_decode(span, &decoded) == 0 && decoded.len > 0) {
                memcpy(ret_text, decoded.data, decoded.len);
                ret_text[decoded.len] = '\0';
        }
        strbuf_done(&decoded);
        return r;
}

struct members {
        struct audit_charge_line charge;
        char event[AUDIT_WORD_BYTES_MAX + 1];
        char time[AUDIT_WORD_BYTES_MAX + 1];
        char day[AUDIT_WORD_BYTES_MAX + 1];
        bool free; /* "charge":0 */
};

static int read_member(struct json_reader *reader, struct json_span name, struct members *ret)
{
        const struct {
                const char *name;
                char *text;
        } texts[] = {
                {"event", ret->event},    {"time", ret->time},
                {"day", ret->day},        {"client", ret->charge.client},
                {"job", ret->charge.job}, {"upstream", ret->charge.upstream},
        };
        struct json_span raw;

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                if (json_span_is(name, texts[i].name))
                        return read_text(reader, texts[i].text);
        }
        int r = json_reader_skip(reader, &raw);
        if (r == 0 && json_span_is(name, "charge")) {
                ret->charge.charged = raw.len == 1 && *raw.ptr == '1';
                ret->free = raw.len == 1 && *raw.ptr == '0';
        }
        return r;
}

/* Returns whether the line is of a charge, and sound. */
static bool read_charge(const char *line, const struct audit_line *read, size_t len,
                        struct audit_charge_line *ret_charge)
{
        struct members members = {.charge.entry = read->entry};
        struct json_reader reader;
        struct json_span name;
        int r;

        json_reader_init(&reader, line, len);
        if (audit_line_is_sound(line, read) != 1 || json_reader_enter_object(&reader) < 0)
                return false;
        while ((r = json_reader_next_member(&reader, &name)) > 0) {
                if (read_member(&reader, name, &members) < 0)
                        return false;
        }
        if (r < 0 || members.free || strcmp(members.event, "charged") != 0)
                return false;
        members.charge.wall_ms = read_time("%Y-%m-%dT%H:%M:%S", members.time);
        members.charge.day =
                clock_day_of(members.day[0] != '\0' ? read_time("%Y-%m-%d", members.day)
                                                    : members.charge.wall_ms);
        *ret_charge = members.charge;
        return true;
}

/* ---- the walk ---- */

/* What a line is for the walk: 1 a charge, 0 nothing. It may end the walk, or a file. */
static int take_line(struct audit_history *history, const char *line, size_t len,
                     struct audit_charge_line *ret_charge)
{
        char hash[AUDIT_HASH_CHARS + 1] = {0};
        struct audit_line read;

        if (audit_line_read(line, len, &read) < 0)
                return 0;
        if (read.opened) {
                memcpy(hash, read.prev, AUDIT_HASH_CHARS);
                history->done = read.entry <= history->after || !open_before(history, hash);
                return 0;
        }
        if (read.entry == 0 || read.entry >= history->below)
                return 0;
        if (read.entry <= history->after) {
                history->done = true;
                return 0;
        }
        if (!read_charge(line, &read, len, ret_charge))
                return 0;
        history->below = read.entry;
        return 1;
}

int audit_history_next(struct audit_history *history, struct audit_charge_line *ret_charge)
{
        const char *line;
        size_t len;
        int r;

        while (!history->done) {
                r = audit_tail_take(&history->tail, &line, &len);
                if (r <= 0) { /* what is before a line that is too long is not an audit */
                        history->done = true;
                        return r == -EBADMSG ? 0 : r;
                }
                r = take_line(history, line, len, ret_charge);
                if (r > 0)
                        return r;
        }
        return 0;
}

static int name_file(struct audit_history *history, const char *path)
{
        const char *slash = strrchr(path, '/');

        history->name = strdup(slash ? slash + 1 : path);
        history->directory = file_directory(path);
        return history->name && history->directory ? 0 : -ENOMEM;
}

int audit_history_open(const char *path, int64_t after, struct audit_history **ret_history)
{
        struct audit_history *history = calloc(1, sizeof *history);

        if (!history)
                return -ENOMEM;
        history->after = after;
        history->below = INT64_MAX;
        history->tail.fd = -1;
        int r = name_file(history, path);
        if (r == 0)
                r = open_at(history, history->name);
        if (r < 0) {
                audit_history_close(history);
                return r;
        }
        *ret_history = history;
        return 0;
}

void audit_history_close(struct audit_history *history)
{
        if (!history)
                return;
        if (history->tail.fd >= 0)
                (void)close(history->tail.fd);
        free(history->directory);
        free(history->name);
        free(history);
}
