/*
 * config_merge: what is in force after a reload, see config.h. It mirrors config_compare: what that
 * one tells stays as it was. No key is named here.
 */
#include "config/config_fields.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int copy_text(char *const *from, char **to)
{
        if (!*from)
                return 0;
        *to = strdup(*from);
        return *to ? 0 : -ENOMEM;
}

/* Makes count zeroed elements in a list. */
static int make_list(const struct config_key *key, size_t count, void *field, char **ret_items)
{
        char *items = count > 0 ? calloc(count, key->element_bytes) : NULL;

        if (count > 0 && !items)
                return -ENOMEM;
        config_list_store(field, items, count);
        *ret_items = items;
        return 0;
}

static int copy_keys(const struct config_key *keys, const void *from, void *to);

static int copy_list(const struct config_key *key, const void *from, void *to)
{
        char *items = NULL, *copies = NULL;
        size_t count = 0;

        config_list_load(from, &items, &count);
        int r = make_list(key, count, to, &copies);
        for (size_t i = 0; r == 0 && i < count; i++)
                r = copy_keys(key->keys, items + i * key->element_bytes,
                              copies + i * key->element_bytes);
        return r;
}

/* Copies the field of a zeroed struct, with all that it owns. */
static int copy_key(const struct config_key *key, const void *from, void *to)
{
        const void *source = (const char *)from + key->offset;
        void *target = (char *)to + key->offset;

        if (key->type == CONFIG_STRING)
                return copy_text(source, target);
        if (key->type == CONFIG_STRINGS)
                return config_strings_copy(source, target);
        if (key->type == CONFIG_GROUP)
                return copy_keys(key->keys, from, to);
        if (key->type == CONFIG_LIST)
                return copy_list(key, source, target);
        memcpy(target, source, config_scalar_bytes(key->type));
        return 0;
}

static int copy_keys(const struct config_key *keys, const void *from, void *to)
{
        int r = 0;

        for (const struct config_key *key = keys; r == 0 && key->name; key++)
                r = copy_key(key, from, to);
        return r;
}

static int merge_keys(const struct config_key *keys, const void *running, const void *loaded,
                      void *to);

/* Element by element where both have as many; else it stays as a whole. */
static int merge_list(const struct config_key *key, const void *running, const void *loaded,
                      void *to)
{
        char *items[2] = {NULL, NULL}, *merged = NULL;
        size_t counts[2] = {0, 0}, bytes = key->element_bytes;

        config_list_load((const char *)running + key->offset, &items[0], &counts[0]);
        config_list_load((const char *)loaded + key->offset, &items[1], &counts[1]);
        if (counts[0] != counts[1])
                return copy_key(key, running, to);
        int r = make_list(key, counts[0], (char *)to + key->offset, &merged);
        for (size_t i = 0; r == 0 && i < counts[0]; i++)
                r = merge_keys(key->keys, items[0] + i * bytes, items[1] + i * bytes,
                               merged + i * bytes);
        return r;
}

static int merge_key(const struct config_key *key, const void *running, const void *loaded,
                     void *to)
{
        if (config_group_comes_or_goes(key, running, loaded))
                return copy_key(key, running, to);
        if (key->reloads)
                return copy_key(key, loaded, to);
        if (key->type == CONFIG_GROUP)
                return merge_keys(key->keys, running, loaded, to);
        if (key->type == CONFIG_LIST)
                return merge_list(key, running, loaded, to);
        return copy_key(key, running, to);
}

static int merge_keys(const struct config_key *keys, const void *running, const void *loaded,
                      void *to)
{
        int r = 0;

        for (const struct config_key *key = keys; r == 0 && key->name; key++)
                r = merge_key(key, running, loaded, to);
        return r;
}

int config_merge(const struct config *running, const struct config *loaded,
                 struct config **ret_merged)
{
        struct config *merged = calloc(1, sizeof *merged);

        if (!merged)
                return -ENOMEM;
        int r = copy_text(&running->file, &merged->file);
        if (r == 0)
                r = merge_keys(config_keys, running, loaded, merged);
        if (r < 0) {
                config_free(merged);
                return r;
        }
        *ret_merged = merged;
        return 0;
}
