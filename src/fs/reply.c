/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/fs.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"

void reply_err(fuse_req_t req, int err)
{
	worker_self()->err = -err;
	worker_replies(worker_self());
	fuse_reply_err(req, -err);
}

void reply_buf(fuse_req_t req, const void *data, size_t size)
{
	worker_replies(worker_self());
	fuse_reply_buf(req, data, size);
}

/*
 * The mount has one st_dev, SOURCE may have several (btrfs subvolumes), whose inode numbers
 * repeat: find would see a loop where a subvolume's root has the number of its parent's.
 */
static uint64_t unique_ino(const struct fs *fs, const struct statx *stx)
{
	dev_t device = makedev(stx->stx_dev_major, stx->stx_dev_minor);

	if (device == fs->tree.source.device)
		return stx->stx_ino;
	return stx->stx_ino ^ (device * 0x9e3779b97f4a7c15ull & ~0xffffffffull);
}

void fill_stat(const struct fs *fs, const struct statx *stx, struct stat *st)
{
	*st = (struct stat){
		.st_ino = unique_ino(fs, stx),
		.st_mode = stx->stx_mode,
		.st_nlink = stx->stx_nlink,
		.st_uid = stx->stx_uid,
		.st_gid = stx->stx_gid,
		.st_rdev = makedev(stx->stx_rdev_major, stx->stx_rdev_minor),
		.st_size = (off_t)stx->stx_size,
		.st_blksize = stx->stx_blksize,
		.st_blocks = (blkcnt_t)stx->stx_blocks,
		.st_atim = { stx->stx_atime.tv_sec, stx->stx_atime.tv_nsec },
		.st_mtim = { stx->stx_mtime.tv_sec, stx->stx_mtime.tv_nsec },
		.st_ctim = { stx->stx_ctime.tv_sec, stx->stx_ctime.tv_nsec },
	};
}

double attr_timeout(struct fs *fs, struct node *node)
{
	bool written;

	node_lock(fs->tree.nodes, node);
	written = node->open && node->open->writers;
	node_unlock(fs->tree.nodes, node);
	return written ? 0 : fs->attr_timeout;
}

void reply_attr(fuse_req_t req, struct fs *fs, struct node *node, const struct statx *stx)
{
	struct stat st;

	fill_stat(fs, stx, &st);
	worker_replies(worker_self());
	fuse_reply_attr(req, &st, attr_timeout(fs, node));
}

void fill_entry(struct fs *fs, const struct child *child, struct fuse_entry_param *e)
{
	/* No two nodes ever have the same nodeid, so FUSE's generation says nothing. */
	*e = (struct fuse_entry_param){
		.ino = child->node->id,
		.attr_timeout = attr_timeout(fs, child->node),
		.entry_timeout = fs->entry_timeout,
	};
	fill_stat(fs, &child->stx, &e->attr);
}

void reply_child(fuse_req_t req, struct fs *fs, struct child *child)
{
	struct fuse_entry_param e;
	struct fd_lease lease;

	fill_entry(fs, child, &e);
	/* Most look-ups are followed by something that needs the descriptor. */
	fdcache_put(fs->tree.fdcache, child->node->id, child->fd, &lease);
	fdcache_return(fs->tree.fdcache, &lease);
	worker_replies(worker_self());
	if (fuse_reply_entry(req, &e) != 0) /* the caller was killed meanwhile */
		node_forget(fs->tree.nodes, child->node, 1);
}

int fs_reach(struct fs *fs, struct node *node, struct fd_lease *lease)
{
	int err;

	if (!node)
		return -ESTALE;
	err = tree_reach(&fs->tree, node, false, lease);
	if (err != -EAGAIN)
		return err;
	worker_might_block(worker_self());
	return tree_reach(&fs->tree, node, true, lease);
}

int fs_lookup(struct fs *fs, struct node *parent, int directory, const char *name,
	      struct child *child)
{
	/* The kernel remembers no name that is absent there: to look is all the same. */
	bool wait = fs->tree.source.in_memory;
	int err = tree_lookup(&fs->tree, parent, directory, name, wait, child);

	child->waited = err == -EAGAIN;
	if (err != -EAGAIN)
		return err;
	worker_might_block(worker_self());
	return tree_lookup(&fs->tree, parent, directory, name, true, child);
}

void fs_as_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	creds_caller(&worker_self()->creds, ctx->uid, ctx->gid);
}

int fs_as_maker(fuse_req_t req, mode_t mode)
{
	fs_as_caller(req);
	creds_umask(&worker_self()->creds, fuse_req_ctx(req)->umask);
	return mode & S_ISGID ? fs_as_caller_with_groups(req) : 0;
}

void fs_as_remover(fuse_req_t req)
{
	if (!fs_of(req)->tree.source.ordinary || !worker_self()->creds.unbounded)
		fs_as_caller(req);
}

int fs_as_writer(fuse_req_t req, int fd)
{
	struct stat st;

	fs_as_caller(req);
	if (fstat(fd, &st) == 0 && (st.st_mode & S_ISGID))
		return fs_as_caller_with_groups(req);
	return 0;
}

int fs_as_caller_with_groups(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return creds_grouped(&worker_self()->creds, ctx->uid, ctx->gid, ctx->pid);
}

void fs_leave(struct fs *fs)
{
	creds_leave(&worker_self()->creds, fs->tree.source.ordinary);
}

void fs_rest(void)
{
	creds_rest(&worker_self()->creds);
}

struct fd_name fd_name(int fd)
{
	struct fd_name name;

	snprintf(name.text, sizeof(name.text), "%d", fd);
	return name;
}

int fs_reopen(int fd, int flags)
{
	return or_errno(open(fd_name(fd).text, flags | O_CLOEXEC));
}
