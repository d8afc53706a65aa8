/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ioctls: inode flags, handed on to SOURCE, and our own statistics on the mount's root. */
#include <dirent.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "config.h"
#include "fs/direct.h"
#include "fs/disk.h"
#include "fs/explain.h"
#include "fs/ops.h"
#include "fs/revalidate.h"
#include "fs/session.h"
#include "fs/walking.h"
#include "fs/warming.h"
#include "util/cleanup.h"
#include "util/clock.h"

static uint64_t count_descriptors(struct fs *fs)
{
	int fd = openat(fs->tree.source.proc_fds, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint64_t count = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 3; /* `.`, `..` and the descriptor just used */
}

static bool may_ask(fuse_req_t req, const struct fs *fs)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == fs->owner;
}

static void reply_options(fuse_req_t req, const struct fs *fs)
{
	struct stats_options o = { "" };

	if (!may_ask(req, fs)) {
		reply_err(req, -EPERM);
		return;
	}
	if (fs->options->said)
		snprintf(o.text, sizeof(o.text), "%s", fs->options->said);
	fuse_reply_ioctl(req, 0, &o, sizeof(o));
}

static void reply_stats(fuse_req_t req, struct fs *fs)
{
	autofree struct stats_snapshot *s = malloc(sizeof(*s));

	if (!may_ask(req, fs)) {
		reply_err(req, -EPERM);
		return;
	}
	if (!s) {
		reply_err(req, -ENOMEM);
		return;
	}
	stats_snapshot(&fs->stats, s);
	warming_count(fs, s);
	walking_count(fs, s);
	direct_count(fs, s);
	s->uptime_ns = clock_ns() - fs->started_ns;
	s->gauges[STATS_NODES] = node_count(fs->tree.nodes);
	s->gauges[STATS_OPEN_FILES] = openfile_count(fs->tree.openfiles);
	s->gauges[STATS_FDS] = count_descriptors(fs);
	s->gauges[STATS_FDS_CACHED] = fdcache_count(fs->tree.fdcache);
	s->gauges[STATS_THREADS] = session_threads(fs->session);
	s->gauges[STATS_LATENCY] = disk_facts(fs)->latency_ns;
	fuse_reply_ioctl(req, 0, s, sizeof(*s));
}

static void reply_whose(fuse_req_t req)
{
	const struct stats_whose whose = {
		.version = STATS_VERSION,
		.size = sizeof(struct stats_snapshot),
		.release = OVERDRIVE_VERSION,
	};

	fuse_reply_ioctl(req, 0, &whose, sizeof(whose));
}

/*
 * Bytes that the ioctl writes to and reads from its argument; false: not one of those we pass on.
 * The classic ones say long and mean int.
 *
 * What changes something must be one that the kernel knows by this very number, so that it has
 * checked the caller: we may set any flag of any file. FS_IOC32_SETFLAGS it hands on unchecked (and
 * turns it into FS_IOC_SETFLAGS where a 32-bit program means it).
 */
static bool known_ioctl(unsigned int cmd, size_t *in, size_t *out)
{
	*in = *out = 0;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC_GETVERSION:
	case FS_IOC32_GETVERSION:
		*out = sizeof(int);
		return true;
	case FS_IOC_SETFLAGS:
		*in = sizeof(int);
		return true;
	case FS_IOC_FSGETXATTR:
		*out = sizeof(struct fsxattr);
		return true;
	case FS_IOC_FSSETXATTR:
		*in = sizeof(struct fsxattr);
		return true;
	default:
		return false;
	}
}

static unsigned long native_command(unsigned int cmd)
{
	return cmd == FS_IOC32_GETVERSION ? FS_IOC_GETVERSION : cmd;
}

static void pass_on(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, struct fuse_file_info *fi,
		    const void *in_buf, size_t in_size, size_t out_size)
{
	union {
		struct fsxattr fsx;
		long number;
		char bytes[64];
	} data = { 0 };
	struct node *node = fs_node(fs_of(req), ino);
	size_t in, out;
	uint64_t known;
	int fd, err;

	if (!known_ioctl(cmd, &in, &out) || in_size < in || out_size < out) {
		reply_err(req, -ENOTTY);
		return;
	}
	worker_might_block(worker_self());
	fd = fs_file_fd(fs_of(req), ino, fi);
	if (fd < 0) {
		reply_err(req, fd);
		return;
	}
	memcpy(data.bytes, in_buf ? in_buf : "", in);
	fs_as_caller(req);
	known = revalidate_before(node, fd);
	err = or_errno(ioctl(fd, native_command(cmd), &data));
	revalidate_after(node, fd, known);
	fs_rest();
	/* The kernel does not know that this changes ctime. Attributes only: -1 spares the data. */
	if (err >= 0 && in)
		fuse_lowlevel_notify_inval_inode(fs_of(req)->fuse, ino, -1, 0);
	if (err < 0)
		reply_err(req, err);
	else
		fuse_reply_ioctl(req, err, data.bytes, out);
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_size,
	      size_t out_size)
{
	(void)arg;
	if (cmd == OVERDRIVE_IOC_STATS && ino == FUSE_ROOT_ID &&
	    out_size >= sizeof(struct stats_snapshot))
		reply_stats(req, fs_of(req));
	else if (cmd == OVERDRIVE_IOC_OPTIONS && ino == FUSE_ROOT_ID &&
		 out_size >= sizeof(struct stats_options))
		reply_options(req, fs_of(req));
	else if (cmd == OVERDRIVE_IOC_EXPLAIN && out_size >= sizeof(struct stats_explain))
		explain(req, ino, fi, flags & FUSE_IOCTL_DIR);
	else if (cmd == OVERDRIVE_IOC_WHOSE && ino == FUSE_ROOT_ID &&
		 out_size >= sizeof(struct stats_whose))
		reply_whose(req);
	else
		pass_on(req, ino, cmd, fi, in_buf, in_size, out_size);
}
