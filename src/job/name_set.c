/*
 * name_set: see name_set.h. Open addressing in a table that is never more than half full.
 */
#include "job/name_set.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct name_slot {
        uint64_t hash; /* 0: the slot is free */
        size_t start;  /* in the set's text */
        size_t len;
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

int name_set_init(struct name_set *set, size_t names_max, size_t name_bytes_max)
{
        *set = (struct name_set){.names_max = names_max, .slots_count = 2};
        strbuf_init(&set->text, names_max * name_bytes_max);
        while (set->slots_count < 2 * names_max)
                set->slots_count *= 2;
        set->slots = calloc(set->slots_count, sizeof set->slots[0]);
        return set->slots ? 0 : -ENOMEM;
}

void name_set_done(struct name_set *set)
{
        strbuf_done(&set->text);
        free(set->slots);
        *set = (struct name_set){0};
}

/* FNV-1a. Crafted collisions cost no more than the ceilings on names and their number allow. */
static uint64_t hash_name(const char *name, size_t len)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < len; i++)
                hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
        return hash ? hash : 1;
}

int name_set_add(struct name_set *set, const char *name, size_t len)
{
        uint64_t hash = hash_name(name, len);
        size_t mask = set->slots_count - 1, i = hash & mask;

        for (; set->slots[i].hash != 0; i = (i + 1) & mask) {
                const struct name_slot *slot = &set->slots[i];
                if (slot->hash == hash && slot->len == len &&
                    memcmp(set->text.data + slot->start, name, len) == 0)
                        return -EEXIST;
        }
        if (set->names_count == set->names_max)
                return -EMSGSIZE;
        size_t start = set->text.len;
        int r = strbuf_append(&set->text, name, len);
        if (r < 0)
                return r;
        set->slots[i] = (struct name_slot){hash, start, len};
        set->names_count++;
        return 0;
}
