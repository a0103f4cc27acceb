/*
 * config_read: from libconfig's settings to structs, by a table of keys. No key is named here.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_READ_H
#define SOLVEGATE_CONFIG_CONFIG_READ_H

#include <libconfig.h>

struct config_key;
struct config_source;

/*
 * Fills the zeroed struct at base from the members of group, defaults for those that are missing.
 * On failure returns a negative errno, with a line in the source's problem unless it is -ENOMEM;
 * the struct is then half filled. In both cases the caller frees it with config_free_keys()
 * (config_fields.h).
 */
int config_read_keys(const struct config_source *source, const struct config_key *keys,
                     const config_setting_t *group, void *base);

#endif
