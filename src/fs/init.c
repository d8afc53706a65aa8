/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is agreed with the kernel when the mount begins. */
#include <linux/magic.h>
#include <unistd.h>

#include "fs/ops.h"
#include "util/log.h"

static bool want(struct fuse_conn_info *conn, uint64_t flag)
{
	return fuse_set_feature_flag(conn, flag);
}

/* libfuse wants some of these by itself; each is here because of a reason. */
static void refuse_defaults(struct fuse_conn_info *conn)
{
	/* Splicing doubled the cost of a request (PLATFORM.md 11). */
	fuse_unset_feature_flag(conn, FUSE_CAP_SPLICE_READ);
	fuse_unset_feature_flag(conn, FUSE_CAP_SPLICE_WRITE);
	fuse_unset_feature_flag(conn, FUSE_CAP_SPLICE_MOVE);
	/* The kernel would own size and mtime, and passthrough would be off. */
	fuse_unset_feature_flag(conn, FUSE_CAP_WRITEBACK_CACHE);
	/* The kernel would let us truncate before it finds that the file is being executed, and the
	 * open fails with ETXTBSY over a file that is empty already. */
	fuse_unset_feature_flag(conn, FUSE_CAP_ATOMIC_O_TRUNC);
	/* Always readdirplus: it refreshes attributes in bulk (PLATFORM.md 11). */
	fuse_unset_feature_flag(conn, FUSE_CAP_READDIRPLUS_AUTO);
	/* Nodeids say nothing to another session, so file handles must not be given out. */
	fuse_unset_feature_flag(conn, FUSE_CAP_EXPORT_SUPPORT);
	fuse_unset_feature_flag(conn, FUSE_CAP_AUTO_INVAL_DATA);
	/* The kernel's own locks, exact among users of the mount. */
	fuse_unset_feature_flag(conn, FUSE_CAP_POSIX_LOCKS);
	fuse_unset_feature_flag(conn, FUSE_CAP_FLOCK_LOCKS);
}

static void agree_on_attributes(struct fs *fs, struct fuse_conn_info *conn)
{
	want(conn, FUSE_CAP_READDIRPLUS);
	want(conn, FUSE_CAP_PARALLEL_DIROPS);
	want(conn, FUSE_CAP_CACHE_SYMLINKS);
	want(conn, FUSE_CAP_NO_EXPORT_SUPPORT);
	want(conn, FUSE_CAP_IOCTL_DIR);
	/* Modes arrive unmasked: a default ACL decides, or the caller's umask, on SOURCE itself. */
	want(conn, FUSE_CAP_DONT_MASK);
	/* ACLs are kept and inherited by SOURCE, and checked by the kernel (default_permissions). */
	if (fs->options->default_permissions != OPTION_OFF)
		want(conn, FUSE_CAP_POSIX_ACL);
	/* Without it each write asks for security.capability; SOURCE clears setuid by itself. */
	want(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
}

static void agree_on_data(struct fuse_conn_info *conn)
{
	want(conn, FUSE_CAP_ASYNC_READ);
	want(conn, FUSE_CAP_ASYNC_DIO);
	/* With AUTO_INVAL_DATA each write through the mount would drop the file's cached pages as soon
	 * as its new mtime is seen, also while another write is on its way: a reader then caches the
	 * old bytes, for good. We look for changes behind the mount ourselves (revalidate.c). */
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA);
	/* Interrupts would take a lock of libfuse's for each request; native disk waits can't be
	 * interrupted either. */
	conn->no_interrupt = 1;
	conn->max_write = WORKER_MAX_DATA;
	/* Readahead and asynchronous I/O under way at once; the default of 12 is for one disk head. */
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

/*
 * Backing files on a stacked filesystem need a stack depth of 1, at the price that FUSE may not sit
 * below another overlay then (PLATFORM.md 1); only such a SOURCE pays it.
 */
static unsigned stack_depth(const struct fs *fs)
{
	unsigned long type = fs->tree.source.filesystem;

	return type == OVERLAYFS_SUPER_MAGIC || type == FUSE_SUPER_MAGIC ||
	       type == ECRYPTFS_SUPER_MAGIC;
}

static void agree_on_passthrough(struct fs *fs, struct fuse_conn_info *conn)
{
	struct kernel *k = &fs->tree.kernel;

	fuse_unset_feature_flag(conn, FUSE_CAP_PASSTHROUGH);
	if (geteuid() != 0 || fs->options->passthrough == OPTION_PASSTHROUGH_OFF ||
	    !k->has[KERNEL_PASSTHROUGH])
		return;
	conn->max_backing_stack_depth = stack_depth(fs);
	k->has[KERNEL_PASSTHROUGH] = want(conn, FUSE_CAP_PASSTHROUGH);
	atomic_store(&fs->passthrough, k->has[KERNEL_PASSTHROUGH]);
}

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	struct kernel *k = &fs->tree.kernel;
	char lacks[256];

	refuse_defaults(conn);
	agree_on_attributes(fs, conn);
	agree_on_data(conn);
	agree_on_passthrough(fs, conn);
	/* The protocol's minor number tells which requests the kernel knows (uapi fuse.h). */
	k->has[KERNEL_FUSE_TMPFILE] &= conn->proto_minor >= 37;
	k->has[KERNEL_FUSE_STATX] &= conn->proto_minor >= 39;
	if (k->has[KERNEL_DIRECT_MMAP])
		k->has[KERNEL_DIRECT_MMAP] = want(conn, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
	kernel_lacks(k, lacks, sizeof(lacks));
	if (lacks[0])
		log_line(LOG_NOTICE, "this kernel has %s", lacks);
}
