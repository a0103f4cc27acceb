/*
 * report: see report.h.
 */
#include "ctl/report.h"

#include "base/json_value.h"
#include "base/strbuf.h"
#include "ctl/complain.h"

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

static struct json_object *file_json(const struct report_file *file)
{
        struct json_object *object = JSON_OBJECT({"file", json_new_string(file->name)},
                                                 {"lines", json_new_integer(file->lines)},
                                                 {"first_seq", json_new_integer(file->first_seq)},
                                                 {"last_seq", json_new_integer(file->last_seq)},
                                                 {"cut_off", json_new_integer(file->pieces)},
                                                 {"faults", json_new_integer(file->faults)});

        if (file->error < 0)
                json_set(&object, "error", json_new_string(strerror(-file->error)));
        return object;
}

static struct json_object *report_json(const struct report *report)
{
        const char *hash = report->last_hash[0] != '\0' ? report->last_hash : NULL;
        struct json_object *files = json_new_array(), *faults = json_new_array();

        for (size_t i = 0; i < report->files_count; i++)
                json_append(&files, file_json(&report->files[i]));
        for (size_t i = 0; i < faults_kept(report); i++) {
                const struct report_fault *fault = &report->faults[i];
                json_append(&faults, JSON_OBJECT({"file", json_new_string(fault->file)},
                                                 {"line", json_new_integer(fault->line)},
                                                 {"what", json_new_string(fault->text)}));
        }
        return JSON_OBJECT(
                {"ok", json_new_bool(report_is_good(report))}, {"files", files}, {"faults", faults},
                {"faults_count", json_new_integer(report->faults_count)},
                {"begins_at", report->begins_at > 0 ? json_new_integer(report->begins_at) : NULL},
                {"last_hash", json_new_string(hash)});
}

int report_print(const struct report *report, bool json)
{
        struct strbuf out;

        strbuf_init(&out, JSON_BYTES_MAX);
        if (json) {
                json_write(report_json(report), &out);
                (void)strbuf_puts(&out, "\n");
        } else {
                append_text(report, &out);
        }
        return print_out(&out);
}
