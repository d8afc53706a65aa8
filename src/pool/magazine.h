/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A magazine: a Treiber stack of free buffers, last in first out, without a lock. One word holds
 * all of its state:
 *
 *   bits  0-25  unit + 1 of the top buffer, 0 when empty (the rest is linked by pool->link)
 *   bits 26-31  number of buffers
 *   bits 32-63  tag, one more with each pop
 *
 * ABA: a pop reads the links below the top before its compare-and-swap. They can only change after
 * their buffers were popped, which changes the tag; so if the word is still the same, so are they.
 * (The tag would have to come round, 2^32 pops, while one thread stands between two instructions.)
 * Links are indices into memory that lives as long as the pool: a stale one is read, not followed
 * into freed memory.
 *
 * Ordering: a push releases what the last user did with the buffer, a pop acquires it. All changes
 * of the word are read-modify-writes, so a pop acquires from every push beneath it, not only the
 * last. That pushes and the load in magazine_take_all are sequentially consistent is for wait.c.
 */
#pragma once

#include <sched.h>

#include "pool/internal.h"

#define MAGAZINE_ROOM  32u
#define MAGAZINE_BATCH (MAGAZINE_ROOM / 2) /* moved to and from the depot at once */
#define MAGAZINE_UNITS ((1u << 26) - 1)	   /* that a head can name */

static inline uint32_t head_top(uint64_t head)
{
	return (uint32_t)head & MAGAZINE_UNITS;
}

static inline uint32_t head_count(uint64_t head)
{
	return (uint32_t)head >> 26;
}

static inline uint64_t head_make(uint32_t top, uint32_t count, uint64_t tag)
{
	return tag << 32 | count << 26 | top;
}

/* This CPU's. The thread may be elsewhere a moment later: that costs time, nothing else. */
static inline struct magazine *magazine_here(struct pool *pool, uint32_t class)
{
	return &pool->shard[(uint32_t)sched_getcpu() & pool->shard_mask].magazine[class];
}

/* Relaxed: the head's compare-and-swap publishes links. */
static inline uint32_t link_get(const struct pool *pool, uint32_t unit)
{
	return atomic_load_explicit(&pool->link[unit], memory_order_relaxed);
}

static inline void link_set(struct pool *pool, uint32_t unit, uint32_t next)
{
	atomic_store_explicit(&pool->link[unit], next, memory_order_relaxed);
}

/* A chain of `count` buffers from `top` to `bottom` (units), unless there is no room for it. */
static inline bool magazine_push(struct pool *pool, struct magazine *magazine, uint32_t top,
				 uint32_t bottom, uint32_t count)
{
	uint64_t new, head = atomic_load_explicit(&magazine->head, memory_order_relaxed);

	do {
		if (head_count(head) + count > MAGAZINE_ROOM)
			return false;
		link_set(pool, bottom, head_top(head));
		new = head_make(top + 1, head_count(head) + count, head >> 32);
	} while (!atomic_compare_exchange_weak_explicit(
		&magazine->head, &head, new, memory_order_seq_cst, memory_order_relaxed));
	return true;
}

/* So many buffers' units, or false and none. */
static inline bool magazine_pop(struct pool *pool, struct magazine *magazine, uint32_t *unit,
				uint32_t count)
{
	uint64_t new, head = atomic_load_explicit(&magazine->head, memory_order_acquire);

	do {
		uint32_t top = head_top(head);

		if (head_count(head) < count)
			return false;
		/* A chain too short is a stale one: the compare-and-swap will tell. */
		for (uint32_t i = 0; i < count; i++) {
			unit[i] = top - 1;
			top = top ? link_get(pool, top - 1) : 0;
		}
		new = head_make(top, head_count(head) - count, (head >> 32) + 1);
	} while (!atomic_compare_exchange_weak_explicit(
		&magazine->head, &head, new, memory_order_acquire, memory_order_acquire));
	return true;
}

/* Everything: unit + 1 of the first of a chain, or 0; the chain is the caller's. */
static inline uint32_t magazine_take_all(struct magazine *magazine)
{
	uint64_t head = atomic_load_explicit(&magazine->head, memory_order_seq_cst);

	while (head_top(head))
		if (atomic_compare_exchange_weak_explicit(
			    &magazine->head, &head, head_make(0, 0, (head >> 32) + 1),
			    memory_order_seq_cst, memory_order_seq_cst))
			return head_top(head);
	return 0;
}
