/*
 * record: see record.h.
 */
#include "store/record.h"

#include "job/body.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"

#include <stddef.h>
#include <stdlib.h>

struct store_record *store_record_of(struct store_item *item)
{
        return (struct store_record *)((char *)item - offsetof(struct store_record, item));
}

struct store_fetch *store_fetch_of(struct store_item *item)
{
        return (struct store_fetch *)((char *)item - offsetof(struct store_fetch, item));
}

struct store_record *store_record_new(void)
{
        return calloc(1, sizeof(struct store_record));
}

void store_record_free(struct store_record *record)
{
        if (!record)
                return;
        for (size_t i = 0; i < record->job_count; i++)
                job_unref(record->jobs[i]);
        free(record->jobs);
        for (size_t i = 0; i < record->ending_count; i++) {
                job_unref(record->endings[i].job);
                outcome_unref(record->endings[i].outcome);
        }
        free(record->endings);
        for (size_t i = 0; i < record->dropped_count; i++)
                purchase_unref(record->dropped[i]);
        free(record->dropped);
        free(record->forget);
        free(record->audit);
        free(record->asked_at);
        job_unref(record->ended);
        body_unref(record->body);
        outcome_unref(record->outcome);
        purchase_unref(record->purchase);
        free(record);
}

static void deliver_record(struct mail *mail)
{
        struct store_record *record =
                (struct store_record *)((char *)mail - offsetof(struct store_record, mail));

        record->done(record, record->error, record->arg);
        store_record_free(record);
}

static void deliver_fetch(struct mail *mail)
{
        struct store_fetch *fetch =
                (struct store_fetch *)((char *)mail - offsetof(struct store_fetch, mail));

        fetch->done(fetch, fetch->error, fetch->body);
}

void store_record_complete(struct store_record *record, int error)
{
        record->error = error;
        record->mail.deliver = deliver_record;
        if (record->done)
                loop_post(record->loop, &record->mail);
        else
                store_record_free(record);
}

void store_fetch_complete(struct store_fetch *fetch, int error)
{
        fetch->error = error;
        fetch->mail.deliver = deliver_fetch;
        loop_post(fetch->loop, &fetch->mail);
}
