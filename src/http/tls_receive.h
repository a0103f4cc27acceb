/*
 * tls_receive: what clients send over TLS passes here before libmicrohttpd sees it. See receive.h,
 * which does the same without TLS.
 */
#ifndef SOLVEGATE_HTTP_TLS_RECEIVE_H
#define SOLVEGATE_HTTP_TLS_RECEIVE_H

/*
 * Finds GnuTLS's own functions behind those of this file. To be called before the first server
 * runs; so the linker takes this file from the library, too. Thread: any.
 */
void tls_receive_prepare(void);

#endif
