/*
 * audit_verify: `audit verify`. Several files are verified as one chain, in the order given.
 */
#include "ctl/command.h"
#include "ctl/complain.h"
#include "ctl/lines.h"
#include "ctl/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_DIRECTORY "/var/lib/solvegate"
#define FILE_NAME         "audit.jsonl"
#define STANDARD_INPUT    "-"
#define LINE_BEGIN        "{\"seq\":"

struct verifier {
        struct report report;
        struct audit_chain chain;
        bool by_default;    /* nobody has named the file */
        bool begun;         /* the chain hangs on a line that was read */
        bool recognised;    /* the current file has a line of an audit */
        int64_t piece_line; /* one that is no record, if the next does not tell of it; 0: none */
};

static struct report_file *current_file(struct verifier *verifier)
{
        return &verifier->report.files[verifier->report.files_count - 1];
}

/* The line before is not told of by the next one, or there is none. */
static void settle_piece(struct verifier *verifier)
{
        if (verifier->piece_line > 0)
                report_fault(&verifier->report, verifier->piece_line,
                             "is no line of an audit, or was cut off");
        verifier->piece_line = 0;
}

/* Lines between that are faulty may be some of those whose numbers are left out. */
static void report_missing(struct verifier *verifier, int64_t line, int64_t first, int64_t last,
                           int64_t faulty)
{
        int64_t missing = last - first + 1 - faulty;

        if (faulty == 0)
                report_fault(&verifier->report, line,
                             "lines before it are missing: seq %" PRId64 " to %" PRId64, first,
                             last);
        else
                report_fault(&verifier->report, line,
                             "lines before it are missing: %" PRId64 " of seq %" PRId64
                             " to %" PRId64,
                             missing, first, last);
}

static void report_gap(struct verifier *verifier, int64_t line, const struct audit_chain *before,
                       int64_t seq)
{
        if (!verifier->begun)
                report_fault(&verifier->report, line,
                             "lines before it are missing: a file begins with the event opened");
        else if (seq == before->seq + 1)
                report_fault(&verifier->report, line,
                             "tells of a line that was cut off before it, which is missing");
        else
                report_missing(verifier, line, before->seq + 1, seq - 1, before->faulty);
}

/* A sound line that is not where it belongs. */
static void report_place(struct verifier *verifier, int64_t line, int64_t before, int64_t seq)
{
        if (line == 1 && verifier->report.files_count > 1 && seq == 1)
                report_fault(&verifier->report, line,
                             "a chain begins anew; verify it alone, or give the oldest file first");
        else
                report_fault(&verifier->report, line,
                             "is out of place, or stands twice: seq %" PRId64 " after %" PRId64,
                             seq, before);
}

static void report_verdict(struct verifier *verifier, enum audit_verdict verdict, int64_t line,
                           const struct audit_chain *before, int64_t seq)
{
        struct report *report = &verifier->report;

        switch (verdict) {
        case AUDIT_SOUND:
                break;
        case AUDIT_SOUND_AFTER_PIECE:
                verifier->piece_line = 0;
                current_file(verifier)->pieces++;
                break;
        case AUDIT_NO_RECORD:
                settle_piece(verifier);
                verifier->piece_line = line;
                return;
        case AUDIT_CHANGED:
                report_fault(report, line, "was changed: its hash is not that of its text");
                break;
        case AUDIT_AFTER_GAP:
                report_gap(verifier, line, before, seq);
                break;
        case AUDIT_OUT_OF_PLACE:
                report_place(verifier, line, before->seq, seq);
                break;
        case AUDIT_AFTER_OTHER:
                report_fault(report, line,
                             "does not hang on the line before it, which was put in its place");
                break;
        }
}

/* Where the first line of all begins a file, what comes before its seq was not given. */
static void note_begin(struct verifier *verifier, const struct audit_line *read)
{
        if (verifier->begun || (!read->opened && read->seq != 1))
                return;
        verifier->report.begins_at = read->seq;
        verifier->report.begins_in = current_file(verifier)->name;
}

/* A file after the first may begin a chain of its own: that is told once, not of each line. */
static int begin_anew(struct verifier *verifier, const char *line, size_t len)
{
        enum audit_verdict verdict;

        audit_chain_init(&verifier->chain);
        return audit_chain_verify(&verifier->chain, line, len, true, &verdict);
}

static int verify_line(struct verifier *verifier, const char *line, size_t len)
{
        struct report_file *file = current_file(verifier);
        struct audit_line read = {0};
        enum audit_verdict verdict;
        const struct audit_chain before = verifier->chain;

        file->lines++;
        int r = audit_chain_verify(&verifier->chain, line, len, !verifier->begun, &verdict);
        if (r < 0)
                return r;
        if (verdict != AUDIT_NO_RECORD && verdict != AUDIT_SOUND_AFTER_PIECE)
                settle_piece(verifier);
        if (audit_line_read(line, len, &read) == 0)
                verifier->recognised = true;
        report_verdict(verifier, verdict, file->lines, &before, read.seq);
        if (verdict == AUDIT_NO_RECORD || verdict == AUDIT_CHANGED)
                return 0;
        note_begin(verifier, &read);
        verifier->begun = true;
        file->first_seq = file->first_seq > 0 ? file->first_seq : read.seq;
        file->last_seq = read.seq > file->last_seq ? read.seq : file->last_seq;
        if (verdict == AUDIT_OUT_OF_PLACE && file->lines == 1 && read.seq == 1)
                r = begin_anew(verifier, line, len);
        return r;
}

/* The last line of a file, which has no newline. */
static void verify_open_end(struct verifier *verifier, const char *line, size_t len)
{
        if (len >= strlen(LINE_BEGIN) && memcmp(line, LINE_BEGIN, strlen(LINE_BEGIN)) == 0)
                verifier->recognised = true;
        report_fault(&verifier->report, ++current_file(verifier)->lines,
                     "has no end: it was cut off, or is being written now");
}

/* That is told once, not of each line; and the chain goes on as if the file had not been given. */
static void report_foreign(struct verifier *verifier, const struct audit_chain *before)
{
        struct report_file *file = current_file(verifier);

        report_drop_faults(&verifier->report);
        report_fault(&verifier->report, 1,
                     file->lines > 0 ? "is no audit file"
                                     : "is no audit file: there is no line at all");
        file->foreign = true;
        verifier->chain = *before;
}

static int verify_lines(struct verifier *verifier, struct lines *lines)
{
        const struct audit_chain before = verifier->chain;
        const char *line;
        bool ended = true;
        size_t len;
        int r;

        verifier->recognised = false;
        while ((r = lines_next(lines, &line, &len, &ended)) > 0) {
                if (ended)
                        r = verify_line(verifier, line, len);
                else
                        verify_open_end(verifier, line, len);
                if (r < 0)
                        return r;
        }
        settle_piece(verifier);
        if (r == 0 && !verifier->recognised)
                report_foreign(verifier, &before);
        return r;
}

static int verify_descriptor(struct verifier *verifier, int fd)
{
        struct lines *lines = calloc(1, sizeof *lines);

        if (!lines)
                return -ENOMEM;
        lines->fd = fd;
        int r = verify_lines(verifier, lines);
        free(lines);
        return r;
}

static int verify_file(struct verifier *verifier, const char *name)
{
        bool standard_input = strcmp(name, STANDARD_INPUT) == 0;
        int fd = standard_input ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        int r = fd < 0 ? -errno : 0;
        struct report_file *file = &verifier->report.files[verifier->report.files_count++];
        file->name = name;
        if (r == 0)
                r = verify_descriptor(verifier, fd);
        if (r < 0)
                settle_piece(verifier);
        if (fd >= 0 && !standard_input)
                (void)close(fd);
        file->error = r;
        return r;
}

static void complain_of_file(const struct verifier *verifier, const char *name, int error)
{
        if (verifier->by_default && (error == -ENOENT || error == -ENOTDIR))
                (void)complain("%s: %s; name the file: solvegatectl audit verify "
                               "STATE_DIRECTORY/" FILE_NAME,
                               name, strerror(-error));
        else
                (void)complain("%s: %s", name, strerror(-error));
}

/* Without one of them, what hangs on it cannot be told: the files behind it are not read. */
static void verify_files(struct verifier *verifier, int count, char *const *names)
{
        for (int i = 0; i < count; i++) {
                int r = verify_file(verifier, names[i]);
                if (r < 0) {
                        complain_of_file(verifier, names[i], r);
                        return;
                }
        }
        if (verifier->begun)
                memcpy(verifier->report.last_hash, verifier->chain.hash,
                       sizeof verifier->report.last_hash);
}

/* As people need it: of nothing that was read there is nothing to say but the complaint. */
static bool found_anything(const struct report *report)
{
        return report->files_count > 1 || report->files[0].error == 0 || report->files[0].lines > 0;
}

static int verify(int count, char *const *names, bool by_default, bool json)
{
        struct verifier verifier = {.by_default = by_default};

        audit_chain_init(&verifier.chain);
        verifier.report.files = calloc((size_t)count, sizeof *verifier.report.files);
        if (!verifier.report.files)
                return complain("no memory");
        verify_files(&verifier, count, names);
        bool good = report_is_good(&verifier.report);
        if ((json || found_anything(&verifier.report)) && report_print(&verifier.report, json) != 0)
                good = false;
        free(verifier.report.files);
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_audit_verify(const struct arguments *arguments)
{
        const char *directory = getenv("STATE_DIRECTORY");
        char *name = NULL;

        if (arguments->count > 0)
                return verify(arguments->count, arguments->items, false, arguments->json);
        if (!directory || directory[0] == '\0')
                directory = DEFAULT_DIRECTORY;
        if (asprintf(&name, "%s/" FILE_NAME, directory) < 0)
                return complain("no memory");
        int status = verify(1, &name, true, arguments->json);
        free(name);
        return status;
}
