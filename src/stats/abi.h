/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What overdrivectl asks of a mount, by an ioctl on the mount's root directory: no socket to
 * secure, no name in the tree. Answered only to root and to the mount's owner.
 */
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

#define STATS_VERSION 2
#define STATS_OPS     56  /* FUSE opcodes, as numbers of the kernel's protocol; 53 are in use */
#define STATS_ERRNOS  134 /* Linux's errnos */
/* Latencies in buckets: 4 to each power of two of nanoseconds, from 256 ns to about a minute. */
#define STATS_BUCKETS 112

/*
 * A new counter is a line in one of these tables, and stats_add() where it happens (or, for what is
 * counted elsewhere, a line that fills it in when somebody asks). The names and meanings that
 * overdrivectl shows, in all its forms, come from here: X(CONSTANT, name, meaning) for
 * STATS_CONSTANT. Of a backend the writes come next to the reads.
 */
#define STATS_BYTES_TABLE(X)                                                                      \
	X(READ_CACHED, "read_cached", "read for FUSE's page cache")                               \
	X(WRITE_CACHED, "write_cached", "written through FUSE's page cache")                      \
	X(COPIED, "copied", "copied within the mount by copy_file_range")                         \
	X(FETCHED, "fetched_ahead", "asked for ahead of programs, into SOURCE's page cache")      \
	X(TREE_FETCHED, "tree_fetched", "brought in by walking trees ahead")                      \
	X(TREE_WASTED, "tree_wasted", "of those, of files that nobody opened")                    \
	X(READ_RING, "read_ring", "read through the daemon, by io_uring and Direct IO")           \
	X(WRITE_RING, "write_ring", "written through the daemon, by io_uring and Direct IO")      \
	X(READ_DIRECT, "read_direct", "read through the daemon, by Direct IO")                    \
	X(WRITE_DIRECT, "write_direct", "written through the daemon, by Direct IO")               \
	X(READ_BUFFERED, "read_buffered", "read through the daemon, by SOURCE's page cache")      \
	X(WRITE_BUFFERED, "write_buffered", "written through the daemon, by SOURCE's page cache") \
	X(WRITE_JOINED, "write_joined",                                                           \
	  "of those, in order: the kernel joins them, and keeps nothing")                         \
	X(STREAMED, "streamed_ahead", "asked for ahead of programs, for the daemon's buffers")

#define STATS_EVENTS_TABLE(X)                                                                    \
	X(OPEN_KERNEL, "opens_kernel", "opens whose data the kernel moves itself (passthrough)") \
	X(OPEN_CACHED, "opens_cached", "opens through FUSE's page cache")                        \
	X(OPEN_DIRECT, "opens_direct",                                                           \
	  "opens whose data comes to the daemon, past FUSE's page cache")                        \
	X(FILES_REFUSED, "files_without_direct", "of those, of files that refuse Direct IO")     \
	X(BACKENDS_REFUSED, "backends_refused", "backends that were not to be had")              \
	X(HANDED_OVER, "handed_over", "requests that may have had to wait for the disk")         \
	X(WATCHED, "files_watched", "cold files that were watched for a pattern")                \
	X(GIVEN_UP, "files_without_pattern", "of those, read without one")                       \
	X(STREAM_USED, "stream_used", "windows fetched ahead within a file, in time")            \
	X(STREAM_LATE, "stream_late", "windows that the program had overtaken")                  \
	X(STREAM_WASTED, "stream_wasted", "windows that no program came to")                     \
	X(DIRS_LISTED, "tree_dirs", "directories listed ahead")                                  \
	X(INODES_FETCHED, "tree_inodes", "inodes brought in ahead")                              \
	X(FILES_FETCHED, "tree_files", "files whose beginning was asked for ahead")              \
	X(GUESSES_USED, "tree_used", "of those files, opened when all was there")                \
	X(GUESSES_LATE, "tree_late", "opened before it was there")                               \
	X(GUESSES_WASTED, "tree_unused", "not opened by any program")                            \
	X(PIECES_USED, "ahead_used", "pieces read ahead into buffers, in time")                  \
	X(PIECES_LATE, "ahead_late", "pieces that the program came to before they were there")   \
	X(PIECES_WASTED, "ahead_wasted", "pieces that no program came to")                       \
	X(PIECES_STALE, "ahead_stale",                                                           \
	  "times that a file's pieces were dropped, as it had changed")                          \
	X(BUFFERS_WAITED, "buffers_waited", "requests that waited for a buffer of the pool")     \
	X(BUFFERS_FAILED, "buffers_failed", "requests that got none, for want of memory")        \
	X(JOINED_FAILED, "joined_failed", "writes in order that SOURCE ended with an error")     \
	X(UNREGISTERED, "buffers_unregistered",                                                  \
	  "times that io_uring did not take the pool's memory")

/* Nanoseconds. */
#define STATS_TIMES_TABLE(X) \
	X(WAITED, "waited", "time spent in requests that may have had to wait for the disk")

/* What is the case now, not since the start. */
#define STATS_GAUGES_TABLE(X)                                              \
	X(NODES, "nodes", "files and directories that the kernel knows")   \
	X(OPEN_FILES, "open_files", "files that programs have open")       \
	X(FDS, "fds", "descriptors that the daemon holds")                 \
	X(FDS_CACHED, "fds_cached", "of those, kept for reuse")            \
	X(THREADS, "threads", "threads that answer requests")              \
	X(POOL_BYTES, "pool_bytes", "memory of the buffer pool, in bytes") \
	X(POOL_USED_BYTES, "pool_used_bytes", "of that, lent out")         \
	X(LATENCY, "latency_ns", "the disk's own time for one read, where it was measured")

#define STATS_CONSTANT(constant, name, meaning) STATS_##constant,

/* Places in the tables; room is left, so that a new counter does not change the layout. */
enum stats_bytes { STATS_BYTES_TABLE(STATS_CONSTANT) STATS_BYTES = 32 };
enum stats_events { STATS_EVENTS_TABLE(STATS_CONSTANT) STATS_EVENTS = 64 };
enum stats_times { STATS_TIMES_TABLE(STATS_CONSTANT) STATS_TIMES = 16 };
enum stats_gauges { STATS_GAUGES_TABLE(STATS_CONSTANT) STATS_GAUGES = 32 };

struct stats_op {
	uint64_t count, failed;
	uint32_t p50_ns, p90_ns, p99_ns, max_ns; /* saturating at 4.29 s */
	uint64_t total_ns;
};

struct stats_snapshot {
	uint32_t version, size;
	uint64_t uptime_ns;
	struct stats_op op[STATS_OPS];
	uint64_t latency[STATS_BUCKETS]; /* of all requests that a program waits for */
	uint64_t errors[STATS_ERRNOS];
	uint64_t bytes[STATS_BYTES];
	uint64_t events[STATS_EVENTS];
	uint64_t times[STATS_TIMES];
	uint64_t gauges[STATS_GAUGES];
};

/* What -o said of overdrive's and FUSE's own options: "exclusive,attr_timeout=2", ends with 0. */
struct stats_options {
	char text[1024];
};

/* This one never changes: an overdrivectl of any version learns from it whose numbers these are. */
struct stats_whose {
	uint32_t version; /* STATS_VERSION of the daemon */
	uint32_t size;	  /* of its struct stats_snapshot */
	char release[24]; /* "0.1.0" */
};

/* 'O', 0xD1: the size is part of the number, so another version's gets ENOTTY, not garbage. */
#define OVERDRIVE_IOC_WHOSE   _IOR('O', 0xd0, struct stats_whose)
#define OVERDRIVE_IOC_STATS   _IOR('O', 0xd1, struct stats_snapshot)
#define OVERDRIVE_IOC_OPTIONS _IOR('O', 0xd2, struct stats_options)

/* In words, made by the daemon; asked on an open file or directory by whoever could open it. */
#define EXPLAIN_VERSION 1
struct stats_explain {
	uint32_t version, reserved;
	char text[4096]; /* lines, ends with 0 */
};
#define OVERDRIVE_IOC_EXPLAIN _IOR('O', 0xd3, struct stats_explain)
