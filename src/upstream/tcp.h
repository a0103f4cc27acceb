/*
 * tcp: what the kernel knows of a TCP connection (tcp(7), TCP_INFO).
 *
 * A file of its own, as <linux/tcp.h> has more of struct tcp_info than <netinet/tcp.h>, and the two
 * cannot be included together. Thread: any.
 */
#ifndef SOLVEGATE_UPSTREAM_TCP_H
#define SOLVEGATE_UPSTREAM_TCP_H

#include <stdbool.h>
#include <stdint.h>

/* How many bytes in all the peer's host has acknowledged; 0 where the kernel does not say. */
uint64_t tcp_acknowledged(int fd);

/* Whether nothing that was written waits for the acknowledgment of the peer's host (SIOCOUTQ). */
bool tcp_all_acknowledged(int fd);

/* Milliseconds since anything was received; 0 where the kernel does not say. */
int64_t tcp_silent_ms(int fd);

#endif
