/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far apart two names are, for "did you mean". */
#pragma once

#include <limits.h>
#include <stddef.h>

/* Longer names are near to nothing: nobody mistypes ours into that. */
#define NEAREST_NAME_MAX 31

#define NEAREST_FAR UINT_MAX

/*
 * The number of inserted, lost, changed or swapped letters between @a (@a_len bytes) and @b;
 * upper and lower case are the same. NEAREST_FAR if either is longer than NEAREST_NAME_MAX.
 */
unsigned int nearest_distance(const char *a, size_t a_len, const char *b);

/* The largest distance at which a name of @len bytes is still plausibly a slip of the finger. */
unsigned int nearest_limit(size_t len);
