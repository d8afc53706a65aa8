/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extended attributes, ACLs among them. O_PATH descriptors have no xattr calls of their own before
 * 6.13, so objects are named through /proc/self/fd, a worker's working directory: following that
 * link leads to the object itself, also when it is a symlink.
 */
#include <linux/xattr.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/ops.h"
#include "fs/revalidate.h"
#include "util/cleanup.h"

static int reach_xattr(fuse_req_t req, fuse_ino_t ino, struct fd_lease *lease)
{
	struct fs *fs = fs_of(req);

	worker_might_block(worker_self());
	return fs_reach(fs, fs_node(fs, ino), lease);
}

/* Replies to a get or list: the size that it needs, or the n bytes in the worker's buffer. */
static void reply_value(fuse_req_t req, size_t size, ssize_t n)
{
	if (n < 0) {
		reply_err(req, (int)n);
		return;
	}
	worker_replies(worker_self());
	if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else
		reply_buf(req, worker_self()->out, (size_t)n);
}

static size_t room_for(size_t size)
{
	return size < WORKER_MAX_DATA ? size : WORKER_MAX_DATA;
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct fd_lease lease;
	ssize_t n = reach_xattr(req, ino, &lease);

	if (!n) {
		n = getxattr(fd_name(lease.fd).text, name, worker_self()->out, room_for(size));
		n = n < 0 ? -errno : n;
	}
	tree_return(&fs_of(req)->tree, &lease);
	reply_value(req, size, n);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct fd_lease lease;
	ssize_t n = reach_xattr(req, ino, &lease);

	/* As the caller: trusted.* is shown to root only. */
	fs_as_caller(req);
	if (!n) {
		n = listxattr(fd_name(lease.fd).text, worker_self()->out, room_for(size));
		n = n < 0 ? -errno : n;
	}
	fs_rest();
	tree_return(&fs_of(req)->tree, &lease);
	reply_value(req, size, n);
}

/* Changing an ACL may clear setgid, which is settled by the caller's groups. */
static int become_changer(fuse_req_t req, const char *name)
{
	fs_as_caller(req);
	if (strcmp(name, XATTR_NAME_POSIX_ACL_ACCESS) == 0)
		return fs_as_caller_with_groups(req);
	return 0;
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	struct node *node = fs_node(fs_of(req), ino);
	struct fd_lease lease;
	uint64_t known;
	int err = reach_xattr(req, ino, &lease);

	if (!err)
		err = become_changer(req, name);
	if (!err) {
		known = revalidate_before(node, lease.fd);
		err = or_errno(setxattr(fd_name(lease.fd).text, name, value, size, flags));
		revalidate_after(node, lease.fd, known);
	}
	fs_rest();
	tree_return(&fs_of(req)->tree, &lease);
	reply_err(req, err);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct node *node = fs_node(fs_of(req), ino);
	struct fd_lease lease;
	uint64_t known;
	int err = reach_xattr(req, ino, &lease);

	if (!err)
		err = become_changer(req, name);
	if (!err) {
		known = revalidate_before(node, lease.fd);
		err = or_errno(removexattr(fd_name(lease.fd).text, name));
		revalidate_after(node, lease.fd, known);
	}
	fs_rest();
	tree_return(&fs_of(req)->tree, &lease);
	reply_err(req, err);
}
