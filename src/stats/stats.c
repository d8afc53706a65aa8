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

uint64_t stats_bucket_edge(unsigned index)
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

uint64_t stats_percentile(const uint64_t *histogram, unsigned percent)
{
	uint64_t count = 0, wanted, seen = 0;

	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		count += histogram[i];
	wanted = (count * percent + 99) / 100;
	for (unsigned i = 0; i < STATS_BUCKETS && count; i++) {
		seen += histogram[i];
		if (seen >= wanted)
			return stats_bucket_edge(i);
	}
	return 0;
}

bool stats_is_waited_for(unsigned opcode)
{
	/* FORGET, RELEASE, RELEASEDIR, INIT, INTERRUPT, DESTROY, BATCH_FORGET */
	return opcode != 2 && opcode != 18 && opcode != 29 && opcode != 26 && opcode != 36 &&
	       opcode != 38 && opcode != 42;
}

static uint32_t saturated(uint64_t ns)
{
	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static void snapshot_op(const struct stats *s, unsigned op, struct stats_snapshot *snapshot)
{
	struct stats_op *out = &snapshot->op[op];
	uint64_t histogram[STATS_BUCKETS] = { 0 };

	for (struct stats_block *b = atomic_load(&s->blocks); b; b = b->next) {
		out->count += atomic_load_explicit(&b->requests[op], memory_order_relaxed);
		out->failed += atomic_load_explicit(&b->failed[op], memory_order_relaxed);
		out->total_ns += atomic_load_explicit(&b->nanoseconds[op], memory_order_relaxed);
		for (unsigned i = 0; i < STATS_BUCKETS; i++)
			histogram[i] +=
				atomic_load_explicit(&b->latency[op][i], memory_order_relaxed);
	}
	if (!out->count)
		return;
	out->p50_ns = saturated(stats_percentile(histogram, 50));
	out->p90_ns = saturated(stats_percentile(histogram, 90));
	out->p99_ns = saturated(stats_percentile(histogram, 99));
	out->max_ns = saturated(stats_percentile(histogram, 100));
	for (unsigned i = 0; i < STATS_BUCKETS && stats_is_waited_for(op); i++)
		snapshot->latency[i] += histogram[i];
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
		snapshot_op(s, op, out);
	for (struct stats_block *b = atomic_load(&s->blocks); b; b = b->next) {
		add_all(out->errors, b->errors, STATS_ERRNOS);
		add_all(out->bytes, b->bytes, STATS_BYTES);
		add_all(out->events, b->events, STATS_EVENTS);
		add_all(out->times, b->times, STATS_TIMES);
	}
}
