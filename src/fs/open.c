/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opens and releases of regular files.
 *
 * An open that writes, truncates or wants O_DIRECT is first done for real, as the caller, because
 * the kernel's own reopening of a backing file skips the checks and their errnos (PLATFORM.md 12).
 * Plain opens for reading need no descriptor at all where passthrough works.
 */
#include <fcntl.h>
#include <sched.h>

#include "fs/direct.h"
#include "fs/open.h"
#include "fs/revalidate.h"
#include "fs/walking.h"
#include "fs/warming.h"
#include "util/cleanup.h"

bool flags_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* What of the caller's flags concerns the open file; the rest was settled by the kernel before. */
int flags_for_source(int flags)
{
	return flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT |
			O_NOATIME | O_LARGEFILE);
}

static bool needs_real_open(struct fs *fs, int flags)
{
	return direct_wanted(fs) || flags_write(flags) || (flags & (O_TRUNC | O_DIRECT)) ||
	       !atomic_load_explicit(&fs->passthrough, memory_order_relaxed) ||
	       !fs->tree.kernel.has[KERNEL_PASSTHROUGH_PATH];
}

/*
 * Each write says by itself that it appends: a page that was stored through mmap must not. Where
 * the file is append-only (chattr +a), the kernel refuses, and every write to it appends.
 */
static void lift_append(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_APPEND);
}

int open_attach(struct fs *fs, struct node *node, int *fd, bool real, struct fuse_file_info *fi)
{
	struct stats_block *stats = worker_self()->stats;
	struct openfile *of = openfile_new(fs->tree.openfiles, node->id, &fi->fh);
	int id;

	if (!of)
		return -ENOMEM;
	if (!tree_hold(&fs->tree, node, *fd)) {
		openfile_close(fs->tree.openfiles, fi->fh);
		return -EBADF;
	}
	of->flags = fi->flags;
	of->writer = flags_write(fi->flags);
	id = backing_attach(fs, node, of, *fd, real);
	if (id < 0) {
		tree_unhold(&fs->tree, node);
		openfile_close(fs->tree.openfiles, fi->fh);
		return id;
	}
	fi->backing_id = id;
	/* What FUSE's page cache holds is written back by the flush. */
	fi->noflush = !of->writer || (of->way == WAY_KERNEL && fs->tree.source.ordinary);
	if (of->way == WAY_DIRECT) {
		direct_attach(fs, of, *fd);
		fi->direct_io = 1;
	}
	/* Readers on the kernel way need no descriptor, those on the direct one have theirs. */
	if (real && (of->writer || (of->way != WAY_KERNEL && of->direct < 0))) {
		if (fi->flags & O_APPEND)
			lift_append(*fd);
		openfile_keep(fs->tree.openfiles, of, steal_fd(fd));
	}
	fi->keep_cache = of->way == WAY_CACHED;
	if (fi->keep_cache)
		revalidate_at_open(fs, node, of);
	else /* what FUSE's page cache may hold of it is not looked after from here on */
		atomic_store_explicit(&node->version, 0, memory_order_relaxed);
	stats_add(&stats->events[of->way == WAY_KERNEL	 ? STATS_OPEN_KERNEL
				 : of->way == WAY_DIRECT ? STATS_OPEN_DIRECT
							 : STATS_OPEN_CACHED],
		  1);
	return 0;
}

void open_undo(struct fs *fs, fuse_ino_t ino, uint64_t fh)
{
	struct openfile *of = openfile_get(fs->tree.openfiles, fh);
	struct node *node = fs_node(fs, ino);

	if (!of || !node)
		return;
	direct_detach(of);
	backing_detach(fs, node, of);
	tree_unhold(&fs->tree, node);
	openfile_close(fs->tree.openfiles, fh);
}

/* A read lease of our own is there for a microsecond at most (prefetch/still.h). */
#define LEASE_TRIES 100

static int reopen(int path_fd, int flags)
{
	int fd = fs_reopen(path_fd, flags);

	if (!(flags & O_NONBLOCK) || !flags_write(flags))
		return fd;
	for (int i = 0; fd == -EAGAIN && i < LEASE_TRIES; i++) {
		sched_yield();
		fd = fs_reopen(path_fd, flags);
	}
	return fd;
}

/* The open itself, as the caller, so that SOURCE's own checks give their errno. */
static int real_open(fuse_req_t req, int path_fd, int flags)
{
	int fd = openfile_room(fs_of(req)->tree.openfiles, false);

	if (fd)
		return fd;
	worker_might_block(worker_self());
	fs_as_caller(req);
	if (flags & O_TRUNC)
		fd = fs_as_writer(req, path_fd);
	if (!fd)
		fd = reopen(path_fd, flags_for_source(flags));
	fs_rest();
	return fd;
}

static int open_node(fuse_req_t req, struct fs *fs, struct node *node, struct fuse_file_info *fi)
{
	autoclose int fd = -1;
	struct fd_lease lease;
	int err = node ? -EBADF : -ESTALE;

	/* What was open a moment ago need not even be reached. */
	if (node && !needs_real_open(fs, fi->flags) && backing_known(fs, node))
		err = open_attach(fs, node, &fd, false, fi);
	if (err != -EBADF)
		return err;
	err = fs_reach(fs, node, &lease);
	if (err)
		return err;
	if (!needs_real_open(fs, fi->flags)) {
		err = open_attach(fs, node, &lease.fd, false, fi);
		if (err != -EBADF) {
			tree_return(&fs->tree, &lease);
			return err;
		}
	}
	fd = real_open(req, lease.fd, fi->flags);
	if (fd >= 0 && flags_write(fi->flags))
		tree_copied_up(&fs->tree, node, lease.fd);
	tree_return(&fs->tree, &lease);
	return fd < 0 ? fd : open_attach(fs, node, &fd, true, fi);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct node *node = fs_node(fs, ino);
	int err = open_node(req, fs, node, fi);

	/* Before the answer: after it the kernel may forget the node at any time. */
	if (!err && !fi->direct_io && !flags_write(fi->flags) &&
	    openfile_get(fs->tree.openfiles, fi->fh)->large)
		warming_opened(fs, node);
	if (!err && !flags_write(fi->flags))
		walking_opened(req, fs, node);
	if (err) {
		reply_err(req, err);
		return;
	}
	worker_replies(worker_self());
	if (fuse_reply_open(req, fi) != 0) /* the caller was killed meanwhile */
		open_undo(fs, ino, fi->fh);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct openfile *of = openfile_get(fs->tree.openfiles, fi->fh);

	/* The last close of a deleted file frees its blocks. */
	if (of && (of->fd >= 0 || of->direct >= 0))
		worker_might_block(worker_self());
	if (of && !of->writer && fs_node(fs, ino))
		walking_closed(fs, fs_node(fs, ino));
	open_undo(fs, ino, fi->fh);
	reply_err(req, 0);
}

int fs_file_fd(struct fs *fs, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct openfile *of = openfile_get(fs->tree.openfiles, fi->fh);
	struct node *node = fs_node(fs, ino);
	struct fd_lease lease;
	int fd, err;

	if (!of || !node)
		return -EBADF;
	if (of->fd >= 0)
		return of->fd;
	err = openfile_room(fs->tree.openfiles, false);
	if (!err)
		err = fs_reach(fs, node, &lease);
	if (err)
		return err;
	fd = fs_reopen(lease.fd, O_RDONLY | O_NONBLOCK);
	tree_return(&fs->tree, &lease);
	if (fd < 0)
		return fd;
	/* Kept until the release: a program that seeks for holes does so many times. */
	node_lock(fs->tree.nodes, node);
	if (of->fd < 0)
		openfile_keep(fs->tree.openfiles, of, steal_fd(&fd));
	node_unlock(fs->tree.nodes, node);
	if (fd >= 0)
		close(fd);
	return of->fd;
}
