/*
 * store_survey: looks at all rows once, before they are read, and finds out which to read: all
 * jobs that are not final, and of the others the newest ones that fit into memory.
 *
 * Answers from the cache cost nothing, so they have a limit of their own: however many there are,
 * they take no room from jobs that were paid for.
 *
 * So that neither memory nor time depends on how many there are, bytes are added up in a histogram
 * over the time at which jobs finished. A row is counted with less than it will take in memory, and
 * a part of the histogram that fits only partly is read whole: what is too much is then taken out
 * by the results, the oldest first.
 */
#include "store/sqlite/store_private.h"

#include "base/clock.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"

#include <errno.h>
#include <stdlib.h>

#define PARTS 4096

struct part {
        int64_t bytes;
        int64_t rows;
};

struct histogram {
        int64_t first_ms, end_ms; /* [first_ms, end_ms) is divided into PARTS */
        struct part parts[STORE_CLASSES][PARTS];
};

static int64_t part_begin_ms(const struct histogram *histogram, int64_t part)
{
        int64_t span_ms = histogram->end_ms - histogram->first_ms;

        return histogram->first_ms + (part * span_ms + PARTS - 1) / PARTS;
}

static void add_final(struct histogram *histogram, struct store_survey *survey,
                      enum store_class class, int64_t finished_ms, int64_t bytes)
{
        int64_t span_ms = histogram->end_ms - histogram->first_ms;

        survey->last_finished_ms =
                finished_ms > survey->last_finished_ms ? finished_ms : survey->last_finished_ms;
        survey->final++;
        if (finished_ms < histogram->first_ms)
                return;
        if (finished_ms >= histogram->end_ms)
                finished_ms = histogram->end_ms - 1;
        struct part *part =
                &histogram->parts[class][(finished_ms - histogram->first_ms) * PARTS / span_ms];
        part->bytes += bytes;
        part->rows++;
}

/* Adds the rows of a query: the key, when it finished or NULL, its text, its class. */
static int look_at(struct sqlite_store *store, const char *sql, struct store_range range,
                   int64_t own_bytes, const struct store_visitor *visitor,
                   struct histogram *histogram, struct store_survey *survey, int64_t *ret_last)
{
        sqlite3_stmt *row = NULL;
        int64_t looked = 0;

        int r = store_prepare(&store->jobs, sql, &row);
        if (r == 0)
                store_bind_range(row, 1, range);
        while (r >= 0 && (r = store_step(&store->jobs, row)) > 0) {
                *ret_last = sqlite3_column_int64(row, 0);
                if (sqlite3_column_type(row, 1) == SQLITE_NULL)
                        survey->rows++;
                else
                        add_final(histogram, survey, (enum store_class)sqlite3_column_int(row, 3),
                                  clock_wall_clamp(sqlite3_column_int64(row, 1)),
                                  own_bytes + sqlite3_column_bytes(row, 2));
                if (visitor->progress && looked++ % STORE_PROGRESS_ROWS == 0)
                        visitor->progress(visitor->arg, 0, 0);
        }
        (void)sqlite3_finalize(row);
        return r;
}

/* Finds the time from which on all fit, and counts them. */
static void find_begin(const struct histogram *histogram, enum store_class class, int64_t bytes_max,
                       struct store_survey *survey)
{
        const struct part *parts = histogram->parts[class];
        int64_t bytes = 0, part = PARTS;

        while (part > 0 && (bytes_max <= 0 || bytes < bytes_max)) {
                part--;
                bytes += parts[part].bytes;
                survey->rows += parts[part].rows;
                survey->final_read += parts[part].rows;
        }
        survey->finished_after_ms[class] = part_begin_ms(histogram, part) - 1;
}

int store_survey(struct sqlite_store *store, struct store_range range, int64_t finished_after_ms,
                 const struct store_visitor *visitor, struct store_survey *ret_survey)
{
        struct store_survey survey = {.now_ms = clock_wall_ms()};
        struct histogram *histogram = calloc(1, sizeof *histogram);

        if (!histogram)
                return -ENOMEM;
        histogram->first_ms = clock_wall_clamp(finished_after_ms) + 1;
        histogram->end_ms = survey.now_ms + 1;
        if (histogram->end_ms <= histogram->first_ms)
                histogram->end_ms = histogram->first_ms + 1;
        int r = look_at(store,
                        "SELECT number, finished, text, 0 FROM purchase"
                        " WHERE number BETWEEN ?1 AND ?2 ORDER BY number",
                        range,
                        sizeof(struct job) + sizeof(struct purchase) + sizeof(struct outcome),
                        visitor, histogram, &survey, &survey.last_number);
        if (r == 0)
                r = look_at(store,
                            "SELECT seq, finished, text, state = 3 FROM job WHERE purchase IS NULL"
                            " AND ?1 <= 0 ORDER BY seq",
                            range, sizeof(struct job) + sizeof(struct outcome), visitor, histogram,
                            &survey, &survey.last_seq);
        for (int class = 0; r == 0 && class < STORE_CLASSES; class ++)
                find_begin(histogram, (enum store_class) class, visitor->bytes_max, &survey);
        free(histogram);
        if (r == 0)
                *ret_survey = survey;
        return r;
}
