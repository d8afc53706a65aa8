/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the pool's files share. Two levels, as in a slab allocator:
 *
 *   magazines  a small stack of free buffers for each CPU and class, without a lock (magazine.h)
 *   depot      everything else: free buffers by chunk, chunks by class, under `lock` (depot.c)
 *
 * The depot alone knows which chunks are completely free: only those change their class or give
 * their memory back, and buffers in magazines count as out there. So whoever needs whole chunks, or
 * has to wait, first empties the magazines into the depot (depot_drain).
 *
 * Lock order: `hooks`, then nothing; `lock`, then nothing. Neither is taken under the other. System
 * calls for memory and hooks run under no `lock`: the chunk is in no list then, and so is theirs.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "pool/pool.h"

#define POOL_CLASSES	9u			     /* 4 KiB … 1 MiB */
#define POOL_UNITS	(POOL_CHUNK / POOL_MIN_SIZE) /* in a chunk; a buffer is named by its first */
#define POOL_NONE	UINT32_MAX
#define POOL_CLOSED	(1ull << 63)
#define POOL_MAX_SHARDS 64u /* a waiter looks into each magazine: not too many */

struct magazine {
	_Alignas(32) _Atomic uint64_t head; /* see magazine.h */
	/*
	 * Buffers leased and returned by way of this CPU, and POOL_CLOSED once no lease is given
	 * any more. Bit and number share a word, so that each lease and each return falls clearly
	 * before or after the shutdown's count.
	 */
	_Atomic uint64_t leases, returns;
};

/* One for each CPU; 128 because some CPUs fetch lines in pairs. */
struct shard {
	_Alignas(128) struct magazine magazine[POOL_CLASSES];
};

struct chunk {
	uint32_t prev, next; /* in its list; `next` alone in `spare` and in a request's claims */
	uint32_t first;	     /* unit + 1 of its free buffers, linked by pool->link; 0: none */
	uint16_t free;	     /* buffers in the depot, those never used yet included */
	uint16_t used;	     /* buffers used since it has its class; beyond: free, not linked */
	uint8_t class;
	bool committed;
	bool idle; /* seen completely free by a trim, and untouched since */
};

/* Under pool->lock. */
struct depot {
	uint32_t partial[POOL_CLASSES], empty[POOL_CLASSES]; /* lists of chunks: some free; all */
	uint32_t empties[POOL_CLASSES];			     /* length of `empty` */
	uint32_t free[POOL_CLASSES];			     /* buffers in both */
	uint32_t spare;	      /* list of chunks whose memory has been given back */
	uint32_t fresh;	      /* chunks from here on have never been used */
	uint32_t uncommitted; /* both of these */
	uint32_t committed, peak;
};

/* A lease on the slow path, on its caller's stack. */
struct request {
	struct request *prev, *next; /* in the queue */
	uint32_t class, count;
	struct pool_buffer *buffers;
	uint32_t taken;	 /* buffers already there */
	uint32_t claims; /* chunks to be committed for the others, by the caller itself */
	struct pool_cancel *cancel;
	pthread_cond_t turn; /* with pool->lock */
	bool done;
	int result;
};

struct pool {
	char *base; /* reserved addresses, a multiple of POOL_CHUNK; accessible where committed */
	size_t size;
	uint32_t chunks, shard_mask;
	struct shard *shard;
	struct chunk *chunk;
	_Atomic uint32_t *link; /* by unit: the next free buffer (unit + 1) of the same list */
	/*
	 * Not 0: returned buffers belong into the depot, and leases take their turn. The number of
	 * requests in the queue (or about to look whether they must be), and POOL_CLOSED. Written
	 * under `lock`, read without it; see wait.c about the order.
	 */
	_Atomic uint64_t attention;
	/*
	 * From the shutdown on, who still needs the pool: it goes when this becomes 0. The shutdown
	 * adds them all at once; who leaves before that takes it below 0, which does no harm.
	 */
	_Atomic int64_t outstanding;

	_Alignas(64) pthread_mutex_t lock;
	struct depot depot;
	struct request *first, *last; /* the queue, in order of arrival */
	uint32_t guests;	      /* threads in here that return to `lock`, lease or not */
	uint64_t waits, timeouts, cancelled, failures;

	_Alignas(64) pthread_mutex_t hooks;
	struct pool_observer observer;
};

static inline uint32_t class_size(uint32_t class)
{
	return POOL_MIN_SIZE << class;
}

static inline uint32_t class_per_chunk(uint32_t class)
{
	return POOL_UNITS >> class;
}

static inline uint32_t class_of(uint32_t size)
{
	return (uint32_t)__builtin_ctz(size / POOL_MIN_SIZE);
}

static inline void *chunk_data(const struct pool *pool, uint32_t number)
{
	return pool->base + (size_t)number * POOL_CHUNK;
}

static inline uint32_t buffer_unit(const struct pool *pool, const struct pool_buffer *buffer)
{
	return (uint32_t)((size_t)((char *)buffer->data - pool->base) / POOL_MIN_SIZE);
}

static inline void buffer_set(const struct pool *pool, struct pool_buffer *buffer, uint32_t unit,
			      uint32_t class)
{
	buffer->data = pool->base + (size_t)unit * POOL_MIN_SIZE;
	buffer->size = class_size(class);
	buffer->chunk = unit / POOL_UNITS;
}

/* depot.c: all but depot_commit and depot_decommit under pool->lock. */
void depot_init(struct depot *depot, uint32_t chunks);
void depot_put(struct pool *pool, uint32_t unit);
/* Those of a magazine, from the top's unit + 1 on; 0: none. */
void depot_put_chain(struct pool *pool, uint32_t top);
/* A buffer; there is one (depot.free). */
uint32_t depot_take(struct pool *pool, uint32_t class);
/* Buffers and claims on chunks for the whole request, or false and nothing. */
bool depot_grant(struct pool *pool, struct request *request);
/* Empties magazines into the depot. */
void depot_drain(struct pool *pool, struct magazine *magazine);
void depot_drain_class(struct pool *pool, uint32_t class);
void depot_drain_all(struct pool *pool);
/* A claimed chunk comes (back): with memory, all free, for this class; or without. */
void depot_add(struct pool *pool, uint32_t number, uint32_t class);
void depot_add_spare(struct pool *pool, uint32_t number);
/* Takes a completely free chunk out of the depot: the caller's from here on. */
void depot_remove(struct pool *pool, uint32_t number);
bool depot_is_empty(const struct pool *pool, uint32_t number);
/* For chunks that are the caller's. 0 or -errno. */
int depot_commit(struct pool *pool, uint32_t number);
int depot_decommit(struct pool *pool, uint32_t number);

/* wait.c */
int lease_slow(struct pool *pool, struct request *request, uint64_t timeout_ns);
/* Gives what the depot has to those whose turn it is. Under pool->lock. */
void queue_serve(struct pool *pool);
/* Ends all with this result; or, with a cancel, those that it belongs to. Under pool->lock. */
void queue_end(struct pool *pool, const struct pool_cancel *cancel, int result);
/* A guest leaves: unlocks pool->lock. The pool may be gone afterwards. */
void guest_leave(struct pool *pool);

/* pool.c: so many less need the closed pool; the last one frees it. */
void pool_drop(struct pool *pool, int64_t count);
