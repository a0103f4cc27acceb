/*
 * config_scan: a look at the tokens of a configuration file before libconfig reads it.
 *
 * libconfig 1.5 says "syntax error" to every mistake, and takes some silently: a whole number
 * that does not fit an int wraps around, two texts without a comma between them become one, and a
 * text ends at an escaped NUL. It compares each name with all others of its group, which takes
 * minutes for 100,000 of them. The scan names the common mistakes and refuses those. It need not
 * know the whole grammar: libconfig reads the text afterwards and has the last word.
 *
 * A scan is a value and holds no resources. One for each file; not locked.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_SCAN_H
#define SOLVEGATE_CONFIG_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_SCAN_DEPTH_MAX         16
#define CONFIG_SCAN_NAMES_MAX         64 /* in one group of a file; no group has so many keys */
#define CONFIG_SCAN_PROBLEM_BYTES_MAX 200

/* What stood last, comments aside. */
enum config_token {
        CONFIG_TOKEN_START,
        CONFIG_TOKEN_NAME,
        CONFIG_TOKEN_EQUALS,
        CONFIG_TOKEN_COMMA,
        CONFIG_TOKEN_SEMICOLON,
        CONFIG_TOKEN_OPEN,
        CONFIG_TOKEN_VALUE, /* a number, a truth value, or a closing bracket */
        CONFIG_TOKEN_TEXT,
};

struct config_scan {
        size_t line;      /* the line scanned last, from 1 */
        size_t elements;  /* how many texts in that line are elements of an array or a list */
        bool within_list; /* the file is included between the elements of one */
        bool in_comment;
        size_t comment_line; /* where it opened; valid when in_comment */
        enum config_token last;
        size_t depth;
        size_t names; /* in the group of the file itself */
        struct {
                char bracket;
                size_t line;
                size_t names; /* of a group: so far */
        } open[CONFIG_SCAN_DEPTH_MAX];
        /* Valid after a failure: */
        size_t problem_line;
        char problem[CONFIG_SCAN_PROBLEM_BYTES_MAX];
};

/*
 * Starts on a file: the configuration file itself (false, CONFIG_TOKEN_START), or one that is
 * included, where within_list is config_scan_in_list() and last is the last token of the file that
 * includes it.
 */
void config_scan_init(struct config_scan *scan, bool within_list, enum config_token last);

/* Whether the next line starts between the elements of an array or a list. */
bool config_scan_in_list(const struct config_scan *scan);

/* Scans the next line, given without its newline. Returns 0, or -EINVAL with a problem. */
int config_scan_line(struct config_scan *scan, const char *text, size_t len);

/* A setting whose name stands above it in its group already. */
struct config_scan_twice {
        const char *name; /* in the text that was looked through */
        size_t name_len;
        size_t first_line, second_line;
};

/*
 * Looks for the first such setting in a whole text, which was scanned well before. Returns 0,
 * -ENOENT where there is none, or -ENOMEM.
 */
int config_scan_find_twice(const char *text, size_t len, struct config_scan_twice *ret_twice);

/* Looks at what is still open at the end. Returns 0, or -EINVAL with a problem. */
int config_scan_end(struct config_scan *scan);

#endif
