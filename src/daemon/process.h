/*
 * process: what is set for the process as a whole, before any thread is started.
 */
#ifndef SOLVEGATE_DAEMON_PROCESS_H
#define SOLVEGATE_DAEMON_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes sure that no core dump is written and that no process of the same user can read this one's
 * memory: both would show the API key, of which libraries keep copies that cannot be wiped.
 */
void process_protect_secrets(void);

/*
 * Removes SSLKEYLOGFILE from the environment, with which libcurl and GnuTLS would write the keys of
 * all TLS connections to a file, with which a recorded connection shows the API key and tokens.
 * Returns whether it was set. What else the libraries read is in solvegate(8).
 */
bool process_clean_environment(void);

/*
 * Makes the allocator return free memory at the end of each arena, and large blocks, to the kernel.
 * malloc_trim(3) returns free memory between blocks that are in use. To be called before threads
 * are created.
 */
void process_limit_slack(void);

/* Raises the limit of open files to what it may be. Returns the limit. */
size_t process_raise_file_limit(void);

#endif
