/*
 * config_unknown: see config_unknown.h.
 */
#include "config/config_unknown.h"

#include "config/config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LEVEL_BYTES_MAX 96
#define NAME_BYTES_MAX  64 /* what is longer is compared by its start */

static size_t smaller(size_t a, size_t b)
{
        return a < b ? a : b;
}

/* Levenshtein's distance, without regard to case. */
static size_t edit_distance(const char *a, const char *b)
{
        size_t a_len = strnlen(a, NAME_BYTES_MAX), b_len = strnlen(b, NAME_BYTES_MAX);
        size_t row[NAME_BYTES_MAX + 1];

        for (size_t j = 0; j <= b_len; j++)
                row[j] = j;
        for (size_t i = 1; i <= a_len; i++) {
                size_t diagonal = row[0];
                row[0] = i;
                for (size_t j = 1; j <= b_len; j++) {
                        bool same = tolower((unsigned char)a[i - 1]) ==
                                    tolower((unsigned char)b[j - 1]);
                        size_t change = diagonal + (same ? 0 : 1);
                        diagonal = row[j];
                        row[j] = smaller(change, smaller(row[j], row[j - 1]) + 1);
                }
        }
        return row[b_len];
}

static const char *nearest(const struct config_key *keys, const char *name)
{
        const char *best = NULL;
        size_t best_distance = 0;

        for (const struct config_key *key = keys; key->name; key++) {
                size_t distance = edit_distance(name, key->name);
                if (!best || distance < best_distance) {
                        best = key->name;
                        best_distance = distance;
                }
        }
        return best;
}

/* Appends the path of each group or list that has the key, "the top level" for the top. */
static void list_homes(const struct config_key *keys, const char *level, const char *name,
                       char homes[static CONFIG_ADVICE_BYTES_MAX])
{
        for (const struct config_key *key = keys; key->name; key++) {
                char path[LEVEL_BYTES_MAX];

                if (strcasecmp(key->name, name) == 0) {
                        size_t len = strlen(homes);
                        (void)snprintf(homes + len, CONFIG_ADVICE_BYTES_MAX - len, "%s%s",
                                       len > 0 ? " or " : "", level[0] ? level : "the top level");
                }
                (void)snprintf(path, sizeof path, "%.40s%s%.40s%s", level, level[0] ? "." : "",
                               key->name, key->type == CONFIG_LIST ? "[]" : "");
                if (key->keys)
                        list_homes(key->keys, path, name, homes);
        }
}

void config_unknown_advice(const struct config_key *keys, const char *name,
                           char ret_advice[static CONFIG_ADVICE_BYTES_MAX])
{
        char homes[CONFIG_ADVICE_BYTES_MAX] = "";
        const char *near = nearest(keys, name);

        if (strcasecmp(near, name) != 0)
                list_homes(config_keys, "", name, homes);
        if (homes[0])
                (void)snprintf(ret_advice, CONFIG_ADVICE_BYTES_MAX, "it belongs in %.150s", homes);
        else
                (void)snprintf(ret_advice, CONFIG_ADVICE_BYTES_MAX,
                               "the nearest known key here is \"%s\"", near);
}
