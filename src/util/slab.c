/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/slab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Large enough that giving a chunk back is worth a system call, small enough that chunks do empty. */
#define CHUNK_OBJECTS 256u
#define NO_CHUNK      UINT32_MAX

struct chunk {
	/* Generation of each object, 0 while its slot is free. Stored with release when an object is
	 * ready and read with acquire by slab_get(), which takes no lock. */
	_Atomic uint32_t generation[CHUNK_OBJECTS];
	uint64_t used[CHUNK_OBJECTS / 64];
	uint32_t count;
	uint32_t prev, next; /* list of chunks with room, of one shard */
	uint32_t shard;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	uint32_t room; /* first chunk with a free slot */
	uint64_t objects;
};

/* Lock order: a shard's lock, then the grow lock. */
struct slab {
	size_t object_size;
	char *objects; /* reserved addresses, readable and writable below `chunks` chunks */
	size_t objects_bytes;
	struct chunk **chunk; /* by number; NULL until first used, never freed before the slab is */
	uint32_t max_chunks;
	_Atomic uint32_t chunks;
	_Atomic uint32_t next_generation;
	pthread_mutex_t grow;
	uint32_t empty; /* list of empty chunks that belong to no shard */
	unsigned shards;
	struct shard shard[];
};

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct slab *slab_new(size_t object_size, unsigned shards, uint32_t max_objects)
{
	size_t bytes = sizeof(struct slab) + shards * sizeof(struct shard);
	struct slab *slab = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	if (!slab)
		return NULL;
	memset(slab, 0, bytes);
	slab->object_size = (object_size + 7) & ~(size_t)7;
	slab->max_chunks = (max_objects + CHUNK_OBJECTS - 1) / CHUNK_OBJECTS;
	slab->objects_bytes = (size_t)slab->max_chunks * CHUNK_OBJECTS * slab->object_size;
	slab->objects = reserve(slab->objects_bytes);
	slab->chunk = calloc(slab->max_chunks, sizeof(*slab->chunk)); /* touched as far as used */
	atomic_init(&slab->next_generation, 1);
	pthread_mutex_init(&slab->grow, NULL);
	slab->empty = NO_CHUNK;
	slab->shards = shards;
	for (unsigned i = 0; i < shards; i++) {
		pthread_mutex_init(&slab->shard[i].lock, NULL);
		slab->shard[i].room = NO_CHUNK;
	}
	if (!slab->objects || !slab->chunk)
		return slab_free_all(slab);
	return slab;
}

struct slab *slab_free_all(struct slab *slab)
{
	if (!slab)
		return NULL;
	for (uint32_t i = 0; i < atomic_load(&slab->chunks); i++)
		free(slab->chunk[i]);
	if (slab->objects)
		munmap(slab->objects, slab->objects_bytes);
	free(slab->chunk);
	for (unsigned i = 0; i < slab->shards; i++)
		pthread_mutex_destroy(&slab->shard[i].lock);
	pthread_mutex_destroy(&slab->grow);
	free(slab);
	return NULL;
}

static char *chunk_objects(const struct slab *slab, uint32_t number)
{
	return slab->objects + (size_t)number * CHUNK_OBJECTS * slab->object_size;
}

static void room_push(struct slab *slab, struct shard *shard, uint32_t number)
{
	struct chunk *c = slab->chunk[number];

	c->prev = NO_CHUNK;
	c->next = shard->room;
	if (c->next != NO_CHUNK)
		slab->chunk[c->next]->prev = number;
	shard->room = number;
}

static void room_remove(struct slab *slab, struct shard *shard, uint32_t number)
{
	struct chunk *c = slab->chunk[number];

	if (c->prev != NO_CHUNK)
		slab->chunk[c->prev]->next = c->next;
	else
		shard->room = c->next;
	if (c->next != NO_CHUNK)
		slab->chunk[c->next]->prev = c->prev;
}

/* Makes a chunk never used before. Called with the grow lock held. */
static uint32_t chunk_commit(struct slab *slab)
{
	uint32_t number = atomic_load_explicit(&slab->chunks, memory_order_relaxed);
	size_t bytes = CHUNK_OBJECTS * slab->object_size;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *start = chunk_objects(slab, number), *end = start + bytes;
	struct chunk *c;

	if (number == slab->max_chunks)
		return NO_CHUNK;
	/* Chunks need not end at a page's end: neighbours share a page, and both commit it. */
	start = (char *)((uintptr_t)start & ~(page - 1));
	if (mprotect(start, (size_t)(end - start), PROT_READ | PROT_WRITE) < 0)
		return NO_CHUNK;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NO_CHUNK;
	slab->chunk[number] = c;
	/* Release: who sees the number sees the chunk's pointer. */
	atomic_store_explicit(&slab->chunks, number + 1, memory_order_release);
	return number;
}

/* Gives the shard a chunk with room. Called with the shard's lock held. */
static int shard_refill(struct slab *slab, unsigned index)
{
	uint32_t number;

	pthread_mutex_lock(&slab->grow);
	number = slab->empty;
	if (number != NO_CHUNK)
		slab->empty = slab->chunk[number]->next;
	else
		number = chunk_commit(slab);
	pthread_mutex_unlock(&slab->grow);
	if (number == NO_CHUNK)
		return -1;
	slab->chunk[number]->shard = index;
	room_push(slab, &slab->shard[index], number);
	return 0;
}

static uint32_t new_generation(struct slab *slab)
{
	uint32_t g;

	do
		g = atomic_fetch_add_explicit(&slab->next_generation, 1, memory_order_relaxed);
	while (g == 0);
	return g;
}

static unsigned take_slot(struct chunk *c)
{
	for (unsigned word = 0;; word++)
		if (~c->used[word]) {
			unsigned bit = (unsigned)__builtin_ctzll(~c->used[word]);

			c->used[word] |= 1ull << bit;
			c->count++;
			return word * 64 + bit;
		}
}

void *slab_alloc(struct slab *slab, unsigned shard_index, uint64_t *id)
{
	struct shard *shard = &slab->shard[shard_index & (slab->shards - 1)];
	uint32_t number, generation = new_generation(slab);
	struct chunk *c;
	unsigned slot;
	char *object;

	pthread_mutex_lock(&shard->lock);
	if (shard->room == NO_CHUNK && shard_refill(slab, shard_index & (slab->shards - 1)) < 0) {
		pthread_mutex_unlock(&shard->lock);
		return NULL;
	}
	number = shard->room;
	c = slab->chunk[number];
	slot = take_slot(c);
	if (c->count == CHUNK_OBJECTS)
		room_remove(slab, shard, number);
	shard->objects++;
	object = chunk_objects(slab, number) + slot * slab->object_size;
	memset(object, 0, slab->object_size);
	atomic_store_explicit(&c->generation[slot], generation, memory_order_release);
	pthread_mutex_unlock(&shard->lock);
	*id = (uint64_t)generation << 32 | (number * CHUNK_OBJECTS + slot);
	return object;
}

void *slab_at(const struct slab *slab, uint32_t index)
{
	return slab->objects + (size_t)index * slab->object_size;
}

void *slab_get(const struct slab *slab, uint64_t id)
{
	uint32_t index = slab_index(id), number = index / CHUNK_OBJECTS;
	uint32_t generation = (uint32_t)(id >> 32);

	if (number >= atomic_load_explicit(&slab->chunks, memory_order_acquire) || !generation)
		return NULL;
	if (atomic_load_explicit(&slab->chunk[number]->generation[index % CHUNK_OBJECTS],
				 memory_order_acquire) != generation)
		return NULL;
	return slab_at(slab, index);
}

/* Gives an empty chunk's memory back, but for the pages that it shares with its neighbours. */
static void chunk_discard(struct slab *slab, uint32_t number)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)chunk_objects(slab, number);
	uintptr_t end = start + CHUNK_OBJECTS * slab->object_size;

	start = (start + page - 1) & ~(page - 1);
	end &= ~(page - 1);
	if (start < end)
		madvise((void *)start, end - start, MADV_DONTNEED);
	pthread_mutex_lock(&slab->grow);
	slab->chunk[number]->next = slab->empty;
	slab->empty = number;
	pthread_mutex_unlock(&slab->grow);
}

void slab_release(struct slab *slab, uint64_t id)
{
	uint32_t index = slab_index(id), number = index / CHUNK_OBJECTS;
	unsigned slot = index % CHUNK_OBJECTS;
	struct chunk *c = slab->chunk[number];
	struct shard *shard = &slab->shard[c->shard];

	pthread_mutex_lock(&shard->lock);
	if (atomic_load_explicit(&c->generation[slot], memory_order_relaxed) != id >> 32) {
		pthread_mutex_unlock(&shard->lock);
		return; /* released already */
	}
	atomic_store_explicit(&c->generation[slot], 0, memory_order_release);
	c->used[slot / 64] &= ~(1ull << (slot % 64));
	shard->objects--;
	if (c->count-- == CHUNK_OBJECTS)
		room_push(slab, shard, number);
	/* The shard's last chunk with room stays, so that one object coming and going is cheap. */
	if (c->count == 0 && (c->next != NO_CHUNK || c->prev != NO_CHUNK)) {
		room_remove(slab, shard, number);
		chunk_discard(slab, number);
	}
	pthread_mutex_unlock(&shard->lock);
}

uint64_t slab_count(struct slab *slab)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < slab->shards; i++) {
		pthread_mutex_lock(&slab->shard[i].lock);
		total += slab->shard[i].objects;
		pthread_mutex_unlock(&slab->shard[i].lock);
	}
	return total;
}

void slab_each(struct slab *slab, void (*fn)(void *object))
{
	for (uint32_t i = 0; i < atomic_load(&slab->chunks); i++)
		for (unsigned slot = 0; slot < CHUNK_OBJECTS; slot++)
			if (atomic_load(&slab->chunk[i]->generation[slot]))
				fn(slab_at(slab, i * CHUNK_OBJECTS + slot));
}
