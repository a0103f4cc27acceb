/*
 * journal: the last requests on the API paths, in order of arrival.
 *
 * A request has its entry from the moment its headers were read, so one that is cut short is seen
 * too. One mutex; never held while another lock is taken. Thread: any.
 */
#ifndef SOLVEGATE_SIM_JOURNAL_H
#define SOLVEGATE_SIM_JOURNAL_H

#include "sim/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_JOURNAL_ENTRIES_MAX 4096

struct sim_journal;
struct strbuf;

/* The caller frees *ret_journal with sim_journal_free(). Returns 0 or -ENOMEM. */
int sim_journal_new(struct sim_journal **ret_journal);
void sim_journal_free(struct sim_journal *journal);

/*
 * Adds an entry; the oldest gives way when there are too many. headers_json is the headers as a
 * JSON object; the journal frees it, and NULL stands for headers that could not be kept. The
 * ticket names the entry in the calls below, which do nothing once the entry is gone.
 */
uint64_t sim_journal_add(struct sim_journal *journal, enum sim_endpoint endpoint,
                         const char *http_version, char *headers_json, bool credentials);

/* Notes the body as it was received. */
void sim_journal_set_body(struct sim_journal *journal, uint64_t ticket, size_t bytes,
                          const char *sha256_hex);

/* Notes the job that the request made, or asked for. */
void sim_journal_set_job(struct sim_journal *journal, uint64_t ticket, const char *id,
                         bool charged);

/* Forgets all entries. */
void sim_journal_clear(struct sim_journal *journal);

/* Appends all entries as one JSON array; whether it fits, the buffer tells. */
void sim_journal_write(struct sim_journal *journal, struct strbuf *out);

#endif
