/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this machine is short of at this moment. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pressure {
	bool memory;	    /* nothing may be brought in on a guess */
	bool disk;	    /* programs wait for disks most of the time: nothing uncertain */
	uint64_t available; /* bytes of memory; 0: not known */
};

/* proc: a directory that is /proc. False also where the kernel does not tell. */
void pressure_read(int proc, struct pressure *pressure);
