/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pool/internal.h"

#include <errno.h>
#include <sys/mman.h>

#include "pool/magazine.h"

void depot_init(struct depot *depot, uint32_t chunks)
{
	for (uint32_t class = 0; class < POOL_CLASSES; class ++)
		depot->partial[class] = depot->empty[class] = POOL_NONE;
	depot->spare = POOL_NONE;
	depot->uncommitted = chunks;
}

/* The list in which a chunk belongs by what is free of it, or NULL. */
static uint32_t *chunk_list(struct depot *depot, const struct chunk *c)
{
	if (c->free == class_per_chunk(c->class))
		return &depot->empty[c->class];
	return c->free ? &depot->partial[c->class] : NULL;
}

static void list_push(struct pool *pool, uint32_t *list, uint32_t number)
{
	struct chunk *c = &pool->chunk[number];

	c->prev = POOL_NONE;
	c->next = *list;
	if (c->next != POOL_NONE)
		pool->chunk[c->next].prev = number;
	*list = number;
	if (list == &pool->depot.empty[c->class])
		pool->depot.empties[c->class]++;
}

static void list_remove(struct pool *pool, uint32_t *list, uint32_t number)
{
	struct chunk *c = &pool->chunk[number];

	if (c->prev != POOL_NONE)
		pool->chunk[c->prev].next = c->next;
	else
		*list = c->next;
	if (c->next != POOL_NONE)
		pool->chunk[c->next].prev = c->prev;
	if (list == &pool->depot.empty[c->class])
		pool->depot.empties[c->class]--;
}

/* Changes how many of a chunk's buffers are in the depot, and so its list. */
static void chunk_set_free(struct pool *pool, uint32_t number, uint32_t free)
{
	struct depot *depot = &pool->depot;
	struct chunk *c = &pool->chunk[number];
	uint32_t *from = chunk_list(depot, c), *to;

	depot->free[c->class] += free - c->free;
	c->free = (uint16_t)free;
	to = chunk_list(depot, c);
	if (from == to)
		return;
	if (from)
		list_remove(pool, from, number);
	if (to)
		list_push(pool, to, number);
}

void depot_put(struct pool *pool, uint32_t unit)
{
	struct chunk *c = &pool->chunk[unit / POOL_UNITS];

	link_set(pool, unit, c->first);
	c->first = unit + 1;
	chunk_set_free(pool, unit / POOL_UNITS, c->free + 1u);
}

uint32_t depot_take(struct pool *pool, uint32_t class)
{
	struct depot *depot = &pool->depot;
	uint32_t number = depot->partial[class], unit;
	struct chunk *c;

	if (number == POOL_NONE) /* chunks that nobody uses stay so as long as possible */
		number = depot->empty[class];
	c = &pool->chunk[number];
	if (c->first) {
		unit = c->first - 1;
		c->first = link_get(pool, unit);
	} else {
		unit = number * POOL_UNITS + ((uint32_t)c->used++ << class);
	}
	c->idle = false;
	chunk_set_free(pool, number, c->free - 1u);
	return unit;
}

void depot_add(struct pool *pool, uint32_t number, uint32_t class)
{
	struct chunk *c = &pool->chunk[number];

	if (!c->committed) {
		struct depot *depot = &pool->depot;

		c->committed = true;
		if (++depot->committed > depot->peak)
			depot->peak = depot->committed;
	}
	c->class = (uint8_t) class;
	c->first = c->used = 0;
	c->free = 0;
	c->idle = false;
	chunk_set_free(pool, number, class_per_chunk(class));
}

void depot_add_spare(struct pool *pool, uint32_t number)
{
	struct depot *depot = &pool->depot;
	struct chunk *c = &pool->chunk[number];

	if (c->committed) {
		c->committed = false;
		depot->committed--;
	}
	c->next = depot->spare;
	depot->spare = number;
	depot->uncommitted++;
}

void depot_remove(struct pool *pool, uint32_t number)
{
	chunk_set_free(pool, number, 0);
}

bool depot_is_empty(const struct pool *pool, uint32_t number)
{
	const struct chunk *c = &pool->chunk[number];

	return c->committed && c->free == class_per_chunk(c->class);
}

/* Turns a completely free chunk of another class into one of this. */
static bool change_class(struct pool *pool, uint32_t class)
{
	/* Large classes first: their chunks are all the same, small ones fill up again slowly. */
	for (uint32_t from = POOL_CLASSES; from-- > 0;) {
		uint32_t number = pool->depot.empty[from];

		if (from == class || number == POOL_NONE)
			continue;
		depot_remove(pool, number);
		depot_add(pool, number, class);
		return true;
	}
	return false;
}

static uint32_t claim_uncommitted(struct pool *pool)
{
	struct depot *depot = &pool->depot;
	uint32_t number = depot->spare;

	if (number != POOL_NONE)
		depot->spare = pool->chunk[number].next;
	else
		number = depot->fresh++;
	depot->uncommitted--;
	return number;
}

bool depot_grant(struct pool *pool, struct request *r)
{
	struct depot *depot = &pool->depot;
	uint32_t have = depot->free[r->class], missing = r->count > have ? r->count - have : 0;
	uint32_t chunks = (missing + class_per_chunk(r->class) - 1) / class_per_chunk(r->class);
	uint32_t others = 0;

	for (uint32_t class = 0; chunks && class < POOL_CLASSES; class ++)
		others += class == r->class ? 0 : depot->empties[class];
	if (chunks > others + depot->uncommitted)
		return false;
	/* Memory that is there before memory that the kernel must find. */
	for (; chunks && change_class(pool, r->class); chunks--)
		;
	for (r->taken = 0; r->taken < r->count && depot->free[r->class]; r->taken++)
		buffer_set(pool, &r->buffers[r->taken], depot_take(pool, r->class), r->class);
	for (r->claims = POOL_NONE; chunks; chunks--) {
		uint32_t number = claim_uncommitted(pool);

		pool->chunk[number].next = r->claims;
		r->claims = number;
	}
	return true;
}

void depot_put_chain(struct pool *pool, uint32_t top)
{
	uint32_t unit[MAGAZINE_ROOM], count = 0;

	for (; top; top = link_get(pool, top - 1))
		unit[count++] = top - 1;
	while (count) /* the top one last: it is the next to be taken */
		depot_put(pool, unit[--count]);
}

void depot_drain(struct pool *pool, struct magazine *magazine)
{
	depot_put_chain(pool, magazine_take_all(magazine));
}

void depot_drain_class(struct pool *pool, uint32_t class)
{
	for (uint32_t i = 0; i <= pool->shard_mask; i++)
		depot_drain(pool, &pool->shard[i].magazine[class]);
}

void depot_drain_all(struct pool *pool)
{
	for (uint32_t class = 0; class < POOL_CLASSES; class ++)
		depot_drain_class(pool, class);
}

int depot_commit(struct pool *pool, uint32_t number)
{
	void *data = chunk_data(pool, number);

	if (mprotect(data, POOL_CHUNK, PROT_READ | PROT_WRITE) < 0)
		return -ENOMEM;
	/* A child made while Direct IO is under way must not share its pages: before Linux 5.19
	 * that could make the data land in a copy. Not at the reservation: the daemon may fork
	 * first. */
	madvise(data, POOL_CHUNK, MADV_DONTFORK);
	pthread_mutex_lock(&pool->hooks);
	if (pool->observer.committed)
		pool->observer.committed(pool->observer.argument, number, data, POOL_CHUNK);
	pthread_mutex_unlock(&pool->hooks);
	return 0;
}

/*
 * First the registration ends, then the memory goes: the kernel would go on reading into the pages
 * that it holds, and the process would see others, of zeros.
 */
int depot_decommit(struct pool *pool, uint32_t number)
{
	void *data = chunk_data(pool, number);
	int err = 0;

	pthread_mutex_lock(&pool->hooks);
	if (pool->observer.releasing)
		pool->observer.releasing(pool->observer.argument, number);
	if (madvise(data, POOL_CHUNK, MADV_DONTNEED) < 0) { /* locked memory */
		err = -errno;
		if (pool->observer.committed)
			pool->observer.committed(pool->observer.argument, number, data, POOL_CHUNK);
	}
	pthread_mutex_unlock(&pool->hooks);
	/* So that a stray access is a fault and not a byte; it may fail without harm. */
	if (!err)
		mprotect(data, POOL_CHUNK, PROT_NONE);
	return err;
}
