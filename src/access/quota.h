/*
 * quota: how many jobs a client may have bought: by a rate, by a UTC day, by a UTC month.
 *
 * A charge is reserved before its job is sent, and settled when it is known whether the upstream
 * took the job; what was not charged is given back. So the sum of what was used and what is
 * reserved never passes a limit, unless the limit was lowered meanwhile. The rate is a token
 * bucket. Each accepted job takes one token, those without a charge too, and nothing gives it back.
 *
 * A charge counts on the day on which it was reserved, by the wall clock of that moment, in the
 * ledger too. What was used is the sum of a day, or of the days of a month. So it depends on the
 * days alone: not on how the clock came to where it is, and not on restarts. A clock that is set
 * forward begins the new day's budget; when it is set back, the old day has used what it had, and
 * when the new day comes for real, it has too.
 *
 * A struct quota is a value. Not locked: the scheduler's mutex guards those of clients.
 */
#ifndef SOLVEGATE_ACCESS_QUOTA_H
#define SOLVEGATE_ACCESS_QUOTA_H

#include <stdint.h>

/* 0: no such limit. */
struct quota_limits {
        double rate;   /* jobs in a second */
        int64_t burst; /* valid with rate: how many at once, at least 1 */
        int64_t daily;
        int64_t monthly;
};

/* Both clocks at one moment. */
struct quota_time {
        int64_t wall_ms;
        int64_t monotonic_ms;
};

struct quota_time quota_now(void);

/*
 * So many days are remembered for each client: the latest with charges, all of the month that a
 * charge is counted in, and those with reservations. Further ones are in the ledger alone.
 */
#define QUOTA_DAYS_MAX 64

struct quota_day {
        int64_t day; /* since 1970, UTC */
        int64_t used, reserved;
};

struct quota {
        struct quota_limits limits;
        struct quota_day days[QUOTA_DAYS_MAX]; /* in no order */
        int days_count;
        double level;      /* of the bucket, up to burst; valid with limits.rate */
        int64_t filled_ms; /* monotonic: when level was right; likewise */
};

/* Without limits, and nothing used. */
void quota_init(struct quota *quota, struct quota_time now);

/* What was used stays; a bucket that is new is full, another one keeps its level up to the burst.
 */
void quota_set_limits(struct quota *quota, const struct quota_limits *limits,
                      struct quota_time now);

enum quota_verdict {
        QUOTA_OK,
        QUOTA_RATE,    /* the bucket is empty */
        QUOTA_DAILY,   /* the limit of the day is used up or reserved */
        QUOTA_MONTHLY, /* that of the month; it is named before that of the day */
};

/*
 * Reserves a charge on the day of now.wall_ms, and takes one from the bucket; or does neither and
 * says why. Where several limits are reached, the one that lasts longest is named: the month, the
 * day, then the rate.
 */
enum quota_verdict quota_reserve(struct quota *quota, struct quota_time now);

/* For a job without a charge: takes one from the bucket. Returns QUOTA_OK or QUOTA_RATE. */
enum quota_verdict quota_take(struct quota *quota, struct quota_time now);

/* quota_reserve() for a job that was taken long ago: without the bucket. */
enum quota_verdict quota_reserve_again(struct quota *quota, struct quota_time now);

/* Reserves on a day whatever the limits are: what was reserved before a restart. */
void quota_reserve_always(struct quota *quota, int64_t day);

/* Gives a reservation of that day back. Requires that there is one; so does quota_settle(). */
void quota_release(struct quota *quota, int64_t day);

/* A reservation of that day was charged, or may have been. */
void quota_settle(struct quota *quota, int64_t day);

/* So many were used on that day (since 1970), before the start. The days may come in any order; a
 * negative count is none. */
void quota_restore(struct quota *quota, int64_t day, int64_t count, struct quota_time now);

/* One limit as it is at a moment. */
struct quota_window {
        int64_t limit; /* 0: none */
        int64_t used;
        int64_t reserved;
        int64_t left;           /* valid with limit; never negative */
        int64_t renews_wall_ms; /* when the next day or month begins */
        int64_t length_s;       /* of the day, or of this month */
};

struct quota_figures {
        struct quota_limits limits;
        struct quota_window day, month;
        double level;    /* of the bucket; valid with limits.rate */
        int64_t next_ms; /* until the bucket has one again; 0: it has */
        int64_t full_ms; /* until it is full */
        int64_t now_wall_ms;
};

void quota_read(const struct quota *quota, struct quota_time now,
                struct quota_figures *ret_figures);

/* When to come again after a refusal, in whole seconds, at least 1. */
int64_t quota_retry_after_s(const struct quota_figures *figures, enum quota_verdict verdict);

#define QUOTA_MESSAGE_BYTES_MAX 320

/* One sentence for the client: which limit, how much of it is used, and when it renews. The figures
 * are those of the refusal's moment. */
void quota_explain(const struct quota_figures *figures, enum quota_verdict verdict,
                   char ret_message[static QUOTA_MESSAGE_BYTES_MAX]);

#endif
