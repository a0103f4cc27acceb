/*
 * config_fields: see config_fields.h.
 */
#include "config/config_fields.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void config_list_store(void *field, void *items, size_t count)
{
        memcpy(field, &items, sizeof items);
        memcpy((char *)field + sizeof items, &count, sizeof count);
}

void config_list_load(const void *field, char **ret_items, size_t *ret_count)
{
        memcpy(ret_items, field, sizeof *ret_items);
        memcpy(ret_count, (const char *)field + sizeof *ret_items, sizeof *ret_count);
}

size_t config_scalar_bytes(enum config_type type)
{
        switch (type) {
        case CONFIG_INT:
        case CONFIG_CHOICE:
                return sizeof(int);
        case CONFIG_NUMBER:
                return sizeof(double);
        case CONFIG_BYTES:
        case CONFIG_SECONDS:
        case CONFIG_DATE:
                return sizeof(int64_t);
        case CONFIG_BOOL:
                return sizeof(bool);
        case CONFIG_STRING:
        case CONFIG_STRINGS:
        case CONFIG_GROUP:
        case CONFIG_LIST:
                break;
        }
        return 0;
}

static bool any_set(const struct config_key *keys, const void *base);

static bool is_set(const struct config_key *key, const void *base)
{
        static const char zeros[sizeof(struct config_strings)];
        const void *field = (const char *)base + key->offset;
        size_t bytes = config_scalar_bytes(key->type);

        if (key->type == CONFIG_GROUP)
                return any_set(key->keys, base);
        if (bytes == 0) /* the pointer to a string or to the elements of a list */
                bytes = sizeof(void *);
        return memcmp(field, zeros, bytes) != 0;
}

/* Whether any field is not zero: of a group that may be left out, whether it was written. */
static bool any_set(const struct config_key *keys, const void *base)
{
        for (const struct config_key *key = keys; key->name; key++)
                if (is_set(key, base))
                        return true;
        return false;
}

bool config_group_comes_or_goes(const struct config_key *key, const void *running,
                                const void *loaded)
{
        bool optional = key->default_text && key->default_text[0] == '\0';

        return key->type == CONFIG_GROUP && optional &&
               any_set(key->keys, running) != any_set(key->keys, loaded);
}

int config_strings_copy(const struct config_strings *from, struct config_strings *to)
{
        if (from->count == 0)
                return 0;
        to->items = calloc(from->count, sizeof *to->items);
        if (!to->items)
                return -ENOMEM;
        for (; to->count < from->count; to->count++) {
                to->items[to->count] = strdup(from->items[to->count]);
                if (!to->items[to->count])
                        return -ENOMEM;
        }
        return 0;
}

void config_strings_free(struct config_strings *strings)
{
        for (size_t i = 0; i < strings->count; i++)
                free(strings->items[i]);
        free(strings->items);
}

static void free_list(const struct config_key *key, void *field)
{
        char *items = NULL;
        size_t count = 0;

        config_list_load(field, &items, &count);
        for (size_t i = 0; i < count; i++)
                config_free_keys(key->keys, items + i * key->element_bytes);
        free(items);
}

void config_free_keys(const struct config_key *keys, void *base)
{
        for (const struct config_key *key = keys; key->name; key++) {
                void *field = (char *)base + key->offset;
                if (key->type == CONFIG_STRING)
                        free(*(char **)field);
                else if (key->type == CONFIG_STRINGS)
                        config_strings_free(field);
                else if (key->type == CONFIG_GROUP)
                        config_free_keys(key->keys, base);
                else if (key->type == CONFIG_LIST)
                        free_list(key, field);
        }
}
