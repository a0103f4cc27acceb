/*
 * config: the configuration in force, see config.h. config_load.c reads a file.
 */
#include "config/config.h"

const struct config *config_get(const struct config_in_force *in_force)
{
        return atomic_load_explicit(&in_force->config, memory_order_acquire);
}

void config_put(struct config_in_force *in_force, const struct config *config)
{
        atomic_store_explicit(&in_force->config, config, memory_order_release);
}
