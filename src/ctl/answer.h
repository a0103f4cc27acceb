/*
 * answer: what the daemon has answered to one question.
 */
#ifndef SOLVEGATE_CTL_ANSWER_H
#define SOLVEGATE_CTL_ANSWER_H

#include <stddef.h>

struct json_object;

struct answer {
        long code;                  /* of HTTP */
        char *text;                 /* the body: one JSON object, well-formed */
        size_t len;                 /* of text */
        struct json_object *object; /* the same to look at, see ctl/field.h */
};

/* Takes over text, a JSON object that was found well-formed. Returns 0 or -ENOMEM, and then frees
 * it. */
int answer_init(struct answer *answer, long code, char *text, size_t len);

/* Frees what it holds; one that is zeroed is as good. */
void answer_done(struct answer *answer);

#endif
