/*
 * name_set: the member names of one JSON object, to find one that is given twice.
 *
 * A name_set is a value: whoever holds it frees it with name_set_done(). Not locked.
 */
#ifndef SOLVEGATE_JOB_NAME_SET_H
#define SOLVEGATE_JOB_NAME_SET_H

#include <stddef.h>

struct name;
struct strbuf;

/* Zeroed but for names_max, it is empty. */
struct name_set {
        struct name *names; /* a table (hash_table.h) */
        size_t names_max;
};

/*
 * Folds a decoded name in place, so that names equal but for case become the same bytes: ASCII
 * letters, and U+017F (long s) and U+212A (Kelvin sign), whose other case is ASCII.
 */
void name_set_fold(struct strbuf *name);

/*
 * Adds a copy of a name. Returns 0, -EEXIST if it is in the set, -EMSGSIZE if the set has
 * names_max names, or -ENOMEM.
 */
int name_set_add(struct name_set *set, const char *name, size_t len);

/* Frees the names. */
void name_set_done(struct name_set *set);

#endif
