/*
 * name_set: the member names of one JSON object, to find one that is given twice.
 *
 * A name_set is a value: whoever holds it frees it with name_set_done(). Not locked.
 */
#ifndef SOLVEGATE_JOB_NAME_SET_H
#define SOLVEGATE_JOB_NAME_SET_H

#include "base/strbuf.h"

#include <stddef.h>

struct name_slot;

struct name_set {
        struct strbuf text; /* the names, one behind the other */
        struct name_slot *slots;
        size_t slots_count; /* a power of two */
        size_t names_count, names_max;
};

/*
 * Folds a decoded name in place, so that names equal but for case become the same bytes: ASCII
 * letters, and U+017F (long s) and U+212A (Kelvin sign), whose other case is ASCII.
 */
void name_set_fold(struct strbuf *name);

/* Makes a set for at most names_max names of at most name_bytes_max bytes. Returns 0 or -ENOMEM. */
int name_set_init(struct name_set *set, size_t names_max, size_t name_bytes_max);

/* Frees. Takes a zeroed struct too. */
void name_set_done(struct name_set *set);

/*
 * Adds a copy of a name. Returns 0, -EEXIST when it is in the set, -EMSGSIZE past a ceiling,
 * or -ENOMEM.
 */
int name_set_add(struct name_set *set, const char *name, size_t len);

#endif
