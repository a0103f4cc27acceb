/*
 * answer: see answer.h. Whether it is JSON was decided before, by base/json: json-c takes more.
 */
#include "ctl/answer.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>

#define DEPTH_MAX 65 /* JSON_DEPTH_MAX of base/json, and the value itself */

static struct json_object *parse(const char *text, size_t len)
{
        struct json_tokener *tokener = len < INT_MAX ? json_tokener_new_ex(DEPTH_MAX) : NULL;
        struct json_object *object;

        if (!tokener)
                return NULL;
        object = json_tokener_parse_ex(tokener, text, (int)len);
        json_tokener_free(tokener);
        return object;
}

int answer_init(struct answer *answer, long code, char *text, size_t len)
{
        struct json_object *object = parse(text, len);

        if (!object) {
                free(text);
                return -ENOMEM;
        }
        *answer = (struct answer){.code = code, .text = text, .len = len, .object = object};
        return 0;
}

void answer_done(struct answer *answer)
{
        free(answer->text);
        (void)json_object_put(answer->object);
        *answer = (struct answer){0};
}
