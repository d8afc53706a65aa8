/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/task.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "util/cleanup.h"

bool task_parse_times(const char *schedstat, struct task_times *times)
{
	return sscanf(schedstat, "%" SCNu64 " %" SCNu64, &times->running, &times->delayed) == 2;
}

bool task_times(int proc, int tid, struct task_times *times)
{
	autoclose int fd = -1;
	char path[48], text[128];
	ssize_t n;

	snprintf(path, sizeof(path), "%d/schedstat", tid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0 && task_parse_times(text, times);
}
