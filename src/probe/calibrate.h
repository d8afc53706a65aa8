/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the disk takes for a few real reads: latency at depth 1, then throughput at depth N. By
 * O_DIRECT, so that no cache is asked or filled; never a write. Threads that a dead disk holds
 * back are left to themselves: the answer comes in time in any case.
 */
#pragma once

#include "probe/device.h"
#include "probe/sample.h"

#define CALIBRATE_BYTES	  (16u << 20)
#define CALIBRATE_MS	  150u
#define CALIBRATE_THREADS 16u

struct calibrate_limits {
	uint64_t bytes;	      /* to read at most */
	uint64_t deadline_ns; /* by clock_ns() */
	unsigned threads;     /* 1 … CALIBRATE_THREADS */
	uint32_t align;	      /* of offsets; 0: 4096 */
};

/* Fills m, if only with why_not. Takes the sample: it is empty afterwards. */
void calibrate(struct device_measured *m, struct sample *sample,
	       const struct calibrate_limits *limits);

/*
 * What was measured on this device since the machine was started: a file in dir for each key. Only
 * files of root's or our own that nobody else may write are believed.
 */
int calibrate_recall(struct device_measured *m, const char *dir, const char *key);
/* Where it is kept, for who may open nothing by its path later. */
struct calibrate_store {
	int dir_fd; /* -1: nothing is kept */
	char boot[40];
};
void calibrate_store_init(struct calibrate_store *store);
/* Makes dir; only root's figures are kept. 0 or -errno. */
int calibrate_store_open(struct calibrate_store *store, const char *dir);
void calibrate_store_deinit(struct calibrate_store *store);
/* 0 or -errno. */
int calibrate_keep(const struct device_measured *m, const struct calibrate_store *store,
		   const char *key);
/* What the key of a device is, or an empty string if nothing tells it from others. */
void calibrate_key(const struct device *d, char *key, size_t size);
