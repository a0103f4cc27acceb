/*
 * config_unknown: what to say about a key that is not in the table.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_UNKNOWN_H
#define SOLVEGATE_CONFIG_CONFIG_UNKNOWN_H

#include <stddef.h>

struct config_key;

#define CONFIG_ADVICE_BYTES_MAX 200

/*
 * Writes how to mend a name that is no key of keys: where it belongs, when another level of the
 * whole table has it, else which key of this level is nearest by edit distance.
 */
void config_unknown_advice(const struct config_key *keys, const char *name,
                           char ret_advice[static CONFIG_ADVICE_BYTES_MAX]);

#endif
