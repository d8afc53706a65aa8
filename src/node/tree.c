/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"
#include "util/clock.h"

/*
 * Descriptors kept for reuse. The bound is 512 for the whole daemon under `ulimit -n 1024`;
 * open files need theirs besides.
 */
#define FDCACHE_CAPACITY 256
/* For requests at work: each worker needs two or three for a moment. */
#define RESERVE 64

static uint32_t at_most(uint32_t wanted, uint32_t bound)
{
	return wanted < bound ? wanted : bound;
}

int tree_init(struct tree *t, uint32_t descriptors)
{
	uint32_t cached = at_most(FDCACHE_CAPACITY, descriptors / 4);
	uint32_t reserved = at_most(RESERVE, descriptors / 4);

	t->fdcache = fdcache_new(cached);
	if (t->fdcache)
		t->nodes = node_table_new(t->fdcache);
	t->openfiles = openfile_table_new();
	if (t->fdcache && t->nodes && t->openfiles) {
		openfile_set_limit(t->openfiles, descriptors - cached - reserved);
		return 0;
	}
	tree_deinit(t);
	return -ENOMEM;
}

void tree_deinit(struct tree *t)
{
	t->openfiles = openfile_table_free(t->openfiles);
	t->nodes = node_table_free(t->nodes);
	t->fdcache = fdcache_free(t->fdcache);
}

/*
 * What tells an object from a later one with its number: the time of its birth. On overlayfs a file
 * that is copied up keeps its numbers but is born anew, and it must stay one node.
 */
static uint64_t birth_of(const struct tree *t, const struct statx *stx)
{
	if (t->source.filesystem == OVERLAYFS_SUPER_MAGIC)
		return stx->stx_mode & S_IFMT;
	if (!(stx->stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)stx->stx_btime.tv_sec * NSEC_PER_SEC + stx->stx_btime.tv_nsec;
}

static int identify(const struct tree *t, int fd, const struct statx *stx, struct identity *id)
{
	if (t->source.by_handle) {
		int err = identity_of(fd, "", id);

		if (err != -EOPNOTSUPP && err != -EOVERFLOW)
			return err;
	}
	identity_by_number(makedev(stx->stx_dev_major, stx->stx_dev_minor), stx->stx_ino,
			   birth_of(t, stx), id);
	return 0;
}

int tree_adopt(struct tree *t, struct node *parent, const char *name, int fd, struct child *c)
{
	struct identity id;
	int err;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, TREE_STATX_MASK, &c->stx) < 0)
		return -errno;
	err = identify(t, fd, &c->stx, &id);
	if (err)
		return err;
	c->node = node_ref(t->nodes, &id, c->stx.stx_mode, parent, name);
	c->fd = fd;
	return c->node ? 0 : -ENOMEM;
}

int tree_lookup(struct tree *t, struct node *parent, int directory, const char *name, bool wait,
		struct child *c)
{
	int fd, err;

	if (!wait && !t->kernel.has[KERNEL_RESOLVE_CACHED])
		return -EAGAIN;
	fd = source_open_child(directory, name, !wait);
	if (fd < 0)
		return fd;
	err = tree_adopt(t, parent, name, fd, c);
	if (err)
		close(fd);
	return err;
}

struct node *tree_known(struct tree *t, int fd)
{
	struct identity id;
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, TREE_STATX_MASK, &stx) < 0 ||
	    identify(t, fd, &stx, &id) != 0)
		return NULL;
	return node_ref_known(t->nodes, &id);
}

/* One step of the way down: opens the node below its parent and makes sure that it still is it. */
static int step_down(struct tree *t, struct node *n, int parent_fd)
{
	char name[NAME_MAX + 1] = "";
	struct identity found, wanted;
	struct statx stx;
	int fd;

	node_lock(t->nodes, n);
	if (n->place)
		strncpy(name, n->place->name, NAME_MAX);
	node_unlock(t->nodes, n);
	fd = source_open_child(parent_fd, name, false);
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	node_identity(n, &wanted);
	if (statx(fd, "", AT_EMPTY_PATH, TREE_STATX_MASK, &stx) == 0) {
		identity_by_number(makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino,
				   birth_of(t, &stx), &found);
		if (found.length == wanted.length &&
		    memcmp(found.bytes, wanted.bytes, found.length) == 0)
			return fd;
	}
	close(fd);
	return -ESTALE;
}

/*
 * The tree may be deeper than any path, but not endless: two moves behind the mount can make places
 * point at each other until the next look-up.
 */
#define MAX_DEPTH 65536u

/* The nodes from one up to an ancestor whose descriptor is at hand, each counted. */
struct climb {
	struct node **node;
	size_t depth, room;
};

static int climb_push(struct climb *c, struct node *n)
{
	if (c->depth == MAX_DEPTH)
		return -ESTALE;
	if (c->depth == c->room) {
		size_t room = c->room ? c->room * 2 : 16;
		struct node **more = realloc(c->node, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->node = more;
		c->room = room;
	}
	c->node[c->depth++] = n;
	return 0;
}

/* n is counted; the count goes into the climb, or is dropped. */
static int climb(struct tree *t, struct node *n, struct climb *c, struct fd_lease *lease)
{
	while (tree_reach(t, n, false, lease) != 0) {
		int err = climb_push(c, n);

		if (err) {
			node_forget(t->nodes, n, 1);
			return err;
		}
		n = node_ref_parent(t->nodes, n);
		if (!n)
			return -ESTALE;
	}
	node_forget(t->nodes, n, 1);
	return 0;
}

/* Without handles: down from the nearest ancestor whose descriptor is at hand. n is counted. */
static int walk_down(struct tree *t, struct node *n, struct fd_lease *lease)
{
	struct climb c = {0};
	int err = climb(t, n, &c, lease);

	while (!err && c.depth) {
		struct node *next = c.node[--c.depth];
		int fd = step_down(t, next, lease->fd);

		tree_return(t, lease);
		if (fd < 0)
			err = fd;
		else
			fdcache_put(t->fdcache, next->id, fd, lease);
		node_forget(t->nodes, next, 1);
	}
	while (c.depth)
		node_forget(t->nodes, c.node[--c.depth], 1);
	free(c.node);
	return err;
}

static int reach_by_place(struct tree *t, struct node *n, struct fd_lease *lease)
{
	unsigned done, begun;
	int err;

	/* A rename through the mount changes the name first and the place a moment later. */
	do {
		done = atomic_load(&t->renames_done);
		node_hold(t->nodes, n);
		err = walk_down(t, n, lease);
		begun = atomic_load(&t->renames_begun);
		if (err == -ESTALE && begun != done)
			sched_yield();
	} while (err == -ESTALE && begun != done);
	return err;
}

int tree_reach(struct tree *t, struct node *n, bool wait, struct fd_lease *lease)
{
	struct identity id;
	int fd = -1;

	*lease = FD_LEASE_NONE;
	if (n->id == NODE_ROOT_ID) {
		lease->fd = t->source.root;
		return 0;
	}
	if (fdcache_get(t->fdcache, n->id, lease))
		return 0;
	node_lock(t->nodes, n);
	if (n->open)
		fd = n->open->pin;
	node_unlock(t->nodes, n);
	if (fd >= 0) { /* stays until the node is forgotten, so it needs no count */
		lease->fd = fd;
		return 0;
	}
	if (!wait)
		return -EAGAIN;
	if (n->handle_type == IDENTITY_BY_NUMBER)
		return reach_by_place(t, n, lease);
	node_identity(n, &id);
	fd = identity_open(t->source.root, &id, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fd;
	fdcache_put(t->fdcache, n->id, fd, lease);
	return 0;
}
