/*
 * name_set: see name_set.h.
 */
#include "job/name_set.h"

#include "base/hash_table.h"
#include "base/strbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct name {
        UT_hash_handle hh;
        char text[];
};

void name_set_fold(struct strbuf *name)
{
        static const char long_s[] = "\xc5\xbf", kelvin[] = "\xe2\x84\xaa";
        const char *from = name->data, *end = from + name->len;
        char *to = name->data;

        while (from < end) {
                if (end - from >= 2 && memcmp(from, long_s, 2) == 0) {
                        *to++ = 's';
                        from += 2;
                } else if (end - from >= 3 && memcmp(from, kelvin, 3) == 0) {
                        *to++ = 'k';
                        from += 3;
                } else {
                        char c = *from++;
                        *to++ = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
                }
        }
        name->len = (size_t)(to - name->data);
        *to = '\0';
}

int name_set_add(struct name_set *set, const char *name, size_t len)
{
        struct name *known;
        unsigned hash = hash_keyed(name, len);

        HASH_FIND_BYHASHVALUE(hh, set->names, name, len, hash, known);
        if (known)
                return -EEXIST;
        if (HASH_COUNT(set->names) == set->names_max)
                return -EMSGSIZE;
        struct name *added = malloc(sizeof *added + len);
        if (!added)
                return -ENOMEM;
        if (len > 0)
                memcpy(added->text, name, len);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, set->names, added->text, len, hash, added);
        if (!added->hh.tbl) { /* no memory (HASH_NONFATAL_OOM) */
                free(added);
                return -ENOMEM;
        }
        return 0;
}

void name_set_done(struct name_set *set)
{
        struct name *name = set->names, *next;

        HASH_CLEAR(hh, set->names); /* leaves the names */
        for (; name; name = next) {
                next = name->hh.next;
                free(name);
        }
}
