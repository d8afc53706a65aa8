/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directories with something in them, as SOURCE. */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base_dir.h"
#include "probe/kernel.h"

static struct kernel kernel;

static inline void make_base(void)
{
	new_base(0755);
	kernel_probe(&kernel);
}

static inline void create(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

/* The current directory becomes base/name, with s/file and s/sub/inner in it. */
static inline void enter(const char *name)
{
	ck_assert_int_eq(chdir(base), 0);
	ck_assert_int_eq(mkdir(name, 0755), 0);
	ck_assert_int_eq(chdir(name), 0);
	ck_assert_int_eq(mkdir("s", 0755), 0);
	ck_assert_int_eq(mkdir("s/sub", 0755), 0);
	create("s/file");
	create("s/sub/inner");
	ck_assert_int_eq(symlink("file", "s/link"), 0);
}
