/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cleanup attributes. Setting the variable to NULL or -1 hands ownership on.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Closes without touching errno, so that it can stand behind a failed call. */
static inline void cleanup_close(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
}

#define autofree  __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))

/* Takes the descriptor out of a variable that would close it. */
static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* A system call's result in our form: the value, or -errno. */
static inline int or_errno(long result)
{
	return result < 0 ? -errno : (int)result;
}
