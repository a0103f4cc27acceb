/*
 * utf8: see utf8.h.
 */
#include "base/utf8.h"

#include <string.h>
#include <unictype.h>
#include <unistr.h>

#define BOM "\xef\xbb\xbf"

size_t utf8_bom(const char *text, size_t len)
{
        return len >= strlen(BOM) && memcmp(text, BOM, strlen(BOM)) == 0 ? strlen(BOM) : 0;
}

size_t utf8_sequence(const unsigned char *text, size_t len)
{
        ucs4_t character;

        if (text[0] < 0x80) /* most of every log line */
                return 1;
        int sequence = u8_mbtoucr(&character, text, len);

        return sequence > 0 ? (size_t)sequence : 0;
}

bool utf8_is_valid(const char *text, size_t len)
{
        return !u8_check((const unsigned char *)text, len);
}

const char *utf8_take(const char **text, size_t *len, size_t *ret_len)
{
        const char *taken = *text;
        size_t sequence = utf8_sequence((const unsigned char *)taken, *len);
        size_t step = sequence > 0 ? sequence : 1;

        *text += step;
        *len -= step;
        *ret_len = sequence > 0 ? sequence : strlen(UTF8_REPLACEMENT);
        return sequence > 0 ? taken : UTF8_REPLACEMENT;
}

uint32_t utf8_decode(const unsigned char *text, size_t len)
{
        ucs4_t character = text[0];

        if (character >= 0x80)
                (void)u8_mbtoucr(&character, text, len);
        return character;
}

bool utf8_hidden(uint32_t character)
{
        const uint32_t hidden = UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf | UC_CATEGORY_MASK_Zl |
                                UC_CATEGORY_MASK_Zp;

        if (character >= ' ' && character < 0x7f)
                return false;
        return uc_is_general_category_withtable(character, hidden) ||
               uc_is_property_default_ignorable_code_point(character);
}

void utf8_end_cut(char *text, size_t size)
{
        size_t len = strlen(text), tail = 1;

        if (len + 1 < size)
                return;
        while (tail < 4 && tail < len && ((unsigned char)text[len - tail] & 0xc0) == 0x80)
                tail++;
        if (tail <= len && (unsigned char)text[len - tail] >= 0xc2 &&
            utf8_sequence((const unsigned char *)text + len - tail, tail) == 0)
                text[len - tail] = '\0';
}
