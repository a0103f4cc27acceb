/*
 * config_origin: which origins the list `origins` may contain.
 */
#ifndef SOLVEGATE_CONFIG_CONFIG_ORIGIN_H
#define SOLVEGATE_CONFIG_CONFIG_ORIGIN_H

/*
 * Checks the origin of a web page, a browser extension or a desktop shell, written as the Origin
 * field has it (RFC 6454, 6.2; URL Standard, "host serializer"), so that the two can be compared
 * byte by byte. Returns NULL if it can be listed, else static text that says what is wrong and how
 * to fix it.
 *
 * The check of the configuration and the answer to an origin that is not listed both call this, so
 * the answer never suggests a line that the check refuses. An origin that can be listed contains
 * only letters, digits and "-._~+:/[]": it needs no escape in the configuration, in JSON or in a
 * log line. Thread: any.
 */
const char *config_origin_problem(const char *text);

#endif
