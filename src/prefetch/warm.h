/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warming beneath: files on the kernel way whose content is fetched into SOURCE's page cache ahead
 * of the program. One thread watches the cold files that are open (by cachestat, see watch.h), and
 * a fetcher's threads bring in what it expects to be read next.
 *
 * No request waits for any of this, and nothing depends on it being right: a wrong guess costs disk
 * bandwidth and page cache, a missing one costs what it costs without overdrive.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Smaller files are not worth watching: the kernel's readahead has them in two or three requests. */
#define WARM_MIN_SIZE (1u << 20)

struct warm;

struct warm_config {
	uint64_t max_window;	 /* bytes fetched ahead of one reader at most */
	unsigned threads;	 /* fetches at once */
	void (*prepare)(void *); /* run in each thread before it works: identity, signals */
	void *argument;
};

struct warm_counters {
	uint64_t watched, bytes, given_up;
	uint64_t used, late, wasted; /* windows: reached, overtaken, never come to */
};

/* NULL without memory. */
struct warm *warm_new(const struct warm_config *config);
struct warm *warm_free(struct warm *warm);

/*
 * A file was opened to be read. fd is a descriptor of SOURCE's file, open for reading, and is taken
 * over. Watched until everything is fetched, the pattern is random, or nobody reads on.
 */
void warm_open(struct warm *warm, uint64_t nodeid, int fd, uint64_t size);
/* True if the file is being watched already: warm_open() would gain nothing. */
bool warm_watches(struct warm *warm, uint64_t nodeid);
void warm_release(struct warm *warm, uint64_t nodeid);

void warm_read_counters(const struct warm *warm, struct warm_counters *counters);
