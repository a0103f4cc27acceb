/*
 * standard_fds: descriptors 0 to 2, which whoever starts a program may have closed.
 *
 * Thread: the main one, before there are others.
 */
#ifndef SOLVEGATE_BASE_STANDARD_FDS_H
#define SOLVEGATE_BASE_STANDARD_FDS_H

/*
 * Takes those that are closed, so that no file or socket that is opened later is read as standard
 * input, or gets what is written for people. To read or write them fails as it did before. Returns
 * 0 or -errno.
 */
int standard_fds_take(void);

#endif
