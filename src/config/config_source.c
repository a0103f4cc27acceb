/*
 * config_source: see config_source.h.
 */
#include "config/config_source.h"

#include "base/file.h"
#include "base/utf8.h"
#include "config/config_scan.h"
#include "config/permissions.h"
#include "config/problem.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDE       "@include"
#define FIRST_PLACES  256
#define MESSAGE_BYTES 1024

/* Where a file is included. */
struct level {
        unsigned depth;
        bool within_list;
        enum config_token *last; /* the token before it; and, at its end, its last one */
};

void config_source_init(struct config_source *source, struct strbuf *problem)
{
        *source = (struct config_source){.problem = problem};
        strbuf_init(&source->text, CONFIG_SOURCE_BYTES_MAX);
}

void config_source_done(struct config_source *source)
{
        strbuf_done(&source->text);
        free(source->places);
        for (size_t i = 0; i < source->files_count; i++)
                free(source->files[i]);
        config_source_init(source, source->problem);
}

int config_source_problem(const struct config_source *source, size_t line, const char *format, ...)
{
        struct config_place place = {.file = 0, .line = 1};
        char message[MESSAGE_BYTES];
        va_list args;

        if (line > 0 && line <= source->places_count)
                place = source->places[line - 1];
        va_start(args, format);
        (void)vsnprintf(message, sizeof message, format, args);
        va_end(args);
        problem_write(source->problem, source->files[place.file], place.line, "%s", message);
        return -EINVAL;
}

/* Says why a file cannot be read: at the @include that names it, or by itself. */
static int refuse_file(const struct config_source *source, const struct config_place *from,
                       const char *path, int error, const char *why)
{
        if (from)
                problem_write(source->problem, source->files[from->file], from->line,
                              "the included file \"%.200s\" %s", path, why);
        else
                problem_write(source->problem, path, 0, "%s", why);
        return error;
}

static const char *read_problem(int r, bool included)
{
        switch (-r) {
        case ENOENT:
        case ENOTDIR:
                return included ? "does not exist; correct the path, or create the file"
                                : "does not exist; name another file with -c FILE, or copy the "
                                  "sample: " SOLVEGATE_SAMPLE
                                  ", or conf/solvegate.conf in the source";
        case EACCES:
                return "cannot be read by this user; give the user read permission on it and "
                       "search permission on its directories";
        case EISDIR:
                return "is a directory; name the file in it";
        case EINVAL:
                return "is no regular file; write the configuration to a file on disk";
        case EFBIG:
                return "is larger than 1 MiB; no configuration needs that, name the right file";
        case ELOOP:
                return "is a symbolic link that leads nowhere; correct the link";
        default:
                return "cannot be opened; see that it is a readable file";
        }
}

static int read_file(const struct config_source *source, const struct config_place *from,
                     const char *path, struct file *ret_file)
{
        int r = file_read(path, CONFIG_SOURCE_BYTES_MAX, ret_file);

        if (r < 0)
                return refuse_file(source, from, path, r, read_problem(r, from != NULL));
        r = permissions_check_open(path, &ret_file->status, source->problem);
        if (r < 0)
                file_done(ret_file);
        return r;
}

static int add_place(struct config_source *source, struct config_place place)
{
        if (source->places_count == source->places_capacity) {
                size_t capacity =
                        source->places_capacity ? source->places_capacity * 2 : FIRST_PLACES;
                void *places = reallocarray(source->places, capacity, sizeof *source->places);
                if (!places)
                        return -ENOMEM;
                source->places = places;
                source->places_capacity = capacity;
        }
        source->places[source->places_count++] = place;
        return 0;
}

static int add_line(struct config_source *source, struct config_place place, const char *line,
                    size_t len)
{
        int r = strbuf_append(&source->text, line, len);

        if (r == 0)
                r = strbuf_append(&source->text, "\n", 1);
        if (r == 0)
                r = add_place(source, place);
        if (r == -EMSGSIZE)
                problem_write(source->problem, source->files[place.file], place.line,
                              "the configuration is larger than 1 MiB with all it includes; "
                              "include less");
        return r;
}

static bool is_include(const char *line, size_t len)
{
        while (len > 0 && (*line == ' ' || *line == '\t')) {
                line++;
                len--;
        }
        return len >= strlen(INCLUDE) && memcmp(line, INCLUDE, strlen(INCLUDE)) == 0;
}

/* Takes the path out of an include line. Returns whether the line is well-formed. */
static bool include_path(const char *line, size_t len, const char **ret_path, size_t *ret_len)
{
        const char *end = line + len;
        const char *open = memchr(line, '"', len);
        const char *close = open ? memchr(open + 1, '"', (size_t)(end - open - 1)) : NULL;

        if (!close || close == open + 1)
                return false;
        for (const char *c = (const char *)memchr(line, '@', len) + strlen(INCLUDE); c < open; c++)
                if (!isspace((unsigned char)*c))
                        return false;
        for (const char *c = close + 1; c < end; c++)
                if (!isspace((unsigned char)*c))
                        return false;
        *ret_path = open + 1;
        *ret_len = (size_t)(close - open - 1);
        return true;
}

/* A relative path counts from the directory of the file that includes. */
static char *resolve(const char *includer, const char *path, size_t len)
{
        const char *slash = strrchr(includer, '/');
        char *whole;

        if (path[0] == '/' || !slash)
                return strndup(path, len);
        if (asprintf(&whole, "%.*s%.*s", (int)(slash - includer + 1), includer, (int)len, path) < 0)
                return NULL;
        return whole;
}

static int add_file(struct config_source *source, const struct config_place *from, char *path,
                    struct level level);

static int add_include(struct config_source *source, struct config_place from, const char *line,
                       size_t len, struct level level)
{
        const char *path;
        size_t path_len;

        if (!include_path(line, len, &path, &path_len)) {
                problem_write(source->problem, source->files[from.file], from.line,
                              "an @include that is not understood; write @include \"FILE\" and "
                              "nothing else on its line");
                return -EINVAL;
        }
        if (level.depth == CONFIG_SOURCE_DEPTH_MAX ||
            source->files_count == CONFIG_SOURCE_FILES_MAX) {
                problem_write(source->problem, source->files[from.file], from.line,
                              "too many files include one another; see that no file includes "
                              "itself");
                return -EINVAL;
        }
        char *whole = resolve(source->files[from.file], path, path_len);
        return whole ? add_file(source, &from, whole, level) : -ENOMEM;
}

/* Adds the lines of a file that was read, without the byte order mark that an editor has put in. */
static int add_lines(struct config_source *source, size_t file, const struct file *text,
                     struct level level)
{
        struct config_scan scan;
        int r = 0;

        config_scan_init(&scan, level.within_list, *level.last);
        for (size_t start = utf8_bom(text->bytes, text->len), next; start < text->len && r == 0;
             start = next) {
                const char *line = text->bytes + start;
                const char *newline = memchr(line, '\n', text->len - start);
                size_t len = newline ? (size_t)(newline - line) : text->len - start;
                next = start + len + 1;

                if (!scan.in_comment && is_include(line, len)) {
                        struct config_place from = {.file = file, .line = ++scan.line};
                        struct level inner = {.depth = level.depth + 1,
                                              .within_list = config_scan_in_list(&scan),
                                              .last = &scan.last};
                        r = add_include(source, from, line, len, inner);
                        continue;
                }
                r = config_scan_line(&scan, line, len);
                if (r == 0)
                        r = add_line(source,
                                     (struct config_place){.file = file,
                                                           .line = scan.line,
                                                           .elements = scan.elements},
                                     line, len);
        }
        if (r == 0)
                r = config_scan_end(&scan);
        *level.last = scan.last;
        if (r < 0 && scan.problem_line > 0)
                problem_write(source->problem, source->files[file], scan.problem_line, "%s",
                              scan.problem);
        return r;
}

/* Takes over path. */
static int add_file(struct config_source *source, const struct config_place *from, char *path,
                    struct level level)
{
        struct file text = {0};
        size_t file = source->files_count++;

        source->files[file] = path;
        int r = read_file(source, from, path, &text);
        if (r == 0)
                r = add_lines(source, file, &text, level);
        file_done(&text);
        return r;
}

int config_source_read(struct config_source *source, const char *file)
{
        enum config_token last = CONFIG_TOKEN_START;
        const struct level level = {.depth = 0, .last = &last};
        char *path = strdup(file);

        return path ? add_file(source, NULL, path, level) : -ENOMEM;
}
