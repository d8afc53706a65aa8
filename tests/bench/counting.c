/* SPDX-License-Identifier: GPL-2.0-or-later */
/* counting CALLS: counts so many requests as a worker does; nanoseconds for each on stdout. */
#include <stdio.h>
#include <stdlib.h>

#include "stats/stats.h"
#include "util/clock.h"

int main(int argc, char **argv)
{
	/* As tar's: LOOKUP, GETATTR, OPEN, RELEASE. */
	static const unsigned opcodes[] = { 1, 3, 14, 18 };
	long calls = argc > 1 ? atol(argv[1]) : 1;
	struct stats stats = { 0 };
	struct stats_block *block = stats_block_new(&stats);
	uint64_t start = clock_ns();

	if (!block)
		return 1;
	for (long i = 0; i < calls; i++)
		stats_request(block, opcodes[i % 4], i % 16 ? 0 : 2,
			      3000 + (uint64_t)(i * 977 % 60000));
	printf("%.2f\n", (double)(clock_ns() - start) / (double)calls);
	stats_deinit(&stats);
	return 0;
}
