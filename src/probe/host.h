/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this machine and its kernel have for the data path: memory, CPUs, io_uring, passthrough. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/device.h"

struct host_memory {
	uint64_t total, available; /* bytes, of the machine; 0: unknown */
	uint64_t limit;		   /* bytes, of our cgroup and those above; 0: none */
	uint64_t limit_used;	   /* bytes, in the cgroup whose limit that is */
};

struct host_uring {
	bool works;
	int error;	    /* errno of io_uring_setup; 0 */
	int disabled;	    /* kernel.io_uring_disabled; -1: not there */
	uint32_t features;  /* IORING_FEAT_… */
	bool fixed_buffers; /* READ_FIXED, WRITE_FIXED, and a sparse table of buffers */
};

struct host {
	struct host_memory memory;
	struct host_uring uring;
	unsigned cpus; /* that we may run on */
	unsigned page_size;
	unsigned fuse_max_pages; /* of one request; 0: unknown */
	char release[65];	 /* "6.18.0" */
	bool passthrough;
	char no_passthrough[96]; /* why not */
	bool direct_mmap;	 /* a stream can be mmap'd: FUSE_DIRECT_IO_ALLOW_MMAP, Linux 6.6 */
};

void host_probe(struct host *host, const struct probe_root *root);

/* The parts. */
void host_memory_probe(struct host_memory *memory, const struct probe_root *root);
void host_uring_probe(struct host_uring *uring, const struct probe_root *root);

/* Bytes that can still be had: the machine's or the cgroup's, whichever is less. */
uint64_t host_memory_free(const struct host_memory *memory);
/* Bytes that there are in all, likewise. */
uint64_t host_memory_size(const struct host_memory *memory);

/* "6.9" or later, said by uname's release. */
bool host_release_since(const char *release, unsigned major, unsigned minor);
