/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that bring parts of SOURCE's files into SOURCE's page cache, many at once: the disk works
 * at its own depth, not at the program's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* 128 KiB pieces brought 274-315 MB/s from a 1 ms disk, 1 MiB pieces 809-1,097 (PLATFORM.md 12). */
#define FETCH_PIECE (1u << 20)

struct fetcher;

/* An open file shared by those who fetch from it; closed with the last reference. */
struct fetch_file;
struct fetch_file *fetch_file_new(int fd); /* takes fd over; NULL without memory: fd is closed */
struct fetch_file *fetch_file_ref(struct fetch_file *file);
void fetch_file_unref(struct fetch_file *file);
int fetch_file_fd(const struct fetch_file *file);

/* prepare(argument) runs once in each thread before it works. NULL without memory. */
struct fetcher *fetcher_new(unsigned threads, void (*prepare)(void *), void *argument);
/* Lets what is queued go, waits for what is under way. Returns NULL. */
struct fetcher *fetcher_free(struct fetcher *f);

/*
 * Queues a part of a file, in pieces; does not wait. What does not fit into the queue is dropped:
 * a guess that can't be made in time is no loss. Returns the bytes that were queued.
 */
uint64_t fetcher_queue(struct fetcher *f, struct fetch_file *file, uint64_t offset,
		       uint64_t length);

/* Bytes asked for so far. */
uint64_t fetcher_bytes(const struct fetcher *f);

/*
 * Pages of a range that are in the page cache, in bytes; length 0: up to the end. -errno; before Linux
 * 6.5, which has no cachestat, -EFBIG for more than 256 MiB.
 */
int64_t fetch_resident(int fd, uint64_t offset, uint64_t length);
