/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a node to a descriptor: one at hand, by its handle, or down from its place. */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/tree.h"
#include "util/cleanup.h"

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
	node_identity(t->nodes, n, &wanted);
	if (statx(fd, "", AT_EMPTY_PATH, TREE_STATX_MASK, &stx) == 0) {
		if (identity_is_placed(&wanted) && identity_from_lower(fd))
			return fd;
		tree_number(t, &stx, &found);
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
	struct climb c = { 0 };
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
	int fd = -1, held = -1;

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
	if (n->open && fd < 0 && n->open->held >= 0) /* a copy: its last user may close it */
		held = fcntl(n->open->held, F_DUPFD_CLOEXEC, 0);
	node_unlock(t->nodes, n);
	if (fd >= 0) { /* stays until the node is forgotten, so it needs no count */
		lease->fd = fd;
		return 0;
	}
	if (held >= 0) {
		fdcache_put(t->fdcache, n->id, held, lease);
		return 0;
	}
	if (!wait)
		return -EAGAIN;
	if (n->handle_type == IDENTITY_BY_NUMBER)
		return reach_by_place(t, n, lease);
	node_identity(t->nodes, n, &id);
	fd = identity_open(t->source.root, &id, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fd;
	fdcache_put(t->fdcache, n->id, fd, lease);
	return 0;
}
