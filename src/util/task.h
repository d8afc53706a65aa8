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

/* The state's letter as in proc(5), 'R', 'S', 'D'…; 0: unknown. proc is a descriptor of /proc. */
char task_state(int proc, int tid);
/* False where the kernel keeps no such times. */
bool task_times(int proc, int tid, struct task_times *times);

/* The parsers (pure). */
char task_parse_state(const char *stat);
bool task_parse_times(const char *schedstat, struct task_times *times);
