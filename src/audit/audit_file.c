/*
 * audit_file: see audit_file.h.
 */
#include "audit/audit_file.h"

#include "audit/audit_describe.h"
#include "audit/audit_tail.h"
#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FLAGS (O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

static int refuse(struct strbuf *problem, const char *path, const char *text, int error)
{
        (void)strbuf_printf(problem, "%s: %s", path, text);
        return error;
}

static int write_all(int fd, const char *bytes, size_t len, size_t *written)
{
        while (*written < len) {
                ssize_t n = write(fd, bytes + *written, len - *written);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                *written += (size_t)n;
        }
        return 0;
}

static int lock_file(int fd)
{
        return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

/* So that a name that was made is there after a crash. */
static int sync_directory(const char *path)
{
        char *directory = file_directory(path);
        int r = directory ? 0 : -ENOMEM;

        if (r < 0)
                return r;
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
                r = -errno;
        if (fd >= 0)
                (void)close(fd);
        free(directory);
        return r;
}

static int append_line(struct audit_chain *chain, const char *event, const char *outcome,
                       int64_t entry, struct strbuf *line)
{
        const struct audit_event happened = {
                .wall_ms = clock_wall_ms(),
                .event = event,
                .outcome = outcome,
        };
        char *members = audit_describe(&happened);
        int r = members ? audit_chain_append(chain, members, entry, line) : -ENOMEM;

        free(members);
        return r;
}

/* A file at new_path with its first line, on disk, locked; then it gets its name. */
static int make_at(const char *new_path, const char *path, const struct strbuf *line, int *ret_fd)
{
        size_t written = 0;

        (void)unlink(new_path); /* of a start that was broken off */
        int fd = open(new_path, OPEN_FLAGS | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
                return -errno;
        int r = lock_file(fd);
        if (r == 0)
                r = write_all(fd, line->data, line->len, &written);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0 && rename(new_path, path) < 0)
                r = -errno;
        if (r < 0) {
                (void)unlink(new_path);
                (void)close(fd);
                return r;
        }
        r = sync_directory(path);
        if (r < 0) { /* what goes into it might be lost with its name */
                (void)unlink(path);
                (void)close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

static int append_again(const char *text, size_t len, struct audit_chain *chain,
                        struct strbuf *ret_lines)
{
        struct audit_line read;

        if (audit_line_read(text, len, &read) < 0 || read.torn)
                return 0; /* it tells of a piece that stays behind */
        char *members = strndup(read.members, read.members_len);
        int r = members ? audit_chain_append(chain, members, read.entry, ret_lines) : -ENOMEM;
        free(members);
        return r;
}

/* The lines that are not on disk, made anew to hang on another one. */
static int append_lines(const struct strbuf *lines, struct audit_chain *chain,
                        struct strbuf *ret_lines)
{
        const char *next = lines->data, *end = lines->data + lines->len, *newline;
        int r = strbuf_reserve(ret_lines, AUDIT_FILE_GATHER_BYTES_MAX);

        while (r == 0 && next < end && (newline = memchr(next, '\n', (size_t)(end - next)))) {
                r = append_again(next, (size_t)(newline - next), chain, ret_lines);
                next = newline + 1;
        }
        return r;
}

/* Moves on to a new file, which has its first line, and to lines that hang on that. */
static void take_new(struct audit_file *file, int fd, const struct strbuf *first,
                     const struct audit_chain *synced, const struct audit_chain *chain,
                     struct strbuf *lines)
{
        if (file->fd >= 0)
                (void)close(file->fd);
        file->fd = fd;
        file->synced_chain = *synced;
        file->chain = *chain;
        file->synced_bytes = (off_t)first->len;
        file->written = 0;
        file->cut_back = false;
        strbuf_done(&file->lines);
        file->lines = *lines;
}

/*
 * Makes the file at the path, in place of none or an empty one, and moves on to it. It never stands
 * there without its first line: who finds it after a crash would not know how the chain goes on.
 */
static int make_file(struct audit_file *file)
{
        struct audit_chain synced = file->synced_chain, chain;
        struct strbuf first, lines;
        char *new_path = NULL;
        int fd = -1;

        strbuf_init(&first, AUDIT_LINE_BYTES_MAX);
        strbuf_init(&lines, AUDIT_FILE_GATHER_BYTES_MAX);
        int r = asprintf(&new_path, "%s.new", file->path) < 0 ? -ENOMEM : 0;
        if (r == 0)
                r = append_line(&synced, "opened", NULL, synced.entry, &first);
        chain = synced;
        if (r == 0)
                r = append_lines(&file->lines, &chain, &lines);
        if (r == 0)
                r = make_at(new_path, file->path, &first, &fd);
        if (r == 0)
                take_new(file, fd, &first, &synced, &chain, &lines);
        else
                strbuf_done(&lines);
        free(new_path);
        strbuf_done(&first);
        return r;
}

/* The highest entry: of the last line that has one, or says at the begin of a file what it was. */
static int find_entry(struct audit_tail *tail, int64_t *ret_entry)
{
        struct audit_line read;
        const char *line;
        size_t len;
        int r;

        while ((r = audit_tail_take(tail, &line, &len)) > 0) {
                if (audit_line_read(line, len, &read) < 0)
                        continue;
                if (read.entry > 0) {
                        *ret_entry = read.entry;
                        return 0;
                }
                if (read.opened)
                        break;
        }
        if (r >= 0)
                *ret_entry = 0;
        return r < 0 ? r : 0;
}

/* Takes the chain from its last line. */
static int read_chain(struct audit_tail *tail, struct audit_chain *ret_chain, const char *line,
                      size_t len)
{
        struct audit_chain chain;
        struct audit_line read;

        if (audit_line_read(line, len, &read) < 0)
                return -EBADMSG;
        int sound = audit_line_is_sound(line, &read);
        if (sound <= 0)
                return sound < 0 ? sound : -EBADMSG;
        audit_chain_init(&chain);
        chain.seq = read.seq;
        chain.entry = read.entry;
        memcpy(chain.hash, read.hash, AUDIT_HASH_CHARS);
        int r = read.entry > 0 || read.opened ? 0 : find_entry(tail, &chain.entry);
        if (r == 0)
                *ret_chain = chain;
        return r;
}

/* What is no record at the end of a file: a crash has cut it off, or it is not ours. */
struct piece {
        size_t len;
        bool whole; /* a record, which lacks nothing but its newline */
        char hash[AUDIT_HASH_CHARS + 1];
        char head[32]; /* its begin */
};

static int note_piece(const char *text, size_t len, struct piece *ret_piece)
{
        struct piece piece = {.len = len};
        struct audit_line read;
        int r = audit_hash(text, len, piece.hash);

        if (r < 0)
                return r;
        piece.whole =
                audit_line_read(text, len, &read) == 0 && audit_line_is_sound(text, &read) == 1;
        memcpy(piece.head, text, len < sizeof piece.head ? len : sizeof piece.head);
        *ret_piece = piece;
        return 0;
}

/* Whether it begins as the next line of the chain would. */
static bool is_next(const struct audit_chain *chain, const struct piece *piece)
{
        char head[sizeof piece->head];
        size_t len = (size_t)snprintf(head, sizeof head, "{\"seq\":%" PRId64 ",", chain->seq + 1);

        return memcmp(piece->head, head, piece->len < len ? piece->len : len) == 0;
}

/*
 * The last line is no record, and ended: a second crash came before it was told of. What stands
 * behind it was to do so, and is cut off.
 */
static int tell_of_line(struct audit_file *file, struct audit_tail *tail, const char *line,
                        size_t len, const struct piece *behind)
{
        struct piece piece;

        int r = note_piece(line, len, &piece);
        if (r == 0)
                r = audit_tail_take(tail, &line, &len);
        if (r > 0)
                r = read_chain(tail, &file->chain, line, len);
        else if (r == 0)
                r = -EBADMSG;
        file->synced_chain = file->chain;
        if (r == 0 &&
            (piece.len == 0 || !is_next(&file->chain, &piece) || !is_next(&file->chain, behind)))
                r = -EBADMSG;
        if (r == 0)
                r = append_line(&file->chain, "torn", piece.hash, 0, &file->lines);
        if (r == 0 && behind->len > 0) {
                file->synced_bytes -= (off_t)behind->len;
                file->cut_back = true;
        }
        return r;
}

/* Finds the end of the chain; ends a last line that a crash has cut off, and tells of it. */
static int read_end(struct audit_file *file, struct audit_tail *tail)
{
        struct piece behind; /* the last newline */
        struct audit_line read;
        const char *line;
        size_t len;

        int r = audit_tail_take(tail, &line, &len);
        if (r > 0)
                r = note_piece(line, len, &behind);
        if (r == 0 && !behind.whole && (r = audit_tail_take(tail, &line, &len)) >= 0)
                r = r > 0 ? 0 : -EBADMSG;
        if (r < 0)
                return r;
        if (audit_line_read(line, len, &read) < 0)
                return tell_of_line(file, tail, line, len, &behind);
        r = read_chain(tail, &file->chain, line, len);
        file->synced_chain = file->chain;
        if (r == 0 && behind.len > 0)
                r = strbuf_puts(&file->lines, "\n");
        if (r == 0 && behind.len > 0 && !behind.whole)
                r = append_line(&file->chain, "torn", behind.hash, 0, &file->lines);
        return r;
}

/* A file that has lines goes on where it ends. */
static int take_file(struct audit_file *file, struct strbuf *problem)
{
        struct audit_tail *tail = malloc(sizeof *tail);
        int r = tail ? 0 : -ENOMEM;

        if (r == 0) {
                audit_tail_init(tail, file->fd, file->synced_bytes);
                r = read_end(file, tail);
        }
        free(tail);
        /* An earlier run may have been killed before it could. */
        if (r == 0 && fdatasync(file->fd) < 0)
                r = -errno;
        if (r == -EBADMSG)
                return refuse(
                        problem, file->path,
                        "its last line is not the end of an audit; it was left as it is, move "
                        "it away to start anew",
                        r);
        return r < 0 ? refuse(problem, file->path, strerror(-r), r) : 0;
}

/* Opens and locks the file. *ret_fd is -1 where there is none, or an empty one. */
static int open_file(const char *path, int *ret_fd, off_t *ret_bytes, struct strbuf *problem)
{
        struct stat status = {0};
        int fd = open(path, OPEN_FLAGS);

        if (fd < 0 && errno == ENOENT) {
                *ret_fd = -1;
                return 0;
        }
        if (fd < 0 && errno == ELOOP)
                return refuse(problem, path, "is a symbolic link; name the file itself", -ELOOP);
        int r = fd < 0 || fstat(fd, &status) < 0 ? -errno : 0;
        if (r == 0)
                r = S_ISREG(status.st_mode) ? lock_file(fd) : -EINVAL;
        if (fd >= 0 && (r < 0 || status.st_size == 0))
                (void)close(fd);
        if (r == -EINVAL)
                return refuse(problem, path, "is no regular file", r);
        if (r == -EWOULDBLOCK)
                return refuse(problem, path, "another daemon writes to it", r);
        if (r < 0)
                return refuse(problem, path, strerror(-r), r);
        *ret_fd = status.st_size == 0 ? -1 : fd;
        *ret_bytes = status.st_size;
        return 0;
}

static int make_directory(const char *path)
{
        char *directory = file_directory(path);
        int r = directory ? 0 : -ENOMEM;

        if (r == 0 && mkdir(directory, 0700) < 0 && errno != EEXIST)
                r = -errno;
        free(directory);
        return r;
}

static int open_or_make(struct audit_file *file, struct strbuf *problem)
{
        int r = file->path ? make_directory(file->path) : -ENOMEM;

        if (r == 0)
                r = strbuf_reserve(&file->lines, AUDIT_FILE_GATHER_BYTES_MAX);
        if (r < 0)
                return refuse(problem, file->path ? file->path : "audit", strerror(-r), r);
        r = open_file(file->path, &file->fd, &file->synced_bytes, problem);
        if (r < 0)
                return r;
        if (file->fd >= 0)
                return take_file(file, problem);
        r = make_file(file);
        return r < 0 ? refuse(problem, file->path, strerror(-r), r) : 0;
}

int audit_file_open(const char *path, struct audit_file *ret_file, struct strbuf *problem)
{
        struct audit_file file = {.path = strdup(path), .fd = -1};

        audit_chain_init(&file.chain);
        audit_chain_init(&file.synced_chain);
        strbuf_init(&file.lines, AUDIT_FILE_GATHER_BYTES_MAX);
        int r = open_or_make(&file, problem);
        if (r < 0) {
                file.lines.len = 0; /* the file stays as it is */
                audit_file_close(&file);
                return r;
        }
        *ret_file = file;
        return 0;
}

/* Cuts the file to so many bytes of the lines. It is not touched where it is as long as that. */
static int cut_to(const struct audit_file *file, size_t written)
{
        off_t bytes = file->synced_bytes + (off_t)written;
        struct stat status;

        if (fstat(file->fd, &status) < 0)
                return -errno;
        return status.st_size == bytes || ftruncate(file->fd, bytes) == 0 ? 0 : -errno;
}

/* Takes away what was written of a line that will not be whole. If it fails, the next start ends
 * it. */
static void cut_piece(const struct audit_file *file)
{
        size_t whole = file->written;

        while (whole > 0 && file->lines.data[whole - 1] != '\n')
                whole--;
        (void)cut_to(file, whole);
}

void audit_file_close(struct audit_file *file)
{
        if (file->fd >= 0) {
                if (file->lines.len > 0)
                        cut_piece(file);
                (void)close(file->fd);
        }
        free(file->path);
        strbuf_done(&file->lines);
        *file = (struct audit_file){.fd = -1};
}

int audit_file_append(struct audit_file *file, const char *members, int64_t entry)
{
        if (file->lines.len + AUDIT_LINE_BYTES_MAX > AUDIT_FILE_GATHER_BYTES_MAX)
                return -ENOBUFS;
        return audit_chain_append(&file->chain, members, entry, &file->lines);
}

int audit_file_write(struct audit_file *file)
{
        int r = file->cut_back ? cut_to(file, file->written) : 0;

        if (r < 0)
                return r;
        r = write_all(file->fd, file->lines.data, file->lines.len, &file->written);
        file->cut_back = r < 0;
        return r;
}

int audit_file_sync(struct audit_file *file)
{
        if (fdatasync(file->fd) < 0) {
                int error = -errno;
                file->cut_back = true;
                file->written = 0;
                return error;
        }
        if (audit_file_is_gone(file))
                return -ESTALE;
        file->synced_bytes += (off_t)file->lines.len;
        file->synced_chain = file->chain;
        file->lines.len = 0;
        file->written = 0;
        return 0;
}

bool audit_file_is_gone(const struct audit_file *file)
{
        struct stat status;

        return fstat(file->fd, &status) == 0 && status.st_nlink == 0;
}

int audit_file_reopen(struct audit_file *file)
{
        struct stat ours, there;

        if (fstat(file->fd, &ours) < 0)
                return -errno;
        if (lstat(file->path, &there) < 0)
                return errno == ENOENT ? make_file(file) : -errno;
        if (there.st_dev == ours.st_dev && there.st_ino == ours.st_ino)
                return 0;
        /* A new one may have been made for us. One with lines is not ours to go on with. */
        return S_ISREG(there.st_mode) && there.st_size == 0 ? make_file(file) : -EEXIST;
}
