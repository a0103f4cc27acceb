/*
 * config_check: what one key cannot tell alone: addresses, urls, names, and keys against keys.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_CHECK_H
#define SOLVEGATE_CONFIG_CONFIG_CHECK_H

#include <libconfig.h>

struct config;
struct config_source;

/*
 * Checks a configuration that was read from tree, which tells the lines. Returns 0, or -EINVAL
 * with a line in the source's problem.
 */
int config_check(const struct config *config, const config_t *tree,
                 const struct config_source *source);

#endif
