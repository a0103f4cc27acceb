/*
 * secret: see secret.h.
 */
#include "base/secret.h"

#include <string.h>

void secret_mask(char *text)
{
        static const char token_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789-_";

        while ((text = strstr(text, SECRET_TOKEN_PREFIX))) {
                text += strlen(SECRET_TOKEN_PREFIX);
                size_t len = strspn(text, token_chars);
                memset(text, '*', len);
                text += len;
        }
}
