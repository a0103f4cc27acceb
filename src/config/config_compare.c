/*
 * config_compare: what of a new configuration takes a restart, see config.h. No key is named here.
 */
#include "config/config.h"
#include "config/config_fields.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES_MAX 160

struct comparison {
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

static void compare_list(const struct comparison *comparison, const struct config_key *key,
                         const char *path, const void *a, const void *b)
{
        char *items[2] = {NULL, NULL};
        size_t counts[2] = {0, 0};

        config_list_load(a, &items[0], &counts[0]);
        config_list_load(b, &items[1], &counts[1]);
        if (counts[0] != counts[1]) {
                comparison->told(comparison->arg, path);
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

        switch (key->type) {
        case CONFIG_INT:
        case CONFIG_CHOICE:
                return *(const int *)one == *(const int *)other;
        case CONFIG_NUMBER:
                return memcmp(one, other, sizeof(double)) == 0;
        case CONFIG_BYTES:
        case CONFIG_SECONDS:
        case CONFIG_DATE:
                return *(const int64_t *)one == *(const int64_t *)other;
        case CONFIG_BOOL:
                return *(const bool *)one == *(const bool *)other;
        case CONFIG_STRING:
                return same_text(*(char *const *)one, *(char *const *)other);
        case CONFIG_STRINGS:
                return same_strings(one, other);
        case CONFIG_GROUP:
                (void)snprintf(prefix, sizeof prefix, "%.120s.", path);
                compare_keys(comparison, key->keys, prefix, a, b);
                return true;
        case CONFIG_LIST:
                compare_list(comparison, key, path, one, other);
                return true;
        }
        return true;
}

static void compare_keys(const struct comparison *comparison, const struct config_key *keys,
                         const char *prefix, const void *a, const void *b)
{
        for (const struct config_key *key = keys; key->name; key++) {
                char path[PATH_BYTES_MAX];

                (void)snprintf(path, sizeof path, "%.96s%.56s", prefix, key->name);
                if (config_group_comes_or_goes(key, a, b))
                        comparison->told(comparison->arg, path);
                else if (!key->reloads && !compare_key(comparison, key, path, a, b))
                        comparison->told(comparison->arg, path);
        }
}

void config_compare(const struct config *running, const struct config *loaded,
                    void (*told)(void *arg, const char *key), void *arg)
{
        const struct comparison comparison = {.told = told, .arg = arg};

        compare_keys(&comparison, config_keys, "", running, loaded);
}
