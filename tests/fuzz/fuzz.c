/*
 * fuzz: see fuzz.h.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void fuzz_fail(const char *file, int line, const char *condition)
{
        (void)fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
        abort();
}

char *fuzz_copy(const uint8_t *data, size_t size)
{
        char *copy = malloc(size > 0 ? size : 1);

        CHECK(copy);
        if (size > 0)
                memcpy(copy, data, size);
        return copy;
}

char *fuzz_string(const uint8_t *data, size_t size)
{
        const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
        size_t len = end ? (size_t)(end - data) : size;
        char *copy = malloc(len + 1);

        CHECK(copy);
        if (len > 0)
                memcpy(copy, data, len);
        copy[len] = '\0';
        return copy;
}

/* ---- files ---- */

static char directory[] = "/dev/shm/solvegate-fuzz.XXXXXX";

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
        (void)status;
        (void)kind;
        (void)place;
        return remove(path);
}

static void remove_directory(void)
{
        (void)nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_directory(void)
{
        static const char elsewhere[] = "/tmp/solvegate-fuzz.XXXXXX";

        if (!mkdtemp(directory)) {
                memcpy(directory, elsewhere, sizeof elsewhere);
                CHECK(mkdtemp(directory));
        }
        CHECK(atexit(remove_directory) == 0);
}

char *fuzz_path(const char *name)
{
        static bool made;
        char *path;

        if (!made)
                make_directory();
        made = true;
        CHECK(asprintf(&path, "%s/%s", directory, name) > 0);
        return path;
}

void fuzz_write_file(const char *path, const void *bytes, size_t len)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        CHECK(fd >= 0);
        CHECK(write(fd, bytes, len) == (ssize_t)len);
        CHECK(close(fd) == 0);
}

/* ---- UTF-8: decode, then ask whether the character needs this many bytes (RFC 3629) ---- */

static size_t utf8_bytes(const unsigned char *text, size_t len)
{
        static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        size_t bytes = text[0] < 0x80             ? 1
                       : (text[0] & 0xe0) == 0xc0 ? 2
                       : (text[0] & 0xf0) == 0xe0 ? 3
                       : (text[0] & 0xf8) == 0xf0 ? 4
                                                  : 0;

        if (bytes == 0 || bytes > len)
                return 0;
        uint32_t character = bytes == 1 ? text[0] : text[0] & (0xffU >> (bytes + 1));
        for (size_t i = 1; i < bytes; i++) {
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
                character = character << 6 | (text[i] & 0x3f);
        }
        bool surrogate = character >= 0xd800 && character <= 0xdfff;
        return character < smallest[bytes] || character > 0x10ffff || surrogate ? 0 : bytes;
}

bool fuzz_is_utf8(const char *text, size_t len)
{
        for (size_t i = 0, bytes; i < len; i += bytes) {
                bytes = utf8_bytes((const unsigned char *)text + i, len - i);
                if (bytes == 0)
                        return false;
        }
        return true;
}

bool fuzz_is_line(const char *text, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
                        return false;
        }
        return len > 0 && fuzz_is_utf8(text, len);
}

/* ---- JSON: a function for each rule of RFC 8259 ---- */

struct grammar {
        const char *next, *end;
        unsigned depth_left;
};

static bool value(struct grammar *g);

static bool take(struct grammar *g, char c)
{
        if (g->next == g->end || *g->next != c)
                return false;
        g->next++;
        return true;
}

static bool take_any(struct grammar *g, const char *set)
{
        if (g->next == g->end || *g->next == '\0' || !strchr(set, *g->next))
                return false;
        g->next++;
        return true;
}

static void ws(struct grammar *g)
{
        while (take_any(g, " \t\n\r"))
                ;
}

static bool digits(struct grammar *g)
{
        if (!take_any(g, "0123456789"))
                return false;
        while (take_any(g, "0123456789"))
                ;
        return true;
}

static bool number(struct grammar *g)
{
        (void)take(g, '-');
        if (!take(g, '0') && !digits(g))
                return false;
        if (take(g, '.') && !digits(g))
                return false;
        if (!take_any(g, "eE"))
                return true;
        (void)take_any(g, "+-");
        return digits(g);
}

static bool escape(struct grammar *g)
{
        if (!take(g, 'u'))
                return take_any(g, "\"\\/bfnrt");
        for (int i = 0; i < 4; i++) {
                if (!take_any(g, "0123456789abcdefABCDEF"))
                        return false;
        }
        return true;
}

static bool string(struct grammar *g)
{
        if (!take(g, '"'))
                return false;
        while (!take(g, '"')) {
                if (g->next == g->end || (unsigned char)*g->next < 0x20)
                        return false;
                if (take(g, '\\')) {
                        if (!escape(g))
                                return false;
                        continue;
                }
                size_t bytes =
                        utf8_bytes((const unsigned char *)g->next, (size_t)(g->end - g->next));
                if (bytes == 0)
                        return false;
                g->next += bytes;
        }
        return true;
}

static bool member(struct grammar *g)
{
        ws(g);
        if (!string(g))
                return false;
        ws(g);
        return take(g, ':') && value(g);
}

static bool container(struct grammar *g, char closing, bool (*part)(struct grammar *g))
{
        if (g->depth_left == 0)
                return false;
        g->depth_left--;
        ws(g);
        bool empty = take(g, closing), good = empty;
        while (!empty && !good) {
                if (!part(g))
                        return false;
                good = take(g, closing);
                if (!good && !take(g, ','))
                        return false;
        }
        g->depth_left++;
        return true;
}

static bool literal(struct grammar *g, const char *word)
{
        size_t len = strlen(word);

        if ((size_t)(g->end - g->next) < len || memcmp(g->next, word, len) != 0)
                return false;
        g->next += len;
        return true;
}

static bool value(struct grammar *g)
{
        bool good;

        ws(g);
        if (take(g, '{'))
                good = container(g, '}', member);
        else if (take(g, '['))
                good = container(g, ']', value);
        else if (g->next < g->end && *g->next == '"')
                good = string(g);
        else
                good = literal(g, "true") || literal(g, "false") || literal(g, "null") || number(g);
        ws(g);
        return good;
}

bool fuzz_is_json(const char *text, size_t len, unsigned max_depth)
{
        struct grammar g = {text, text + len, max_depth};

        return value(&g) && g.next == g.end;
}
