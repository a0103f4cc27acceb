/*
 * audit_fixture: see audit_fixture.h.
 */
#include "audit_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define FILE_BYTES_MAX (16 << 20)

atomic_int sync_errno;
atomic_int syncs;
const char *_Atomic sync_removes;
atomic_bool torn_writes;

/* In place of the library's. */
ssize_t write(int fd, const void *bytes, size_t len)
{
        if (!atomic_load(&torn_writes) || len < 2 || fd <= STDERR_FILENO)
                return syscall(SYS_write, fd, bytes, len);
        (void)syscall(SYS_write, fd, bytes, len / 2);
        errno = EIO;
        return -1;
}

/* The same. The disk is not asked, which may be busy: nothing here has to outlive a crash. */
int fdatasync(int fd)
{
        atomic_fetch_add(&syncs, 1);
        if (atomic_load(&sync_errno) != 0) {
                errno = atomic_load(&sync_errno);
                return -1;
        }
        const char *removed = atomic_exchange(&sync_removes, NULL);
        if (removed)
                (void)unlink(removed);
        return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

void limit_files(rlim_t bytes)
{
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

int audit_set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof *f);

        (void)signal(SIGXFSZ, SIG_IGN); /* of limit_files(); in the daemon it is blocked */
        strcpy(f->root, "/tmp/test_audit.XXXXXX");
        assert_non_null(mkdtemp(f->root));
        (void)snprintf(f->directory, sizeof f->directory, "%s/state", f->root);
        (void)snprintf(f->path, sizeof f->path, "%s/audit.jsonl", f->directory);
        (void)snprintf(f->rotated, sizeof f->rotated, "%s.1", f->path);
        *state = f;
        return 0;
}

int audit_tear_down(void **state)
{
        struct fixture *f = *state;

        limit_files(RLIM_INFINITY);
        atomic_store(&sync_errno, 0);
        atomic_store(&torn_writes, false);
        audit_close(f->audit);
        strbuf_done(&f->content);
        (void)unlink(f->path);
        (void)unlink(f->rotated);
        (void)rmdir(f->path);
        assert_int_equal(access(f->directory, F_OK) == 0 ? rmdir(f->directory) : 0, 0);
        assert_int_equal(rmdir(f->root), 0);
        free(f);
        return 0;
}

void open_audit(struct fixture *f)
{
        struct strbuf problem;

        strbuf_init(&problem, 1024);
        if (audit_open(f->path, &f->audit, &problem) < 0)
                fail_msg("%s", problem.data);
        strbuf_done(&problem);
}

void start(struct fixture *f)
{
        open_audit(f);
        assert_int_equal(audit_start(f->audit), 0);
}

void stop(struct fixture *f)
{
        audit_close(f->audit);
        f->audit = NULL;
}

void expect_refused(struct fixture *f, int error, const char *words)
{
        struct strbuf problem;

        strbuf_init(&problem, 1024);
        assert_int_equal(audit_open(f->path, &f->audit, &problem), error);
        assert_null(f->audit);
        assert_non_null(strstr(problem.data, f->path));
        assert_non_null(strstr(problem.data, words));
        strbuf_done(&problem);
}

const char *read_file(struct fixture *f, const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char block[65536];
        ssize_t n;

        assert_true(fd >= 0);
        strbuf_done(&f->content);
        strbuf_init(&f->content, FILE_BYTES_MAX);
        assert_int_equal(strbuf_puts(&f->content, ""), 0);
        while ((n = read(fd, block, sizeof block)) > 0)
                assert_int_equal(strbuf_append(&f->content, block, (size_t)n), 0);
        (void)close(fd);
        return f->content.data;
}

void write_file(const char *path, const char *text, size_t len)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, len), len);
        (void)close(fd);
}

size_t verify(struct fixture *f, const char *path, struct audit_chain *chain)
{
        const char *next = read_file(f, path), *newline;
        enum audit_verdict verdict = AUDIT_SOUND;
        size_t lines = 0;

        while ((newline = strchr(next, '\n'))) {
                bool piece = verdict == AUDIT_NO_RECORD;
                assert_int_equal(
                        audit_chain_verify(chain, next, (size_t)(newline - next), false, &verdict),
                        0);
                if (piece)
                        assert_int_equal(verdict, AUDIT_SOUND_AFTER_PIECE);
                else
                        assert_true(verdict == AUDIT_SOUND || verdict == AUDIT_NO_RECORD);
                next = newline + 1;
                lines++;
        }
        assert_int_equal(verdict == AUDIT_NO_RECORD, 0);
        assert_int_equal(*next, '\0');
        return lines;
}

size_t verify_alone(struct fixture *f)
{
        struct audit_chain chain;

        audit_chain_init(&chain);
        return verify(f, f->path, &chain);
}

size_t occurrences(const char *text, const char *what)
{
        size_t count = 0;

        while ((text = strstr(text, what))) {
                text += strlen(what);
                count++;
        }
        return count;
}

void refuse_client(struct fixture *f, const char *client)
{
        const struct audit_event event = {
                .wall_ms = 1795363545123,
                .event = "refused",
                .client = client,
                .address = "192.0.2.7",
                .site = "example.net",
                .outcome = "site_not_allowed",
        };

        audit_refused(f->audit, &event);
}

void refuse(struct fixture *f)
{
        refuse_client(f, "ci");
}

void refuse_stranger(struct fixture *f)
{
        refuse_client(f, NULL);
}

int charge(struct fixture *f, int64_t entry)
{
        const struct audit_event event = {
                .wall_ms = 1795363545123,
                .event = "charged",
                .client = "ci",
                .job = "h-1",
                .upstream = "pro",
                .outcome = "solved",
                .charge = AUDIT_CHARGED,
                .day = 20779,
        };
        char *members = audit_describe(&event);

        assert_non_null(members);
        int r = audit_entry(f->audit, entry, members);
        free(members);
        return r;
}

void charge_and_wait(struct fixture *f, int64_t entry)
{
        assert_int_equal(charge(f, entry), 0);
        WAIT_UNTIL(audit_last_entry(f->audit) == entry);
}

bool has_problem(struct fixture *f, const char *words)
{
        char text[1024];

        audit_problem(f->audit, text, sizeof text);
        return words ? strstr(text, words) != NULL : text[0] == '\0';
}
