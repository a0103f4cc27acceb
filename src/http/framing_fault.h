/*
 * framing_fault: what may be wrong with a message; only framing.c includes it.
 */
#ifndef SOLVEGATE_HTTP_FRAMING_FAULT_H
#define SOLVEGATE_HTTP_FRAMING_FAULT_H

#include "http/framing_field.h"

#define BAD(name, text) static const struct framing_fault name = {400, "bad_request", text}

BAD(bad_line_end, "a line ends with CR LF; there is a CR or an LF alone");
BAD(bad_method, "the request line does not begin with a method and one space");
BAD(bad_target_control, "the target has a control character; encoded ones are not allowed either");
BAD(bad_target_utf8, "the target is not valid UTF-8; encode text as UTF-8, then with %XX");
BAD(bad_target_encoding, "the target has a % without two hexadecimal digits; write % as %25");
BAD(bad_target_form, "the target is not a path that begins with /, nor http://HOST/PATH");
BAD(bad_version, "the request line does not end with one space and HTTP/1.1");
BAD(bad_fold, "a field line begins with a space: folded lines are not allowed (RFC 9112, 5.2)");
BAD(bad_name, "a field name is missing or invalid, or is not followed by a colon at once");
BAD(bad_value, "a field value has a control character");
BAD(bad_length, "the Content-Length is not a number, or has something before or after it");
BAD(bad_coding, "the Transfer-Encoding is not chunked, once and alone");
BAD(bad_coding_1_0, "HTTP/1.0 has no Transfer-Encoding; use HTTP/1.1");
BAD(bad_both, "Content-Length and Transfer-Encoding are both present; send one");
BAD(bad_no_host, "the Host field is missing");
BAD(bad_chunk, "a chunk is malformed (RFC 9112, 7.1)");
BAD(bad_trailer, "a field in the trailer is not allowed there, or the trailer is too large");

static const struct framing_fault version_unsupported = {
        505, "bad_request", "the HTTP version is not supported; use HTTP/1.1"};
static const struct framing_fault length_too_large = {
        413, "too_large", "the Content-Length is larger than any body that is accepted"};
static const struct framing_fault header_too_large = {
        431, "header_too_large",
        "the header is larger than 8192 bytes, has more than 100 fields, or has too many cookies; "
        "send fewer or shorter fields"};
static const struct framing_fault target_too_long = {
        414, "target_too_long",
        "the target is larger than 8192 bytes or has more than 64 arguments; use a shorter one"};
static const struct framing_fault target_too_long_alone = {
        414, "target_too_long",
        "the target is too long for a request without fields; use a shorter one, or send a Host "
        "field"};

#endif
