/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Fills an object with bytes that depend on its name. */
static inline void fill(void *object, size_t size, uint64_t id)
{
	memset(object, (int)(id * 31 % 251) + 1, size);
}

static inline bool filled(const void *object, size_t size, uint64_t id)
{
	const unsigned char *p = object;

	for (size_t i = 0; i < size; i++)
		if (p[i] != id * 31 % 251 + 1)
			return false;
	return true;
}

static inline bool zeroed(const void *object, size_t size)
{
	const unsigned char *p = object;

	while (size)
		if (p[--size])
			return false;
	return true;
}
