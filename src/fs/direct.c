/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/direct_data.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "fs/disk.h"
#include "pool/pool.h"
#include "prefetch/ahead.h"
#include "probe/directio.h"
#include "util/cleanup.h"
#include "util/log.h"

/* More at once gains nothing on any disk that we know. */
#define DEPTH	       64u
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
	uint64_t bytes = disk_memory(fs);
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
	if (fs->engine && engine_ops(fs->engine) != &io_buffered_ops &&
	    fs->options->prefetch != OPTION_PREFETCH_OFF &&
	    fs->options->prefetch != OPTION_PREFETCH_TREE)
		fs->streams = ahead_set_new(fs->engine);
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
	if (fs->streams)
		ahead_set_close(fs->streams);
	fs->engine = engine_free(fs->engine);
	fs->streams = ahead_set_free(fs->streams);
}

bool direct_wanted(struct fs *fs)
{
	return fs->engine;
}

void direct_count(const struct fs *fs, struct stats_snapshot *snapshot)
{
	struct pool_counters pool;
	struct ahead_counters c;

	if (!fs->engine)
		return;
	snapshot->events[STATS_BACKENDS_REFUSED] += engine_fallbacks(fs->engine);
	pool_read_counters(engine_pool(fs->engine), &pool);
	snapshot->gauges[STATS_POOL_BYTES] = pool.committed;
	snapshot->gauges[STATS_POOL_USED_BYTES] = pool.leased;
	snapshot->events[STATS_BUFFERS_WAITED] += pool.waits;
	snapshot->events[STATS_BUFFERS_FAILED] += pool.failures;
	snapshot->events[STATS_UNREGISTERED] += engine_unregistered(fs->engine);
	if (!fs->streams)
		return;
	ahead_read_counters(fs->streams, &c);
	snapshot->bytes[STATS_STREAMED] += c.bytes;
	snapshot->events[STATS_PIECES_USED] += c.used;
	snapshot->events[STATS_PIECES_LATE] += c.late;
	snapshot->events[STATS_PIECES_WASTED] += c.wasted;
	snapshot->events[STATS_PIECES_STALE] += c.stale;
}

/* Here and not where it happens: nobody who waits for a buffer shall also write a log. */
static void tell_of_shortage(struct fs *fs, const struct pool_counters *c)
{
	if (fs->short_of_buffers || (!c->waits && !c->failures))
		return;
	fs->short_of_buffers = true;
	if (c->failures)
		log_line(LOG_WARNING, "there is no memory for buffers: reads and writes fail");
	else
		log_line(LOG_NOTICE,
			 "reads and writes wait for buffers: memory=%s is little for so "
			 "many at once",
			 policy_bytes(disk_memory(fs)).text);
}

bool direct_tick(struct fs *fs)
{
	struct pool_counters c;

	if (!fs->engine)
		return true;
	if (fs->streams)
		ahead_set_tick(fs->streams);
	pool_trim(engine_pool(fs->engine), false);
	pool_read_counters(engine_pool(fs->engine), &c);
	tell_of_shortage(fs, &c);
	return !c.committed;
}

void direct_refused(struct fs *fs, struct openfile *of, int err)
{
	atomic_store_explicit(&of->align, 1, memory_order_relaxed);
	stats_add(&worker_self()->stats->events[STATS_FILES_REFUSED], 1);
	if (!atomic_exchange(&fs->refused, true))
		log_line(LOG_NOTICE,
			 "files that refuse Direct IO (%s) go through SOURCE's page "
			 "cache",
			 strerror(-err));
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
	direct = align ? fs_reopen(fd,
				   mode | O_DIRECT | (of->flags & (O_SYNC | O_DSYNC | O_NOATIME)))
		       : -EINVAL;
	if (direct < 0) {
		direct_refused(fs, of, direct);
		return;
	}
	of->direct_writes = mode != O_RDONLY;
	openfile_keep_direct(fs->tree.openfiles, of, direct);
	atomic_store_explicit(&of->align, align, memory_order_relaxed);
}

void direct_count_bytes(const struct fs *fs, bool direct, enum io_kind kind, size_t n)
{
	const struct io_backend_ops *ops = direct ? engine_ops(fs->engine) : &io_buffered_ops;
	unsigned first = ops == &io_ring_ops	 ? STATS_READ_RING
			 : ops == &io_direct_ops ? STATS_READ_DIRECT
						 : STATS_READ_BUFFERED;

	stats_add(&worker_self()->stats->bytes[first + (kind == IO_WRITE)], n);
}

bool direct_as_is(int flags, uint32_t align, uint64_t off, size_t size)
{
	return (flags & O_DIRECT) && ((off | size) & (align - 1));
}

void direct_detach(struct openfile *of)
{
	ahead_close(atomic_exchange(&of->ahead, NULL));
}
