/*
 * control_problem: why a daemon did not answer, in words that tell how to mend it. Each function
 * fills a text of CONTROL_PROBLEM_BYTES_MAX bytes.
 */
#ifndef SOLVEGATE_CTL_CONTROL_PROBLEM_H
#define SOLVEGATE_CTL_CONTROL_PROBLEM_H

struct answer;

/* The socket cannot be connected to; error is an errno. */
void control_problem_absent(char *text, const char *path, int error);

/* Nothing whole came back; result is libcurl's CURLcode. */
void control_problem_transfer(char *text, const char *path, int result, long timeout_ms);

/* What came back is no answer of a daemon. */
void control_problem_foreign(char *text, const char *path);

/* The daemon's own words. */
void control_problem_refused(char *text, const struct answer *answer);

void control_problem_memory(char *text);

#endif
