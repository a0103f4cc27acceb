/*
 * control: the connection to a running daemon, by HTTP over its admin socket.
 *
 * One connection serves all questions, and is made anew when the daemon has closed it. Every wait
 * has an end. Not locked.
 */
#ifndef SOLVEGATE_CTL_CONTROL_H
#define SOLVEGATE_CTL_CONTROL_H

#include <stddef.h>

#define CONTROL_SOCKET_DEFAULT "/run/solvegate/admin.sock"
#define CONTROL_TIMEOUT_MS     5000
#define CONTROL_RELOAD_MS      120000 /* a reload is answered when it is over */

struct control;
struct json_object;

/* What the daemon has answered to one question. */
struct answer {
        long code;                  /* of HTTP */
        char *text;                 /* the body: one JSON object, well-formed */
        size_t len;                 /* of text */
        struct json_object *object; /* the same to look at, see ctl/field.h */
};

/* Frees what an answer holds, and zeroes it; a zeroed one holds nothing. */
void answer_done(struct answer *answer);

enum control_result {
        CONTROL_ANSWERED,
        CONTROL_REFUSED,     /* the daemon said no */
        CONTROL_ABSENT,      /* no daemon can be reached there */
        CONTROL_FAILED,      /* there was no answer, or none that can be used */
        CONTROL_INTERRUPTED, /* one of the descriptors was ready first */
};

struct control_question {
        const char *method;
        const char *target; /* path and query */
        long timeout_ms;
};

/*
 * Makes ready to talk to the socket at path, which is borrowed until control_free(); connects when
 * asked. Returns 0 or -ENOMEM.
 */
int control_new(const char *path, struct control **ret_control);
void control_free(struct control *control);

/* While an answer is awaited, these descriptors break it off when they become readable. */
void control_watch(struct control *control, const int *watched, size_t count);

/*
 * Asks. With CONTROL_ANSWERED and CONTROL_REFUSED *ret_answer is the caller's to free; in all other
 * cases it is untouched. Unless answered, control_problem() says what was wrong.
 */
enum control_result control_ask(struct control *control, const struct control_question *question,
                                struct answer *ret_answer);

/* What was wrong, with how to mend it; valid until the next question. */
const char *control_problem(const struct control *control);

#endif
