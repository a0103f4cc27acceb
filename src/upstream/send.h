/*
 * send: a failed write does not hide what has arrived.
 *
 * A peer that refuses a large body writes its response and resets the connection. The next write
 * fails, and libcurl ends the transfer without reading the response that came before the reset.
 * It has no hook for that: it writes with send(2), over TLS as well, and the dynamic linker looks
 * that up in the program first (ld.so(8)). So it is defined here. Within libcurl, a write that fails
 * while there is something to read fails with EAGAIN: libcurl reads first, and then writes again,
 * which fails with nothing to read. At any other time it behaves as usual.
 *
 * If libcurl wrote by other means, such a refusal would sometimes be lost, and the job sent again.
 *
 * Thread: any; what send_begin() says counts for the calling thread.
 */
#ifndef SOLVEGATE_UPSTREAM_SEND_H
#define SOLVEGATE_UPSTREAM_SEND_H

/* libcurl has its turn until send_end(). These do not nest. */
void send_begin(void);
void send_end(void);

#endif
