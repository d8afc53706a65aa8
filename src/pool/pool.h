/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Aligned, bounded, reused buffers for I/O.
 *
 * One reserved range of addresses, divided into chunks of POOL_CHUNK bytes that are committed when
 * first needed and given back when idle. A chunk serves one size class at a time. Every buffer
 * begins at a multiple of its own size, up to a page and beyond, so it is fit for O_DIRECT anywhere.
 *
 * A buffer's memory is what its last user left there: only bytes that were read into it may be shown
 * to anybody. A buffer of a chunk that was just committed reads as zeros.
 *
 * Threads: any. Leases are served in order of arrival once they have to wait. No call spins for
 * long, none hangs: a wait ends with a buffer, its timeout, a cancellation, or the pool's shutdown.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define POOL_MIN_SIZE	4096u	   /* smallest class: a page */
#define POOL_MAX_SIZE	(1u << 20) /* largest class, and the size of a chunk */
#define POOL_CHUNK	POOL_MAX_SIZE
#define POOL_MAX_MEMORY (1ull << 38) /* 256 GiB; less than that */

struct pool;

/* A lease. Copyable; whoever holds it returns it exactly once. */
struct pool_buffer {
	void *data;	/* NULL: no buffer */
	uint32_t size;	/* of the class: a power of two, POOL_MIN_SIZE … POOL_MAX_SIZE */
	uint32_t chunk; /* stable index of the chunk: what is registered with io_uring */
};

struct pool_counters {
	uint64_t leases, returns;     /* buffers */
	uint64_t waits;		      /* leases that had to wait */
	uint64_t timeouts, cancelled; /* of those, ended without buffers */
	uint64_t failures;	      /* leases that failed for want of memory from the kernel */
	uint64_t committed, peak;     /* bytes of memory now, and at most */
	uint64_t leased;	      /* bytes out now */
};

/*
 * memory: bytes for everything, rounded down to whole chunks; at least one chunk.
 * Returns NULL with *err = -EINVAL (0 or too small, or POOL_MAX_MEMORY and more) or
 * -ENOMEM.
 */
struct pool *pool_new(size_t memory, int *err);
/*
 * No lease is given from here on; waiting ones end with -ESHUTDOWN. The pool's memory goes when the
 * last lease comes back: returning one after this is safe. Registered chunks are released then, by
 * that thread, unless the observer was taken away. Returns NULL.
 */
struct pool *pool_free(struct pool *pool);

/* The smallest class that holds size bytes; 0 for none and for more than POOL_MAX_SIZE. */
uint32_t pool_class(size_t size);

/*
 * One buffer at once or -EAGAIN (somebody waits; none is free; or the last chunk is just being
 * committed or given back); -ENOMEM if the kernel has no memory; -EINVAL for a bad size (0 too).
 */
int pool_try(struct pool *pool, size_t size, struct pool_buffer *buffer);

/*
 * Tells a waiting lease to end; one that need not wait succeeds nevertheless. Zero-initialise; may
 * be used for many leases, one after another and at once.
 */
struct pool_cancel {
	_Atomic bool cancelled;
};

/*
 * count buffers of size bytes each, all or none: never holds some while it waits for others.
 * timeout_ns: how long to wait at most; 0: not at all; UINT64_MAX: until there are buffers.
 * cancel may be NULL. Returns 0, -EAGAIN (timeout 0), -ETIMEDOUT, -ECANCELED, -ENOMEM, -ESHUTDOWN,
 * -EINVAL (bad size, count 0, or more than the pool could ever hold at once).
 */
int pool_lease(struct pool *pool, size_t size, unsigned count, struct pool_buffer *buffers,
	       uint64_t timeout_ns, struct pool_cancel *cancel);
void pool_cancel(struct pool *pool, struct pool_cancel *cancel);
void pool_return(struct pool *pool, struct pool_buffer *buffer); /* sets data to NULL */

/*
 * Registration with io_uring goes by chunk, when it is committed, and ends before its memory goes
 * back, with no I/O in flight in it (no lease is out then). The hooks are called with no lease of
 * that chunk out, never concurrently for one chunk; a failed `committed` only means that the chunk
 * is used unregistered. Hooks run one at a time, without the pool's lock, and may not call
 * pool_observe(). At most one observer, set before the first lease; NULL takes it away, and no hook
 * runs any more when that returns (a ring that closes before its pool).
 */
struct pool_observer {
	void (*committed)(void *argument, uint32_t chunk, void *data, size_t size);
	void (*releasing)(void *argument, uint32_t chunk);
	void *argument;
};
void pool_observe(struct pool *pool, const struct pool_observer *observer);

/* Gives memory of chunks that hold no lease back to the kernel; all of them, or those idle since
 * the last call; none while somebody waits for buffers. Returns the bytes given back. For a
 * housekeeping thread, and under pressure. */
size_t pool_trim(struct pool *pool, bool all);

size_t pool_memory(const struct pool *pool);   /* bytes at most */
uint32_t pool_chunks(const struct pool *pool); /* chunks at most: indices are below this */
void pool_read_counters(struct pool *pool, struct pool_counters *counters);
