/*
 * config_fields: the fields of a struct, by a table of keys: where they are, whether they are set,
 * and what they own. No key is named here.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_FIELDS_H
#define SOLVEGATE_CONFIG_CONFIG_FIELDS_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A CONFIG_LIST is a pointer with a size_t behind it; see the assertions in config_keys.c. The
 * elements stay where they are.
 */
void config_list_store(void *field, void *items, size_t count);
void config_list_load(const void *field, char **ret_items, size_t *ret_count);

/* Returns the size of a field that owns nothing, or 0 for strings, groups and lists. */
size_t config_scalar_bytes(enum config_type type);

/*
 * Tells whether a key is a group that may be left out, and is there in only one of the two structs:
 * it comes and goes with a restart.
 */
bool config_group_comes_or_goes(const struct config_key *key, const void *running,
                                const void *loaded);

/* Frees what the fields of the struct at base point to. Takes a zeroed struct too. */
void config_free_keys(const struct config_key *keys, void *base);

#endif
