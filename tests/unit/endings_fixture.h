/*
 * endings_fixture: what tests of jobs that end by themselves share, beside scheduler_fixture.
 */
#ifndef SOLVEGATE_TESTS_ENDINGS_FIXTURE_H
#define SOLVEGATE_TESTS_ENDINGS_FIXTURE_H

#include "scheduler_fixture.h"

#define MANY 1000 /* jobs: several batches */

/* Submits a job as if the store had the rows of it and its purchase. */
struct job *submit_as(struct fixture *f, const char *client, const char *task);

/* What is reserved in the client's quota. */
int64_t reserved_by(struct fixture *f, const char *client);

/* Writes the rows of up to 8 jobs and their purchases. */
void keep_all(struct fixture *f, struct job *const jobs[], size_t count);

/* Runs the loop until the store has everything. */
void run_until_written(struct fixture *f);

/* For entry_cancel_unwanted(): copies the counts to a structure of that type. */
void on_reviewed(void *arg, const struct entry_unwanted_counts *counts);

/* Delivers mail that tells nothing. */
void ignore_mail(struct mail *mail);

/* Of the jobs of the fixture, those that have ended by themselves. */
size_t count_ended(const struct fixture *f);

/* A loop that ends when there is nothing left to do, and in each of its turns is looked at. */
struct watched {
        struct fixture *f;
        struct mail mail;
        size_t turns;       /* as often as it was looked at */
        size_t ended;       /* jobs, when it was looked at last */
        size_t ended_max;   /* in one turn */
        size_t endings_max; /* on their way to the store */
};

/* Runs the loop until the scheduler has no mail on the way, and the store, if it runs, no record.
 */
struct watched run_watched(struct fixture *f);

#endif
