/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/revalidate.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/futex.h"

/* A node's version while its pages are being dropped. */
#define DROPPING 1u

/*
 * Who opens a file to write waits so long for its pages to be dropped: that waits for pages that are
 * being read, and the disk may have stalled.
 */
#define PATIENCE 10u /* s */

/* Lock order: a node's lock, then this one. */
struct revalidate {
	_Atomic uint32_t drops; /* that have ended: those who wait for one look again */
	pthread_mutex_t lock;
	uint64_t *nodeid; /* inodes open this way */
	size_t count, room;
};

struct revalidate *revalidate_new(void)
{
	struct revalidate *r = calloc(1, sizeof(*r));

	if (r)
		pthread_mutex_init(&r->lock, NULL);
	return r;
}

struct revalidate *revalidate_free(struct revalidate *r)
{
	if (!r)
		return NULL;
	pthread_mutex_destroy(&r->lock);
	free(r->nodeid);
	free(r);
	return NULL;
}

void revalidate_add(struct fs *fs, struct node *node)
{
	struct revalidate *r = fs->revalidate;

	pthread_mutex_lock(&r->lock);
	if (r->count == r->room) {
		size_t room = r->room ? r->room * 2 : 64;
		uint64_t *more = realloc(r->nodeid, room * sizeof(*more));

		if (more) {
			r->nodeid = more;
			r->room = room;
		}
	}
	if (r->count < r->room) /* else it is looked at when it is opened the next time */
		r->nodeid[r->count++] = node->id;
	pthread_mutex_unlock(&r->lock);
}

void revalidate_remove(struct fs *fs, struct node *node)
{
	struct revalidate *r = fs->revalidate;

	pthread_mutex_lock(&r->lock);
	for (size_t i = r->count; i-- > 0;) /* most recent first: opens are short */
		if (r->nodeid[i] == node->id) {
			r->nodeid[i] = r->nodeid[--r->count];
			break;
		}
	pthread_mutex_unlock(&r->lock);
}

/* A number that changes whenever the content may have changed; 0: it is not known. */
static uint64_t content_version(int fd)
{
	struct stat st;
	uint64_t version;

	if (fstat(fd, &st) < 0)
		return 0;
	version = ((uint64_t)st.st_mtim.tv_sec * 1000003 + (uint64_t)st.st_mtim.tv_nsec) * 1000003 +
		  (uint64_t)st.st_ctim.tv_nsec * 31 + (uint64_t)st.st_size;
	return version > DROPPING ? version : DROPPING + 1;
}

/*
 * Drops what the kernel has of a file of version `now`, which nobody writes: it has been marked with
 * DROPPING under the node's lock, so that nobody begins to write it meanwhile.
 */
static void drop(struct fs *fs, struct node *node, uint64_t now)
{
	uint64_t marked = DROPPING;

	fuse_lowlevel_notify_inval_inode(fs->fuse, node->id, 0, 0);
	atomic_compare_exchange_strong(&node->version, &marked, now);
	atomic_fetch_add(&fs->revalidate->drops, 1);
	futex_wake(&fs->revalidate->drops, INT_MAX);
}

void revalidate_at_open(struct fs *fs, struct node *node, const struct openfile *of)
{
	static const struct timespec patience = { .tv_sec = PATIENCE };
	uint64_t known, now = 0, begun = clock_ns();
	bool waits = true, stale = false;
	uint32_t drops;

	do {
		drops = atomic_load(&fs->revalidate->drops);
		node_lock(fs->tree.nodes, node);
		known = atomic_load(&node->version);
		if (known != DROPPING && node->open->writers == of->writer) {
			now = content_version(of->fd);
			/* The kernel drops all of a file that it cuts by itself. */
			stale = (!now || now != known) && !(of->flags & O_TRUNC);
			atomic_store(&node->version, stale ? DROPPING : now);
		}
		node_unlock(fs->tree.nodes, node);
		if (known == DROPPING && waits) {
			worker_may_block(worker_self());
			waits = futex_wait(&fs->revalidate->drops, drops, &patience) &&
				clock_ns() - begun < PATIENCE * 1000000000ull;
		}
	} while (known == DROPPING && waits);
	if (stale) {
		worker_might_block(worker_self());
		drop(fs, node, now);
	}
}

/* 0: they are not known to be, and stay so. */
uint64_t revalidate_before(struct node *node, int fd)
{
	uint64_t known = node ? atomic_load(&node->version) : 0;

	return known && content_version(fd) == known ? known : 0;
}

void revalidate_after(struct node *node, int fd, uint64_t before)
{
	/* Two at once: the second finds another version, and the pages are asked for anew some time. */
	if (before)
		atomic_compare_exchange_strong(&node->version, &before, content_version(fd));
}

/* Drops the pages of a file that has changed behind the mount; but not while somebody writes it. */
static void look(struct fs *fs, struct node *node)
{
	struct fd_lease lease;
	uint64_t known, now;
	bool news = false;

	if (tree_reach(&fs->tree, node, true, &lease) != 0)
		return;
	node_lock(fs->tree.nodes, node);
	if (node->open && open_inode_cached(node->open) && !node->open->writers) {
		known = atomic_load(&node->version);
		now = content_version(lease.fd);
		news = known != DROPPING && known != now;
		if (news)
			atomic_store(&node->version, DROPPING);
	}
	node_unlock(fs->tree.nodes, node);
	tree_return(&fs->tree, &lease);
	if (news)
		drop(fs, node, now);
}

/* The i-th open inode, held; NULL when there is none. While it is listed, its node is alive. */
static struct node *hold(struct fs *fs, size_t i)
{
	struct revalidate *r = fs->revalidate;
	struct node *node = NULL;

	pthread_mutex_lock(&r->lock);
	if (i < r->count)
		node = fs_node(fs, r->nodeid[i]);
	if (node)
		node_hold(fs->tree.nodes, node);
	pthread_mutex_unlock(&r->lock);
	return node;
}

bool revalidate_tick(struct fs *fs)
{
	struct node *node;
	size_t i;

	/* One that moves to an earlier place meanwhile is looked at a second later. */
	for (i = 0; (node = hold(fs, i)); i++) {
		look(fs, node);
		node_forget(fs->tree.nodes, node, 1);
	}
	return i > 0;
}
