/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/openfile.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/slab.h"

#define SHARDS	 16u
#define MAX_OPEN (1u << 24)

struct openfile_table {
	struct slab *slab;
	_Atomic uint32_t kept;
	uint32_t limit;
};

struct open_inode *open_inode_new(void)
{
	struct open_inode *open = calloc(1, sizeof(*open));

	if (open)
		open->pin = open->held = -1;
	return open;
}

void open_inode_free(struct open_inode *open)
{
	if (!open)
		return;
	if (open->pin >= 0)
		close(open->pin);
	if (open->held >= 0)
		close(open->held);
	free(open);
}

static void openfile_deinit(void *object)
{
	struct openfile *of = object;

	if (of->fd >= 0)
		close(of->fd);
	if (of->direct >= 0)
		close(of->direct);
	if (of->dir)
		pthread_mutex_destroy(&of->dir->lock);
	free(of->dir);
}

struct openfile_table *openfile_table_new(void)
{
	struct openfile_table *t = calloc(1, sizeof(*t));

	if (t)
		t->limit = UINT32_MAX;
	if (t)
		t->slab = slab_new(sizeof(struct openfile), SHARDS, MAX_OPEN);
	return t && t->slab ? t : openfile_table_free(t);
}

struct openfile_table *openfile_table_free(struct openfile_table *t)
{
	if (!t)
		return NULL;
	if (t->slab)
		slab_each(t->slab, openfile_deinit);
	slab_free_all(t->slab);
	free(t);
	return NULL;
}

struct openfile *openfile_new(struct openfile_table *t, uint64_t nodeid, uint64_t *fh)
{
	struct openfile *of = slab_alloc(t->slab, (unsigned)nodeid, fh);

	if (!of)
		return NULL;
	of->nodeid = nodeid;
	of->fd = of->direct = -1;
	return of;
}

struct openfile *openfile_get(struct openfile_table *t, uint64_t fh)
{
	return slab_get(t->slab, fh);
}

void openfile_close(struct openfile_table *t, uint64_t fh)
{
	struct openfile *of = slab_get(t->slab, fh);

	if (!of)
		return;
	if (of->kept)
		atomic_fetch_sub_explicit(&t->kept, of->kept, memory_order_relaxed);
	openfile_deinit(of);
	slab_release(t->slab, fh);
}

void openfile_set_limit(struct openfile_table *t, uint32_t descriptors)
{
	t->limit = descriptors;
}

int openfile_room(struct openfile_table *t, bool directory)
{
	uint64_t limit = (uint64_t)t->limit + (directory ? t->limit / 8 : 0);

	/* A few too many at once do no harm: the limit leaves a reserve. */
	return atomic_load_explicit(&t->kept, memory_order_relaxed) < limit ? 0 : -EMFILE;
}

bool openfile_pin(struct openfile_table *t)
{
	if (t && openfile_room(t, false))
		return false;
	if (t)
		atomic_fetch_add_explicit(&t->kept, 1, memory_order_relaxed);
	return true;
}

bool openfile_spare(struct openfile_table *t)
{
	if (atomic_load_explicit(&t->kept, memory_order_relaxed) >= t->limit / 2)
		return false;
	atomic_fetch_add_explicit(&t->kept, 1, memory_order_relaxed);
	return true;
}

void openfile_unpin(struct openfile_table *t)
{
	if (t)
		atomic_fetch_sub_explicit(&t->kept, 1, memory_order_relaxed);
}

void openfile_keep(struct openfile_table *t, struct openfile *of, int fd)
{
	of->fd = fd;
	of->kept++;
	atomic_fetch_add_explicit(&t->kept, 1, memory_order_relaxed);
}

void openfile_keep_direct(struct openfile_table *t, struct openfile *of, int fd)
{
	of->direct = fd;
	of->kept++;
	atomic_fetch_add_explicit(&t->kept, 1, memory_order_relaxed);
}

uint64_t openfile_count(struct openfile_table *t)
{
	return slab_count(t->slab);
}

struct dirstream *dirstream_new(void)
{
	struct dirstream *d = malloc(sizeof(*d)); /* its buffer need not be cleared */

	if (!d)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	d->position = 0;
	d->at = d->filled = d->entries = 0;
	d->sampled = d->bare = d->kept = false;
	return d;
}
