/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats/stats.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_LOG2 8 /* 256 ns */

static unsigned bucket_of(uint64_t ns)
{
	unsigned log2, index;

	if (ns < 1ull << FIRST_LOG2)
		return 0;
	log2 = 63 - (unsigned)__builtin_clzll(ns);
	index = (log2 - FIRST_LOG2) * 4 + (unsigned)(ns >> (log2 - 2) & 3);
	return index < STATS_BUCKETS ? index : STATS_BUCKETS - 1;
}

/* The upper edge of a bucket, in nanoseconds. */
static uint64_t bucket_edge(unsigned index)
{
	unsigned log2 = index / 4 + FIRST_LOG2;

	return (1ull << log2) + ((uint64_t)(index % 4 + 1) << (log2 - 2));
}

void stats_request(struct stats_block *b, unsigned opcode, int err, uint64_t ns)
{
	_Atomic uint32_t *slot;

	if (opcode >= STATS_OPS)
		return;
	slot = &b->latency[opcode][bucket_of(ns)];
	stats_add(&b->requests[opcode], 1);
	stats_add(&b->nanoseconds[opcode], ns);
	atomic_store_explicit(slot, atomic_load_explicit(slot, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (err) {
		stats_add(&b->failed[opcode], 1);
		stats_add(&b->errors[err > 0 && err < STATS_ERRNOS ? err : 0], 1);
	}
}

struct stats_block *stats_block_new(struct stats *s)
{
	struct stats_block *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->next = atomic_load(&s->blocks);
	while (!atomic_compare_exchange_weak(&s->blocks, &b->next, b))
		;
	return b;
}

void stats_deinit(struct stats *s)
{
	struct stats_block *b = atomic_load(&s->blocks);

	while (b) {
		struct stats_block *next = b->next;

		free(b);
		b = next;
	}
}

static uint32_t percentile(const uint64_t *histogram, uint64_t count, unsigned percent)
{
	uint64_t wanted = (count * percent + 99) / 100, seen = 0;

	for (unsigned i = 0; i < STATS_BUCKETS; i++) {
		seen += histogram[i];
		if (count && seen >= wanted)
			return bucket_edge(i) < UINT32_MAX ? (uint32_t)bucket_edge(i) : UINT32_MAX;
	}
	return 0;
}

static void snapshot_op(const struct stats *s, unsigned op, struct stats_op *out)
{
	uint64_t histogram[STATS_BUCKETS] = {0}, count = 0;

	for (struct stats_block *b = atomic_load(&s->blocks); b; b = b->next) {
		out->count += atomic_load_explicit(&b->requests[op], memory_order_relaxed);
		out->failed += atomic_load_explicit(&b->failed[op], memory_order_relaxed);
		out->total_ns += atomic_load_explicit(&b->nanoseconds[op], memory_order_relaxed);
		for (unsigned i = 0; i < STATS_BUCKETS; i++)
			histogram[i] += atomic_load_explicit(&b->latency[op][i],
							     memory_order_relaxed);
	}
	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		count += histogram[i];
	out->p50_ns = percentile(histogram, count, 50);
	out->p90_ns = percentile(histogram, count, 90);
	out->p99_ns = percentile(histogram, count, 99);
	out->max_ns = percentile(histogram, count, 100);
}

static void add_all(uint64_t *to, const _Atomic uint64_t *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		to[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
}

void stats_snapshot(const struct stats *s, struct stats_snapshot *out)
{
	memset(out, 0, sizeof(*out));
	out->version = STATS_VERSION;
	out->size = sizeof(*out);
	for (unsigned op = 0; op < STATS_OPS; op++)
		snapshot_op(s, op, &out->op[op]);
	for (struct stats_block *b = atomic_load(&s->blocks); b; b = b->next) {
		add_all(out->errors, b->errors, STATS_ERRNOS);
		add_all(out->bytes, b->bytes, STATS_BYTES);
		add_all(out->events, b->events, STATS_EVENTS);
	}
}
