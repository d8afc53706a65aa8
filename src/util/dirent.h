/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directory entries as getdents64(2) gives them, for which the C library has no type. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct dirent_record {
	uint64_t ino;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* "." or "..". */
static inline bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}
