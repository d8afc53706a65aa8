/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One cold file that is open: what its part of the page cache tells of its readers (cachestat), and
 * what is fetched for them (stream.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "prefetch/fetch.h"
#include "prefetch/stream.h"

#define WATCH_SEGMENTS 32u

struct watch {
	struct fetch_file *file;
	struct stream stream;
	uint64_t baseline[WATCH_SEGMENTS]; /* bytes in memory where nothing is known, by segment */
	uint64_t total;			   /* their sum */
	bool fresh;			   /* not looked at yet */
};

/* Windows: reached, overtaken, never come to; and files without a pattern. */
struct watch_counts {
	uint64_t used, late, wasted, given_up;
};

/* What a look found. */
enum watch_seen {
	WATCH_NOTHING,
	WATCH_READER, /* a reader has moved */
	WATCH_END,    /* no more to be done for this file */
};

/* Takes the file over. */
void watch_init(struct watch *w, struct fetch_file *file, uint64_t size, uint64_t max_window);
void watch_deinit(struct watch *w);

/* Looks once, has the fetcher fetch, adds to counts. */
enum watch_seen watch_look(struct watch *w, struct fetcher *fetcher, struct watch_counts *counts);
/* Nobody reads on: what became of the windows that were fetched last? */
void watch_settle(const struct watch *w, struct watch_counts *counts);
