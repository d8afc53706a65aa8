/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backend of threads that each wait for the disk with one request at a time. What a piece is
 * moved by is the only difference between those there are.
 */
#pragma once

#include "io/request.h"

struct workers_kind {
	const char *thread; /* the threads' name, at most 15 characters */
	size_t state;	    /* bytes of state for move, zeroed at open */
	/* Moves what remains of the request, or the first bytes of it: bytes or -errno. On any
	 * number of threads at once. */
	ssize_t (*move)(void *state, struct io_tally *tally, const struct io_request *request);
};

/* A move by pread or pwrite. */
ssize_t workers_move(const struct io_request *request);

/* kind lives on. The rest is as in struct io_backend_ops. */
int workers_open(struct io_backend **backend, const struct io_limits *limits,
		 const struct workers_kind *kind);
void workers_close(struct io_backend *backend);
void workers_submit(struct io_backend *backend, struct io_request **requests, unsigned count);
void workers_cancel(struct io_backend *backend, struct io_request *request);
unsigned workers_in_flight(const struct io_backend *backend);
void workers_read_counters(const struct io_backend *backend, struct io_counters *counters);
