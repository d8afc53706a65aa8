/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters. Each worker thread has a block of its own and counts without atomics read-modify-write
 * or sharing; a reader adds the blocks up. Numbers are therefore exact only when nothing runs.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stats/abi.h"

struct stats_block {
	_Alignas(64) struct stats_block *next; /* set once, when the worker starts */
	_Atomic uint64_t requests[STATS_OPS];
	_Atomic uint64_t failed[STATS_OPS];
	_Atomic uint64_t nanoseconds[STATS_OPS];
	_Atomic uint32_t latency[STATS_OPS][STATS_BUCKETS];
	_Atomic uint64_t errors[STATS_ERRNOS];
	_Atomic uint64_t bytes[STATS_BYTES];
	_Atomic uint64_t events[STATS_EVENTS];
	_Atomic uint64_t times[STATS_TIMES];
};

/* Only the owner writes, so a plain load and store is enough; atomic for the reader's sake. */
static inline void stats_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* Counts a finished request; err is a positive errno or 0. */
void stats_request(struct stats_block *block, unsigned opcode, int err, uint64_t nanoseconds);

struct stats {
	_Atomic(struct stats_block *) blocks;
};

/* A block that lives as long as stats does, or NULL without memory. */
struct stats_block *stats_block_new(struct stats *stats);
void stats_deinit(struct stats *stats);

/*
 * The upper edge, in nanoseconds, of the bucket that `percent` % of what is counted in a histogram
 * of STATS_BUCKETS lie below or in; 0 if nothing is.
 */
uint64_t stats_percentile(const uint64_t *histogram, unsigned percent);
/* The upper edge of a bucket, in nanoseconds. */
uint64_t stats_bucket_edge(unsigned bucket);
/* False for those that the kernel sends on its own account: no program waits for them. */
bool stats_is_waited_for(unsigned opcode);

/* Adds all blocks up; the gauges (nodes, descriptors…) are left to the caller. */
void stats_snapshot(const struct stats *stats, struct stats_snapshot *snapshot);
