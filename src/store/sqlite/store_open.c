/*
 * store_open: the state directory, its lock, and its two databases, which belong together.
 */
#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/store_private.h"

#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_BYTES  21 /* a number of 64 bits, right-aligned, and a newline */
#define SELECT_MARK "SELECT number FROM mark"

/* ---- the log that a run was using ---- */

void store_note_log(struct sqlite_store *store)
{
        char text[LOCK_BYTES + 1];
        int64_t number = 0;

        if (store_number(&store->jobs, SELECT_MARK, &number) < 0)
                return;
        (void)snprintf(text, sizeof text, "%*" PRId64 "\n", LOCK_BYTES - 1, number);
        ssize_t written = pwrite(store->lock_fd, text, LOCK_BYTES, 0);
        (void)written;
}

/* Whether the log that the last run was using is not the one that is there, nor was written back:
 * it was removed, or an older copy of the file was put in place. */
static int look_for_log(struct sqlite_store *store)
{
        char text[LOCK_BYTES + 1] = "";
        int64_t number = 0;

        ssize_t len = pread(store->lock_fd, text, LOCK_BYTES, 0);
        int r = len < 0 ? -errno : store_number(&store->jobs, SELECT_MARK, &number);
        if (r < 0)
                return r;
        store->log_lost = len == LOCK_BYTES && strtoll(text, NULL, 10) > number;
        return 0;
}

bool sqlite_log_is_lost(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        return store->log_lost;
}

/* ---- opening ---- */

/* The directory and its lock, which is held until the process ends or the store is closed. */
static int lock_directory(struct sqlite_store *store, struct strbuf *problem)
{
        int r = 0;

        if (mkdir(store->directory, 0700) < 0 && errno != EEXIST)
                r = -errno;
        int directory = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0) {
                r = r < 0 ? r : -errno;
                (void)strbuf_printf(problem, "the state directory %s cannot be used: %s",
                                    store->directory, strerror(-r));
                return r;
        }
        store->lock_fd =
                openat(directory, STORE_LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        r = store->lock_fd < 0 ? -errno : 0;
        (void)close(directory);
        if (r == 0 && flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
                r = -errno;
        if (r == -EWOULDBLOCK)
                (void)strbuf_printf(problem,
                                    "the state directory %s is in use by another solvegate; give "
                                    "each its own state_directory",
                                    store->directory);
        else if (r < 0)
                (void)strbuf_printf(problem, "%s/" STORE_LOCK_FILE " cannot be locked: %s",
                                    store->directory, strerror(-r));
        return r;
}

static int say_failed(struct sqlite_store *store, int r, const char *what, struct strbuf *problem)
{
        char reason[STORE_PROBLEM_BYTES];

        sqlite_problem(&store->base, reason, sizeof reason);
        (void)strbuf_printf(problem, "the store could not be %s: %s", what,
                            reason[0] != '\0' ? reason : strerror(-r));
        return r;
}

static int open_or_make(struct store_file *file, bool is_there, struct strbuf *problem)
{
        int r = is_there ? 0 : store_file_make(file);

        if (r < 0)
                return say_failed(file->store, r, "made", problem);
        r = store_file_open(file);
        return r < 0 ? say_failed(file->store, r, "opened", problem) : 0;
}

/*
 * The other file is not there. It may be made anew where nothing needs it: then the daemon ended
 * between making the two, or somebody took away what had done its service.
 */
static int check_alone(struct store_file *file, struct strbuf *problem)
{
        struct sqlite_store *store = file->store;
        bool is_jobs = file == &store->jobs;
        int64_t count = 0;

        int r = store_number(file,
                             is_jobs ? "SELECT count(*) FROM purchase WHERE state = 0"
                                     : "SELECT count(*) FROM (SELECT 1 FROM body LIMIT 1)",
                             &count);
        if (r < 0)
                return say_failed(store, r, "opened", problem);
        if (count == 0)
                return 0;
        (void)strbuf_printf(problem,
                            is_jobs ? "%s is missing, and jobs in %s wait for their bodies in it; "
                                      "bring it back, or move both away to lose those jobs"
                                    : "%s is missing, and %s has bodies of its jobs; "
                                      "bring it back, or move both away to lose those jobs",
                            is_jobs ? store->bodies.path : store->jobs.path, file->path);
        return -ENOENT;
}

static int open_files(struct sqlite_store *store, struct strbuf *problem)
{
        int jobs = store_file_check(&store->jobs, problem);
        if (jobs < 0 && jobs != -ENOENT)
                return jobs;
        int bodies = store_file_check(&store->bodies, problem);
        if (bodies < 0 && bodies != -ENOENT)
                return bodies;

        struct store_file *first = jobs == 0 ? &store->jobs : &store->bodies;
        struct store_file *second = jobs == 0 ? &store->bodies : &store->jobs;
        int r = open_or_make(first, jobs == 0 || bodies == 0, problem);
        if (r == 0 && (jobs == 0) != (bodies == 0))
                r = check_alone(first, problem);
        if (r == 0)
                r = open_or_make(second, jobs == 0 && bodies == 0, problem);
        return r;
}

static bool name_file(struct store_file *file, struct sqlite_store *store,
                      const struct store_kind *kind)
{
        file->store = store;
        file->kind = kind;
        if (asprintf(&file->path, "%s/%s", store->directory, kind->name) < 0)
                file->path = NULL;
        return file->path != NULL;
}

static int new_store(const char *directory, struct sqlite_store **ret_store)
{
        pthread_condattr_t monotonic;
        struct sqlite_store *store = calloc(1, sizeof *store);

        if (!store)
                return -ENOMEM;
        store->base.backend = &sqlite_backend;
        store->lock_fd = -1;
        store_watch_init(&store->watch);
        atomic_init(&store->next_number, 1);
        (void)pthread_mutex_init(&store->mutex, NULL);
        (void)pthread_condattr_init(&monotonic);
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&store->wake, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
        store->directory = strdup(directory);
        if (!store->directory || !name_file(&store->jobs, store, &store_jobs_kind) ||
            !name_file(&store->bodies, store, &store_bodies_kind)) {
                store_done(store);
                return -ENOMEM;
        }
        *ret_store = store;
        return 0;
}

void store_done(struct sqlite_store *store)
{
        struct store_file *const files[] = {&store->jobs, &store->bodies};

        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
                if (files[i]->db)
                        store_file_close(files[i]);
                free(files[i]->path);
        }
        if (store->lock_fd >= 0)
                (void)close(store->lock_fd);
        store_forget_done(store);
        store_watch_done(&store->watch);
        (void)pthread_cond_destroy(&store->wake);
        (void)pthread_mutex_destroy(&store->mutex);
        free(store->directory);
        free(store);
}

int sqlite_store_open(const char *directory, struct store **ret_store, struct strbuf *problem)
{
        struct sqlite_store *store = NULL;

        int r = new_store(directory, &store);
        if (r < 0) {
                (void)strbuf_puts(problem, strerror(-r));
                return r;
        }
        r = lock_directory(store, problem);
        if (r == 0)
                r = open_files(store, problem);
        if (r == 0) {
                r = look_for_log(store);
                if (r == 0)
                        r = store_watch_begin(store);
                if (r < 0)
                        (void)strbuf_printf(problem, "%s cannot be examined: %s", store->directory,
                                            strerror(-r));
        }
        if (r < 0) {
                store_done(store);
                return r;
        }
        *ret_store = &store->base;
        return 0;
}
