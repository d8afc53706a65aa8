/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/ahead_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/clock.h"

/* A buffer that nobody has come for in this time is worth more to others. */
#define REST_NS 2000000000ull
/* No file system wants less for Direct IO than this, or gains by less. */
#define ALIGN_MIN 4096u

struct ahead_set *ahead_set_new(struct engine *engine)
{
	struct ahead_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->engine = engine;
	set->limit = pool_chunks(engine_pool(engine)) / 2;
	pthread_mutex_init(&set->lock, NULL);
	return set;
}

void ahead_set_close(struct ahead_set *set)
{
	while (set->first)
		ahead_close(set->first);
}

struct ahead_set *ahead_set_free(struct ahead_set *set)
{
	if (!set)
		return NULL;
	pthread_mutex_destroy(&set->lock);
	free(set);
	return NULL;
}

void ahead_set_tick(struct ahead_set *set)
{
	uint64_t now = clock_ns();

	pthread_mutex_lock(&set->lock);
	for (struct ahead *a = set->first; a; a = a->next) {
		pthread_mutex_lock(&a->lock);
		if (a->held && now - a->used_at > REST_NS)
			ahead_drop_all(a);
		pthread_mutex_unlock(&a->lock);
	}
	pthread_mutex_unlock(&set->lock);
}

static uint64_t value(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void ahead_read_counters(const struct ahead_set *set, struct ahead_counters *c)
{
	*c = (struct ahead_counters){
		.used = value(&set->used),
		.late = value(&set->late),
		.wasted = value(&set->wasted),
		.bytes = value(&set->bytes),
		.stale = value(&set->stale),
	};
}

static void list(struct ahead_set *set, struct ahead *a)
{
	pthread_mutex_lock(&set->lock);
	a->next = set->first;
	if (a->next)
		a->next->previous = a;
	set->first = a;
	pthread_mutex_unlock(&set->lock);
}

static void unlist(struct ahead_set *set, struct ahead *a)
{
	pthread_mutex_lock(&set->lock);
	if (a->previous)
		a->previous->next = a->next;
	else
		set->first = a->next;
	if (a->next)
		a->next->previous = a->previous;
	pthread_mutex_unlock(&set->lock);
}

struct ahead *ahead_new(struct ahead_set *set, int fd, uint32_t align)
{
	struct ahead *a;

	if (!set->limit || align > PATTERN_MIN_PIECE)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (a->fd < 0) {
		free(a);
		return NULL;
	}
	a->set = set;
	a->refs = 1;
	a->align = align > ALIGN_MIN ? align : ALIGN_MIN;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->arrived, NULL);
	pattern_init(&a->pattern, a->align);
	list(set, a);
	return a;
}

void ahead_unref(struct ahead *a)
{
	if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
		return;
	close(a->fd);
	pthread_cond_destroy(&a->arrived);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void ahead_close(struct ahead *a)
{
	if (!a)
		return;
	unlist(a->set, a);
	pthread_mutex_lock(&a->lock);
	ahead_drop_all(a);
	pthread_mutex_unlock(&a->lock);
	ahead_unref(a);
}

unsigned ahead_active(const struct ahead_set *set)
{
	return atomic_load_explicit(&set->active, memory_order_relaxed);
}

unsigned ahead_share(const struct ahead_set *set)
{
	unsigned streams = ahead_active(set), share = set->limit / (streams ? streams : 1);

	if (share > STREAM_PIECES)
		return STREAM_PIECES;
	return share ? share : 1;
}
