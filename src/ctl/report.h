/*
 * report: what verifying the audit has found, for people or as JSON.
 */
#ifndef SOLVEGATE_CTL_REPORT_H
#define SOLVEGATE_CTL_REPORT_H

#include "audit/audit_chain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_FAULTS_MAX     20 /* beyond, they are only counted */
#define REPORT_TEXT_BYTES_MAX 160

struct report_file {
        const char *name;
        int64_t lines;
        int64_t first_seq, last_seq; /* of its sound lines; 0: it has none */
        int64_t faults;
        int64_t pieces; /* lines that were cut off in a crash, and told of */
        int error;      /* it could not be read, or not to its end: -errno; or 0 */
        bool foreign;   /* no line of an audit is in it */
};

struct report_fault {
        const char *file;
        int64_t line;
        char text[REPORT_TEXT_BYTES_MAX];
};

struct report {
        struct report_file *files;
        size_t files_count;
        struct report_fault faults[REPORT_FAULTS_MAX];
        int64_t faults_count; /* all of them */
        char last_hash[AUDIT_HASH_CHARS + 1];
        int64_t begins_at;     /* the chain's first seq; 0: no line says that it begins there */
        const char *begins_in; /* that line's file */
};

/* Notes a fault of the last file. */
void report_fault(struct report *report, int64_t line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Forgets the faults of the last file. */
void report_drop_faults(struct report *report);

/* Whether there is neither a fault nor a file that could not be read. */
bool report_is_good(const struct report *report);

/* Prints it. Returns 0, or EXIT_FAILURE after a complaint. */
int report_print(const struct report *report, bool json);

#endif
