/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes of objects and of the file system. */
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "fs/ops.h"
#include "fs/revalidate.h"
#include "util/cleanup.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* newer than Debian 12's headers; the same on every architecture */
#endif

/* An unlinked file may be reachable only by what holds it open. */
static int stat_node(struct fs *fs, fuse_ino_t ino, struct fuse_file_info *fi, struct statx *stx)
{
	struct openfile *of = fi ? openfile_get(fs->tree.openfiles, fi->fh) : NULL;
	struct fd_lease lease = FD_LEASE_NONE;
	int fd, err = 0;

	if (of && of->fd >= 0) {
		fd = of->fd;
	} else {
		err = fs_reach(fs, fs_node(fs, ino), &lease);
		fd = lease.fd;
	}
	if (!err)
		err = or_errno(
			statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, TREE_STATX_MASK, stx));
	tree_return(&fs->tree, &lease);
	return err;
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct statx stx;
	int err = stat_node(fs, ino, fi, &stx);

	if (err)
		reply_err(req, err);
	else
		reply_attr(req, fs, fs_node(fs, ino), &stx);
}

void op_statx(fuse_req_t req, fuse_ino_t ino, int flags, int mask, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct statx stx;
	struct stat st;
	int err = -ENOSYS;

	(void)flags;
	(void)mask;
	if (fs->tree.kernel.has[KERNEL_FUSE_STATX])
		err = stat_node(fs, ino, fi, &stx);
	if (err) {
		reply_err(req, err);
		return;
	}
	fill_stat(fs, &stx, &st);
	stx.stx_ino = st.st_ino;
	fuse_reply_statx(req, 0, &stx, attr_timeout(fs, fs_node(fs, ino)));
}

static int change_mode(fuse_req_t req, struct fs *fs, int fd, mode_t mode)
{
	/* Whether setgid stays is settled by the caller's groups, as on SOURCE itself. */
	if (mode & S_ISGID) {
		int err = fs_as_caller_with_groups(req);

		if (err)
			return err;
	}
	if (fs->tree.kernel.has[KERNEL_FCHMODAT2])
		return or_errno(syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH));
	return or_errno(chmod(fd_name(fd).text, mode));
}

static int change_owner(fuse_req_t req, int fd, const struct stat *attr, int to_set)
{
	int err = fs_as_caller_with_groups(req);

	if (err)
		return err;
	return or_errno(fchownat(fd, "", to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1,
				 to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1,
				 AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

static bool has_writers(struct fs *fs, struct node *node)
{
	bool writers;

	node_lock(fs->tree.nodes, node);
	writers = node->open && node->open->writers;
	node_unlock(fs->tree.nodes, node);
	return writers;
}

/*
 * Nothing at all to set is chown(-1, -1), which clears setuid and moves ctime, and for a setuid file
 * wants the owner: FUSE has checked nothing. Or it is the kernel before a write, which wants setuid
 * cleared whoever writes; there the write itself does it, too.
 */
static int change_nothing(fuse_req_t req, struct fs *fs, struct node *node, int fd)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	int err = creds_strict(&worker_self()->creds, ctx->uid, ctx->gid, ctx->pid);

	if (!err)
		err = or_errno(fchownat(fd, "", (uid_t)-1, (gid_t)-1,
					AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
	return err == -EPERM && has_writers(fs, node) ? 0 : err;
}

static int change_size(struct fs *fs, struct node *node, int fd, off_t size,
		       struct fuse_file_info *fi)
{
	autoclose int own = -1;
	struct openfile *of = fi ? openfile_get(fs->tree.openfiles, fi->fh) : NULL;

	/*
	 * ftruncate() and open(O_TRUNC) set the times also where the size is the same already,
	 * truncate() does not (xfs, btrfs, tmpfs). The kernel tells the first by its file handle, but
	 * not the other two from each other: to nothing, while somebody writes, it is the open.
	 */
	if (of && of->fd >= 0 && of->writer)
		return or_errno(ftruncate(of->fd, size));
	if (size > 0 || !has_writers(fs, node))
		return or_errno(truncate(fd_name(fd).text, size));
	own = fs_reopen(fd, O_WRONLY | O_NONBLOCK);
	return own < 0 ? own : or_errno(ftruncate(own, size));
}

static struct timespec new_time(const struct timespec *said, int to_set, int set, int now)
{
	if (to_set & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (to_set & set)
		return *said;
	return (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int change_times(int fd, const struct stat *attr, int to_set)
{
	struct timespec times[2] = {
		new_time(&attr->st_atim, to_set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW),
		new_time(&attr->st_mtim, to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW),
	};

	return or_errno(utimensat(fd, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

#define SET_ANYTHING                                                                       \
	(FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_SIZE | \
	 FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)

static int change(fuse_req_t req, struct node *node, int fd, const struct stat *attr, int to_set,
		  struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	int err = 0;

	fs_as_caller(req);
	if (to_set & FUSE_SET_ATTR_MODE)
		err = change_mode(req, fs, fd, attr->st_mode & 07777);
	if (!err && (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)))
		err = change_owner(req, fd, attr, to_set);
	if (!(to_set & SET_ANYTHING))
		err = change_nothing(req, fs, node, fd);
	if (!err && (to_set & FUSE_SET_ATTR_SIZE))
		err = fs_as_writer(req, fd);
	if (!err && (to_set & FUSE_SET_ATTR_SIZE))
		err = change_size(fs, node, fd, attr->st_size, fi);
	if (!err && (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)))
		err = change_times(fd, attr, to_set);
	fs_rest();
	return err;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct node *node = fs_node(fs, ino);
	struct fd_lease lease;
	struct statx stx;
	uint64_t known;
	int err;

	worker_might_block(worker_self());
	err = fs_reach(fs, node, &lease);
	if (!err) {
		known = revalidate_before(node, lease.fd);
		err = change(req, node, lease.fd, attr, to_set, fi);
		revalidate_after(node, lease.fd, known);
		/* A file that has become setuid goes another way from its next open on. */
		if (to_set & FUSE_SET_ATTR_MODE)
			backing_drop(fs, node, false);
		if (!err)
			err = or_errno(statx(lease.fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
					     TREE_STATX_MASK, &stx));
		tree_return(&fs->tree, &lease);
	}
	if (err)
		reply_err(req, err);
	else
		reply_attr(req, fs, node, &stx);
}

void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct fs *fs = fs_of(req);
	struct fd_lease lease;
	int err = fs_reach(fs, fs_node(fs, ino), &lease);

	/* Asked only without default_permissions: the daemon's user is then the only one. */
	if (!err)
		err = or_errno(access(fd_name(lease.fd).text, mask));
	tree_return(&fs->tree, &lease);
	reply_err(req, err);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fs_of(req);
	struct fd_lease lease;
	struct statvfs st;
	int err;

	worker_might_block(worker_self());
	/* The node's own figures: they differ where project quotas bound a directory. */
	err = fs_reach(fs, fs_node(fs, ino), &lease);
	if (!err)
		err = or_errno(fstatvfs(lease.fd, &st));
	tree_return(&fs->tree, &lease);
	if (err)
		reply_err(req, err);
	else
		fuse_reply_statfs(req, &st);
}
