/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Read-ahead for data that comes through the daemon: what an open file's reader will want next
 * (pattern.h) is read into the pool's buffers before he asks, by Direct IO, and answered from there.
 *
 * What was read ahead is shown only while the file is as it was (still.h): nobody needs to tell of
 * writes. Errors are never passed on from here: the reader asks again by himself.
 *
 * Bounds: half of the pool, shared between streams; a request that a program waits for is never
 * kept from its buffer for long by a guess, nor from its place in the backend's queue.
 *
 * Threads: any. Locks: a set's lock before an ahead's; none is held while requests are submitted.
 */
#pragma once

#include <sys/uio.h>

#include "io/engine.h"

/* All streams of one mount. */
struct ahead_set;
/* What belongs to one open file. */
struct ahead;

/* The engine outlives all streams; NULL without memory. */
struct ahead_set *ahead_set_new(struct engine *engine);
/* Gives all buffers back but those in flight. Nobody reads any more. */
void ahead_set_close(struct ahead_set *set);
/* After it was closed and the engine's transfers have ended. Accepts NULL, returns NULL. */
struct ahead_set *ahead_set_free(struct ahead_set *set);
/* Drops what nobody has come for within seconds. */
void ahead_set_tick(struct ahead_set *set);

struct ahead_counters {
	uint64_t used, late, wasted; /* pieces: in time; the reader waited for it; not read whole */
	uint64_t bytes;		     /* asked for */
	uint64_t stale;		     /* times that all was dropped, as the file had changed */
};
void ahead_read_counters(const struct ahead_set *set, struct ahead_counters *counters);

/* fd: open with O_DIRECT for reading only, wanting that alignment; copied. NULL: go without. */
struct ahead *ahead_new(struct ahead_set *set, int fd, uint32_t align);
/* At the release: no read is under way. Accepts NULL. */
void ahead_close(struct ahead *ahead);

/* A read is about to be answered: takes note, and starts what seems to be wanted next. */
void ahead_note(struct ahead *ahead, uint64_t offset, uint64_t length);

#define AHEAD_PARTS 20

/* Bytes of a file, lent for an answer. */
struct ahead_loan {
	struct iovec iov[AHEAD_PARTS];
	uint8_t piece[AHEAD_PARTS];
	unsigned count;
	size_t bytes; /* fewer than asked for at the file's end */
};

/*
 * The whole of a range as far as there is a file. 1: lent, until ahead_return(); 0: not to be had
 * here; -EAGAIN: on its way, if `wait` is false. A loan outlives ahead_close().
 */
int ahead_lend(struct ahead *ahead, uint64_t offset, uint64_t length, bool wait,
	       struct ahead_loan *loan);
void ahead_return(struct ahead *ahead, const struct ahead_loan *loan);

/* For people: streams that hold buffers, and how many (of up to 1 MiB) one may have. */
unsigned ahead_active(const struct ahead_set *set);
unsigned ahead_share(const struct ahead_set *set);
