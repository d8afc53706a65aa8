/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the counters of abi.h are called, and what follows from them. */
#pragma once

#include <stddef.h>

#include "stats/abi.h"

struct stats_counter {
	const char *name; /* NULL: not in use */
	const char *meaning;
};

enum stats_unit { STATS_UNIT_BYTES, STATS_UNIT_TIMES, STATS_UNIT_NS, STATS_UNIT_GAUGE };

/* One of the snapshot's arrays. */
struct stats_group {
	const char *title; /* "bytes" */
	enum stats_unit unit;
	const struct stats_counter *counter;
	unsigned count;
	size_t offset; /* in struct stats_snapshot */
};

#define STATS_GROUPS 4
extern const struct stats_group stats_groups[STATS_GROUPS];

static inline uint64_t stats_value(const struct stats_snapshot *s, const struct stats_group *group,
				   unsigned i)
{
	return ((const uint64_t *)(const void *)((const char *)s + group->offset))[i];
}

/* Guesses of both kinds, files of trees and windows of streams, whose outcome is known. */
struct stats_guesses {
	uint64_t used, late, wasted;
};
struct stats_guesses stats_guesses(const struct stats_snapshot *s);
/* The share of them that were used, 0 to 1; -1 when there were none. */
double stats_hit_rate(const struct stats_guesses *guesses);

/*
 * The time that programs did not wait for the disk, in nanoseconds: an estimate, see
 * STATS_NOT_WAITED_HELP. -1: nothing to go by.
 */
double stats_not_waited(const struct stats_snapshot *s);

#define STATS_NOT_WAITED_HELP                                                                     \
	"not waited: about how long programs would have waited for the disk without overdrive,\n" \
	"  L x (tree_used + fetched_ahead x stream_used / (stream_used + stream_late +\n"         \
	"  stream_wasted) / 128 KiB). L is the disk's own time for one read where that was\n"     \
	"  measured, else waited / handed_over: the mean time of requests that may have had to\n" \
	"  wait for it. 128 KiB is what the kernel reads at a time by itself.\n"
