/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory for all tests of a program: base, from new_base() to remove_base(). They belong into
 * an unchecked fixture: so the directory goes even if a test fails.
 */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char base[64];

static inline void new_base(mode_t mode)
{
	snprintf(base, sizeof(base), "/tmp/overdrive-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(chmod(base, mode), 0);
}

static inline void remove_base(void)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", base);
	if (system(command) != 0)
		perror(command);
}
