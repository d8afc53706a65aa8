/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"

/* Where lines go is a property of the process, like the descriptor 2 that it replaces. */
static atomic_bool use_syslog;
/* stderr is the journal: it takes a line's level from its beginning (sd-daemon(3)). */
static atomic_bool use_journal;
static struct log_limit limit;

/* Said to all children, also to those whose stderr is something else. */
static bool is_journal(int fd)
{
	const char *said = getenv("JOURNAL_STREAM");
	char name[48];
	struct stat st;

	if (!said || fstat(fd, &st) < 0)
		return false;
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(said, name) == 0;
}

void log_open(void)
{
	atomic_store(&use_journal, is_journal(STDERR_FILENO));
	openlog("overdrive", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_to_syslog(void)
{
	atomic_store(&use_syslog, true);
}

bool log_admits(struct log_limit *l, uint64_t now_ns, uint32_t *left_out)
{
	uint64_t began = atomic_load(&l->began_ns);
	uint32_t lines;

	*left_out = 0;
	if ((!began || now_ns - began >= LOG_PERIOD_NS) &&
	    atomic_compare_exchange_strong(&l->began_ns, &began, now_ns)) {
		lines = atomic_exchange(&l->lines, 0);
		*left_out = lines > LOG_BURST ? lines - LOG_BURST : 0;
	}
	return atomic_fetch_add(&l->lines, 1) < LOG_BURST;
}

static void put(int level, const char *line)
{
	if (atomic_load(&use_syslog))
		syslog(level, "%s", line);
	else if (atomic_load(&use_journal))
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "overdrive: %s\n", line);
}

void log_line(int level, const char *format, ...)
{
	char line[1024];
	uint32_t left_out;
	va_list ap;

	if (level == LOG_ERR || level == LOG_WARNING) {
		if (!log_admits(&limit, clock_ns(), &left_out))
			return;
		if (left_out) {
			snprintf(line, sizeof(line), "%u lines like these were left out", left_out);
			put(LOG_WARNING, line);
		}
	}
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	put(level, line);
}
