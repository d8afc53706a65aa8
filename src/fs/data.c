/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The data of open files, as far as the kernel does not move it itself (passthrough). */
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>

#include "fs/direct.h"
#include "fs/ops.h"
#include "fs/revalidate.h"
#include "util/cleanup.h"

/* How much a copy does before it answers: the caller comes again, and can be interrupted. */
#define COPY_PIECE (8u << 20)

/*
 * fcntl(F_SETFL) on the caller's descriptor shows only in the flags of his next request. O_APPEND
 * is not followed: it goes with each write (RWF_APPEND), so that a page stored through mmap is never
 * appended (open_attach()).
 */
static void follow_flags(struct openfile *of, int flags)
{
	int now;

	if (((of->flags ^ flags) & O_DIRECT) == 0)
		return;
	now = fcntl(of->fd, F_GETFL);
	if (now >= 0 && fcntl(of->fd, F_SETFL, (now & ~O_DIRECT) | (flags & O_DIRECT)) == 0)
		of->flags = (of->flags & ~O_DIRECT) | (flags & O_DIRECT);
}

/*
 * A READ on a passthrough handle is the program's own readahead(2) or WILLNEED, which the kernel
 * would put into FUSE's page cache, where nobody looks. It is passed on to SOURCE's file as a hint;
 * the error only says that there is no data here, and reaches no program.
 */
static void pass_hint_on(fuse_req_t req, int fd, off_t off, size_t size)
{
	posix_fadvise(fd, off, (off_t)size, POSIX_FADV_WILLNEED);
	reply_err(req, -ECANCELED);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct openfile *of = openfile_get(fs->tree.openfiles, fi->fh);
	struct worker *w = worker_self();
	size_t done = 0;
	ssize_t n = 0;
	int fd;

	if (of && of->way == WAY_DIRECT) {
		direct_read(req, ino, size, off, fi, of);
		return;
	}
	worker_might_block(w);
	fd = fs_file_fd(fs, ino, fi);
	if (fd < 0 || !of) {
		reply_err(req, fd < 0 ? fd : -EBADF);
		return;
	}
	if (of->way == WAY_KERNEL) {
		pass_hint_on(req, fd, off, size);
		return;
	}
	if (size > WORKER_MAX_DATA)
		size = WORKER_MAX_DATA;
	follow_flags(of, fi->flags);
	/* The kernel takes a short answer for the end of the file. */
	while (done < size) {
		n = pread(fd, w->out + done, size - done, off + (off_t)done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (n < 0 && !done) {
		reply_err(req, -errno);
		return;
	}
	stats_add(&w->stats->bytes[STATS_READ_CACHED], done);
	reply_buf(req, w->out, done);
}

static int become_writer(fuse_req_t req, int fd, const struct fuse_file_info *fi)
{
	if (fi->kill_suidgid)
		return fs_as_writer(req, fd);
	fs_as_caller(req);
	return 0;
}

/*
 * All of it, unless the filesystem ends it with an error. The kernel makes an EIO of a short answer
 * to a write through its cache, so the error is asked for by writing on. Bytes, or -errno when there
 * are none.
 */
ssize_t fs_write_all(int fd, const char *buf, size_t size, off_t off, int flags)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < size && n > 0) {
		struct iovec rest = { .iov_base = (void *)(buf + done), .iov_len = size - done };

		n = pwritev2(fd, &rest, 1, off + (off_t)done, flags);
		if (n > 0)
			done += (size_t)n;
	}
	return n < 0 && !done ? -errno : (ssize_t)done;
}

/*
 * The page cache writes what was stored through mmap: the caller is unknown, and the end of the
 * file need not be aligned. So a descriptor with O_DIRECT is opened once more without.
 */
static ssize_t write_back(struct worker *w, struct openfile *of, const char *buf, size_t size,
			  off_t off)
{
	autoclose int plain = -1;

	if (of->flags & O_DIRECT) {
		fs_rest();
		plain = fs_reopen(of->fd, O_WRONLY | O_NONBLOCK);
		if (plain < 0)
			follow_flags(of, 0);
	}
	creds_writeback(&w->creds);
	return fs_write_all(plain >= 0 ? plain : of->fd, buf, size, off, 0);
}

/* A write that syncs by itself (RWF_DSYNC) shows as if its descriptor had been opened so. */
int fs_write_flags(int flags)
{
	int sync = !(flags & O_DSYNC) ? 0 : (flags & O_SYNC) == O_SYNC ? RWF_SYNC : RWF_DSYNC;

	return sync | (flags & O_APPEND ? RWF_APPEND : 0);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct openfile *of = openfile_get(fs->tree.openfiles, fi->fh);
	struct worker *w = worker_self();
	struct node *node = fs_node(fs, ino);
	uint64_t known = 0;
	ssize_t n;

	worker_might_block(w);
	if (!of || of->fd < 0) {
		reply_err(req, -EBADF);
		return;
	}
	if (of->way == WAY_CACHED)
		known = revalidate_before(node, of->fd);
	if (fi->writepage) {
		n = write_back(w, of, buf, size, off);
	} else {
		follow_flags(of, fi->flags);
		n = become_writer(req, of->fd, fi);
		if (!n && of->way == WAY_DIRECT)
			n = direct_write(fs, buf, size, off, fi, of);
		else if (!n)
			n = fs_write_all(of->fd, buf, size, off, fs_write_flags(fi->flags));
	}
	revalidate_after(node, of->fd, known);
	if (n > 0 && (of->way != WAY_DIRECT || fi->writepage))
		stats_add(&w->stats->bytes[STATS_WRITE_CACHED], (uint64_t)n);
	if (n < 0) {
		reply_err(req, (int)n);
		return;
	}
	fuse_reply_write(req, (size_t)n);
}

/* Only writers are asked to flush. Closing a copy reports what the filesystem has to report. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct openfile *of = openfile_get(fs_of(req)->tree.openfiles, fi->fh);
	int copy;

	(void)ino;
	if (!of || of->fd < 0) {
		reply_err(req, 0);
		return;
	}
	worker_might_block(worker_self());
	copy = fcntl(of->fd, F_DUPFD_CLOEXEC, 0);
	reply_err(req, copy < 0 ? -errno : or_errno(close(copy)));
}

/*
 * A failed write is to be reported to each descriptor that was open then, once. The kernel does so
 * for descriptors of ours; but those that only read have one only from their first fsync on, which
 * is as if they had been opened after it.
 */
static int sync_reported(struct fs *fs, struct node *node, struct openfile *of, int err)
{
	if (!node || !of || (err && err != -EIO && err != -ENOSPC && err != -EDQUOT))
		return err;
	node_lock(fs->tree.nodes, node);
	if (node->open && err && of->failures == node->open->failures) {
		node->open->failures++;
		node->open->failure = err;
	} else if (node->open && !err && of->failures != node->open->failures) {
		err = node->open->failure;
	}
	if (node->open)
		of->failures = node->open->failures;
	node_unlock(fs->tree.nodes, node);
	return err;
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct openfile *of = openfile_get(fs->tree.openfiles, fi->fh);
	int fd;

	if (!fs->tree.source.in_memory)
		worker_may_block(worker_self());
	fd = fs_file_fd(fs, ino, fi);
	if (fd >= 0)
		fd = sync_reported(fs, fs_node(fs, ino), of,
				   or_errno(datasync ? fdatasync(fd) : fsync(fd)));
	if (fd < 0 && of)
		direct_synced(of);
	reply_err(req, fd);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct node *node = fs_node(fs, ino);
	uint64_t known;
	int fd, err;

	worker_may_block(worker_self());
	fd = fs_file_fd(fs, ino, fi);
	err = fd < 0 ? fd : fs_as_writer(req, fd);
	if (!err) {
		known = revalidate_before(node, fd);
		err = or_errno(fallocate(fd, mode, offset, length));
		revalidate_after(node, fd, known);
	}
	reply_err(req, err);
}

/* What was stored through mmap may be in FUSE's page cache only. */
static bool stored_mapped(struct fs *fs, fuse_ino_t ino)
{
	struct node *node = fs_node(fs, ino);
	bool may;

	if (!node)
		return false;
	node_lock(fs->tree.nodes, node);
	may = node->open && node->open->writers && open_inode_cached(node->open);
	node_unlock(fs->tree.nodes, node);
	return may;
}

/*
 * The kernel does not ask its page cache about holes: what was stored through mmap SOURCE would call a
 * hole, and who copies the file would leave it out. So a hole is written back, by other workers, before
 * it is called one; and nothing else, as that drops the pages too (revalidate.h).
 */
static off_t seek(struct fs *fs, fuse_ino_t ino, int fd, off_t off, int whence)
{
	struct {
		off_t from, to;
	} hole, written = { 0, 0 };
	off_t found;

	for (;;) {
		found = lseek(fd, off, whence);
		if (found < 0 && (errno != ENXIO || whence != SEEK_DATA))
			return -errno;
		hole.from = whence == SEEK_DATA ? off : found;
		hole.to = whence == SEEK_DATA ? found : lseek(fd, found, SEEK_DATA);
		if (hole.to < 0)
			hole.to = lseek(fd, 0, SEEK_END);
		if (hole.from >= hole.to || (hole.from >= written.from && hole.from < written.to) ||
		    !stored_mapped(fs, ino))
			return found < 0 ? -ENXIO : found;
		worker_may_block(worker_self());
		fuse_lowlevel_notify_inval_inode(fs->fuse, ino, hole.from, hole.to - hole.from);
		written = hole;
	}
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	off_t found;
	int fd;

	worker_might_block(worker_self());
	fd = fs_file_fd(fs_of(req), ino, fi);
	found = fd < 0 ? fd : seek(fs_of(req), ino, fd, off, whence);
	if (found < 0)
		reply_err(req, (int)found);
	else
		fuse_reply_lseek(req, found);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
			struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
			struct fuse_file_info *fi_out, size_t len, int flags)
{
	struct fs *fs = fs_of(req);
	struct node *node = fs_node(fs, ino_out);
	struct worker *w = worker_self();
	uint64_t known;
	ssize_t n;
	int in, out, err;

	worker_may_block(w);
	in = fs_file_fd(fs, ino_in, fi_in);
	out = fs_file_fd(fs, ino_out, fi_out);
	err = in < 0 ? in : out < 0 ? out : fs_as_writer(req, out);
	if (err) {
		reply_err(req, err);
		return;
	}
	known = revalidate_before(node, out);
	n = copy_file_range(in, &off_in, out, &off_out, len < COPY_PIECE ? len : COPY_PIECE,
			    (unsigned)flags);
	err = n < 0 ? -errno : 0;
	revalidate_after(node, out, known);
	if (err) {
		reply_err(req, err);
		return;
	}
	stats_add(&w->stats->bytes[STATS_COPIED], (uint64_t)n);
	fuse_reply_write(req, (size_t)n);
}
