/*
 * recover_lost: finds at the start that the database has lost what the audit file still has.
 *
 * Each charge has a number, which the database notes in the transaction of the charge, before the
 * audit file has it. If the file ends with a higher number than the database knows, the write-ahead
 * log of an earlier run was removed or damaged, or an older copy was restored. Then the charges of
 * the file count in the ledger and the budgets again, and an error says what is missing. A log that
 * is missing as a whole is found without a charge too (store_log_is_lost()): jobs that wait in the
 * database may have been sent.
 */
#ifndef SOLVEGATE_GATEWAY_RECOVER_LOST_H
#define SOLVEGATE_GATEWAY_RECOVER_LOST_H

struct audit;
struct config;
struct store;
struct strbuf;

/* Before store_load(), so that what is read afterwards has the charges. Returns 0 or -errno, with a
 * sentence in problem. */
int recover_lost(struct store *store, const struct audit *audit, const struct config *config,
                 struct strbuf *problem);

#endif
