/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on names: what is made, linked, renamed and deleted. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>

#include "fs/ops.h"
#include "fs/revalidate.h"
#include "util/cleanup.h"

/* The parent of a name, reached, for an operation that waits for the disk. */
struct parent {
	struct fs *fs;
	struct node *node;
	struct fd_lease lease;
};

static int parent_reach(struct parent *p, fuse_req_t req, fuse_ino_t ino)
{
	p->fs = fs_of(req);
	p->node = fs_node(p->fs, ino);
	p->lease = FD_LEASE_NONE;
	worker_might_block(worker_self());
	return fs_reach(p->fs, p->node, &p->lease);
}

static void parent_return(struct parent *p)
{
	tree_return(&p->fs->tree, &p->lease);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fs_of(req);
	char target[PATH_MAX + 1];
	struct fd_lease lease;
	ssize_t n = -1;
	int err;

	worker_might_block(worker_self());
	err = fs_reach(fs, fs_node(fs, ino), &lease);
	if (!err) {
		n = readlinkat(lease.fd, "", target, PATH_MAX);
		if (n < 0)
			err = -errno;
	}
	tree_return(&fs->tree, &lease);
	if (err) {
		reply_err(req, err);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}

/*
 * What was made has lost its name already, to somebody who works on SOURCE itself: it was made all
 * the same. The answer names an object that leads nowhere and is trusted for no time, so that the
 * next who comes by looks the name up.
 */
static void reply_lost(fuse_req_t req, struct fs *fs, mode_t mode)
{
	struct fuse_entry_param e = { .attr = { .st_mode = mode } };
	struct node *node = tree_lost(&fs->tree, mode);

	if (!node) {
		reply_err(req, -ENOMEM);
		return;
	}
	e.ino = e.attr.st_ino = node->id;
	if (fuse_reply_entry(req, &e) != 0)
		node_forget(fs->tree.nodes, node, 1);
}

/* Replies with the object of this type that was just made under this name. */
static void reply_made(fuse_req_t req, struct parent *p, const char *name, mode_t mode, int err)
{
	bool lost = false;
	struct child child;

	fs_leave(p->fs);
	if (!err) {
		lost = fs_lookup(p->fs, p->node, p->lease.fd, name, &child) != 0;
		if (!lost && (child.stx.stx_mode & S_IFMT) != (mode & S_IFMT)) {
			close(child.fd);
			node_forget(p->fs->tree.nodes, child.node, 1);
			lost = true;
		}
	}
	parent_return(p);
	if (err)
		reply_err(req, err);
	else if (lost)
		reply_lost(req, p->fs, mode);
	else
		reply_child(req, p->fs, &child);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct parent p;
	int err = parent_reach(&p, req, parent);

	if (!err)
		err = fs_as_maker(req, mode);
	if (!err)
		err = or_errno(mknodat(p.lease.fd, name, mode, rdev));
	reply_made(req, &p, name, mode & S_IFMT ? mode : mode | S_IFREG, err);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct parent p;
	int err = parent_reach(&p, req, parent);

	if (!err)
		err = fs_as_maker(req, 0);
	if (!err)
		err = or_errno(mkdirat(p.lease.fd, name, mode));
	reply_made(req, &p, name, S_IFDIR | (mode & 07777), err);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct parent p;
	int err = parent_reach(&p, req, parent);

	fs_as_caller(req);
	if (!err)
		err = or_errno(symlinkat(target, p.lease.fd, name));
	reply_made(req, &p, name, S_IFLNK | 0777, err);
}

/* The file itself, which the new name may have lost again meanwhile. */
static void reply_linked(fuse_req_t req, struct parent *p, const char *name, int fd)
{
	struct child child;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int err = copy < 0 ? -errno : tree_adopt(&p->fs->tree, p->node, name, copy, &child);

	if (!err) {
		reply_child(req, p->fs, &child);
		return;
	}
	if (copy >= 0)
		close(copy);
	reply_err(req, err);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct node *node = fs_node(fs_of(req), ino);
	struct fd_lease lease = FD_LEASE_NONE;
	struct parent p;
	int err = parent_reach(&p, req, parent);
	uint64_t known;

	if (!err)
		err = fs_reach(p.fs, node, &lease);
	fs_as_caller(req);
	if (!err) {
		known = revalidate_before(node, lease.fd);
		err = or_errno(linkat(lease.fd, "", p.lease.fd, name, AT_EMPTY_PATH));
		/* Without CAP_DAC_READ_SEARCH only the way through /proc is open. */
		if (err == -ENOENT)
			err = or_errno(linkat(AT_FDCWD, fd_name(lease.fd).text, p.lease.fd, name,
					      AT_SYMLINK_FOLLOW));
		revalidate_after(node, lease.fd, known);
	}
	fs_leave(p.fs);
	if (!err) {
		tree_copied_up(&p.fs->tree, node, lease.fd);
		reply_linked(req, &p, name, lease.fd);
	} else {
		reply_err(req, err);
	}
	tree_return(&p.fs->tree, &lease);
	parent_return(&p);
}

/* What a name meant before it is taken away. */
struct victim {
	struct node *node; /* counted; NULL: unknown to the kernel */
	struct fd_lease lease;
	uint64_t known; /* revalidate_before()'s */
};

#define VICTIM_NONE ((struct victim){ .lease = FD_LEASE_NONE })

static bool in_use(struct fs *fs, struct node *node)
{
	bool used;

	node_lock(fs->tree.nodes, node);
	used = node->open && node->open->opens;
	node_unlock(fs->tree.nodes, node);
	return used;
}

static void victim_find(struct fs *fs, struct node *parent, int directory, const char *name,
			struct victim *v)
{
	v->node = tree_named(&fs->tree, parent, directory, name, &v->lease);
	v->known = revalidate_before(v->node, v->lease.fd);
}

/*
 * A deleted object may still be in use in ways that we are not told of: somebody's working
 * directory, an O_PATH descriptor, a fifo, a look-up that is about to become an open. So it is held
 * by a descriptor until the kernel forgets it, as its users hold it natively. Only a file whose
 * blocks would be missed, and that nobody has open, goes at once: whoever deletes a large file on a
 * full disk counts on the space.
 */
#define PIN_MAX_BLOCKS (1u << 20 >> 9) /* 1 MiB in st_blocks' units of 512 bytes */

static void victim_deleted(struct fs *fs, struct victim *v)
{
	struct stat st = { .st_mode = S_IFDIR };
	autoclose int fd = -1;

	/* A directory had one name. */
	if (v->node->type != S_IFDIR && fstat(v->lease.fd, &st) < 0) {
		fdcache_drop(fs->tree.fdcache, v->node->id);
		return;
	}
	/* It has other names, which we may not know. */
	if (!S_ISDIR(st.st_mode) && st.st_nlink && !tree_by_place(&fs->tree, v->node))
		return;
	fdcache_drop(fs->tree.fdcache, v->node->id);
	node_detach(fs->tree.nodes, v->node);
	backing_drop(fs, v->node, true);
	fd = fdcache_take(fs->tree.fdcache, &v->lease);
	if (!S_ISREG(st.st_mode) || st.st_blocks <= PIN_MAX_BLOCKS || in_use(fs, v->node))
		node_pin(fs->tree.nodes, v->node, &fd);
}

/* After the name is gone or, on failure, still there. */
static void victim_done(struct fs *fs, struct victim *v, bool deleted)
{
	revalidate_after(v->node, v->lease.fd, v->known);
	if (v->node && deleted)
		victim_deleted(fs, v);
	tree_return(&fs->tree, &v->lease);
	if (v->node)
		node_forget(fs->tree.nodes, v->node, 1);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, int flags)
{
	struct victim victim;
	struct parent p;
	int err = parent_reach(&p, req, parent);

	if (err) {
		reply_err(req, err);
		return;
	}
	victim_find(p.fs, p.node, p.lease.fd, name, &victim);
	fs_as_remover(req);
	err = or_errno(unlinkat(p.lease.fd, name, flags));
	fs_leave(p.fs);
	victim_done(p.fs, &victim, !err);
	parent_return(&p);
	reply_err(req, err);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, 0);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, AT_REMOVEDIR);
}

/*
 * What is about to be renamed, where its node is known by its place, or where the kernel may have
 * pages of it, which stay right: a rename changes ctime.
 */
static void mover_find(struct parent *from, const char *name, struct victim *v)
{
	*v = VICTIM_NONE;
	if (from->fs->tree.source.breaks_links ||
	    !atomic_load_explicit(&from->fs->passthrough, memory_order_relaxed))
		victim_find(from->fs, from->node, from->lease.fd, name, v);
}

static void mover_done(struct fs *fs, struct victim *v, bool moved)
{
	if (v->node && moved)
		tree_copied_up(&fs->tree, v->node, v->lease.fd);
	victim_done(fs, v, false);
}

/* Without handles, a node's place is the way to it: it follows the rename. */
static void follow(struct fs *fs, struct node *parent, int directory, const char *name)
{
	struct victim moved;

	if (fs->tree.source.by_handle)
		return;
	victim_find(fs, parent, directory, name, &moved);
	if (moved.node)
		node_moved(fs->tree.nodes, moved.node, parent, name);
	victim_done(fs, &moved, false);
}

static int do_rename(fuse_req_t req, struct parent *from, const char *name, struct parent *to,
		     const char *new_name, unsigned flags)
{
	struct victim mover, victim = VICTIM_NONE, other = VICTIM_NONE;
	int err;

	mover_find(from, name, &mover);
	if (flags & RENAME_EXCHANGE)
		mover_find(to, new_name, &other);
	else
		victim_find(to->fs, to->node, to->lease.fd, new_name, &victim);
	atomic_fetch_add(&to->fs->tree.renames_begun, 1);
	fs_as_caller(req);
	err = or_errno(renameat2(from->lease.fd, name, to->lease.fd, new_name, flags));
	fs_leave(to->fs);
	mover_done(to->fs, &mover, !err);
	mover_done(to->fs, &other, !err);
	if (!err)
		follow(to->fs, to->node, to->lease.fd, new_name);
	if (!err && (flags & RENAME_EXCHANGE))
		follow(from->fs, from->node, from->lease.fd, name);
	atomic_fetch_add(&to->fs->tree.renames_done, 1);
	victim_done(to->fs, &victim, !err);
	return err;
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned int flags)
{
	struct parent from, to;
	int err = parent_reach(&from, req, parent);

	if (!err) {
		err = parent_reach(&to, req, new_parent);
		if (!err)
			err = do_rename(req, &from, name, &to, new_name, flags);
		parent_return(&to);
	}
	parent_return(&from);
	reply_err(req, err);
}
