/*
 * config_scan: see config_scan.h.
 */
#include "config/config_scan.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_NAMES      64
#define NUMBER_BYTES_MAX 25 /* what is longer may be a secret without quotes, and is not quoted */

void config_scan_init(struct config_scan *scan, bool within_list, enum config_token last)
{
        *scan = (struct config_scan){.last = last, .within_list = within_list};
}

/* Returns NULL, so that a scanner of a token can end with it. */
__attribute__((format(printf, 3, 4))) static const char *refuse(struct config_scan *scan,
                                                                size_t line, const char *format,
                                                                ...)
{
        va_list args;

        va_start(args, format);
        (void)vsnprintf(scan->problem, sizeof scan->problem, format, args);
        va_end(args);
        scan->problem_line = line;
        return NULL;
}

bool config_scan_in_list(const struct config_scan *scan)
{
        return scan->depth > 0 ? scan->open[scan->depth - 1].bracket != '{' : scan->within_list;
}

/* Whether a value is due here, as opposed to the name of a setting. */
static bool wants_value(const struct config_scan *scan)
{
        return scan->last == CONFIG_TOKEN_EQUALS ||
               (config_scan_in_list(scan) &&
                (scan->last == CONFIG_TOKEN_START || scan->last == CONFIG_TOKEN_OPEN ||
                 scan->last == CONFIG_TOKEN_COMMA));
}

/* Why a value is wrong here; NULL: one is due. */
static const char *misplaced_value(const struct config_scan *scan)
{
        bool second = scan->last == CONFIG_TOKEN_VALUE || scan->last == CONFIG_TOKEN_TEXT;

        if (wants_value(scan))
                return NULL;
        if (scan->last == CONFIG_TOKEN_NAME)
                return "syntax error: no = between a name and its value; write NAME = VALUE;";
        if (second && config_scan_in_list(scan))
                return "syntax error: two elements of a list without a comma; put a comma between "
                       "them";
        if (scan->last == CONFIG_TOKEN_TEXT)
                return "syntax error: two texts behind one =, which would become one; write one "
                       "text, and end it with a semicolon";
        if (second)
                return "syntax error: two values behind one =; write NAME = VALUE;";
        return "syntax error: a value without a name; write NAME = VALUE;";
}

/* Refuses a value where none is due: libconfig loses the memory of a text there. */
static bool value_misplaced(struct config_scan *scan)
{
        const char *why = misplaced_value(scan);

        if (why)
                (void)refuse(scan, scan->line, "%s", why);
        return why != NULL;
}

static bool value_missing(struct config_scan *scan)
{
        if (scan->last != CONFIG_TOKEN_EQUALS)
                return false;
        (void)refuse(scan, scan->line,
                     "syntax error: nothing stands behind the = sign; write NAME = VALUE;");
        return true;
}

/* The length of the escape that starts at text, or 0 if libconfig knows none there. */
static size_t escape_length(const char *text, const char *end)
{
        if (end - text >= 4 && text[1] == 'x' && isxdigit((unsigned char)text[2]) &&
            isxdigit((unsigned char)text[3]))
                return 4;
        return end - text >= 2 && strchr("\"\\nrtf", text[1]) ? 2 : 0;
}

/* Returns the length of an escape, or 0 when it is refused. */
static size_t scan_escape(struct config_scan *scan, const char *text, const char *end)
{
        size_t len = escape_length(text, end);

        if (len == 0) {
                (void)refuse(scan, scan->line,
                             "a backslash in a text that starts no escape; write \\\\ for a "
                             "backslash, \\\" for a double quote");
        } else if (len == 4 && memcmp(text, "\\x00", 4) == 0) {
                (void)refuse(scan, scan->line,
                             "a NUL in a text, which would end it there; remove \\x00");
                len = 0;
        }
        return len;
}

static const char *scan_text(struct config_scan *scan, const char *next, const char *end)
{
        if (value_misplaced(scan))
                return NULL;
        for (const char *c = next + 1; c < end;) {
                if (*c == '"') {
                        scan->last = CONFIG_TOKEN_TEXT;
                        scan->elements += config_scan_in_list(scan) ? 1 : 0;
                        return c + 1;
                }
                size_t len = *c == '\\' && c + 1 < end ? scan_escape(scan, c, end) : 1;
                if (len == 0)
                        return NULL;
                c += len;
        }
        return refuse(scan, scan->line,
                      "syntax error: a text is not closed on its line; put a double quote at its "
                      "end");
}

/*
 * libconfig reads a plain number with atoi() and an L number with atoll(): one that does not fit
 * would silently become another.
 */
static const char *number_problem(const char *number)
{
        bool hex = number[0] == '0' && (number[1] == 'x' || number[1] == 'X');
        char *end;

        errno = 0;
        long long value = strtoll(number, &end, hex ? 16 : 10);
        bool fits = errno == 0;
        if (strcmp(end, "L") == 0 || strcmp(end, "LL") == 0)
                return fits ? NULL : "is too large for any setting; write a smaller number";
        if (*end == '\0') {
                if (fits && value >= INT_MIN && value <= INT_MAX)
                        return NULL;
                return "does not fit a plain number; write an L behind its last digit";
        }
        (void)strtod(number, &end);
        if (*end == '\0')
                return NULL;
        return "is no number; write its digits without a unit, in seconds or bytes";
}

static const char *scan_number(struct config_scan *scan, const char *next, const char *end)
{
        char number[NUMBER_BYTES_MAX];
        const char *last = next;

        if (value_misplaced(scan))
                return NULL;
        while (last < end && (isalnum((unsigned char)*last) || strchr("+-._%", *last)))
                last++;
        size_t len = (size_t)(last - next);
        if (len >= sizeof number)
                return refuse(scan, scan->line,
                              "syntax error: a number of %zu characters; write a smaller one, or "
                              "put a text in double quotes",
                              len);
        memcpy(number, next, len);
        number[len] = '\0';
        const char *problem = number_problem(number);
        if (problem)
                return refuse(scan, scan->line, "%s %s", number, problem);
        scan->last = CONFIG_TOKEN_VALUE;
        return last;
}

static bool is_truth_value(const char *word, size_t len)
{
        return (len == 4 && strncasecmp(word, "true", 4) == 0) ||
               (len == 5 && strncasecmp(word, "false", 5) == 0);
}

/* Counts a name in its group. Returns whether there is room for it. */
static bool count_name(struct config_scan *scan)
{
        size_t *names = scan->depth > 0 ? &scan->open[scan->depth - 1].names : &scan->names;

        if (++*names <= CONFIG_SCAN_NAMES_MAX)
                return true;
        (void)refuse(scan, scan->line,
                     "more than %d settings in one group; no group has so many, remove some",
                     CONFIG_SCAN_NAMES_MAX);
        return false;
}

static char closing(char bracket)
{
        return bracket == '{' ? '}' : bracket == '(' ? ')' : ']';
}

/* Returns whether a = comes behind a word in its line. */
static bool names_setting(const char *behind, const char *end)
{
        while (behind < end && (*behind == ' ' || *behind == '\t'))
                behind++;
        return behind < end && (*behind == '=' || *behind == ':');
}

static const char *scan_word(struct config_scan *scan, const char *next, const char *end)
{
        const char *last = next;

        while (last < end && (isalnum((unsigned char)*last) || strchr("-_*", *last)))
                last++;
        size_t len = (size_t)(last - next);
        if (!wants_value(scan)) {
                if (scan->last == CONFIG_TOKEN_NAME)
                        return refuse(scan, scan->line,
                                      "syntax error: two names in a row; write NAME = VALUE;");
                scan->last = CONFIG_TOKEN_NAME;
                return count_name(scan) ? last : NULL;
        }
        if (config_scan_in_list(scan) && scan->depth > 0 && names_setting(last, end))
                return refuse(scan, scan->line,
                              "syntax error: a setting in a list, as if the %c of line %zu were "
                              "not closed; write %c where the list ends",
                              scan->open[scan->depth - 1].bracket, scan->open[scan->depth - 1].line,
                              closing(scan->open[scan->depth - 1].bracket));
        if (!is_truth_value(next, len)) /* it is not quoted: it may be a secret */
                return refuse(
                        scan, scan->line,
                        "syntax error: a text stands without quotes; put it in double quotes");
        scan->last = CONFIG_TOKEN_VALUE;
        return last;
}

static const char *scan_open(struct config_scan *scan, const char *next)
{
        if (value_misplaced(scan))
                return NULL;
        if (scan->depth > 0 && scan->open[scan->depth - 1].bracket == '[')
                return refuse(scan, scan->line,
                              "syntax error: %c stands in an array, which holds plain values only; "
                              "write ( and ) in place of the [ and ] around it",
                              *next);
        if (scan->depth == CONFIG_SCAN_DEPTH_MAX)
                return refuse(scan, scan->line,
                              "brackets stand in more than %d brackets; no setting needs that, "
                              "remove some",
                              CONFIG_SCAN_DEPTH_MAX);
        scan->open[scan->depth].bracket = *next;
        scan->open[scan->depth].line = scan->line;
        scan->open[scan->depth].names = 0;
        scan->depth++;
        scan->last = CONFIG_TOKEN_OPEN;
        return next + 1;
}

static const char *scan_close(struct config_scan *scan, const char *next)
{
        if (scan->depth == 0)
                return refuse(scan, scan->line,
                              "syntax error: %c closes nothing; remove it, or add the bracket that "
                              "opens",
                              *next);
        char wanted = closing(scan->open[scan->depth - 1].bracket);
        if (*next != wanted)
                return refuse(scan, scan->line,
                              "syntax error: %c stands where the %c of line %zu is still open; "
                              "write %c before it",
                              *next, scan->open[scan->depth - 1].bracket,
                              scan->open[scan->depth - 1].line, wanted);
        if (config_scan_in_list(scan) && scan->last == CONFIG_TOKEN_COMMA)
                return refuse(scan, scan->line,
                              "syntax error: a comma behind the last element; remove the comma "
                              "before %c",
                              *next);
        if (value_missing(scan))
                return NULL;
        scan->depth--;
        scan->last = CONFIG_TOKEN_VALUE;
        return next + 1;
}

static const char *scan_separator(struct config_scan *scan, const char *next)
{
        if (value_missing(scan))
                return NULL;
        if (*next == ';' && config_scan_in_list(scan))
                return refuse(scan, scan->line,
                              "syntax error: a semicolon in a list; put a comma between its "
                              "elements");
        scan->last = *next == ',' ? CONFIG_TOKEN_COMMA : CONFIG_TOKEN_SEMICOLON;
        return next + 1;
}

static const char *scan_stray(struct config_scan *scan, const char *next)
{
        if (*next == '\'')
                return refuse(scan, scan->line,
                              "syntax error: a single quote; texts stand in double quotes");
        if ((unsigned char)*next >= 0x80)
                return refuse(scan, scan->line,
                              "syntax error: a character that is no ASCII outside of a text; "
                              "remove it, or put the text in double quotes");
        return refuse(scan, scan->line,
                      "syntax error: %c means nothing here; remove it, or put the text in double "
                      "quotes",
                      *next);
}

/* Returns where the next token starts, or NULL when this one is refused. */
static const char *scan_token(struct config_scan *scan, const char *next, const char *end)
{
        bool two = end - next >= 2;

        if (isspace((unsigned char)*next))
                return next + 1;
        if (*next == '#' || (two && memcmp(next, "//", 2) == 0))
                return end;
        if (two && memcmp(next, "/*", 2) == 0) {
                scan->in_comment = true;
                scan->comment_line = scan->line;
                return next + 2;
        }
        if (*next == '"')
                return scan_text(scan, next, end);
        if (isdigit((unsigned char)*next) || strchr("+-.", *next))
                return scan_number(scan, next, end);
        if (isalpha((unsigned char)*next) || *next == '*')
                return scan_word(scan, next, end);
        if (strchr("{([", *next))
                return scan_open(scan, next);
        if (strchr("})]", *next))
                return scan_close(scan, next);
        if (strchr(",;", *next))
                return scan_separator(scan, next);
        if (*next == '=' || *next == ':') {
                scan->last = CONFIG_TOKEN_EQUALS;
                return next + 1;
        }
        return scan_stray(scan, next);
}

/* Returns where it goes on behind the comment, or the end of the line. */
static const char *skip_comment(struct config_scan *scan, const char *next, const char *end)
{
        const char *close = memmem(next, (size_t)(end - next), "*/", 2);

        if (!close)
                return end;
        scan->in_comment = false;
        return close + 2;
}

int config_scan_line(struct config_scan *scan, const char *text, size_t len)
{
        const char *next = text, *end = text + len;

        scan->line++;
        scan->elements = 0;
        if (memchr(text, '\0', len)) {
                (void)refuse(scan, scan->line,
                             "a NUL byte; this is no text file, name the configuration file");
                return -EINVAL;
        }
        while (next < end) {
                if (scan->in_comment) {
                        next = skip_comment(scan, next, end);
                        continue;
                }
                next = scan_token(scan, next, end);
                if (!next)
                        return -EINVAL;
        }
        return 0;
}

int config_scan_end(struct config_scan *scan)
{
        if (scan->in_comment) {
                (void)refuse(scan, scan->comment_line,
                             "syntax error: a comment is not closed; write */ at its end");
                return -EINVAL;
        }
        if (scan->depth > 0) {
                char bracket = scan->open[scan->depth - 1].bracket;
                (void)refuse(scan, scan->open[scan->depth - 1].line,
                             "syntax error: this %c is never closed; write %c where it ends",
                             bracket, closing(bracket));
                return -EINVAL;
        }
        return value_missing(scan) ? -EINVAL : 0;
}

/* ---- names that stand twice ---- */

/* Where a name stands. */
struct spot {
        const char *name;
        size_t len, line;
};

/* The names of the groups that are open, the outermost first. */
struct names {
        struct spot *spots;
        size_t count, capacity;
        size_t start[CONFIG_SCAN_DEPTH_MAX + 1]; /* where those of each depth begin */
};

static int names_add(struct names *names, struct spot spot)
{
        if (names->count == names->capacity) {
                size_t capacity = names->capacity ? names->capacity * 2 : FIRST_NAMES;
                void *spots = reallocarray(names->spots, capacity, sizeof *names->spots);
                if (!spots)
                        return -ENOMEM;
                names->spots = spots;
                names->capacity = capacity;
        }
        names->spots[names->count++] = spot;
        return 0;
}

/* Finds a name in the innermost group. */
static const struct spot *names_find(const struct names *names, size_t depth, struct spot spot)
{
        for (size_t i = names->start[depth]; i < names->count; i++) {
                const struct spot *other = &names->spots[i];
                if (other->len == spot.len && memcmp(other->name, spot.name, spot.len) == 0)
                        return other;
        }
        return NULL;
}

/* Returns 0 to go on, 1 with *ret_twice when a name stands here a second time, or -ENOMEM. */
static int judge_token(struct names *names, const struct config_scan *scan, size_t depth_before,
                       struct spot spot, struct config_scan_twice *ret_twice)
{
        if (scan->depth > depth_before)
                names->start[scan->depth] = names->count;
        else if (scan->depth < depth_before)
                names->count = names->start[depth_before];
        else if (scan->last == CONFIG_TOKEN_NAME) {
                const struct spot *first = names_find(names, scan->depth, spot);
                if (!first)
                        return names_add(names, spot);
                *ret_twice =
                        (struct config_scan_twice){spot.name, spot.len, first->line, spot.line};
                return 1;
        }
        return 0;
}

/* A line, without its newline. Returns as judge_token(). */
static int find_in_line(struct names *names, struct config_scan *scan, const char *next,
                        const char *end, struct config_scan_twice *ret_twice)
{
        int r = 0;

        scan->line++;
        while (next < end && r == 0) {
                size_t depth = scan->depth;
                const char *start = next;
                if (scan->in_comment) {
                        next = skip_comment(scan, next, end);
                        continue;
                }
                next = scan_token(scan, start, end);
                if (!next)
                        return 0; /* it is refused elsewhere */
                if (!isspace((unsigned char)*start) && *start != '#' && *start != '/')
                        r = judge_token(names, scan, depth,
                                        (struct spot){start, (size_t)(next - start), scan->line},
                                        ret_twice);
        }
        return r;
}

int config_scan_find_twice(const char *text, size_t len, struct config_scan_twice *ret_twice)
{
        const char *end = text + len;
        struct names names = {0};
        struct config_scan scan;
        int r = 0;

        config_scan_init(&scan, false, CONFIG_TOKEN_START);
        for (const char *line = text; line < end && r == 0;) {
                const char *newline = memchr(line, '\n', (size_t)(end - line));
                const char *line_end = newline ? newline : end;
                r = find_in_line(&names, &scan, line, line_end, ret_twice);
                line = line_end + 1;
        }
        free(names.spots);
        return r == 0 ? -ENOENT : r < 0 ? r : 0;
}
