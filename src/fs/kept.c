/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/kept.h"

#include <pthread.h>
#include <stdlib.h>

#define KEPT_TICKS 2u

struct kept {
	pthread_mutex_t lock;
	_Atomic unsigned count; /* changed with the lock held */
	_Atomic uint32_t ticks;
	uint64_t nodeid[KEPT_MAX]; /* each holds a lookup count */
};

struct kept *kept_new(void)
{
	struct kept *k = calloc(1, sizeof(*k));

	if (k)
		pthread_mutex_init(&k->lock, NULL);
	return k;
}

struct kept *kept_free(struct kept *k)
{
	if (!k)
		return NULL;
	pthread_mutex_destroy(&k->lock);
	free(k);
	return NULL;
}

unsigned kept_count(const struct kept *k)
{
	return atomic_load(&k->count);
}

static bool list(struct kept *k, uint64_t nodeid)
{
	bool room;

	pthread_mutex_lock(&k->lock);
	room = k->count < KEPT_MAX;
	if (room)
		k->nodeid[k->count++] = nodeid;
	pthread_mutex_unlock(&k->lock);
	return room;
}

bool kept_add(struct fs *fs, struct node *node)
{
	struct open_inode *oi = node->open;

	if (!oi->listed) {
		if (!list(fs->kept, node->id))
			return false;
		node_hold(fs->tree.nodes, node);
		oi->listed = true;
	}
	oi->kept_at = atomic_load_explicit(&fs->kept->ticks, memory_order_relaxed);
	return true;
}

/* Only the housekeeper takes entries out, so what he has seen at i is there still. */
static void unlist(struct kept *k, unsigned i)
{
	pthread_mutex_lock(&k->lock);
	k->nodeid[i] = k->nodeid[--k->count];
	pthread_mutex_unlock(&k->lock);
}

static struct node *at(struct fs *fs, unsigned i)
{
	struct kept *k = fs->kept;
	struct node *node = NULL;

	pthread_mutex_lock(&k->lock);
	if (i < k->count)
		node = fs_node(fs, k->nodeid[i]);
	pthread_mutex_unlock(&k->lock);
	return node;
}

/* False: it stays listed. One that is open again is listed anew at its last close. */
static bool let_go(struct fs *fs, struct node *node, uint32_t now)
{
	struct open_inode *oi;
	int id = 0;
	bool gone;

	node_lock(fs->tree.nodes, node);
	oi = node->open;
	gone = oi->opens || !oi->backing_id || now - oi->kept_at >= KEPT_TICKS;
	if (gone) {
		oi->listed = false;
		id = backing_release(node);
	}
	node_unlock(fs->tree.nodes, node);
	backing_close(fs, id);
	return gone;
}

bool kept_tick(struct fs *fs)
{
	uint32_t now = atomic_fetch_add(&fs->kept->ticks, 1) + 1;
	struct node *node;
	unsigned i = 0;

	while ((node = at(fs, i))) {
		if (let_go(fs, node, now)) {
			unlist(fs->kept, i);
			node_forget(fs->tree.nodes, node, 1);
		} else {
			i++;
		}
	}
	return kept_count(fs->kept);
}
