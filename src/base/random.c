/*
 * random: see random.h.
 */
#include "base/random.h"

#include <stdlib.h>

void random_token(char *ret_token, size_t chars)
{
        static const char alphabet[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

        arc4random_buf(ret_token, chars);
        for (size_t i = 0; i < chars; i++)
                ret_token[i] = alphabet[(unsigned char)ret_token[i] % 64];
        ret_token[chars] = '\0';
}
