/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

/* Where lines go is a property of the process, like the descriptor 2 that it replaces. */
static atomic_bool use_syslog;

void log_open(void)
{
	openlog("overdrive", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_to_syslog(void)
{
	atomic_store(&use_syslog, true);
}

void log_line(int level, const char *format, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (atomic_load(&use_syslog))
		syslog(level, "%s", line);
	else
		fprintf(stderr, "overdrive: %s\n", line);
}
