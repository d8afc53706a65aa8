/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which bytes of an open file are read next, from the reads that were seen: in order, backwards, or
 * in steps, several streams at once. Pure: reads in, pieces to fetch out; no system calls.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "prefetch/stream.h"

#define PATTERN_CURSORS	  8 /* streams of one open file; the one that rested longest gives way */
#define PATTERN_MIN_PIECE (64u << 10)
#define PATTERN_MAX_PIECE (1u << 20)
/* A window that nobody had to wait for grows no further. */
#define PATTERN_EASY_WINDOW (2u << 20)

/* One stream. */
struct cursor {
	uint64_t at;	   /* where its next read is expected */
	int64_t step;	   /* from one read to the next; 0: in order, whatever their length */
	uint64_t length;   /* of its last read */
	uint64_t run;	   /* bytes in order so far */
	unsigned reads;	   /* in order so far; 0: the cursor is not in use */
	uint64_t window;   /* bytes to be fetched ahead of `at`; 0: it is not believed yet */
	uint64_t frontier; /* where to fetch next */
	uint64_t used_at;  /* the pattern's count of reads */
};

struct pattern {
	struct cursor cursor[PATTERN_CURSORS];
	uint64_t align; /* of what is fetched; a power of two, at most PATTERN_MIN_PIECE */
	uint64_t count; /* reads */
	uint64_t last;	/* read's offset and length, and the distance to the one before */
	uint64_t last_length;
	int64_t last_delta;
	unsigned strides;  /* equal distances in a row */
	unsigned patience; /* reads in order that it takes to be believed: more after waste */
};

void pattern_init(struct pattern *p, uint64_t align);
/*
 * A read: the cursor that it continues, or a new one. *gone: a cursor whose stream is given up for
 * it, or -1: what was fetched for that one is waste.
 */
unsigned pattern_read(struct pattern *p, uint64_t offset, uint64_t length, int *gone);
/*
 * The next piece to fetch for a cursor of a file of size bytes, aligned at its start; false when
 * enough is under way. It stays the next until pattern_fetched() says that it was taken.
 */
bool pattern_next(const struct pattern *p, unsigned cursor, uint64_t size, struct extent *piece);
void pattern_fetched(struct pattern *p, unsigned cursor, const struct extent *piece);
/* What the reader's arrival at a piece teaches: late if he had to wait for it. */
void pattern_used(struct pattern *p, unsigned cursor, bool late, uint64_t max_window);
/* Pieces were fetched for nobody. */
void pattern_wasted(struct pattern *p);
/* All that was fetched has been dropped. */
void pattern_restart(struct pattern *p);
