/*
 * pause: bounds what one turn of libmicrohttpd does for bodies that come.
 *
 * A turn reads once from each connection that is ready: with 1,000 of them, whose bodies come in
 * chunks of a byte, that takes 0.3 s. So pieces of bodies count as work. Once a turn has done
 * PAUSE_TURN_WORK, or while another connection is paused, a connection is suspended after its piece
 * and joins the end of a line. Each turn begins with those at the head, as many as make
 * PAUSE_TURN_WORK together by what each did last. So no connection is passed over.
 *
 * A connection whose message has come to its end is not paused: libmicrohttpd would read from it
 * before the answer (request.c).
 *
 * A TLS handshake needs a signature, which takes milliseconds. Once handshakes have taken
 * PAUSE_HANDSHAKE_US of a turn, the others go on in the next turns, the oldest first: libmicrohttpd
 * keeps a connection in its list of ready ones until its handshake is over. A turn does one step at
 * least. A step that only found nothing to read is not counted.
 *
 * Thread: the server's loop.
 */
#ifndef SOLVEGATE_HTTP_PAUSE_H
#define SOLVEGATE_HTTP_PAUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAUSE_TURN_WORK    (1024 * 1024) /* in bytes */
#define PAUSE_PIECE_WORK   256 /* of a piece, besides its bytes; a chunk is one at least */
#define PAUSE_HANDSHAKE_US 5000

struct request;
struct server;

/* A piece of the request's body has been read. To be called in the access handler, at its end. */
void pause_count(struct request *request, size_t bytes);

/* Returns whether a TLS handshake may go on in this turn. */
bool pause_may_handshake(struct server *server);

/* A step of a handshake took so many microseconds. */
void pause_count_handshake(struct server *server, int64_t us);

/* A turn begins: resumes the connections at the head of the line. */
void pause_turn(struct server *server);

/* The last turn comes: all are resumed, and none is paused any more. */
void pause_end(struct server *server);

#endif
