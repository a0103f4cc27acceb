/*
 * config_source: the text of a configuration, with the files it includes put in their places.
 *
 * `@include "FILE"` at the start of a line stands for the lines of FILE, which is looked for
 * beside the file that names it. libconfig could do that itself, but its scanner ends the process
 * when an included file cannot be read (a directory is enough), which a daemon that reloads its
 * configuration must not risk; and what was checked is here the very text that is parsed.
 *
 * A source is a value; whoever holds it calls config_source_done(). Not locked.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_SOURCE_H
#define SOLVEGATE_CONFIG_CONFIG_SOURCE_H

#include "base/strbuf.h"

#include <stddef.h>

#define CONFIG_SOURCE_BYTES_MAX (1024 * 1024) /* of all files together */
#define CONFIG_SOURCE_FILES_MAX 64
#define CONFIG_SOURCE_DEPTH_MAX 8 /* a file that includes a file that … */

struct config_place {
        size_t file; /* index in files */
        size_t line;
        size_t elements; /* see struct config_scan */
};

struct config_source {
        struct strbuf text;
        struct config_place *places; /* one for each line of text */
        size_t places_count, places_capacity;
        char *files[CONFIG_SOURCE_FILES_MAX]; /* the first is the configuration file itself */
        size_t files_count;
        struct strbuf *problem; /* not owned */
};

/* Makes an empty source that tells what is wrong to problem, which must outlive it. */
void config_source_init(struct config_source *source, struct strbuf *problem);
void config_source_done(struct config_source *source);

/* Reads file and all it includes. Returns 0, or a negative errno with a line in problem. */
int config_source_read(struct config_source *source, const char *file);

/*
 * Writes to problem, with the file and line that line of the text came from (0: the configuration
 * as a whole). Returns -EINVAL.
 */
int config_source_problem(const struct config_source *source, size_t line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#endif
