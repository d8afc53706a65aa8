/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A slab of equal objects, named by index and generation instead of by pointer, so that a name that
 * has outlived its object is noticed, and so that a successor process could take the names over.
 *
 * Memory is one reserved range of addresses, committed chunk by chunk and given back when a chunk
 * is empty. Looking an object up takes no lock. Allocation is spread over shards, each with its own
 * chunks and its own lock.
 *
 * Threads: everything may be called from any thread. Who may touch an object, and when it is freed,
 * is the caller's affair: slab_get() only promises not to crash on a stale name.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct slab;

/*
 * object_size is in bytes; shards is a power of two; max_objects bounds the reserved addresses.
 * Returns NULL when there is no memory. slab_free_all() gives everything back and returns NULL.
 */
struct slab *slab_new(size_t object_size, unsigned shards, uint32_t max_objects);
struct slab *slab_free_all(struct slab *slab);

/* A zeroed object and its name in *id (never 0 and never 1), or NULL when there is no memory. */
void *slab_alloc(struct slab *slab, unsigned shard, uint64_t *id);
/* The object, or NULL if the name was never given out or its object is gone. Takes no lock. */
void *slab_get(const struct slab *slab, uint64_t id);
/* The object in this slot whatever its generation; the caller knows that it is alive. */
void *slab_at(const struct slab *slab, uint32_t index);
void slab_release(struct slab *slab, uint64_t id);

static inline uint32_t slab_index(uint64_t id)
{
	return (uint32_t)id;
}

/* Objects alive now. Reads each shard's counter: for statistics only. */
uint64_t slab_count(struct slab *slab);

/* Calls fn for each object alive; nobody else may use the slab meanwhile. */
void slab_each(struct slab *slab, void (*fn)(void *object));
