/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log: stderr in the foreground, syslog afterwards. Both are opened before the mount,
 * because a daemon that is mounted in place over / may open nothing by path (DESIGN.md).
 *
 * Never called on the way of a hot request.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/* Connects to syslog; until log_to_syslog() lines go to stderr. Call before the mount. */
void log_open(void);
/* From here on lines go to syslog: the daemon has let go of its terminal. */
void log_to_syslog(void);

/* One line, without a newline; level is LOG_CRIT (the end of the daemon; never left out), LOG_ERR,
 * LOG_WARNING, LOG_NOTICE, LOG_INFO or LOG_DEBUG. */
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Errors and warnings may come with each request: of those LOG_BURST are let through in a period of
 * LOG_PERIOD_NS, and the first line of a later one tells how many were left out. What was asked for
 * (debugging, requests in flight) is not limited.
 */
#define LOG_BURST     20u
#define LOG_PERIOD_NS 10000000000ull

struct log_limit {
	_Atomic uint64_t began_ns;
	_Atomic uint32_t lines; /* in this period, those left out included */
};

/* Whether a line may go out now; *left_out: how many could not before it. From any thread: at the
 * turn of a period a line more or less may be counted. */
bool log_admits(struct log_limit *limit, uint64_t now_ns, uint32_t *left_out);
