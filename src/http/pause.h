/*
 * pause: bounds what one turn of libmicrohttpd does.
 *
 * A turn reads once from each connection that is ready, and handles what it has read: with 1,000 of
 * them, whose bodies come in chunks of a byte, or whose requests have many arguments, that takes
 * 0.3 s. So headers, requests and pieces of bodies count as work. Once a turn has done
 * PAUSE_TURN_WORK, or while another connection is paused, a connection that is to be read is
 * suspended before that, and joins the end of a line. To libmicrohttpd it is as if the bytes had
 * come later.
 *
 * Each turn resumes connections from the head of the line. How many, is only an estimate, by what
 * each did last. Once the turn has done PAUSE_TURN_WORK, the others that it has resumed are passed
 * over: they are suspended again, and the next turns resume them alone. One resumed connection is
 * read in each turn, and no other before all resumed ones. So a turn does at most PAUSE_TURN_WORK
 * and the work of one read, and each connection in the line is read after a limited number of
 * turns.
 *
 * Requests that were read with one before them are counted, but do not wait.
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

#define PAUSE_TURN_WORK        (1024 * 1024)
#define PAUSE_HEADER_BYTE_WORK 4    /* of each byte of a header */
#define PAUSE_REQUEST_WORK     2048 /* of a request, besides its bytes */
#define PAUSE_PIECE_WORK       256  /* of a piece of a body, besides its bytes */
#define PAUSE_LOOK_WORK        8    /* of each connection that is looked at for a seat */
#define PAUSE_HANDSHAKE_US     5000

struct client_connection;
struct server;

/*
 * libmicrohttpd is about to read from a connection that has no error to tell of. Returns whether it
 * is paused: the connection is suspended, and is to be read in another turn; then the read has to
 * fail with EAGAIN.
 */
bool pause_read(struct client_connection *connection);

/* libmicrohttpd was to read from a connection, and may not: it has ended, or waits. */
void pause_skip(struct client_connection *connection);

/*
 * Counts as work: a read of so many bytes in which a header came, or a part of it; a request whose
 * header is complete; a piece of a body; a search for a seat among so many connections.
 */
void pause_count_header(struct client_connection *connection, size_t bytes);
void pause_count_request(struct client_connection *connection);
void pause_count_body(struct client_connection *connection, size_t bytes);
void pause_count_search(struct client_connection *connection, size_t looked);

/* Returns whether a TLS handshake may go on in this turn. */
bool pause_may_handshake(struct server *server);

/* A step of a handshake took so many microseconds. */
void pause_count_handshake(struct server *server, int64_t us);

/* A turn begins: resumes the connections at the head of the line. */
void pause_turn(struct server *server);

/* The last turn comes: all are resumed, and none is paused any more. */
void pause_end(struct server *server);

#endif
