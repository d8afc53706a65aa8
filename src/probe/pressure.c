/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/pressure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/sysfile.h"
#include "util/cleanup.h"

/* Per cent of the last 10 s in which something waited. */
#define MEMORY	    10.0
#define DISK	    60.0 /* a program that reads cold files waits most of the time: it is no alarm */
#define LEAST_SHARE 16u	 /* of all memory must be to be had */

static uint64_t kib_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static double waiting(int proc, const char *for_what)
{
	char line[128];
	double percent;

	if (sys_line(proc, for_what, line, sizeof(line)) > 0 &&
	    sscanf(line, "some avg10=%lf", &percent) == 1)
		return percent;
	return 0;
}

void pressure_read(int proc, struct pressure *p)
{
	autofree char *text = NULL;
	uint64_t total;

	*p = (struct pressure){
		.memory = waiting(proc, "pressure/memory") >= MEMORY,
		.disk = waiting(proc, "pressure/io") >= DISK,
	};
	if (sys_slurp(proc, "meminfo", 4096, &text) < 0)
		return;
	total = kib_of(text, "MemTotal:");
	p->available = kib_of(text, "MemAvailable:") << 10;
	p->memory = p->memory || (p->available && p->available >> 10 < total / LEAST_SHARE);
}
