/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How data of a regular file of SOURCE is moved: one interface, three backends, a file each.
 *
 *   ring      io_uring, registered buffers, a ring and a completion thread
 *   direct    O_DIRECT by worker threads, where io_uring is absent or forbidden
 *   buffered  SOURCE's page cache, with RWF_DONTCACHE where the kernel has it
 *
 * A backend moves aligned pieces; splitting a request into head, body and tail is io/range.h's
 * affair, above it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pool/pool.h"

enum io_kind { IO_READ, IO_WRITE };

/*
 * One transfer between a file and one leased buffer. Owned by the submitter, who keeps it alive and
 * untouched until `done` is called.
 */
struct io_request {
	enum io_kind kind;
	int fd;		/* open for as long as the request is in flight; for ring and direct: O_DIRECT */
	uint64_t offset;/* bytes; ring and direct: a multiple of the file's alignment */
	uint32_t length;/* bytes, at most buffer.size; ring and direct: a multiple of the alignment */
	struct pool_buffer buffer; /* lent to the backend while in flight; never returned by it */
	/*
	 * Called exactly once, on a thread of the backend's (or within submit), never with a lock of
	 * the backend's held. result: bytes moved, or -errno. A short read means the end of the
	 * file: the backend repeats short transfers itself until the end or an error, and an error
	 * after some bytes gives the bytes. A short write happens only with an error (ENOSPC) next.
	 */
	void (*done)(struct io_request *request, ssize_t result);
	void *argument;
	/* For the backend. */
	uint64_t private[6];
};

struct io_backend;

struct io_limits {
	unsigned depth;	      /* requests in flight at most; more wait in the backend, in order */
	struct pool *pool;    /* whose chunks the ring registers */
};

struct io_backend_ops {
	const char *name; /* "ring", "direct", "buffered" */
	/* 0 or -errno (-ENOSYS, -EPERM: forbidden here). Starts the threads it needs; call after the
	 * daemon has forked. */
	int (*open)(struct io_backend **backend, const struct io_limits *limits);
	/* Waits for all requests in flight; none may be submitted any more. */
	void (*close)(struct io_backend *backend);
	/*
	 * Takes requests for transfer; from any thread, does not wait for the disk. Several at once
	 * cost less than one by one. Never fails: an error reaches `done`.
	 */
	void (*submit)(struct io_backend *backend, struct io_request **requests, unsigned count);
	/* Makes a best effort to end this request early; `done` is called anyway (-ECANCELED). */
	void (*cancel)(struct io_backend *backend, struct io_request *request);
	/* Requests in flight and waiting, for statistics. */
	unsigned (*in_flight)(const struct io_backend *backend);
};

extern const struct io_backend_ops io_ring_ops, io_direct_ops, io_buffered_ops;

/* Transfers and waits: for callers that have nothing else to do. Bytes or -errno. */
ssize_t io_transfer(const struct io_backend_ops *ops, struct io_backend *backend,
		    struct io_request *request);
