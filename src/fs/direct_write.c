/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/direct_data.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io/range.h"
#include "util/cleanup.h"
#include "util/dontcache.h"
#include "util/log.h"

/* The whole or the rest, through SOURCE's page cache or as the program's descriptor has it. */
static ssize_t write_as_caller(const struct fs *fs, const struct openfile *of, const char *buf,
			       size_t size, off_t off, int rwf)
{
	ssize_t n = fs_write_all(of->fd, buf, size, off, rwf);

	if (n > 0)
		direct_count_bytes(fs, false, IO_WRITE, (size_t)n);
	return n;
}

/*
 * What is written in order is joined by the kernel: into requests as large, and as many at once, as
 * the disk takes. Direct IO would wait for each write, and on ext4 for each other one that makes
 * the file longer: it takes twice as long. RWF_DONTCACHE begins to write at once and then drops the
 * pages. Who reads, maps, cuts or syncs the file sees to them as on SOURCE, as it is SOURCE's cache.
 */
#define JOIN_MIN \
	(64u << 10) /* bytes of one write: shorter ones would be a request of the disk each */
#define JOIN_STEP (8u << 20) /* how often it is looked whether the disk keeps up */
#define JOIN_BEHIND \
	(24u << 20) /* bytes not yet on the disk, and JOIN_STEP more: all that is cached */

static bool joins(struct openfile *of, int flags, uint64_t off, size_t size)
{
	uint64_t end = atomic_exchange_explicit(&of->write_end, off + size, memory_order_relaxed);

	return end == off && size >= JOIN_MIN && !(flags & (O_DIRECT | O_SYNC | O_DSYNC)) &&
	       !atomic_load_explicit(&of->no_joining, memory_order_relaxed);
}

/*
 * By the descriptor that nobody syncs: the other one's next fsync tells of an error, too. But who
 * opens the file later would not be told any more, so the writer is, now.
 */
static int wait_for_disk(struct openfile *of, uint64_t off, size_t size)
{
	uint64_t before = atomic_fetch_add_explicit(&of->joined, size, memory_order_relaxed);
	uint64_t until = off - JOIN_BEHIND, from = until - 3 * JOIN_STEP;

	if (before / JOIN_STEP == (before + size) / JOIN_STEP || off < JOIN_BEHIND + 3 * JOIN_STEP)
		return 0;
	worker_may_block(worker_self());
	return or_errno(sync_file_range(of->direct, (off_t)from, (off_t)(until - from),
					SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE));
}

void direct_synced(struct openfile *of)
{
	if (of->direct >= 0 && atomic_load_explicit(&of->joined, memory_order_relaxed))
		sync_file_range(of->direct, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE);
}

/* The program is told, too; this is for who looks at the mount. */
static void joined_failed(struct fs *fs, int err)
{
	stats_add(&worker_self()->stats->events[STATS_JOINED_FAILED], 1);
	if (!atomic_exchange(&fs->join_failed, true))
		log_line(LOG_NOTICE, "a file that is written in order: %s", strerror(err));
}

/* Bytes or -errno; -EOPNOTSUPP: this kernel or filesystem can't, and nothing was written. */
static ssize_t write_joined(struct fs *fs, struct openfile *of, const char *buf, size_t size,
			    off_t off)
{
	int err = wait_for_disk(of, (uint64_t)off, size);
	ssize_t n;

	errno = 0; /* and what has cut a short write, from here on */
	n = err ? err : fs_write_all(of->fd, buf, size, off, RWF_DONTCACHE);
	if (n == -EOPNOTSUPP)
		atomic_store_explicit(&of->no_joining, true, memory_order_relaxed);
	else if (n < (ssize_t)size)
		joined_failed(fs, n < 0 ? (int)-n : errno);
	if (n > 0) {
		direct_count_bytes(fs, false, IO_WRITE, (size_t)n);
		stats_add(&worker_self()->stats->bytes[STATS_WRITE_JOINED], (uint64_t)n);
	}
	return n;
}

/* One buffer's worth by the engine: bytes or -errno. */
static ssize_t write_by_engine(const struct fs *fs, int fd, bool direct, const char *buf,
			       struct range part)
{
	struct pool *pool = engine_pool(fs->engine);
	struct engine_piece piece = { .request = {
					      .kind = IO_WRITE,
					      .fd = fd,
					      .offset = part.offset,
					      .length = (uint32_t)part.length,
				      } };
	int err = pool_lease(pool, part.length, 1, &piece.request.buffer, UINT64_MAX, NULL);

	if (err)
		return err;
	memcpy(piece.request.buffer.data, buf, part.length);
	engine_move(fs->engine, direct, &piece, 1);
	pool_return(pool, &piece.request.buffer);
	if (piece.result > 0)
		direct_count_bytes(fs, direct, IO_WRITE, (size_t)piece.result);
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
			ssize_t more =
				write_as_caller(fs, of, buf + done + n, part.length - (size_t)n,
						(off_t)part.offset + n, 0);

			if (more < 0)
				return done + n ? done + n : more;
			if (refuses && more)
				direct_refused(fs, of, -EINVAL);
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
			   off_t off, int rwf)
{
	ssize_t n = write_as_caller(fs, of, buf, size, off, rwf);

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
	bool direct = align > 1 && of->direct_writes;
	/* This one syncs, unlike what the descriptors do by themselves. */
	bool syncs = (fi->flags ^ of->flags) & O_SYNC;
	int rwf = fs_write_flags(fi->flags);
	struct range_parts parts;
	ssize_t done = 0;

	if (has_setid(of->fd))
		return write_setid(fs, of, buf, size, off, rwf);
	if (fi->flags & O_APPEND || syncs || (align > 1 && !direct) ||
	    direct_as_is(fi->flags, align, (uint64_t)off, size))
		return write_as_caller(fs, of, buf, size, off, rwf);
	if (direct && joins(of, fi->flags, (uint64_t)off, size)) {
		done = write_joined(fs, of, buf, size, off);
		if (done != -EOPNOTSUPP)
			return done;
		done = 0;
	}
	if (direct && align < BODY_ALIGN && !(fi->flags & O_DIRECT))
		align = BODY_ALIGN;
	if (range_split((struct range){ (uint64_t)off, size }, direct ? align : 1, &parts) != 0)
		return write_as_caller(fs, of, buf, size, off, 0);
	if (parts.head.length &&
	    !add_up(&done, write_as_caller(fs, of, buf, parts.head.length, off, 0),
		    parts.head.length))
		return done;
	if (parts.body.length &&
	    !add_up(&done, write_body(fs, of, direct, buf + done, parts.body), parts.body.length))
		return done;
	if (parts.tail.length)
		add_up(&done,
		       write_as_caller(fs, of, buf + done, parts.tail.length,
				       (off_t)parts.tail.offset, 0),
		       parts.tail.length);
	return done;
}
