/*
 * utf8: see utf8.h.
 */
#include "base/utf8.h"

#include <string.h>

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
