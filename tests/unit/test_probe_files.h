/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory for a test's files: dir, which is open as dir_fd from setup() to teardown(). */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

#define M    (1u << 20)
#define SOON (clock_ns() + 30 * NSEC_PER_SEC) /* no test fails on a time */

static char dir[64];
static int dir_fd;

static inline void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%.40s/probe.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir_fd, 0);
}

static inline void teardown(void)
{
	char command[128];

	close(dir_fd);
	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static inline void make_file(int at, const char *name, size_t size)
{
	char *text = malloc(size ? size : 1);
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	memset(text, 'x', size);
	ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
	free(text);
}
