/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/task.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

char task_parse_state(const char *stat)
{
	/* The name before it may hold anything, so its end is the last parenthesis. */
	const char *end = strrchr(stat, ')');

	return end && end[1] == ' ' && isalpha((unsigned char)end[2]) ? end[2] : 0;
}

bool task_parse_times(const char *schedstat, struct task_times *times)
{
	return sscanf(schedstat, "%" SCNu64 " %" SCNu64, &times->running, &times->delayed) == 2;
}

static bool read_file(int proc, int tid, const char *name, char *text, size_t size)
{
	autoclose int fd = -1;
	char path[48];
	ssize_t n;

	snprintf(path, sizeof(path), "%d/%s", tid, name);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

char task_state(int proc, int tid)
{
	char text[512];

	return read_file(proc, tid, "stat", text, sizeof(text)) ? task_parse_state(text) : 0;
}

bool task_times(int proc, int tid, struct task_times *times)
{
	char text[128];

	return read_file(proc, tid, "schedstat", text, sizeof(text)) &&
	       task_parse_times(text, times);
}
