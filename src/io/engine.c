/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

/* Threads of the buffered backend beside another one: it carries exceptions only. */
#define BUFFERED_DEPTH 8u
#define PIECES_MAX     8u

struct carrier {
	const struct io_backend_ops *ops;
	struct io_backend *backend;
};

struct engine {
	struct pool *pool;
	struct carrier data, buffered; /* the same if there is nothing better */
	unsigned fallbacks;
};

/* The next best. */
static const struct io_backend_ops *after(const struct io_backend_ops *ops)
{
	return ops == &io_ring_ops     ? &io_direct_ops
	       : ops == &io_direct_ops ? &io_buffered_ops
				       : NULL;
}

static int open_best(struct engine *e, const struct io_backend_ops *wanted, unsigned depth)
{
	const struct io_limits limits = { .depth = depth, .pool = e->pool };
	int err = -EINVAL;

	for (const struct io_backend_ops *ops = wanted; ops; ops = after(ops)) {
		err = ops->open(&e->data.backend, &limits);
		if (!err) {
			e->data.ops = ops;
			return 0;
		}
		e->fallbacks++;
		log_line(LOG_WARNING, "backend %s is not to be had here: %s", ops->name,
			 strerror(-err));
	}
	return err;
}

struct engine *engine_new(const struct io_backend_ops *wanted, uint64_t memory, unsigned depth,
			  int *err)
{
	const struct io_limits few = { .depth = BUFFERED_DEPTH };
	struct engine *e = calloc(1, sizeof(*e));

	*err = -ENOMEM;
	if (!e)
		return NULL;
	e->pool = pool_new(memory, err);
	if (e->pool)
		*err = open_best(e, wanted, depth);
	if (!*err && e->data.ops == &io_buffered_ops)
		e->buffered = e->data;
	else if (!*err)
		*err = io_buffered_ops.open(&e->buffered.backend, &few);
	if (*err)
		return engine_free(e);
	e->buffered.ops = &io_buffered_ops;
	return e;
}

struct engine *engine_free(struct engine *e)
{
	if (!e)
		return NULL;
	if (e->buffered.backend && e->buffered.backend != e->data.backend)
		io_buffered_ops.close(e->buffered.backend);
	if (e->data.backend)
		e->data.ops->close(e->data.backend);
	if (e->pool)
		pool_free(e->pool);
	free(e);
	return NULL;
}

struct pool *engine_pool(struct engine *e)
{
	return e->pool;
}

const struct io_backend_ops *engine_ops(const struct engine *e)
{
	return e->data.ops;
}

unsigned engine_fallbacks(const struct engine *e)
{
	return e->fallbacks;
}

uint64_t engine_unregistered(const struct engine *e)
{
	struct io_counters counters;

	if (e->data.ops != &io_ring_ops)
		return 0;
	e->data.ops->read_counters(e->data.backend, &counters);
	return counters.refused;
}

void engine_submit(struct engine *e, bool direct, struct io_request **requests, unsigned count)
{
	const struct carrier *c = direct ? &e->data : &e->buffered;

	c->ops->submit(c->backend, requests, count);
}

struct engine_wait {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned left;
};

static void piece_done(struct io_request *request, ssize_t result)
{
	struct engine_piece *piece = request->argument;
	struct engine_wait *wait = piece->wait;

	piece->result = result;
	pthread_mutex_lock(&wait->lock);
	/* Within the lock: all of it is gone once the waiter may look. */
	if (--wait->left == 0)
		pthread_cond_signal(&wait->changed);
	pthread_mutex_unlock(&wait->lock);
}

void engine_move(struct engine *e, bool direct, struct engine_piece *pieces, unsigned count)
{
	struct engine_wait wait = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};

	for (unsigned i = 0; i < count; i += PIECES_MAX) {
		struct io_request *requests[PIECES_MAX];
		unsigned n = count - i < PIECES_MAX ? count - i : PIECES_MAX;

		wait.left = n;
		for (unsigned k = 0; k < n; k++) {
			struct engine_piece *piece = &pieces[i + k];

			piece->wait = &wait;
			piece->request.done = piece_done;
			piece->request.argument = piece;
			requests[k] = &piece->request;
		}
		engine_submit(e, direct, requests, n);
		pthread_mutex_lock(&wait.lock);
		while (wait.left)
			pthread_cond_wait(&wait.changed, &wait.lock);
		pthread_mutex_unlock(&wait.lock);
	}
	pthread_cond_destroy(&wait.changed);
	pthread_mutex_destroy(&wait.lock);
}
