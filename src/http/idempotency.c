/*
 * idempotency: see idempotency.h.
 */
#include "http/idempotency.h"

#include <stddef.h>
#include <string.h>

bool idempotency_key(const char *value, char ret_key[static JOB_KEY_BYTES_MAX + 1])
{
        size_t len = strlen(value);

        if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
                value++;
                len -= 2;
        }
        if (len == 0 || len > JOB_KEY_BYTES_MAX)
                return false;
        for (size_t i = 0; i < len; i++) {
                if (value[i] < 0x20 || value[i] > 0x7e || value[i] == '"')
                        return false;
        }
        memcpy(ret_key, value, len);
        ret_key[len] = '\0';
        return true;
}
