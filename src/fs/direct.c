/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/direct.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "io/engine.h"
#include "io/range.h"
#include "pool/pool.h"
#include "policy.h"
#include "probe/directio.h"
#include "util/cleanup.h"
#include "util/log.h"

/* More at once gains nothing on any disk that we know. */
#define DEPTH 64u
#define LOCKED_BESIDES (4u << 20) /* the rings themselves, and some to spare */

static const struct io_backend_ops *wanted_ops(const struct options *o)
{
	switch (o->backend) {
	case OPTION_BACKEND_RING:
		return &io_ring_ops;
	case OPTION_BACKEND_DIRECT:
		return &io_direct_ops;
	case OPTION_BACKEND_BUFFERED:
		return &io_buffered_ops;
	default:
		return NULL;
	}
}

static uint64_t memory(const struct options *o)
{
	const struct policy_options options = {.memory = o->memory};
	autoclose int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct probe_root root = {.fd = root_fd, .mountinfo = PROBE_MOUNTINFO};
	struct host host = {0};

	if (!o->memory && root_fd >= 0)
		host_memory_probe(&host.memory, &root);
	return policy_memory(&options, &host);
}

/* Buffers registered with io_uring count as locked memory. Who can't raise it does without. */
static void allow_locked(uint64_t bytes)
{
	struct rlimit limit;

	bytes += LOCKED_BESIDES;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur >= bytes)
		return;
	limit.rlim_cur = bytes;
	if (limit.rlim_max < bytes)
		limit.rlim_max = bytes;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

/*
 * A thread of its own, as all that the backends start inherits its identity: at rest, so that
 * transfers clear setuid bits and respect quotas as an ordinary user's do.
 */
static void *start_engine(void *argument)
{
	struct fs *fs = argument;
	uint64_t bytes = memory(fs->options);
	struct creds creds;
	int err;

	allow_locked(bytes);
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); /* as for workers, session.c */
	err = creds_init(&creds, fs->tree.source.proc);
	if (!err)
		fs->engine = engine_new(wanted_ops(fs->options), bytes, DEPTH, &err);
	if (err)
		log_line(LOG_WARNING, "backend=: data goes the kernel's way instead: %s",
			 strerror(-err));
	return NULL;
}

void direct_start(struct fs *fs)
{
	pthread_t thread;

	if (!wanted_ops(fs->options))
		return;
	if (pthread_create(&thread, NULL, start_engine, fs) == 0)
		pthread_join(thread, NULL);
}

void direct_stop(struct fs *fs)
{
	fs->engine = engine_free(fs->engine);
}

bool direct_wanted(struct fs *fs)
{
	return fs->engine;
}

void direct_count(const struct fs *fs, struct stats_snapshot *snapshot)
{
	struct pool_counters c;

	if (!fs->engine)
		return;
	snapshot->events[STATS_BACKENDS_REFUSED] += engine_fallbacks(fs->engine);
	pool_read_counters(engine_pool(fs->engine), &c);
	snapshot->gauges[STATS_POOL_BYTES] = c.committed;
	snapshot->gauges[STATS_POOL_USED_BYTES] = c.leased;
}

bool direct_tick(struct fs *fs)
{
	struct pool_counters c;

	if (!fs->engine)
		return true;
	pool_trim(engine_pool(fs->engine), false);
	pool_read_counters(engine_pool(fs->engine), &c);
	return !c.committed;
}

static void refused(struct fs *fs, struct openfile *of, int err)
{
	atomic_store_explicit(&of->align, 1, memory_order_relaxed);
	stats_add(&worker_self()->stats->events[STATS_FILES_REFUSED], 1);
	if (!atomic_exchange(&fs->refused, true))
		log_line(LOG_NOTICE, "files that refuse Direct IO (%s) go through SOURCE's page "
			 "cache", strerror(-err));
}

/* An append-only file can't be opened to be written elsewhere, and appending needs no more. */
static int direct_mode(int flags)
{
	if (!(flags & O_APPEND))
		return flags & O_ACCMODE;
	return (flags & O_ACCMODE) == O_WRONLY ? -1 : O_RDONLY;
}

void direct_attach(struct fs *fs, struct openfile *of, int fd)
{
	int mode = direct_mode(of->flags), direct;
	uint32_t align;

	atomic_store_explicit(&of->align, 1, memory_order_relaxed);
	if (engine_ops(fs->engine) == &io_buffered_ops || mode < 0)
		return;
	align = directio_align(fd);
	direct = align ? fs_reopen(fd, mode | O_DIRECT |
				   (of->flags & (O_SYNC | O_DSYNC | O_NOATIME)))
		       : -EINVAL;
	if (direct < 0) {
		refused(fs, of, direct);
		return;
	}
	of->direct_writes = mode != O_RDONLY;
	openfile_keep_direct(fs->tree.openfiles, of, direct);
	atomic_store_explicit(&of->align, align, memory_order_relaxed);
}

/* Whose bytes these are in the statistics. */
static void count_bytes(const struct fs *fs, bool direct, enum io_kind kind, size_t n)
{
	const struct io_backend_ops *ops = direct ? engine_ops(fs->engine) : &io_buffered_ops;
	unsigned first = ops == &io_ring_ops ? STATS_READ_RING
			 : ops == &io_direct_ops ? STATS_READ_DIRECT : STATS_READ_BUFFERED;

	stats_add(&worker_self()->stats->bytes[first + (kind == IO_WRITE)], n);
}

/* Direct IO by the program itself is taken or refused as SOURCE does it. */
static bool as_is(int flags, uint32_t align, uint64_t off, size_t size)
{
	return (flags & O_DIRECT) && ((off | size) & (align - 1));
}

#define READ_PIECES 2u /* a request that is widened may need one more than its size says */

/* What of the pieces was wanted, as a reply. Returns bytes, or -errno if there is none. */
static ssize_t gather(const struct engine_piece *pieces, unsigned n, struct range wanted,
		      struct iovec iov[READ_PIECES])
{
	ssize_t total = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct io_request *r = &pieces[i].request;
		ssize_t got = pieces[i].result;
		struct range part = range_overlap((struct range){r->offset, got > 0 ? (uint64_t)got : 0},
						  wanted);

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
			.kind = IO_READ, .fd = fd, .offset = next.offset,
			.length = (uint32_t)next.length, .buffer = buffers[n],
		};
		n++;
	}
	engine_move(fs->engine, direct, pieces, n);
	return 0;
}

/*
 * Answers, unless Direct IO is refused. refuses: the file that has refused it, if there are bytes.
 * Returns bytes or -errno; -EINVAL with direct: unanswered.
 */
static ssize_t try_read(fuse_req_t req, struct fs *fs, int fd, bool direct, struct range wanted,
			struct range wide, struct openfile *refuses)
{
	struct engine_piece pieces[READ_PIECES];
	struct iovec iov[READ_PIECES] = {0};
	unsigned count;
	ssize_t n;
	int err = read_range(fs, fd, direct, wide, pieces, &count);

	if (err) {
		reply_err(req, err);
		return 0;
	}
	n = gather(pieces, count, wanted, iov);
	if (refuses && n > 0) /* before the answer: the file may be closed after it */
		refused(fs, refuses, -EINVAL);
	if (n >= 0) {
		count_bytes(fs, direct, IO_READ, (size_t)n);
		fuse_reply_iov(req, iov, (int)count);
	} else if (n != -EINVAL || !direct) {
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
	count_bytes(fs, true, IO_READ, (size_t)n);
	reply_buf(req, w->out, (size_t)n);
}

void direct_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 struct fuse_file_info *fi, struct openfile *of)
{
	struct fs *fs = fs_of(req);
	uint32_t align = atomic_load_explicit(&of->align, memory_order_relaxed);
	struct range wanted = {(uint64_t)off, size}, wide;
	int fd, err;

	worker_may_block(worker_self());
	if (!size) {
		reply_buf(req, "", 0);
		return;
	}
	if (align > 1 && as_is(fi->flags, align, wanted.offset, size)) {
		read_as_is(req, fs, of, size, off);
		return;
	}
	err = range_widen(wanted, align, UINT64_MAX, &wide);
	if (err) {
		reply_err(req, err);
		return;
	}
	if (align > 1 && try_read(req, fs, of->direct, true, wanted, wide, NULL) != -EINVAL)
		return;
	fd = fs_file_fd(fs, ino, fi);
	if (fd < 0)
		reply_err(req, fd);
	else /* not for what is asked amiss, as beyond the largest file */
		try_read(req, fs, fd, false, wanted, wanted, align > 1 ? of : NULL);
}

/* The whole or the rest, through SOURCE's page cache or as the program's descriptor has it. */
static ssize_t write_as_caller(const struct fs *fs, const struct openfile *of, const char *buf,
			       size_t size, off_t off, bool append)
{
	ssize_t n = fs_write_all(of->fd, buf, size, off, append ? RWF_APPEND : 0);

	if (n > 0)
		count_bytes(fs, false, IO_WRITE, (size_t)n);
	return n;
}

/* One buffer's worth by the engine: bytes or -errno. */
static ssize_t write_by_engine(const struct fs *fs, int fd, bool direct, const char *buf,
			       struct range part)
{
	struct pool *pool = engine_pool(fs->engine);
	struct engine_piece piece = {.request = {
		.kind = IO_WRITE, .fd = fd, .offset = part.offset, .length = (uint32_t)part.length,
	}};
	int err = pool_lease(pool, part.length, 1, &piece.request.buffer, UINT64_MAX, NULL);

	if (err)
		return err;
	memcpy(piece.request.buffer.data, buf, part.length);
	engine_move(fs->engine, direct, &piece, 1);
	pool_return(pool, &piece.request.buffer);
	if (piece.result > 0)
		count_bytes(fs, direct, IO_WRITE, (size_t)piece.result);
	return piece.result;
}

/*
 * Whole pages. What the engine can't write, or not all of, is tried again by the caller himself: he
 * may use the filesystem's reserve, and the errno is then what SOURCE says to him.
 */
static ssize_t write_body(struct fs *fs, struct openfile *of, bool direct, const char *buf,
			  struct range body)
{
	int fd = direct ? of->direct : of->fd;
	struct range rest = body, part;
	ssize_t done = 0;

	worker_may_block(worker_self());
	while (range_next(&rest, 1, POOL_MAX_SIZE, &part)) {
		ssize_t n = write_by_engine(fs, fd, direct, buf + done, part);

		bool refuses = n == -EINVAL && direct;

		if (n < 0)
			n = 0;
		if (n < (ssize_t)part.length) {
			ssize_t more = write_as_caller(fs, of, buf + done + n,
						       part.length - (size_t)n,
						       (off_t)part.offset + n, false);

			if (more < 0)
				return done + n ? done + n : more;
			if (refuses && more)
				refused(fs, of, -EINVAL);
			n += more;
		}
		done += n;
		if (n < (ssize_t)part.length)
			break;
	}
	return done;
}

/* Adds a part's result to what is done. True if the next part may follow. */
static bool add_up(ssize_t *done, ssize_t n, uint64_t length)
{
	if (n >= 0)
		*done += n;
	else if (!*done)
		*done = n;
	return n == (ssize_t)length;
}

static bool has_setid(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID));
}

/* The kernel takes the mode for unchanged by a write that is not its page cache's. */
static ssize_t write_setid(struct fs *fs, struct openfile *of, const char *buf, size_t size,
			   off_t off, bool append)
{
	ssize_t n = write_as_caller(fs, of, buf, size, off, append);

	if (!has_setid(of->fd)) /* attributes only: -1 spares the data */
		fuse_lowlevel_notify_inval_inode(fs->fuse, of->nodeid, -1, 0);
	return n;
}

/* A body shares no page with the edges, or each write would wait for the last one's edge. */
#define BODY_ALIGN 4096u

ssize_t direct_write(struct fs *fs, const char *buf, size_t size, off_t off,
		     const struct fuse_file_info *fi, struct openfile *of)
{
	uint32_t align = atomic_load_explicit(&of->align, memory_order_relaxed);
	bool direct = align > 1 && of->direct_writes, append = fi->flags & O_APPEND;
	struct range_parts parts;
	ssize_t done = 0;

	if (has_setid(of->fd))
		return write_setid(fs, of, buf, size, off, append);
	if (append || (align > 1 && !direct) ||
	    as_is(fi->flags, align, (uint64_t)off, size))
		return write_as_caller(fs, of, buf, size, off, append);
	if (direct && align < BODY_ALIGN && !(fi->flags & O_DIRECT))
		align = BODY_ALIGN;
	if (range_split((struct range){(uint64_t)off, size}, direct ? align : 1, &parts) != 0)
		return write_as_caller(fs, of, buf, size, off, false);
	if (parts.head.length &&
	    !add_up(&done, write_as_caller(fs, of, buf, parts.head.length, off, false),
		    parts.head.length))
		return done;
	if (parts.body.length &&
	    !add_up(&done, write_body(fs, of, direct, buf + done, parts.body), parts.body.length))
		return done;
	if (parts.tail.length)
		add_up(&done, write_as_caller(fs, of, buf + done, parts.tail.length,
					      (off_t)parts.tail.offset, false), parts.tail.length);
	return done;
}
