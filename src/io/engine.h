/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool and the backends that one mount moves its data by: the one that was asked for, or the
 * next that is to be had (ring, direct, buffered), and always `buffered` for what Direct IO can't
 * carry.
 */
#pragma once

#include "io/backend.h"

struct engine;

/*
 * wanted: one of the tables in backend.h. Must be called by a thread whose identity all transfers
 * shall have, after the daemon has forked. NULL with *err = -errno. What could not be had is logged,
 * a line each.
 */
struct engine *engine_new(const struct io_backend_ops *wanted, uint64_t memory, unsigned depth,
			  int *err);
/* No lease is out and nothing in flight any more. Accepts NULL, returns NULL. */
struct engine *engine_free(struct engine *engine);

struct pool *engine_pool(struct engine *engine);
/* What carries data of files that take Direct IO. */
const struct io_backend_ops *engine_ops(const struct engine *engine);
/* How many backends were tried in vain. */
unsigned engine_fallbacks(const struct engine *engine);
/* How often the ring's kernel did not register memory of the pool; 0 for other backends. */
uint64_t engine_unregistered(const struct engine *engine);

/* One transfer of several; `request` is filled in but for done and argument. */
struct engine_piece {
	struct io_request request;
	ssize_t result; /* bytes or -errno */
	struct engine_wait *wait;
};
/*
 * Carries out all pieces at once, by the engine's backend or (direct false) by `buffered`, and waits
 * for them. For a thread that may block.
 */
void engine_move(struct engine *engine, bool direct, struct engine_piece *pieces, unsigned count);
/* Starts transfers; their `done` is called as backend.h says. */
void engine_submit(struct engine *engine, bool direct, struct io_request **requests,
		   unsigned count);
