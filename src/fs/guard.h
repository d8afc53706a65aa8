/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -o detach_on_death: a process that outlives the daemon. If the daemon dies without having
 * unmounted, it detaches the dead mount, so that the path leads to the plain directory again.
 */
#pragma once

#include <stdbool.h>

struct guard {
	int pipe; /* to the guard; -1: there is none. Its end is what the guard waits for */
};

/* Starts the guard. Before the first thread and the mount. proc: /proc; foreground: it may write
 * to our stderr. 0 or -errno. */
int guard_start(struct guard *guard, int proc, const char *mountpoint, bool foreground);
/* From here on the mount with this id is to be detached if we die. */
void guard_arm(const struct guard *guard, int mount_id);
/* We have seen to the mount ourselves. */
void guard_dismiss(struct guard *guard);
