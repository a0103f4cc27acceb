/*
 * report: see report.h.
 */
#include "ctl/report.h"

#include "base/strbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JSON_BYTES_MAX (64 << 20) /* file names come from the command line, which is bounded */

void report_fault(struct report *report, int64_t line, const char *format, ...)
{
        struct report_file *file = &report->files[report->files_count - 1];
        va_list arguments;

        file->faults++;
        if (report->faults_count++ >= REPORT_FAULTS_MAX)
                return;
        struct report_fault *fault = &report->faults[report->faults_count - 1];
        fault->file = file->name;
        fault->line = line;
        va_start(arguments, format);
        (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
        va_end(arguments);
}

void report_drop_faults(struct report *report)
{
        struct report_file *file = &report->files[report->files_count - 1];

        report->faults_count -= file->faults;
        file->faults = 0;
}

static size_t faults_kept(const struct report *report)
{
        return report->faults_count < REPORT_FAULTS_MAX ? (size_t)report->faults_count
                                                        : REPORT_FAULTS_MAX;
}

bool report_is_good(const struct report *report)
{
        for (size_t i = 0; i < report->files_count; i++)
                if (report->files[i].error < 0)
                        return false;
        return report->faults_count == 0;
}

static void append_file_text(const struct report_file *file, struct strbuf *out)
{
        (void)strbuf_printf(out, "%s: %" PRId64 " lines", file->name, file->lines);
        if (file->last_seq > 0)
                (void)strbuf_printf(out, ", seq %" PRId64 " to %" PRId64, file->first_seq,
                                    file->last_seq);
        if (file->pieces > 0)
                (void)strbuf_printf(out, ", %" PRId64 " cut off in a crash", file->pieces);
        if (file->faults > 0)
                (void)strbuf_printf(out, ", %" PRId64 " faulty", file->faults);
        if (file->error < 0)
                (void)strbuf_printf(out, ", could not be read: %s", strerror(-file->error));
        (void)strbuf_puts(out, file->faults == 0 && file->error == 0 ? ", ok\n" : "\n");
}

static void append_text(const struct report *report, struct strbuf *out)
{
        for (size_t i = 0; i < faults_kept(report); i++)
                (void)strbuf_printf(out, "%s:%" PRId64 ": %s\n", report->faults[i].file,
                                    report->faults[i].line, report->faults[i].text);
        if (report->faults_count > REPORT_FAULTS_MAX)
                (void)strbuf_printf(out, "and %" PRId64 " more\n",
                                    report->faults_count - REPORT_FAULTS_MAX);
        for (size_t i = 0; i < report->files_count; i++)
                if (!report->files[i].foreign)
                        append_file_text(&report->files[i], out);
        if (report->begins_at > 1)
                (void)strbuf_printf(
                        out, "%s: begins with seq %" PRId64 ": files before it were not given\n",
                        report->begins_in, report->begins_at);
        if (report->last_hash[0] != '\0')
                (void)strbuf_printf(out, "last hash %s\n", report->last_hash);
}

static void append_name(struct strbuf *out, const char *name)
{
        (void)strbuf_puts(out, "{\"file\":");
        (void)strbuf_append_json_string(out, name, strlen(name));
}

static void append_file_json(const struct report_file *file, struct strbuf *out)
{
        append_name(out, file->name);
        (void)strbuf_printf(out,
                            ",\"lines\":%" PRId64 ",\"first_seq\":%" PRId64 ",\"last_seq\":%" PRId64
                            ",\"cut_off\":%" PRId64 ",\"faults\":%" PRId64,
                            file->lines, file->first_seq, file->last_seq, file->pieces,
                            file->faults);
        if (file->error < 0) {
                const char *text = strerror(-file->error);
                (void)strbuf_puts(out, ",\"error\":");
                (void)strbuf_append_json_string(out, text, strlen(text));
        }
        (void)strbuf_puts(out, "}");
}

static void append_json(const struct report *report, struct strbuf *out)
{
        (void)strbuf_printf(out, "{\"ok\":%s,\"files\":[",
                            report_is_good(report) ? "true" : "false");
        for (size_t i = 0; i < report->files_count; i++) {
                (void)strbuf_puts(out, i == 0 ? "" : ",");
                append_file_json(&report->files[i], out);
        }
        (void)strbuf_puts(out, "],\"faults\":[");
        for (size_t i = 0; i < faults_kept(report); i++) {
                const struct report_fault *fault = &report->faults[i];
                (void)strbuf_puts(out, i == 0 ? "" : ",");
                append_name(out, fault->file);
                (void)strbuf_printf(out, ",\"line\":%" PRId64 ",\"what\":", fault->line);
                (void)strbuf_append_json_string(out, fault->text, strlen(fault->text));
                (void)strbuf_puts(out, "}");
        }
        (void)strbuf_printf(out,
                            "],\"faults_count\":%" PRId64 ",\"begins_at\":", report->faults_count);
        if (report->begins_at > 0)
                (void)strbuf_printf(out, "%" PRId64, report->begins_at);
        else
                (void)strbuf_puts(out, "null");
        (void)strbuf_puts(out, ",\"last_hash\":");
        if (report->last_hash[0] != '\0')
                (void)strbuf_printf(out, "\"%s\"}\n", report->last_hash);
        else
                (void)strbuf_puts(out, "null}\n");
}

int report_print(const struct report *report, bool json)
{
        struct strbuf out;
        int r = 0;

        strbuf_init(&out, JSON_BYTES_MAX);
        if (json)
                append_json(report, &out);
        else
                append_text(report, &out);
        if (out.failed)
                r = -ENOMEM;
        else if (fwrite(out.data, 1, out.len, stdout) < out.len || fflush(stdout) != 0)
                r = -errno;
        strbuf_done(&out);
        return r;
}
