/*
 * reply: an answer on its way out: what it says, and how it is sent.
 *
 * A value: whoever holds it frees it with sim_reply_done(). Not locked.
 */
#ifndef SOLVEGATE_SIM_REPLY_H
#define SOLVEGATE_SIM_REPLY_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_REPLY_BYTES_MAX        (64 * 1024 * 1024)
#define SIM_REPLY_HEADER_BYTES_MAX 64

enum sim_delivery {
        SIM_DELIVERY_WHOLE,
        SIM_DELIVERY_HALF,   /* announced whole, then half of it and a close */
        SIM_DELIVERY_DRIP,   /* byte by byte */
        SIM_DELIVERY_CLOSE,  /* nothing, and an orderly close */
        SIM_DELIVERY_RESET,  /* nothing, and a TCP reset */
        SIM_DELIVERY_HANG,   /* nothing, until the other side gives up */
        SIM_DELIVERY_DOUBLE, /* with a surplus response behind it, in one piece */
        SIM_DELIVERY_SPLIT,  /* the same, the second half of the surplus response later */
};

/* What follows on the connection once the whole answer has been written. */
enum sim_aftermath {
        SIM_AFTERMATH_NONE,
        SIM_AFTERMATH_RESET, /* a TCP reset */
        SIM_AFTERMATH_STRAY, /* a surplus response, once it is ordered, if the connection is idle
                                then */
};

/* A whole response to which there is no request, written behind a right one. */
enum sim_surplus {
        SIM_SURPLUS_SOLVED,       /* 200, a solution */
        SIM_SURPLUS_CODE,         /* 429 with code 16: "later" */
        SIM_SURPLUS_ERROR,        /* 200, an error */
        SIM_SURPLUS_UNAUTHORIZED, /* 401 */
        SIM_SURPLUS_CLOSE,        /* 408 with Connection: close, which an orderly end follows */
};

#define SIM_SURPLUS_FORMS "solved, code, error, unauthorized or close"

struct sim_reply {
        unsigned code; /* of HTTP */
        struct strbuf body;
        const char *content_type;                     /* static text */
        char retry_after[SIM_REPLY_HEADER_BYTES_MAX]; /* "" for none */
        char allow[SIM_REPLY_HEADER_BYTES_MAX];       /* "" for none */
        enum sim_delivery delivery;
        enum sim_aftermath aftermath; /* of an answer that is sent whole */
        enum sim_surplus surplus;     /* of DOUBLE, SPLIT and STRAY */
        int64_t delay_ms;             /* wait so long before it is sent */
};

/* Makes an empty reply: 200, JSON, sent whole. */
void sim_reply_init(struct sim_reply *reply);
void sim_reply_done(struct sim_reply *reply);

/* Puts {"message":…,"status":…} in place of whatever the reply said. */
void sim_reply_say(struct sim_reply *reply, unsigned code, const char *message, const char *status);

/* Empties the body, for another one. */
void sim_reply_clear(struct sim_reply *reply);

/* Finds a response by its name. Returns false, and leaves *ret_surplus as it is, if the name is
 * unknown. */
bool sim_surplus_find(const char *name, enum sim_surplus *ret_surplus);

/* Appends the response: its header and its body. */
void sim_surplus_write(enum sim_surplus surplus, struct strbuf *out);

#endif
