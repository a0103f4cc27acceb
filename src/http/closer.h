/*
 * closer: closes connections whose client may still be sending.
 *
 * When a socket with unread data is closed, TCP resets the connection, and the client may lose the
 * response that was sent before (RFC 9112, 9.6). So such a socket is half-closed, and what comes is
 * read and dropped until the client closes its side, too, or for CLOSER_MS. A tick of its timer
 * drops at most CLOSER_TICK_BYTES, and a share of them from each connection.
 *
 * Thread: the loop's.
 */
#ifndef SOLVEGATE_HTTP_CLOSER_H
#define SOLVEGATE_HTTP_CLOSER_H

#define CLOSER_MS         2000
#define CLOSER_MAX        256 /* connections at once; beyond that the oldest one is closed */
#define CLOSER_TICK_BYTES ((size_t)4 * 1024 * 1024)

#include <stdbool.h>

struct closer;
struct loop;

/* Adds to *files each socket that it keeps open, and subtracts it when it is closed. Returns 0 or
 * -errno. */
int closer_new(struct loop *loop, _Atomic int *files, struct closer **ret_closer);

/* Closes the socket that is kept open longest. Returns false if there is none. */
bool closer_end_oldest(struct closer *closer);

/* Closes what is still open. Takes NULL. */
void closer_free(struct closer *closer);

/*
 * Half-closes the connection of a socket and keeps it open through a duplicate: the caller closes
 * its own descriptor right after. Without memory or descriptors the connection is not kept.
 */
void closer_add(struct closer *closer, int fd);

#endif
