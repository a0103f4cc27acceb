/*
 * parse: where a request's body is parsed: on the loop, or off it if it is large or much was parsed
 * on the loop in this turn already (job/parser.h).
 */
#ifndef SOLVEGATE_HTTP_PARSE_H
#define SOLVEGATE_HTTP_PARSE_H

#include <stdbool.h>

#define PARSE_ON_LOOP_BYTES_MAX (256 * 1024)
#define PARSE_TURN_BYTES_MAX    (512 * 1024) /* of all bodies in one turn of a server */

struct parse;
struct request;

/*
 * Holds the request until its body has been parsed off the loop. Returns whether it is held. If
 * not, the request is refused, request->parse is done, or, without one, the body is to be parsed
 * on the loop with parse_here(). To be called again when the request is held no more.
 */
bool parse_hold(struct request *request);

/* Parses the body, which becomes the parse's; the caller ends it with parse_done(). */
void parse_here(struct request *request, struct parse *ret_parse);

/* Frees request->parse, if there is one. Requires that the request is not held. */
void parse_end(struct request *request);

#endif
