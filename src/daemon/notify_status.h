/*
 * notify_status: the line on what the gateway does now, which `systemctl status` shows.
 */
#ifndef SOLVEGATE_DAEMON_NOTIFY_STATUS_H
#define SOLVEGATE_DAEMON_NOTIFY_STATUS_H

#include "daemon/notify.h"

#include <stdbool.h>

struct gateway;

/* Writes it, such as `taking jobs: 3 waiting, 2 in flight; pro refuses the account`. Thread: any.
 */
void notify_status_write(struct gateway *gateway, bool stopping,
                         char ret_status[static NOTIFY_STATUS_BYTES_MAX]);

#endif
