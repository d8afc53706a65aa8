/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/nearest.h"

#include <stdbool.h>
#include <string.h>

/* Not tolower(3): the answer must not depend on the locale. */
static int fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool same(char a, char b)
{
	return fold(a) == fold(b);
}

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int nearest_distance(const char *a, size_t a_len, const char *b)
{
	/* Row i: from a's first i letters to each beginning of b. A swap looks two rows up. */
	unsigned int rows[3][NEAREST_NAME_MAX + 1];
	size_t b_len = strnlen(b, NEAREST_NAME_MAX + 1);

	if (a_len > NEAREST_NAME_MAX || b_len > NEAREST_NAME_MAX)
		return NEAREST_FAR;
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (unsigned int)j;

	for (size_t i = 1; i <= a_len; i++) {
		unsigned int *row = rows[i % 3];
		const unsigned int *up = rows[(i - 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = min(up[j], row[j - 1]) + 1;
			row[j] = min(row[j], up[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				row[j] = min(row[j], rows[(i - 2) % 3][j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

unsigned int nearest_limit(size_t len)
{
	if (len < 2)
		return 0;
	if (len < 6)
		return 1;
	return len < 9 ? 2 : 3;
}
