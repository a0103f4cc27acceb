/*
 * audit_fixture: an audit in a directory of its own for the tests, and faults of its disk.
 */
#ifndef SOLVEGATE_TESTS_AUDIT_FIXTURE_H
#define SOLVEGATE_TESTS_AUDIT_FIXTURE_H

#include "audit/audit.h"
#include "audit/audit_chain.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
        char root[64];
        char directory[96]; /* made by the audit */
        char path[128], rotated[160];
        struct audit *audit;
        struct strbuf content;
};

/* Faults of the disk. */
extern atomic_int sync_errno;            /* what syncs fail with; 0: they do what they should */
extern atomic_int syncs;                 /* how many there were */
extern const char *_Atomic sync_removes; /* a file that is deleted within a sync, once; or NULL */
extern atomic_bool torn_writes;          /* a write writes half, and says that it failed */

/* Files of this process get no longer than that: a write is cut short, and then fails. */
void limit_files(rlim_t bytes);
int audit_set_up(void **state);
int audit_tear_down(void **state);
void open_audit(struct fixture *f);

/* Opens it and starts its thread. */
void start(struct fixture *f);
void stop(struct fixture *f);

/* It is not opened, for a reason with these words. */
void expect_refused(struct fixture *f, int error, const char *words);

/* Valid until the next call; also in content. */
const char *read_file(struct fixture *f, const char *path);
void write_file(const char *path, const char *text, size_t len);

/* Verifies all of a file, going on with a chain. Returns how many lines it has. */
size_t verify(struct fixture *f, const char *path, struct audit_chain *chain);
size_t verify_alone(struct fixture *f);
size_t occurrences(const char *text, const char *what);

/* Notes a refusal, of a client or of nobody known, or a charge. */
void refuse_client(struct fixture *f, const char *client);
void refuse(struct fixture *f);
void refuse_stranger(struct fixture *f);
int charge(struct fixture *f, int64_t entry);
void charge_and_wait(struct fixture *f, int64_t entry);

/* Whether the problem has these words; NULL: there is none. */
bool has_problem(struct fixture *f, const char *words);

#endif
