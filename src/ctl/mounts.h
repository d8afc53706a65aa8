/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The overdrive mounts of this machine, and their numbers. */
#pragma once

#include <stdbool.h>

#include "stats/abi.h"

struct ctl_mount {
	char *path;
	char *shown, *source; /* for people: without control characters */
	bool answered;	      /* stats is valid */
	struct stats_snapshot stats;
};

struct ctl_mounts {
	struct ctl_mount *mount;
	unsigned count;
};

/* All that are not covered by another mount, or the one at `path`; the numbers are not asked for.
 * 0 or -errno; give it to mounts_deinit in any case. */
int mounts_init(struct ctl_mounts *mounts, const char *path);
void mounts_deinit(struct ctl_mounts *mounts);

/* Asks for the numbers. 0, or -errno after a line on stderr that says what is wrong. */
int mount_ask(struct ctl_mount *mount);
