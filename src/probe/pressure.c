/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/pressure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/sysfile.h"
#include "util/cleanup.h"

#define WAITING	    10.0 /* per cent of the last 10 s in which something waited for memory */
#define LEAST_SHARE 16u	 /* of all memory must be to be had */

static uint64_t kib_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static bool is_short(int proc)
{
	autofree char *text = NULL;
	uint64_t total, available;

	if (sys_slurp(proc, "meminfo", 4096, &text) < 0)
		return false;
	total = kib_of(text, "MemTotal:");
	available = kib_of(text, "MemAvailable:");
	return available && available < total / LEAST_SHARE;
}

bool pressure_on_memory(int proc)
{
	char line[128];
	double waiting;

	if (sys_line(proc, "pressure/memory", line, sizeof(line)) > 0 &&
	    sscanf(line, "some avg10=%lf", &waiting) == 1 && waiting >= WAITING)
		return true;
	return is_short(proc);
}
