/*
 * utf8: see utf8.h.
 */
#include "base/utf8.h"

#include <string.h>

#define BOM "\xef\xbb\xbf"

size_t utf8_bom(const char *text, size_t len)
{
        return len >= strlen(BOM) && memcmp(text, BOM, strlen(BOM)) == 0 ? strlen(BOM) : 0;
}

/* The tightest bounds on the second byte keep out overlong forms, surrogates and > U+10FFFF. */
size_t utf8_sequence(const unsigned char *text, size_t len)
{
        unsigned char lead = text[0], low = 0x80, high = 0xbf;
        size_t need;

        if (lead < 0x80)
                return 1;
        if (lead >= 0xc2 && lead <= 0xdf)
                need = 2;
        else if (lead >= 0xe0 && lead <= 0xef)
                need = 3;
        else if (lead >= 0xf0 && lead <= 0xf4)
                need = 4;
        else
                return 0;
        if (lead == 0xe0)
                low = 0xa0;
        else if (lead == 0xed)
                high = 0x9f;
        else if (lead == 0xf0)
                low = 0x90;
        else if (lead == 0xf4)
                high = 0x8f;
        if (len < need || text[1] < low || text[1] > high)
                return 0;
        for (size_t i = 2; i < need; i++) {
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
        }
        return need;
}

uint32_t utf8_decode(const unsigned char *text, size_t len)
{
        static const unsigned char lead[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
        uint32_t character = text[0] & lead[len];

        for (size_t i = 1; i < len; i++)
                character = character << 6 | (text[i] & 0x3F);
        return character;
}

bool utf8_hidden(uint32_t character)
{
        static const struct range {
                uint32_t first, last;
        } ranges[] = {
                {0x0000, 0x001F},   {0x007F, 0x009F},   {0x00AD, 0x00AD},   {0x034F, 0x034F},
                {0x061C, 0x061C},   {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180B, 0x180F},
                {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},   {0x3164, 0x3164},
                {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},
                {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
        };

        for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && character >= ranges[i].first;
             i++)
                if (character <= ranges[i].last)
                        return true;
        return false;
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
