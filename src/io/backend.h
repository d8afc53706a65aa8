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
 *
 * Transfers run with the credentials of the thread that opened the backend, whoever submits them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pool/pool.h"

enum io_kind { IO_READ, IO_WRITE };

/* A backend's own notes on a request; nobody else reads or sets them. */
struct io_private {
	struct io_request *next, *previous;
	int64_t result;
	uint32_t moved; /* bytes so far */
	uint16_t flags;
	bool waiting;		/* in the backend's queue; under its lock */
	_Atomic bool cancelled; /* a wish */
};

/*
 * One transfer between a file and one leased buffer. Owned by the submitter, who keeps it alive and
 * untouched until `done` is called.
 */
struct io_request {
	enum io_kind kind;
	int fd;		 /* open while the request is in flight; for ring and direct: O_DIRECT */
	uint64_t offset; /* bytes; ring and direct: a multiple of the file's alignment */
	uint32_t length; /* bytes, at most buffer.size; ring and direct: a multiple likewise */
	struct pool_buffer buffer; /* lent to the backend while in flight; never returned by it */
	/*
	 * Called exactly once, on a thread of the backend's or within submit or cancel, never with
	 * a lock of the backend's held. It may submit, but must neither wait for another transfer
	 * nor close the backend. result: bytes moved, or -errno.
	 *
	 * A short read means the end of the file: the backend repeats short transfers itself until
	 * the end or an error, and an error after some bytes gives the bytes. A short write happens
	 * only with an error (ENOSPC) next.
	 */
	void (*done)(struct io_request *request, ssize_t result);
	void *argument;
	struct io_private private;
};

struct io_backend;

struct io_limits {
	unsigned depth;	   /* requests in flight at most, > 0; more wait in the backend, in order */
	struct pool *pool; /* whose chunks the ring registers, this ring alone; or NULL */
};

/* Since the backend was opened. For statistics: not read at one instant. */
struct io_counters {
	uint64_t requests;	/* that are done */
	uint64_t read, written; /* bytes */
	uint64_t repeats; /* pieces beyond a request's first: short transfers, EINTR, EAGAIN */
	uint64_t fixed;	  /* ring: pieces that went by a registered buffer */
	uint64_t refused; /* ring: chunks not registered; buffered: RWF_DONTCACHE not taken */
};

struct io_backend_ops {
	const char *name; /* "ring", "direct", "buffered" */
	/*
	 * 0 or -errno (-ENOSYS, -EPERM, -ENOMEM: not to be had here, take another backend). Starts
	 * all threads, so call it after the daemon has forked, from a thread whose credentials the
	 * transfers shall have. limits->pool outlives the backend, and is not in use by others
	 * during open and close.
	 */
	int (*open)(struct io_backend **backend, const struct io_limits *limits);
	/* Waits for all requests in flight; none may be submitted any more. */
	void (*close)(struct io_backend *backend);
	/*
	 * Takes requests for transfer; from any thread, does not wait for the disk. Several at once
	 * cost less than one by one. Never fails: an error reaches `done`.
	 */
	void (*submit)(struct io_backend *backend, struct io_request **requests, unsigned count);
	/*
	 * Makes a best effort to end this request early; `done` is called anyway (-ECANCELED, or
	 * the bytes moved so far). One that still waits its turn is done before this returns. The
	 * caller keeps the request alive until this returns, and holds no lock that `done` takes;
	 * `done` may come, or have come, meanwhile.
	 */
	void (*cancel)(struct io_backend *backend, struct io_request *request);
	/* Requests in flight and waiting, for statistics. */
	unsigned (*in_flight)(const struct io_backend *backend);
	void (*read_counters)(const struct io_backend *backend, struct io_counters *counters);
};

extern const struct io_backend_ops io_ring_ops, io_direct_ops, io_buffered_ops;

/*
 * Transfers and waits: for callers that have nothing else to do. Uses the request's done and
 * argument. Bytes or -errno.
 */
ssize_t io_transfer(const struct io_backend_ops *ops, struct io_backend *backend,
		    struct io_request *request);
