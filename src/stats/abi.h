/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What overdrivectl asks of a mount, by an ioctl on the mount's root directory: no socket to
 * secure, no name in the tree. Answered only to root and to the mount's owner.
 */
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

#define STATS_VERSION 1
#define STATS_OPS 56     /* FUSE opcodes, as numbers of the kernel's protocol; 53 are in use */
#define STATS_ERRNOS 134 /* Linux's errnos */

enum stats_bytes {
	STATS_READ_CACHED,  /* read for FUSE's page cache */
	STATS_WRITE_CACHED, /* written through FUSE's page cache */
	STATS_COPIED,       /* by copy_file_range within the mount */
	STATS_FETCHED,      /* asked for ahead of programs, into SOURCE's page cache */
	STATS_TREE_FETCHED, /* brought in by walking trees ahead */
	STATS_TREE_WASTED,  /* of those, of files that nobody opened */
	/* Through the daemon, by backend; each write's number follows its read's. */
	STATS_READ_RING,
	STATS_WRITE_RING,
	STATS_READ_DIRECT,
	STATS_WRITE_DIRECT,
	STATS_READ_BUFFERED,
	STATS_WRITE_BUFFERED,
	STATS_BYTES = 16,
};

enum stats_events {
	STATS_OPEN_KERNEL, /* opens whose data the kernel moves itself (passthrough) */
	STATS_OPEN_CACHED, /* opens through FUSE's page cache */
	STATS_HANDED_OVER, /* requests that might have blocked and left the receiving thread */
	STATS_WATCHED,     /* cold files that were watched for a pattern */
	STATS_GIVEN_UP,    /* of those, read without one */
	STATS_DIRS_LISTED,    /* trees walked ahead: directories, inodes, files asked for */
	STATS_INODES_FETCHED,
	STATS_FILES_FETCHED,
	STATS_GUESSES_USED,   /* of those files: opened in time, too early for us, not at all */
	STATS_GUESSES_LATE,
	STATS_GUESSES_WASTED,
	STATS_OPEN_DIRECT, /* opens whose data comes to the daemon, past FUSE's page cache */
	STATS_FILES_REFUSED, /* of those, of files that refuse Direct IO */
	STATS_BACKENDS_REFUSED, /* backends that were not to be had */
	STATS_EVENTS = 24,
};

struct stats_op {
	uint64_t count, failed;
	uint32_t p50_ns, p90_ns, p99_ns, max_ns; /* saturating at 4.29 s */
	uint64_t total_ns;
};

struct stats_snapshot {
	uint32_t version, size;
	uint64_t uptime_ns;
	uint64_t nodes, open_files, fds, fds_cached, threads;
	struct stats_op op[STATS_OPS];
	uint64_t errors[STATS_ERRNOS];
	uint64_t bytes[STATS_BYTES];
	uint64_t events[STATS_EVENTS];
};

/* What -o said of overdrive's and FUSE's own options: "exclusive,attr_timeout=2", ends with 0. */
struct stats_options {
	char text[1024];
};

/* 'O', 0xD1: the size is part of the number, so an older overdrivectl gets ENOTTY, not garbage. */
#define OVERDRIVE_IOC_STATS _IOR('O', 0xd1, struct stats_snapshot)
#define OVERDRIVE_IOC_OPTIONS _IOR('O', 0xd2, struct stats_options)

/* In words, made by the daemon; asked on an open file or directory by whoever could open it. */
#define EXPLAIN_VERSION 1
struct stats_explain {
	uint32_t version, reserved;
	char text[4096]; /* lines, ends with 0 */
};
#define OVERDRIVE_IOC_EXPLAIN _IOR('O', 0xd3, struct stats_explain)
