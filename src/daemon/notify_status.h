/*
 * notify_status: the line on what the gateway does now, which `systemctl status` shows.
 */
#ifndef SOLVEGATE_DAEMON_NOTIFY_STATUS_H
#define SOLVEGATE_DAEMON_NOTIFY_STATUS_H

#include "daemon/notify.h"

struct gateway;

/* Writes it, such as `taking jobs: 3 waiting, 2 in flight; pro refuses the account`. state: how far
 * the daemon is. Thread: any. */
void notify_status_write(struct gateway *gateway, enum notify_state state,
                         char ret_status[static NOTIFY_STATUS_BYTES_MAX]);

#endif
