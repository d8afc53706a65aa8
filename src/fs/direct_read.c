/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/direct_data.h"

#include <sys/uio.h>

#include "io/range.h"
#include "prefetch/ahead.h"
#include "util/cleanup.h"

#define READ_PIECES 2u /* a request that is widened may need one more than its size says */

/* What of the pieces was wanted, as a reply. Returns bytes, or -errno if there is none. */
static ssize_t gather(const struct engine_piece *pieces, unsigned n, struct range wanted,
		      struct iovec iov[READ_PIECES])
{
	ssize_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct io_request *r = &pieces[i].request;
		ssize_t got = pieces[i].result;
		struct range part = range_overlap(
			(struct range){ r->offset, got > 0 ? (uint64_t)got : 0 }, wanted);

		if (got < 0)
			return total ? total : got;
		iov[i].iov_base = (char *)r->buffer.data + (part.offset - r->offset);
		iov[i].iov_len = part.length;
		total += (ssize_t)part.length;
		if (got < (ssize_t)r->length) /* the end of the file */
			break;
	}
	return total;
}

/* Leases buffers and reads a range into them. 0, or -errno and no buffer is left. */
static int read_range(struct fs *fs, int fd, bool direct, struct range wide,
		      struct engine_piece pieces[READ_PIECES], unsigned *count)
{
	struct pool_buffer buffers[READ_PIECES];
	uint32_t piece = wide.length < POOL_MAX_SIZE ? (uint32_t)wide.length : POOL_MAX_SIZE;
	struct range rest = wide, next;
	unsigned n = 0;
	int err;

	*count = (unsigned)((wide.length + piece - 1) / piece);
	err = pool_lease(engine_pool(fs->engine), piece, *count, buffers, UINT64_MAX, NULL);
	if (err)
		return err;
	while (range_next(&rest, 1, piece, &next)) {
		pieces[n].request = (struct io_request){
			.kind = IO_READ,
			.fd = fd,
			.offset = next.offset,
			.length = (uint32_t)next.length,
			.buffer = buffers[n],
		};
		n++;
	}
	engine_move(fs->engine, direct, pieces, n);
	return 0;
}

/*
 * Direct IO is refused; or it collided with a write or a mapping by somebody else, which Linux makes
 * an EIO of that readers by the page cache never see (ext4, Linux 6.18).
 */
static bool by_cache_instead(ssize_t n, bool direct)
{
	return direct && (n == -EINVAL || n == -EIO);
}

/*
 * Answers, unless the page cache shall be asked instead. refuses: the file that has refused Direct
 * IO, if there are bytes. Returns bytes or -errno.
 */
static ssize_t try_read(fuse_req_t req, struct fs *fs, int fd, bool direct, struct range wanted,
			struct range wide, struct openfile *refuses)
{
	struct engine_piece pieces[READ_PIECES];
	struct iovec iov[READ_PIECES] = { 0 };
	unsigned count;
	ssize_t n;
	int err = read_range(fs, fd, direct, wide, pieces, &count);

	if (err) {
		reply_err(req, err);
		return 0;
	}
	n = gather(pieces, count, wanted, iov);
	if (refuses && n > 0) /* before the answer: the file may be closed after it */
		direct_refused(fs, refuses, -EINVAL);
	if (n >= 0) {
		direct_count_bytes(fs, direct, IO_READ, (size_t)n);
		fuse_reply_iov(req, iov, (int)count);
	} else if (!by_cache_instead(n, direct)) {
		reply_err(req, (int)n);
	}
	for (unsigned i = 0; i < count; i++)
		pool_return(engine_pool(fs->engine), &pieces[i].request.buffer);
	return n;
}

static void read_as_is(fuse_req_t req, struct fs *fs, struct openfile *of, size_t size, off_t off)
{
	struct worker *w = worker_self();
	ssize_t n = pread(of->direct, w->out, size < WORKER_MAX_DATA ? size : WORKER_MAX_DATA, off);

	if (n < 0) {
		reply_err(req, -errno);
		return;
	}
	direct_count_bytes(fs, true, IO_READ, (size_t)n);
	reply_buf(req, w->out, (size_t)n);
}

/* Smaller files are read at once, or nearly so. */
#define AHEAD_MIN_SIZE (256u << 10)

static bool worth_it(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size > (off_t)AHEAD_MIN_SIZE;
}

/* What is read ahead of this open file: made at its second read, and told of the
 * first. NULL: nothing. */
static struct ahead *ahead_of(struct fs *fs, struct openfile *of, struct range wanted)
{
	struct ahead *a = atomic_load_explicit(&of->ahead, memory_order_acquire), *mine;
	uint64_t end;
	uint32_t length;

	if (a)
		return a;
	end = atomic_exchange_explicit(&of->read_end, wanted.offset + wanted.length,
				       memory_order_relaxed);
	length = atomic_exchange_explicit(&of->read_length, (uint32_t)wanted.length,
					  memory_order_relaxed);
	if (!end || openfile_room(fs->tree.openfiles, false) != 0 || !worth_it(of->direct))
		return NULL;
	mine = ahead_new(fs->streams, of->direct,
			 atomic_load_explicit(&of->align, memory_order_relaxed));
	if (!mine)
		return NULL;
	if (end >= length)
		ahead_note(mine, end - length, length);
	if (atomic_compare_exchange_strong(&of->ahead, &a, mine))
		return mine;
	ahead_close(mine); /* another thread's read was quicker */
	return a;
}

/* True if it is answered. */
static bool read_ahead(fuse_req_t req, struct fs *fs, struct openfile *of, struct range wanted)
{
	struct ahead *a = ahead_of(fs, of, wanted);
	struct ahead_loan loan;
	int result;

	if (!a)
		return false;
	ahead_note(a, wanted.offset, wanted.length);
	result = ahead_lend(a, wanted.offset, wanted.length, false, &loan);
	if (result == -EAGAIN) {
		worker_may_block(worker_self());
		result = ahead_lend(a, wanted.offset, wanted.length, true, &loan);
	}
	if (result != 1)
		return false;
	direct_count_bytes(fs, true, IO_READ, loan.bytes);
	fuse_reply_iov(req, loan.iov, (int)loan.count);
	ahead_return(a, &loan);
	return true;
}

void direct_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi,
		 struct openfile *of)
{
	struct fs *fs = fs_of(req);
	uint32_t align = atomic_load_explicit(&of->align, memory_order_relaxed);
	struct range wanted = { (uint64_t)off, size }, wide;
	ssize_t n = -EINVAL;
	int fd, err;

	if (!size) {
		reply_buf(req, "", 0);
		return;
	}
	if (fs->streams && align > 1 && !of->writer && !(fi->flags & O_DIRECT) &&
	    read_ahead(req, fs, of, wanted))
		return;
	worker_may_block(worker_self());
	if (align > 1 && direct_as_is(fi->flags, align, wanted.offset, size)) {
		read_as_is(req, fs, of, size, off);
		return;
	}
	err = range_widen(wanted, align, UINT64_MAX, &wide);
	if (err) {
		reply_err(req, err);
		return;
	}
	if (align > 1)
		n = try_read(req, fs, of->direct, true, wanted, wide, NULL);
	if (!by_cache_instead(n, true))
		return;
	fd = fs_file_fd(fs, ino, fi);
	if (fd < 0)
		reply_err(req, fd);
	else /* not for what is asked amiss, as beyond the largest file */
		try_read(req, fs, fd, false, wanted, wanted, align > 1 && n == -EINVAL ? of : NULL);
}
