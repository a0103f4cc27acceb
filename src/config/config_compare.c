/*
 * config_compare: what of a new configuration takes a restart, and what does not, see config.h. No
 * key is named here.
 */
#include "config/config_fields.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES_MAX 160

/* Which differences are told. */
enum wanted {
        WHAT_TAKES_A_RESTART,
        WHAT_RELOADS,
        ALL, /* each list as a whole */
};

struct comparison {
        enum wanted wanted;
        void (*told)(void *arg, const char *key);
        void *arg;
};

static void compare_keys(const struct comparison *comparison, const struct config_key *keys,
                         const char *prefix, const void *a, const void *b);

static bool same_text(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_strings(const struct config_strings *a, const struct config_strings *b)
{
        bool same = a->count == b->count;

        for (size_t i = 0; same && i < a->count; i++)
                same = strcmp(a->items[i], b->items[i]) == 0;
        return same;
}

static void count_difference(void *arg, const char *key)
{
        (void)key;
        ++*(size_t *)arg;
}

static void compare_whole(const struct comparison *comparison, const struct config_key *key,
                          const char *path, char *const *items, size_t count)
{
        size_t differences = 0;
        const struct comparison inner = {ALL, count_difference, &differences};

        for (size_t i = 0; differences == 0 && i < count; i++)
                compare_keys(&inner, key->keys, path, items[0] + i * key->element_bytes,
                             items[1] + i * key->element_bytes);
        if (differences > 0)
                comparison->told(comparison->arg, path);
}

static void compare_list(const struct comparison *comparison, const struct config_key *key,
                         const char *path, const void *a, const void *b)
{
        char *items[2] = {NULL, NULL};
        size_t counts[2] = {0, 0};

        config_list_load(a, &items[0], &counts[0]);
        config_list_load(b, &items[1], &counts[1]);
        if (counts[0] != counts[1]) {
                if (comparison->wanted != WHAT_RELOADS)
                        comparison->told(comparison->arg, path);
                return;
        }
        if (comparison->wanted == ALL) {
                compare_whole(comparison, key, path, items, counts[0]);
                return;
        }
        for (size_t i = 0; i < counts[0]; i++) {
                char prefix[PATH_BYTES_MAX];
                (void)snprintf(prefix, sizeof prefix, "%.120s[%zu].", path, i);
                compare_keys(comparison, key->keys, prefix, items[0] + i * key->element_bytes,
                             items[1] + i * key->element_bytes);
        }
}

/* Groups and lists tell what differs in them by themselves, and count as equal here. */
static bool compare_key(const struct comparison *comparison, const struct config_key *key,
                        const char *path, const void *a, const void *b)
{
        const void *one = (const char *)a + key->offset, *other = (const char *)b + key->offset;
        char prefix[PATH_BYTES_MAX];

        if (key->type == CONFIG_STRING)
                return same_text(*(char *const *)one, *(char *const *)other);
        if (key->type == CONFIG_STRINGS)
                return same_strings(one, other);
        if (key->type == CONFIG_LIST)
                compare_list(comparison, key, path, one, other);
        if (key->type == CONFIG_GROUP) {
                (void)snprintf(prefix, sizeof prefix, "%.120s.", path);
                compare_keys(comparison, key->keys, prefix, a, b);
        }
        return memcmp(one, other, config_scalar_bytes(key->type)) == 0;
}

/* Groups and lists that do not reload themselves may have keys that do. */
static bool is_compared(enum wanted wanted, const struct config_key *key)
{
        switch (wanted) {
        case WHAT_TAKES_A_RESTART:
                return !key->reloads;
        case WHAT_RELOADS:
                return key->reloads || key->keys;
        case ALL:
                break;
        }
        return true;
}

static void compare_keys(const struct comparison *comparison, const struct config_key *keys,
                         const char *prefix, const void *a, const void *b)
{
        for (const struct config_key *key = keys; key->name; key++) {
                struct comparison inner = *comparison;
                char path[PATH_BYTES_MAX];
                bool differs = config_group_comes_or_goes(key, a, b);

                (void)snprintf(path, sizeof path, "%.96s%.56s", prefix, key->name);
                if (inner.wanted == WHAT_RELOADS && key->reloads)
                        inner.wanted = ALL;
                if (!differs && is_compared(comparison->wanted, key))
                        differs = !compare_key(&inner, key, path, a, b);
                if (differs)
                        comparison->told(comparison->arg, path);
        }
}

void config_compare(const struct config *running, const struct config *loaded,
                    void (*told)(void *arg, const char *key), void *arg)
{
        const struct comparison comparison = {WHAT_TAKES_A_RESTART, told, arg};

        compare_keys(&comparison, config_keys, "", running, loaded);
}

void config_changed(const struct config *running, const struct config *merged,
                    void (*told)(void *arg, const char *key), void *arg)
{
        const struct comparison comparison = {WHAT_RELOADS, told, arg};

        compare_keys(&comparison, config_keys, "", running, merged);
}
