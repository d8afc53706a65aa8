/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program is about to read of one file, from the places where it found nothing in memory.
 * Pure: observations in, ranges to fetch out; no system calls.
 *
 * On the kernel way the daemon does not see reads. It sees which of a file's pages are in memory
 * (cachestat), so what it has fetched ahead hides the reader from it. Each window that is fetched
 * therefore leaves out one small piece, the tripwire, at three quarters: when the reader comes there
 * the kernel reads the piece for him, and its presence tells where he is. That costs him one wait per
 * window, and it bounds what is fetched in vain to one window.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct extent {
	uint64_t offset, length; /* bytes */
};

/* The tripwire's size: larger than the page cache's usual folios, small against a window. */
#define STREAM_TRIP (64u << 10)
#define STREAM_FIRST_WINDOW (2u << 20)
#define STREAM_MAX_FETCH 40

struct stream {
	uint64_t size;	     /* of the file */
	uint64_t max_window; /* bytes: what may be fetched ahead of the reader */
	uint64_t window;     /* the present one's length; 0: no pattern yet */
	int64_t step;	     /* bytes from one piece to the next: the pattern; 0: none yet */
	uint64_t piece;	     /* bytes that are read at each step */
	uint64_t frontier;   /* all up to here (in the pattern's direction) is or was asked for */
	struct extent trip;  /* watched: its presence means that the reader has come so far */
	uint64_t last;	     /* where the reader was last seen to miss */
	int64_t last_delta;
	uint64_t run;	     /* bytes found in memory where the reader missed */
	unsigned misses;
	bool overtaken;	     /* the last miss: the reader was faster than the fetching */
};

void stream_init(struct stream *s, uint64_t size, uint64_t max_window);

/*
 * The reader has missed at `offset`, where `length` bytes are now in memory. Writes what to fetch,
 * nearest first, and returns how many extents.
 */
unsigned stream_miss(struct stream *s, uint64_t offset, uint64_t length,
		     struct extent fetch[STREAM_MAX_FETCH]);
/* The tripwire has been reached. */
unsigned stream_tripped(struct stream *s, struct extent fetch[STREAM_MAX_FETCH]);
