/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What programs are about to read of one file, from the places where they found nothing in memory.
 * Pure: observations in, ranges to fetch out; no system calls, no allocation.
 *
 * On the kernel way the daemon does not see reads. It sees which of a file's pages are in memory
 * (cachestat), so what it has fetched ahead hides the reader from it. Each window that is fetched
 * therefore leaves out one small piece, the tripwire, at three quarters: when the reader comes there
 * the kernel reads the piece for him, and its presence tells where he is. That costs him one wait per
 * window, and it bounds what is fetched in vain to one window.
 *
 * A file may have several readers, or one who turns from place to place: a cursor stands for each.
 * What a cursor's reader has read and what was fetched for him says nothing any more; misses are
 * looked for in the rest of the file (stream_unknown).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct extent {
	uint64_t offset, length; /* bytes */
};

/* The tripwire's size: larger than the page cache's usual folios, small against a window. */
#define STREAM_TRIP		(64u << 10)
#define STREAM_FIRST_WINDOW	(2u << 20)
#define STREAM_LEAST_WINDOW	(4 * STREAM_TRIP)
#define STREAM_MAX_WINDOW_FETCH 40 /* extents of a window */
#define STREAM_MAX_FETCH	(STREAM_MAX_WINDOW_FETCH + 1)
#define STREAM_CURSORS		8  /* the one that rested longest gives way */
#define STREAM_PAST		16 /* ranges whose content is known, without a reader */
#define STREAM_GAPS		(STREAM_CURSORS + STREAM_PAST + 1)

struct stream_cursor {
	uint64_t used_at;    /* the stream's count of events; 0: free */
	uint64_t start, end; /* what its reader missed or what was fetched for him */
	int64_t step;	 /* 1 forward, -1 backward, bytes from piece to piece; 0: not known yet */
	uint64_t next;	 /* strided: the first piece that was not asked for */
	uint64_t piece;	 /* strided: bytes that are read at each step */
	uint64_t window; /* the present one's length */
	struct extent trip;  /* watched: its presence means that the reader has come so far */
	unsigned ups, downs; /* times that it was continued at its end, before its start */
	bool reached;	     /* a window of his was not in vain */
};

struct stream {
	uint64_t size;	     /* of the file */
	uint64_t max_window; /* bytes: what may be fetched ahead of all readers together */
	uint64_t count;	     /* events: misses and tripwires */
	struct stream_cursor cursor[STREAM_CURSORS];
	struct extent past[STREAM_PAST]; /* the oldest first; `end` cursors' and what was there */
	unsigned past_count;
	unsigned lost;	/* misses in a row that nothing explains */
	unsigned doubt; /* windows that nobody came to: more must speak for the next */
	unsigned
		wasted; /* windows that a cursor left behind when it gave way; the caller's to reset */
	bool forgot;	/* a range that is in memory is unknown again; the caller's to reset */
};

void stream_init(struct stream *s, uint64_t size, uint64_t max_window);

/* This was in memory before anybody read. */
void stream_known(struct stream *s, uint64_t offset, uint64_t length);
/* Where new pages mean a miss: in order, none touching the next. */
unsigned stream_unknown(const struct stream *s, struct extent gaps[STREAM_GAPS]);

/*
 * A reader has missed at `offset`, where `length` bytes are now in memory. Writes what to fetch,
 * nearest first, and returns how many extents.
 */
unsigned stream_miss(struct stream *s, uint64_t offset, uint64_t length,
		     struct extent fetch[STREAM_MAX_FETCH]);
/*
 * A cursor's tripwire has been reached, where `length` bytes are now in memory. To be asked before a
 * miss that was found is told: who is at the end of a window has passed its tripwire, and who misses
 * there and has not was never that cursor's reader.
 */
unsigned stream_tripped(struct stream *s, unsigned cursor, uint64_t length,
			struct extent fetch[STREAM_MAX_FETCH]);

/* Where a cursor's reader misses next if he was faster than the fetching. */
uint64_t stream_frontier(const struct stream_cursor *c);

/* Reads come from everywhere: to look on would be in vain. */
bool stream_random(const struct stream *s);

/* stream_window.c: the next window of a cursor that has a step. False: its room ends with it. */
bool stream_window(struct stream_cursor *c, const struct extent *room, struct extent *fetch,
		   unsigned *n);
