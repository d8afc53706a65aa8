/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/openfile.h"
#include "util/cleanup.h"
#include "util/slab.h"

#define SHARDS	      16u
#define STRIPES	      64u
#define FIRST_BUCKETS 64u
#define MAX_NODES     (1u << 28) /* addresses reserved, not memory */

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	uint32_t *bucket; /* slab index + 1 of the chain's first node, 0 when empty */
	uint32_t buckets; /* a power of two */
	uint32_t count;
};

struct node_table {
	struct slab *slab;
	struct fdcache *fdcache;
	struct openfile_table *openfiles; /* counts pins; NULL: nobody does */
	struct node root;
	struct {
		_Alignas(64) pthread_mutex_t lock;
	} stripe[STRIPES];
	struct shard shard[SHARDS];
};

struct node_table *node_table_new(struct fdcache *fdcache)
{
	struct node_table *t = aligned_alloc(64, (sizeof(*t) + 63) & ~(size_t)63);

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->fdcache = fdcache;
	t->root = (struct node){ .id = NODE_ROOT_ID, .type = S_IFDIR, .lookups = 1 };
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_init(&t->stripe[i].lock, NULL);
	for (unsigned i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&t->shard[i].lock, NULL);
		t->shard[i].buckets = FIRST_BUCKETS;
		t->shard[i].bucket = calloc(FIRST_BUCKETS, sizeof(uint32_t));
	}
	t->slab = slab_new(sizeof(struct node), SHARDS, MAX_NODES);
	for (unsigned i = 0; i < SHARDS; i++)
		if (!t->shard[i].bucket)
			return node_table_free(t);
	return t->slab ? t : node_table_free(t);
}

static void node_deinit(void *object)
{
	struct node *n = object;

	if (n->length > NODE_INLINE_IDENTITY)
		free(n->identity.far);
	free(n->place);
	open_inode_free(n->open);
}

struct node_table *node_table_free(struct node_table *t)
{
	if (!t)
		return NULL;
	if (t->slab)
		slab_each(t->slab, node_deinit);
	node_deinit(&t->root);
	for (unsigned s = 0; s < SHARDS; s++) {
		free(t->shard[s].bucket);
		pthread_mutex_destroy(&t->shard[s].lock);
	}
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&t->stripe[i].lock);
	slab_free_all(t->slab);
	free(t);
	return NULL;
}

struct node *node_get(struct node_table *t, uint64_t nodeid)
{
	return nodeid == NODE_ROOT_ID ? &t->root : slab_get(t->slab, nodeid);
}

static const unsigned char *identity_bytes(const struct node *n)
{
	return n->length > NODE_INLINE_IDENTITY ? n->identity.far : n->identity.near;
}

static bool node_is(const struct node *n, uint32_t hash, const struct identity *id)
{
	return n->hash == hash && n->length == id->length && n->handle_type == id->type &&
	       memcmp(identity_bytes(n), id->bytes, id->length) == 0;
}

static struct shard *shard_of(struct node_table *t, uint32_t hash)
{
	return &t->shard[hash % SHARDS];
}

/* Its shard, locked. Only node_rename() ever changes the hash. */
static struct shard *lock_shard(struct node_table *t, const struct node *n)
{
	for (;;) {
		uint32_t hash = n->hash;
		struct shard *s = shard_of(t, hash);

		pthread_mutex_lock(&s->lock);
		if (n->hash == hash)
			return s;
		pthread_mutex_unlock(&s->lock);
	}
}

/* The low bits choose the shard, the ones above them the bucket. */
static uint32_t *bucket_of(struct shard *s, uint32_t hash)
{
	return &s->bucket[(hash / SHARDS) & (s->buckets - 1)];
}

/* Called with the shard's lock held. */
static struct node *find(struct node_table *t, uint32_t hash, const struct identity *id)
{
	uint32_t i = *bucket_of(shard_of(t, hash), hash);

	while (i) {
		struct node *n = slab_at(t->slab, i - 1);

		if (node_is(n, hash, id))
			return n;
		i = n->next;
	}
	return NULL;
}

static void chain(struct node_table *t, struct shard *s, struct node *n, uint32_t index)
{
	uint32_t *bucket = bucket_of(s, n->hash);

	(void)t;
	n->next = *bucket;
	*bucket = index + 1;
}

/* Doubles (or halves) the buckets; a shard holds a sixteenth of the nodes, so this stays short. */
static void resize(struct node_table *t, struct shard *s, uint32_t buckets)
{
	uint32_t *old = s->bucket, old_buckets = s->buckets;
	uint32_t *fresh = calloc(buckets, sizeof(*fresh));

	if (!fresh)
		return; /* longer chains are slow, not wrong */
	s->bucket = fresh;
	s->buckets = buckets;
	for (uint32_t b = 0; b < old_buckets; b++)
		for (uint32_t i = old[b]; i;) {
			struct node *n = slab_at(t->slab, i - 1);
			uint32_t next = n->next;

			chain(t, s, n, i - 1);
			i = next;
		}
	free(old);
}

static struct node *make(struct node_table *t, uint32_t hash, const struct identity *id,
			 mode_t mode)
{
	unsigned char *far = NULL;
	struct node *n;
	uint64_t nodeid;

	if (id->length > NODE_INLINE_IDENTITY) {
		far = malloc(id->length);
		if (!far)
			return NULL;
		memcpy(far, id->bytes, id->length);
	}
	n = slab_alloc(t->slab, hash % SHARDS, &nodeid);
	if (!n) {
		free(far);
		return NULL;
	}
	n->id = nodeid;
	n->hash = hash;
	n->type = mode & S_IFMT;
	n->length = id->length;
	n->handle_type = id->type;
	if (far)
		n->identity.far = far;
	else
		memcpy(n->identity.near, id->bytes, id->length);
	return n;
}

struct node *node_ref(struct node_table *t, const struct identity *id, mode_t mode,
		      struct node *parent, const char *name)
{
	uint32_t hash = identity_hash(id);
	struct shard *s = shard_of(t, hash);
	bool fresh = false;
	struct node *n;

	pthread_mutex_lock(&s->lock);
	n = find(t, hash, id);
	if (!n) {
		n = make(t, hash, id, mode);
		fresh = n;
	}
	if (n)
		n->lookups++;
	if (fresh) {
		chain(t, s, n, slab_index(n->id));
		n->hashed = true;
		if (++s->count > s->buckets)
			resize(t, s, s->buckets * 2);
	}
	pthread_mutex_unlock(&s->lock);
	if (n && parent && id->type == IDENTITY_BY_NUMBER)
		node_moved(t, n, parent, name);
	return n;
}

struct node *node_ref_known(struct node_table *t, const struct identity *id)
{
	uint32_t hash = identity_hash(id);
	struct shard *s = shard_of(t, hash);
	struct node *n;

	pthread_mutex_lock(&s->lock);
	n = find(t, hash, id);
	if (n)
		n->lookups++;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* Called with the shard's lock held. */
static void unhash(struct node_table *t, struct shard *s, struct node *n)
{
	uint32_t *link = bucket_of(s, n->hash);

	if (!n->hashed)
		return;
	while (slab_at(t->slab, *link - 1) != n)
		link = &((struct node *)slab_at(t->slab, *link - 1))->next;
	*link = n->next;
	n->hashed = false;
	if (--s->count < s->buckets / 8 && s->buckets > FIRST_BUCKETS)
		resize(t, s, s->buckets / 4);
}

void node_identity(struct node_table *t, const struct node *n, struct identity *id)
{
	struct shard *s = lock_shard(t, n);

	id->length = n->length;
	id->type = n->handle_type;
	memcpy(id->bytes, identity_bytes(n), n->length);
	pthread_mutex_unlock(&s->lock);
}

bool node_rename(struct node_table *t, struct node *n, const struct identity *id)
{
	uint32_t hash = identity_hash(id);
	struct shard *s = lock_shard(t, n), *to = shard_of(t, hash);
	bool free_name;

	/* Two shards at once, in order; n may have been renamed, or detached, before both are held. */
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(s < to ? &s->lock : &to->lock);
	if (s != to)
		pthread_mutex_lock(s < to ? &to->lock : &s->lock);
	free_name = shard_of(t, n->hash) == s && n->hashed && n->length == id->length &&
		    !find(t, hash, id);
	if (free_name) {
		unhash(t, s, n);
		n->hash = hash;
		memcpy(n->identity.near, id->bytes, id->length);
		chain(t, to, n, slab_index(n->id));
		n->hashed = true;
		to->count++;
	}
	pthread_mutex_unlock(&s->lock);
	if (s != to)
		pthread_mutex_unlock(&to->lock);
	return free_name;
}

void node_detach(struct node_table *t, struct node *n)
{
	struct shard *s;

	if (n->id == NODE_ROOT_ID)
		return;
	s = lock_shard(t, n);
	unhash(t, s, n);
	pthread_mutex_unlock(&s->lock);
}

/* Drops counts; true when the node is now unreachable and its memory is the caller's to free. */
static bool drop_counts(struct node_table *t, struct node *n, uint64_t lookups)
{
	struct shard *s = lock_shard(t, n);
	bool gone;

	n->lookups -= lookups < n->lookups ? lookups : n->lookups;
	gone = n->lookups == 0;
	if (gone)
		unhash(t, s, n);
	pthread_mutex_unlock(&s->lock);
	return gone;
}

void node_forget(struct node_table *t, struct node *n, uint64_t lookups)
{
	/* A loop, not recursion: places make chains as deep as the tree. */
	while (n && n->id != NODE_ROOT_ID && drop_counts(t, n, lookups)) {
		struct node *parent = n->place ? node_get(t, n->place->parent) : NULL;
		uint64_t id = n->id;

		if (n->open && n->open->pin >= 0)
			openfile_unpin(t->openfiles);
		fdcache_drop(t->fdcache, id);
		node_deinit(n);
		slab_release(t->slab, id);
		n = parent;
		lookups = 1;
	}
}

void node_hold(struct node_table *t, struct node *n)
{
	struct shard *s;

	if (n->id == NODE_ROOT_ID)
		return;
	s = lock_shard(t, n);
	n->lookups++;
	pthread_mutex_unlock(&s->lock);
}

void node_pin(struct node_table *t, struct node *n, int *fd)
{
	node_lock(t, n);
	if (!n->open)
		n->open = open_inode_new();
	if (n->open && n->open->pin < 0 && openfile_pin(t->openfiles))
		n->open->pin = steal_fd(fd);
	node_unlock(t, n);
}

void node_table_count_pins(struct node_table *t, struct openfile_table *openfiles)
{
	t->openfiles = openfiles;
}

static pthread_mutex_t *stripe_of(struct node_table *t, const struct node *n)
{
	return &t->stripe[((n->id * 0x9e3779b97f4a7c15ull) >> 32) % STRIPES].lock;
}

void node_lock(struct node_table *t, const struct node *n)
{
	pthread_mutex_lock(stripe_of(t, n));
}

void node_unlock(struct node_table *t, const struct node *n)
{
	pthread_mutex_unlock(stripe_of(t, n));
}

uint64_t node_count(struct node_table *t)
{
	return slab_count(t->slab) + 1;
}
