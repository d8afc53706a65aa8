/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that are made and opened in one step. */
#include <fcntl.h>

#include "fs/open.h"
#include "util/cleanup.h"

/*
 * The kernel took the name for absent, but it is there: made by somebody else a moment ago, or
 * behind the mount's back. Nobody has checked the caller's access to it, so SOURCE has to, with
 * nothing but his own identity. What is not a regular file is left to a fresh look-up (ESTALE
 * makes the kernel do one): opening a fifo or a device here would be wrong. -ENOENT: it is gone.
 */
static int open_existing(fuse_req_t req, int directory, const char *name, mode_t mode, int flags)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct creds *creds = &worker_self()->creds;
	struct stat before, after;
	int fd, err;

	fs_rest();
	if (fstatat(directory, name, &before, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(before.st_mode))
		return -ESTALE;
	err = creds_strict(creds, ctx->uid, ctx->gid, ctx->pid);
	if (err)
		return err;
	/* Should it be a fifo by now, nobody is to wait for its other end. Should it be gone, or
	 * another file, then that is what this open finds, as it would natively. */
	fd = or_errno(
		openat(directory, name,
		       flags_for_source(flags) | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		       mode & 07777));
	fs_rest();
	if (fd == -EAGAIN || fd == -ENXIO) /* a lease to be waited for, or a fifo */
		return -ESTALE;
	if (fd >= 0 && (fstat(fd, &after) < 0 || !S_ISREG(after.st_mode))) {
		close(fd);
		return -ESTALE;
	}
	if (fd >= 0 && !(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

static int create_new(fuse_req_t req, int directory, const char *name, mode_t mode, int flags)
{
	int fd = fs_as_maker(req, mode);

	if (!fd)
		fd = or_errno(openat(directory, name,
				     flags_for_source(flags) | O_CREAT | O_EXCL | O_CLOEXEC,
				     mode & 07777));
	fs_rest();
	return fd;
}

/* Each time it is seen but gone again, somebody else has made and deleted it meanwhile. */
#define CREATE_TRIES 100

static int create_or_open(fuse_req_t req, int directory, const char *name, mode_t mode, int flags)
{
	int fd = -ENOENT;

	for (int i = 0; fd == -ENOENT && i < CREATE_TRIES; i++) {
		fd = create_new(req, directory, name, mode, flags);
		if (fd != -EEXIST || (flags & O_EXCL))
			return fd;
		fd = open_existing(req, directory, name, mode, flags);
	}
	return fd == -ENOENT ? -ESTALE : fd;
}

/* Replies with a node for what fd has open, and with the open file. Takes *fd over. */
static void reply_created(fuse_req_t req, struct fs *fs, struct node *parent, const char *name,
			  int *fd, struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;
	struct child child;
	int err = tree_adopt(&fs->tree, parent, name, *fd, &child);

	if (!err && !parent && child.node->handle_type == IDENTITY_BY_NUMBER) {
		autoclose int copy = fcntl(*fd, F_DUPFD_CLOEXEC, 0);

		if (copy >= 0)
			node_pin(fs->tree.nodes, child.node, &copy);
	}
	if (!err) {
		err = open_attach(fs, child.node, fd, true, fi);
		if (err)
			node_forget(fs->tree.nodes, child.node, 1);
	}
	if (err) {
		reply_err(req, err);
		return;
	}
	fill_entry(fs, &child, &entry);
	if (fuse_reply_create(req, &entry, fi) != 0) { /* the caller was killed meanwhile */
		open_undo(fs, child.node->id, fi->fh);
		node_forget(fs->tree.nodes, child.node, 1);
	}
}

void op_create(fuse_req_t req, fuse_ino_t parent_ino, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct node *parent = fs_node(fs, parent_ino);
	autoclose int fd = -1;
	struct fd_lease lease;
	int err;

	worker_might_block(worker_self());
	err = openfile_room(fs->tree.openfiles, false);
	if (!err)
		err = fs_reach(fs, parent, &lease);
	if (!err) {
		fd = create_or_open(req, lease.fd, name, mode, fi->flags);
		tree_return(&fs->tree, &lease);
		err = fd < 0 ? fd : 0;
	}
	if (err)
		reply_err(req, err);
	else
		reply_created(req, fs, parent, name, &fd, fi);
}

void op_tmpfile(fuse_req_t req, fuse_ino_t parent_ino, mode_t mode, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct node *parent = fs_node(fs, parent_ino);
	autoclose int fd = -1;
	struct fd_lease lease;
	int err;

	/* The kernel takes ENOSYS for "no O_TMPFILE here" and never asks again. */
	if (!fs->tree.kernel.has[KERNEL_FUSE_TMPFILE]) {
		reply_err(req, -ENOSYS);
		return;
	}
	worker_might_block(worker_self());
	err = openfile_room(fs->tree.openfiles, false);
	if (!err)
		err = fs_reach(fs, parent, &lease);
	if (!err) {
		fd = fs_as_maker(req, mode);
		if (!fd)
			fd = or_errno(openat(lease.fd, ".",
					     flags_for_source(fi->flags) | O_TMPFILE |
						     (fi->flags & O_EXCL) | O_CLOEXEC,
					     mode & 07777));
		fs_rest();
		tree_return(&fs->tree, &lease);
		err = fd < 0 ? fd : 0;
	}
	if (err)
		reply_err(req, err);
	else
		reply_created(req, fs, NULL, "", &fd, fi);
}
