/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which way an open file's data takes, how far it is read ahead, and why. Pure: facts in, a verdict
 * out; no system call, no state. tests/unit/test_policy.c is its documentation by example.
 *
 * backend=auto is the kernel's way: io_uring and Direct IO past the page cache are for who asks for
 * them, as each read is a request to the daemon there.
 *
 * The model is Little's law: to keep a disk busy, latency × throughput bytes must be under way; a
 * window is twice that, as its reader is somewhere within it. The same law says what the kernel's
 * readahead can reach: 2 × readahead ÷ latency.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "probe/device.h"
#include "probe/host.h"

enum policy_backend {
	POLICY_AUTO,	 /* an option only, never a verdict */
	POLICY_KERNEL,	 /* passthrough: the daemon sees no read */
	POLICY_BUFFERED, /* through the daemon, by SOURCE's page cache */
	POLICY_DIRECT,	 /* through the daemon, by O_DIRECT and worker threads */
	POLICY_RING,	 /* the same by io_uring */
};

struct policy_options {
	enum policy_backend backend;
	enum option_prefetch prefetch;
	uint64_t memory; /* bytes for all buffers and guesses; 0: by the machine's size */
};

/* What this program did with the last files that it opened. */
enum policy_history {
	POLICY_UNKNOWN,
	POLICY_SEQUENTIAL, /* in some order: forwards, backwards, strided */
	POLICY_RANDOM,
};

struct policy_file {
	uint64_t size;	     /* bytes */
	int resident;	     /* of 1000, in SOURCE's page cache; -1: unknown */
	int flags;	     /* O_… of the open */
	bool may_be_written; /* a writer's descriptor or a writable mapping, of anybody's */
	bool refuses_direct; /* this one, though its filesystem has Direct IO */
	enum policy_history history;
};

#define POLICY_REASON 192

struct policy_verdict {
	enum policy_backend backend;
	/* Not with POLICY_KERNEL: by FUSE's page cache (keep_cache) and not by FOPEN_DIRECT_IO. */
	bool fuse_cache;
	bool warm_beneath; /* POLICY_KERNEL: fetch into SOURCE's page cache ahead of the program */
	uint64_t window;   /* bytes ahead of the reader; 0: nothing is read ahead by us */
	unsigned depth;	   /* requests at once that the window makes; not with warm_beneath */
	uint32_t buffer;   /* bytes of each */
	char reason[POLICY_REASON];
};

void policy_choose(struct policy_verdict *verdict, const struct device *device,
		   const struct host *host, const struct policy_options *options,
		   const struct policy_file *file);

/* The disk as the model sees it: measured, else assumed from its kind. */
struct policy_model {
	uint64_t latency_ns;
	uint64_t throughput; /* bytes/s */
	uint64_t kernel;     /* bytes/s that the kernel's readahead reaches */
	bool measured;
};
void policy_model(struct policy_model *model, const struct device *device);

/* The options' memory, or what is chosen where they say nothing. */
uint64_t policy_memory(const struct policy_options *options, const struct host *host);

/* "ring", … ; "1.5 MiB", "2.1 GB/s", "60 µs" */
const char *policy_backend_name(enum policy_backend backend);
struct policy_text {
	char text[24];
};
struct policy_text policy_bytes(uint64_t bytes);
struct policy_text policy_rate(uint64_t bytes_per_s);
struct policy_text policy_time(uint64_t ns);
