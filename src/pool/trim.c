/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a housekeeping thread does with a pool. */
#include "pool/internal.h"

#include <string.h>

void pool_observe(struct pool *pool, const struct pool_observer *observer)
{
	pthread_mutex_lock(&pool->hooks);
	if (observer)
		pool->observer = *observer;
	else
		memset(&pool->observer, 0, sizeof(pool->observer));
	pthread_mutex_unlock(&pool->hooks);
}

/* Under pool->lock, which it lets go of while it gives the memory back. */
static size_t trim_chunk(struct pool *pool, uint32_t number, bool all)
{
	struct chunk *c = &pool->chunk[number];
	int err;

	/* No memory is given away that somebody waits for. */
	if (pool->first || !depot_is_empty(pool, number))
		return 0;
	if (!all && !c->idle) {
		c->idle = true;
		return 0;
	}
	depot_remove(pool, number);
	pthread_mutex_unlock(&pool->lock);
	err = depot_decommit(pool, number);
	pthread_mutex_lock(&pool->lock);
	if (err)
		depot_add(pool, number, c->class);
	else
		depot_add_spare(pool, number);
	queue_serve(pool);
	return err ? 0 : POOL_CHUNK;
}

size_t pool_trim(struct pool *pool, bool all)
{
	size_t bytes = 0;

	pthread_mutex_lock(&pool->lock);
	if (atomic_load_explicit(&pool->attention, memory_order_relaxed) & POOL_CLOSED) {
		pthread_mutex_unlock(&pool->lock);
		return 0;
	}
	pool->guests++;
	/* So all that was used since the last call has been taken out of the depot since. */
	depot_drain_all(pool);
	for (uint32_t number = 0; number < pool->depot.fresh; number++) {
		bytes += trim_chunk(pool, number, all);
		if (number % 64 == 63) { /* let others in */
			pthread_mutex_unlock(&pool->lock);
			pthread_mutex_lock(&pool->lock);
		}
	}
	guest_leave(pool);
	return bytes;
}

/* Of one class; returns are read before leases, so there are never more of them. */
static void add_class(struct pool *pool, uint32_t class, struct pool_counters *counters)
{
	uint64_t leases = 0, returns = 0;

	for (uint32_t i = 0; i <= pool->shard_mask; i++)
		returns += atomic_load_explicit(&pool->shard[i].magazine[class].returns,
						memory_order_acquire) &
			   ~POOL_CLOSED;
	for (uint32_t i = 0; i <= pool->shard_mask; i++)
		leases += atomic_load_explicit(&pool->shard[i].magazine[class].leases,
					       memory_order_relaxed) &
			  ~POOL_CLOSED;
	counters->leases += leases;
	counters->returns += returns;
	counters->leased += (leases - returns) * class_size(class);
}

void pool_read_counters(struct pool *pool, struct pool_counters *counters)
{
	memset(counters, 0, sizeof(*counters));
	for (uint32_t class = 0; class < POOL_CLASSES; class ++)
		add_class(pool, class, counters);
	pthread_mutex_lock(&pool->lock);
	counters->waits = pool->waits;
	counters->timeouts = pool->timeouts;
	counters->cancelled = pool->cancelled;
	counters->failures = pool->failures;
	counters->committed = (uint64_t)pool->depot.committed * POOL_CHUNK;
	counters->peak = (uint64_t)pool->depot.peak * POOL_CHUNK;
	pthread_mutex_unlock(&pool->lock);
}
