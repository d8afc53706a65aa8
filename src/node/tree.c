/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/tree.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"
#include "util/clock.h"

/*
 * Descriptors kept for reuse, for a second or two. The bound is 512 for the whole daemon under
 * `ulimit -n 1024`; open files need theirs besides. Where there are plenty, those of a few thousand
 * files that a program goes over again and again need not be opened by handle each time.
 */
#define FDCACHE_FEW  256
#define FDCACHE_MANY 4096
/* For requests at work: each worker needs two or three for a moment. */
#define RESERVE 64

static uint32_t at_most(uint32_t wanted, uint32_t bound)
{
	return wanted < bound ? wanted : bound;
}

int tree_init(struct tree *t, uint32_t descriptors)
{
	uint32_t few = at_most(FDCACHE_FEW, descriptors / 4);
	uint32_t many = at_most(FDCACHE_MANY, descriptors / 8);
	uint32_t cached = many > few ? many : few;
	uint32_t reserved = at_most(RESERVE, descriptors / 4);

	t->fdcache = fdcache_new(cached);
	if (t->fdcache)
		t->nodes = node_table_new(t->fdcache);
	t->openfiles = openfile_table_new();
	if (t->fdcache && t->nodes && t->openfiles) {
		openfile_set_limit(t->openfiles, descriptors - cached - reserved);
		node_table_count_pins(t->nodes, t->openfiles);
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

void tree_number(const struct tree *t, const struct statx *stx, struct identity *id)
{
	identity_by_number(makedev(stx->stx_dev_major, stx->stx_dev_minor), stx->stx_ino,
			   birth_of(t, stx), id);
}

static int identify(const struct tree *t, int fd, const struct statx *stx, struct identity *id)
{
	if (t->source.by_handle) {
		int err = identity_of(fd, "", id);

		if (err != -EOPNOTSUPP && err != -EOVERFLOW)
			return err;
	}
	tree_number(t, stx, id);
	return 0;
}

/* True: the node's own descriptor, if it is at hand, has what stx is of. */
static bool is_object(struct tree *t, struct node *n, const struct statx *stx)
{
	struct fd_lease lease;
	struct statx own;
	bool same;

	if (tree_reach(t, n, false, &lease) != 0)
		return false;
	same = statx(lease.fd, "", AT_EMPTY_PATH, TREE_STATX_MASK, &own) == 0 &&
	       own.stx_ino == stx->stx_ino && own.stx_dev_minor == stx->stx_dev_minor &&
	       own.stx_dev_major == stx->stx_dev_major;
	tree_return(t, &lease);
	return same;
}

static bool may_be_link(const struct tree *t, const struct node *parent, const struct statx *stx)
{
	return t->source.breaks_links && parent && !S_ISDIR(stx->stx_mode);
}

/*
 * Where overlayfs breaks hard links. Natively each name of a lower layer's file is an inode of its
 * own, all with the same number, which gets a number of its own when it is copied up. So such a
 * node goes by its place until then. What is known by its number is never such a file: those of a
 * lower layer don't change.
 */
static struct node *link_known(struct tree *t, struct node *parent, const char *name, int fd,
			       const struct statx *stx, struct identity *id)
{
	struct node *n = node_ref_known(t->nodes, id);
	struct identity place;

	if (n)
		return n;
	identity_by_place(parent->id, name, &place);
	n = node_ref_known(t->nodes, &place);
	if (stx->stx_nlink > 1 && identity_from_lower(fd)) {
		*id = place;
		return n;
	}
	if (n && is_object(t, n, stx) && node_rename(t->nodes, n, id))
		return n;
	if (n)
		node_forget(t->nodes, n, 1);
	return NULL;
}

bool tree_by_place(struct tree *t, struct node *n)
{
	struct identity id;

	if (!t->source.breaks_links || n->handle_type != IDENTITY_BY_NUMBER)
		return false;
	node_identity(t->nodes, n, &id);
	return identity_is_placed(&id);
}

void tree_copied_up(struct tree *t, struct node *n, int fd)
{
	struct identity id;
	struct statx stx;

	if (tree_by_place(t, n) && statx(fd, "", AT_EMPTY_PATH, TREE_STATX_MASK, &stx) == 0 &&
	    identify(t, fd, &stx, &id) == 0)
		node_rename(t->nodes, n, &id);
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
	c->node = NULL;
	if (may_be_link(t, parent, &c->stx))
		c->node = link_known(t, parent, name, fd, &c->stx, &id);
	if (c->node)
		node_moved(t->nodes, c->node, parent, name);
	else
		c->node = node_ref(t->nodes, &id, c->stx.stx_mode, parent, name);
	c->fd = fd;
	return c->node ? 0 : -ENOMEM;
}

struct node *tree_lost(struct tree *t, mode_t mode)
{
	struct identity id;
	struct node *n;

	/* By a device that there is not, and without a place. */
	identity_by_number(0, atomic_fetch_add(&t->lost, 1), 0, &id);
	n = node_ref(t->nodes, &id, mode, NULL, "");
	if (n)
		node_detach(t->nodes, n);
	return n;
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

struct node *tree_known(struct tree *t, struct node *parent, const char *name, int fd)
{
	struct identity id;
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, TREE_STATX_MASK, &stx) < 0 ||
	    identify(t, fd, &stx, &id) != 0)
		return NULL;
	if (may_be_link(t, parent, &stx))
		return link_known(t, parent, name, fd, &stx, &id);
	return node_ref_known(t->nodes, &id);
}

/* Its handle tells which node it is, and mostly that has a descriptor already. */
static struct node *named_by_handle(struct tree *t, const struct identity *id,
				    struct fd_lease *lease)
{
	struct node *n = node_ref_known(t->nodes, id);
	int fd;

	if (!n || tree_reach(t, n, false, lease) == 0)
		return n;
	fd = identity_open(t->source.root, id, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		*lease = (struct fd_lease){ .fd = fd, .own = true };
		return n;
	}
	node_forget(t->nodes, n, 1);
	return NULL;
}

struct node *tree_named(struct tree *t, struct node *parent, int directory, const char *name,
			struct fd_lease *lease)
{
	struct identity id;
	struct node *n;
	int fd;

	*lease = FD_LEASE_NONE;
	/* In a tree of our own nothing is mounted, so the name can't lead to another filesystem. */
	if (t->source.by_handle && t->source.tree >= 0 && *name && source_is_name(name) &&
	    identity_of(directory, name, &id) == 0)
		return named_by_handle(t, &id, lease);
	fd = source_open_child(directory, name, false);
	if (fd < 0)
		return NULL;
	n = tree_known(t, parent, name, fd);
	if (n)
		*lease = (struct fd_lease){ .fd = fd, .own = true };
	else
		close(fd);
	return n;
}
