/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/fdcache.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAYS 8u

struct fdcache_way {
	uint64_t nodeid; /* 0: the way is free, or its owner was dropped while it was lent */
	int fd;		 /* -1: none */
	uint32_t leases;
	uint32_t used;	/* the set's clock at the last use */
	uint32_t epoch; /* the cache's epoch at the last use */
};

struct set {
	_Alignas(64) pthread_mutex_t lock;
	uint32_t clock;
	struct fdcache_way way[WAYS];
};

struct fdcache {
	unsigned sets;
	_Atomic unsigned count;
	_Atomic uint32_t epoch; /* one per sweep */
	struct set set[];
};

struct fdcache *fdcache_new(unsigned capacity)
{
	unsigned sets = capacity ? (capacity + WAYS - 1) / WAYS : 1;
	size_t bytes = sizeof(struct fdcache) + sets * sizeof(struct set);
	struct fdcache *c = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	if (!c)
		return NULL;
	memset(c, 0, bytes);
	c->sets = sets;
	for (unsigned s = 0; s < sets; s++) {
		pthread_mutex_init(&c->set[s].lock, NULL);
		for (unsigned w = 0; w < WAYS; w++)
			c->set[s].way[w].fd = -1;
	}
	return c;
}

struct fdcache *fdcache_free(struct fdcache *c)
{
	if (!c)
		return NULL;
	for (unsigned s = 0; s < c->sets; s++) {
		for (unsigned w = 0; w < WAYS; w++)
			if (c->set[s].way[w].fd >= 0)
				close(c->set[s].way[w].fd);
		pthread_mutex_destroy(&c->set[s].lock);
	}
	free(c);
	return NULL;
}

static struct set *set_of(struct fdcache *c, uint64_t nodeid)
{
	return &c->set[((nodeid * 0x9e3779b97f4a7c15ull) >> 32) % c->sets];
}

/* Called with the set's lock held. */
static void lend(struct fdcache *c, struct set *s, struct fdcache_way *w, struct fd_lease *lease)
{
	w->leases++;
	w->used = ++s->clock;
	w->epoch = atomic_load_explicit(&c->epoch, memory_order_relaxed);
	*lease = (struct fd_lease){ .fd = w->fd, .way = w };
}

bool fdcache_get(struct fdcache *c, uint64_t nodeid, struct fd_lease *lease)
{
	struct set *s = set_of(c, nodeid);
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < WAYS && !found; i++)
		if (nodeid && s->way[i].nodeid == nodeid) {
			lend(c, s, &s->way[i], lease);
			found = true;
		}
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* A way for a new descriptor: a free one, else the longest unused that is not lent. */
static struct fdcache_way *choose_way(struct set *s, uint64_t nodeid)
{
	struct fdcache_way *best = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		struct fdcache_way *w = &s->way[i];

		if (w->nodeid == nodeid)
			return NULL; /* somebody was faster: keep his */
		if (w->leases)
			continue;
		if (w->fd < 0)
			best = w;
		else if (!best || (best->fd >= 0 && (int32_t)(w->used - best->used) < 0))
			best = w;
	}
	return best;
}

void fdcache_put(struct fdcache *c, uint64_t nodeid, int fd, struct fd_lease *lease)
{
	struct set *s = set_of(c, nodeid);
	struct fdcache_way *w;
	int evicted = -1;

	pthread_mutex_lock(&s->lock);
	w = choose_way(s, nodeid);
	if (w) {
		evicted = w->fd;
		w->nodeid = nodeid;
		w->fd = fd;
		if (evicted < 0)
			atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
		lend(c, s, w, lease);
	} else {
		*lease = (struct fd_lease){ .fd = fd, .own = true };
	}
	pthread_mutex_unlock(&s->lock);
	if (evicted >= 0)
		close(evicted);
}

/* Empties an unlent way; returns the descriptor to close after the lock is let go. */
static int vacate(struct fdcache *c, struct fdcache_way *w)
{
	int fd = w->fd;

	w->nodeid = 0;
	w->fd = -1;
	if (fd >= 0)
		atomic_fetch_sub_explicit(&c->count, 1, memory_order_relaxed);
	return fd;
}

static struct set *set_of_way(struct fdcache *c, struct fdcache_way *w)
{
	return &c->set[((char *)w - (char *)c->set) / sizeof(struct set)];
}

void fdcache_return(struct fdcache *c, struct fd_lease *lease)
{
	struct fdcache_way *w = lease->way;
	int doomed = -1;

	if (w) {
		struct set *s = set_of_way(c, w);

		pthread_mutex_lock(&s->lock);
		if (--w->leases == 0 && !w->nodeid)
			doomed = vacate(c, w);
		pthread_mutex_unlock(&s->lock);
	} else if (lease->own) {
		doomed = lease->fd;
	}
	if (doomed >= 0)
		close(doomed);
	*lease = FD_LEASE_NONE;
}

int fdcache_take(struct fdcache *c, struct fd_lease *lease)
{
	struct fdcache_way *w = lease->way;
	int fd = lease->own ? lease->fd : -1;

	if (w) {
		struct set *s = set_of_way(c, w);

		pthread_mutex_lock(&s->lock);
		if (w->leases == 1 && !w->nodeid) {
			w->leases = 0;
			fd = vacate(c, w);
			w = NULL;
		}
		pthread_mutex_unlock(&s->lock);
	}
	if (fd < 0) {
		fd = fcntl(lease->fd, F_DUPFD_CLOEXEC, 0);
		if (w)
			fdcache_return(c, lease);
	}
	*lease = FD_LEASE_NONE;
	return fd;
}

void fdcache_drop(struct fdcache *c, uint64_t nodeid)
{
	struct set *s = set_of(c, nodeid);
	int doomed = -1;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < WAYS; i++) {
		struct fdcache_way *w = &s->way[i];

		if (w->nodeid != nodeid)
			continue;
		w->nodeid = 0; /* not to be found again; the last lease closes it */
		if (!w->leases)
			doomed = vacate(c, w);
	}
	pthread_mutex_unlock(&s->lock);
	if (doomed >= 0)
		close(doomed);
}

static void sweep_set(struct fdcache *c, struct set *s, uint32_t epoch)
{
	int doomed[WAYS];
	unsigned n = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < WAYS; i++) {
		struct fdcache_way *w = &s->way[i];

		if (w->fd >= 0 && !w->leases && epoch - w->epoch > 1)
			doomed[n++] = vacate(c, w);
	}
	pthread_mutex_unlock(&s->lock);
	while (n)
		close(doomed[--n]);
}

unsigned fdcache_sweep(struct fdcache *c)
{
	uint32_t epoch = atomic_fetch_add_explicit(&c->epoch, 1, memory_order_relaxed) + 1;

	for (unsigned i = 0; i < c->sets; i++)
		sweep_set(c, &c->set[i], epoch);
	return fdcache_count(c);
}

unsigned fdcache_count(const struct fdcache *c)
{
	return atomic_load_explicit(&c->count, memory_order_relaxed);
}
