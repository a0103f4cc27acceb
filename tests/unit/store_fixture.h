/*
 * store_fixture: a store in a directory of its own for the tests, records for it, and faults of
 * the disk, which are injected below SQLite.
 */
#ifndef SOLVEGATE_TESTS_STORE_FIXTURE_H
#define SOLVEGATE_TESTS_STORE_FIXTURE_H

#include "base/loop.h"
#include "job/body.h"
#include "job/job.h"
#include "job/outcome.h"
#include "job/purchase.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PURCHASES_MAX 16 /* and jobs of one */

/* What was loaded when the store was opened last. */
struct loaded {
        struct purchase *purchase;
        struct outcome *outcome;
        int64_t finished;
};

struct fixture {
        char directory[64];
        char file[96];   /* jobs.db */
        char bodies[96]; /* bodies.db, which only the store can read while it is open */
        struct loop *loop;
        struct store *store;
        struct body_pool pool;
        const struct store_filter *filter; /* for what is loaded; NULL: everything */
        struct loaded purchases[PURCHASES_MAX];
        size_t purchase_count;
        struct job *ended;
        struct outcome *ended_outcome;
        int64_t number;
        int told, error; /* by records, the last one's error */
        struct body *body;
        char order[64];             /* of the clients whose records were told */
        char trail[256];            /* the entries that the audit was given, as "1:text 2:text " */
        _Atomic int64_t entries;    /* how many those are */
        _Atomic int64_t not_taken;  /* the entry that it does not take, once; 0: none */
        _Atomic int64_t last_entry; /* what it says to have on disk */
        int64_t flushed_entry;      /* the same once it is flushed; 0: as before */
        /* Called on the writer's thread with each entry that is given, after its commit; or NULL.
         */
        void (*at_entry)(struct fixture *f);
        /* Called when the store is loaded, before the writer runs; or NULL. */
        void (*before_start)(struct fixture *f);
};

/* A setup of the group: every store opened later is on a disk that can fail. */
int register_faults(void **state);

/*
 * After so many others a write fails with code, and all that follow; or a sync, when the code is
 * SQLITE_IOERR_FSYNC. fail_on() is for one database and the files beside it: "jobs.db".
 */
void fail_after(int calls, int code);
void fail_on(const char *name, int code);
void fail_never(void);

/* How often jobs.db or its log was synced, with register_faults(). */
int count_syncs(void);

/* Setups and the teardown of a test. make_directory() opens no store. */
int make_directory(void **state);
int make_store(void **state);
int clean_up(void **state);

#define ON_STORE(test)     cmocka_unit_test_setup_teardown(test, make_store, clean_up)
#define ON_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, clean_up)

/* Opens, loads and starts. With the trail emptied: it has what is given from then on. */
void load_from(struct fixture *f, int64_t finished_after_wall_ms);
void load(struct fixture *f);
void close_store(struct fixture *f);
void reload(struct fixture *f);

/* Opens the directory, which must fail with this in its sentence. */
void expect_refused(const struct fixture *f, const char *sentence);

/* As of struct store_visitor. */
int load_ended(void *arg, struct job *job, struct outcome *outcome, int64_t finished_wall_ms);

struct purchase *new_purchase(struct fixture *f);

/* Adds a job to the purchase's. */
struct job *add_job(struct purchase *purchase, const char *client, const char *key);
struct body *new_body(struct fixture *f, size_t len);

/* The rows that wait for the audit file. */
int64_t count_entries(const struct fixture *f);

/* A record that tells the fixture. record_for() has all jobs of the purchase. */
struct store_record *new_record(struct fixture *f);
struct store_record *record_for(struct fixture *f, enum store_purchase move,
                                struct purchase *purchase, enum job_state to);

/* Each waits until the store tells what has become of the record, and returns it. */
int write_record(struct fixture *f, struct store_record *record);
int write_queued(struct fixture *f, struct purchase *purchase);  /* with a body of 50,000 bytes */
int write_sending(struct fixture *f, struct purchase *purchase); /* opens a charge */
int write_sending_for(struct fixture *f, struct purchase *purchase, const struct job *payer,
                      int64_t wall_ms);
int write_solved(struct fixture *f, struct purchase *purchase); /* settles it */
int forget_jobs(struct fixture *f, const struct purchase *purchase);
int write_entry(struct fixture *f, const char *text); /* and nothing else */

/* Returns the length of a purchase's body, or -errno. */
int64_t fetch(struct fixture *f, int64_t number);

/* Waits until the store is well again, as nobody is told of that. */
void wait_until_healthy(const struct fixture *f);

/* Asks a database for a number, or changes it, as an operator may. */
int64_t ask_file(const char *file, const char *sql);
void run_on_file(const char *file, const char *sql);

/* Closes the store and counts the bodies that are left. */
int64_t close_and_count_bodies(struct fixture *f);

/* The length of a database or of a file beside it, or -1. */
int64_t file_bytes(const char *file, const char *suffix);

/* A file's first MiB; the caller frees it. */
char *read_whole(const char *file, size_t *ret_len);

#endif
