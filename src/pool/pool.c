/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pool/internal.h"
#include "pool/magazine.h"

/* tests/unit/test_pool_fault.c puts the original's fault back, and finds it. */
#ifdef POOL_TEST_LOST_WAKEUP
#define LOOK_AGAIN 0
#else
#define LOOK_AGAIN 1
#endif

/* Addresses without memory, a multiple of POOL_CHUNK. */
static void *reserve_chunks(size_t size)
{
	char *p = mmap(NULL, size + POOL_CHUNK, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (POOL_CHUNK - 1);
	if (head)
		munmap(p, head);
	munmap(p + head + size, POOL_CHUNK - head);
	madvise(p + head, size, MADV_DONTDUMP); /* what users read is not for a core file */
	return p + head;
}

static void destroy(struct pool *pool)
{
	for (uint32_t i = 0; pool->base && i < pool->depot.fresh; i++)
		if (pool->chunk[i].committed && pool->observer.releasing)
			pool->observer.releasing(pool->observer.argument, i);
	if (pool->base)
		munmap(pool->base, pool->size);
	if (pool->link)
		munmap(pool->link, pool->size / POOL_MIN_SIZE * sizeof(*pool->link));
	pthread_mutex_destroy(&pool->lock);
	pthread_mutex_destroy(&pool->hooks);
	free(pool->chunk);
	free(pool->shard);
	free(pool);
}

/* A power of two, so that a CPU's number is quickly turned into a shard's. */
static uint32_t shards_wanted(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	uint32_t shards = 1;

	while (shards < cpus && shards < POOL_MAX_SHARDS)
		shards *= 2;
	return shards;
}

static int pool_init(struct pool *pool, uint32_t chunks)
{
	uint32_t shards = shards_wanted();
	void *link;

	pool->size = (size_t)chunks * POOL_CHUNK;
	pool->chunks = chunks;
	pool->shard_mask = shards - 1;
	depot_init(&pool->depot, chunks);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_mutex_init(&pool->hooks, NULL);
	pool->shard = aligned_alloc(_Alignof(struct shard), shards * sizeof(struct shard));
	pool->chunk = calloc(chunks, sizeof(*pool->chunk));
	link = mmap(NULL, pool->size / POOL_MIN_SIZE * sizeof(*pool->link), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pool->link = link == MAP_FAILED ? NULL : link;
	pool->base = reserve_chunks(pool->size);
	if (!pool->shard || !pool->chunk || !pool->link || !pool->base)
		return -ENOMEM;
	memset(pool->shard, 0, shards * sizeof(struct shard));
	return 0;
}

struct pool *pool_new(size_t memory, int *err)
{
	size_t chunks = memory / POOL_CHUNK;
	struct pool *pool;

	if (!chunks || memory >= POOL_MAX_MEMORY) {
		*err = -EINVAL;
		return NULL;
	}
	pool = aligned_alloc(_Alignof(struct pool), sizeof(*pool));
	*err = -ENOMEM;
	if (!pool)
		return NULL;
	memset(pool, 0, sizeof(*pool));
	*err = pool_init(pool, (uint32_t)chunks);
	if (*err) {
		destroy(pool);
		return NULL;
	}
	return pool;
}

/*
 * Acquire and release: who frees it comes after whatever the others did with it. This is the last
 * that any of them does: the unlocking of a mutex, too, is over before.
 */
void pool_drop(struct pool *pool, int64_t count)
{
	if (atomic_fetch_sub_explicit(&pool->outstanding, count, memory_order_acq_rel) == count)
		destroy(pool);
}

/*
 * From here on a lease that is counted sees POOL_CLOSED and is undone, and a return that is counted
 * sees it and drops the pool. All before are in the sums: the words change one way or the other.
 */
static int64_t close_and_count(struct pool *pool)
{
	int64_t out = 0;

	for (uint32_t i = 0; i <= pool->shard_mask; i++)
		for (uint32_t class = 0; class < POOL_CLASSES; class ++) {
			struct magazine *m = &pool->shard[i].magazine[class];

			/* Relaxed: leases are only counted here. Acquire: those who returned theirs
			 * are done with the pool, and it may go at once. */
			out += (int64_t)atomic_fetch_or_explicit(&m->leases, POOL_CLOSED,
								 memory_order_relaxed);
			out -= (int64_t)atomic_fetch_or_explicit(&m->returns, POOL_CLOSED,
								 memory_order_acquire);
		}
	return out;
}

struct pool *pool_free(struct pool *pool)
{
	int64_t out;

	if (!pool)
		return NULL;
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_or_explicit(&pool->attention, POOL_CLOSED, memory_order_relaxed);
	queue_end(pool, NULL, -ESHUTDOWN);
	out = close_and_count(pool) + pool->guests;
	pthread_mutex_unlock(&pool->lock);
	pool_drop(pool, -out);
	return NULL;
}

uint32_t pool_class(size_t size)
{
	if (!size || size > POOL_MAX_SIZE)
		return 0;
	if (size <= POOL_MIN_SIZE)
		return POOL_MIN_SIZE;
	return 1u << (32 - __builtin_clz((uint32_t)size - 1));
}

/* No lock, and nothing shared with other CPUs but `attention`, which rarely changes. */
static bool lease_fast(struct pool *pool, uint32_t class, uint32_t count,
		       struct pool_buffer *buffers)
{
	struct magazine *magazine = magazine_here(pool, class);
	uint32_t unit[MAGAZINE_ROOM];

	/* Relaxed: nobody is forgotten by it, see wait.c; it only keeps the order. */
	if (count > MAGAZINE_ROOM || atomic_load_explicit(&pool->attention, memory_order_relaxed) ||
	    !magazine_pop(pool, magazine, unit, count))
		return false;
	/* Relaxed: only the order in this one word counts, see close_and_count(). */
	if (atomic_fetch_add_explicit(&magazine->leases, count, memory_order_relaxed) & POOL_CLOSED)
		return false; /* these buffers are nobody's any more, which is all the same now */
	for (uint32_t i = 0; i < count; i++)
		buffer_set(pool, &buffers[i], unit[i], class);
	return true;
}

int pool_lease(struct pool *pool, size_t size, unsigned count, struct pool_buffer *buffers,
	       uint64_t timeout_ns, struct pool_cancel *cancel)
{
	uint32_t class = pool_class(size);
	struct request r;

	if (!class || !count || count > pool->size / class)
		return -EINVAL;
	if (lease_fast(pool, class_of(class), count, buffers))
		return 0;
	r = (struct request){ .class = class_of(class),
			      .count = count,
			      .buffers = buffers,
			      .claims = POOL_NONE,
			      .cancel = cancel };
	return lease_slow(pool, &r, timeout_ns);
}

int pool_try(struct pool *pool, size_t size, struct pool_buffer *buffer)
{
	return pool_lease(pool, size, 1, buffer, 0, NULL);
}

void pool_cancel(struct pool *pool, struct pool_cancel *cancel)
{
	/* Relaxed: the lock orders it for who is about to wait. */
	atomic_store_explicit(&cancel->cancelled, true, memory_order_relaxed);
	pthread_mutex_lock(&pool->lock);
	queue_end(pool, cancel, -ECANCELED);
	pthread_mutex_unlock(&pool->lock);
}

/* Makes room in a magazine: the older half goes to the depot. Under pool->lock. */
static void spill(struct pool *pool, struct magazine *magazine)
{
	uint32_t top = magazine_take_all(magazine), bottom = top, count = 1;

	if (!top)
		return;
	for (; count < MAGAZINE_BATCH && link_get(pool, bottom - 1); count++)
		bottom = link_get(pool, bottom - 1);
	depot_put_chain(pool, link_get(pool, bottom - 1));
	link_set(pool, bottom - 1, 0);
	if (!magazine_push(pool, magazine, top - 1, bottom - 1, count))
		depot_put_chain(pool, top);
}

static void return_slow(struct pool *pool, struct magazine *magazine, uint32_t unit)
{
	pthread_mutex_lock(&pool->lock);
	/* Relaxed: raised under the lock only. Nobody waits: the magazine was full. */
	if (!atomic_load_explicit(&pool->attention, memory_order_relaxed))
		spill(pool, magazine);
	if (atomic_load_explicit(&pool->attention, memory_order_relaxed) ||
	    !magazine_push(pool, magazine, unit, unit, 1))
		depot_put(pool, unit);
	queue_serve(pool);
	pthread_mutex_unlock(&pool->lock);
}

/* R3 in wait.c: somebody began to wait while the buffer was being put into the magazine. */
static void return_again(struct pool *pool, struct magazine *magazine)
{
	pthread_mutex_lock(&pool->lock);
	depot_drain(pool, magazine);
	queue_serve(pool);
	pthread_mutex_unlock(&pool->lock);
}

void pool_return(struct pool *pool, struct pool_buffer *buffer)
{
	struct magazine *magazine;
	uint32_t unit;

	if (!buffer->data)
		return;
	unit = buffer_unit(pool, buffer);
	magazine = magazine_here(pool, class_of(buffer->size));
	buffer->data = NULL;
	/* The first look only saves a push in vain (relaxed); the second, R2 in wait.c, counts. */
	if (atomic_load_explicit(&pool->attention, memory_order_relaxed) ||
	    !magazine_push(pool, magazine, unit, unit, 1)) /* R1 */
		return_slow(pool, magazine, unit);
	else if (LOOK_AGAIN &&
		 atomic_load_explicit(&pool->attention, memory_order_seq_cst)) /* R2 */
		return_again(pool, magazine);
	/* The pool may be gone afterwards. Release: who frees it comes after all of the above. */
	if (atomic_fetch_add_explicit(&magazine->returns, 1, memory_order_release) & POOL_CLOSED)
		pool_drop(pool, 1);
}

size_t pool_memory(const struct pool *pool)
{
	return pool->size;
}

uint32_t pool_chunks(const struct pool *pool)
{
	return pool->chunks;
}
