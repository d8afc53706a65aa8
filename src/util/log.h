/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log: stderr in the foreground, syslog afterwards. Both are opened before the mount,
 * because a daemon that is mounted in place over / may open nothing by path (DESIGN.md).
 *
 * Never called on the way of a hot request.
 */
#pragma once

#include <syslog.h>

/* Connects to syslog; until log_to_syslog() lines go to stderr. Call before the mount. */
void log_open(void);
/* From here on lines go to syslog: the daemon has let go of its terminal. */
void log_to_syslog(void);

/* One line, without a newline; level is LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO or LOG_DEBUG. */
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
