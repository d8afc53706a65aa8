/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What /proc tells about a thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* /proc/PID/schedstat (Documentation/scheduler/sched-stats.rst), in nanoseconds. */
struct task_times {
	uint64_t running;
	uint64_t delayed; /* able to run, but without a CPU */
};

/* False where the kernel keeps no such times. proc is a descriptor of /proc. */
bool task_times(int proc, int tid, struct task_times *times);

/* The parser (pure). */
bool task_parse_times(const char *schedstat, struct task_times *times);
