/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ahead.c (streams and their ends) and ahead_piece.c (fetching and lending) share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "prefetch/ahead.h"
#include "prefetch/pattern.h"
#include "prefetch/still.h"

#define PIECES	       64u /* of one open file, those included that are being given up */
#define STREAM_PIECES  48u /* of them, wanted ones */
#define SUBMIT_AT_ONCE 16u /* requests in one call */

enum piece_state { PIECE_FREE, PIECE_FLIGHT, PIECE_READY };

/* All of it under its ahead's lock, but for the request, the backend's in flight. */
struct piece {
	struct io_request request; /* the buffer is leased unless PIECE_FREE */
	struct ahead *ahead;
	struct still still; /* as the file was before the request */
	uint64_t end;	    /* of what there is of the file */
	ssize_t result;
	enum piece_state state;
	bool stale;   /* for nobody any more; given up as soon as it is in no use */
	bool touched; /* by a reader */
	uint8_t cursor;
	unsigned users; /* loans */
};

struct ahead {
	struct ahead_set *set;
	struct ahead *next, *previous; /* under the set's lock */
	_Atomic unsigned refs;	       /* the open file's, each request's in flight, each loan's */
	int fd;			       /* our own copy: requests outlive the open file's */
	uint32_t align;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t arrived;
	struct pattern pattern;
	uint64_t refused_until; /* clock_ns(); UINT64_MAX: for good */
	uint64_t used_at;	/* clock_ns() of the last read */
	unsigned held;		/* pieces that are not PIECE_FREE */
	struct piece piece[PIECES];
};

struct ahead_set {
	struct engine *engine;
	unsigned limit;	       /* pieces of all streams; each may occupy a chunk of the pool */
	_Atomic unsigned held; /* relaxed, as all counters here: one too many does no harm */
	_Atomic unsigned in_flight;
	_Atomic unsigned active; /* aheads that hold a piece */
	_Atomic uint64_t used, late, wasted, bytes, stale;
	pthread_mutex_t lock;
	struct ahead *first;
};

static inline void ahead_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Frees it with the last reference. */
void ahead_unref(struct ahead *ahead);
/* With the lock held: nothing of it is shown any more. Buffers in use come back after that. */
void ahead_drop_all(struct ahead *ahead);
