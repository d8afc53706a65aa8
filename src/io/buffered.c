/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SOURCE's page cache, left as it was found where the kernel can do that: RWF_DONTCACHE
 * (Linux 6.14) drops what a read brought in, and writes back and drops what a write did.
 */
#include "io/workers.h"

#include "util/cleanup.h"
#include "util/dontcache.h"

/*
 * The kernel says in the same way that it doesn't know the flag and that this file's filesystem
 * doesn't (EOPNOTSUPP). Asking costs some 0.2 µs. So nobody remembers files: after ENOUGH refusals
 * in a row only each AGAINth request asks.
 */
#define ENOUGH 64u
#define AGAIN  1024u

struct buffered {
	_Atomic unsigned refusals; /* in a row */
	_Atomic unsigned unasked;
};

static bool ask(struct buffered *state)
{
	if (atomic_load_explicit(&state->refusals, memory_order_relaxed) < ENOUGH)
		return true;
	return atomic_fetch_add_explicit(&state->unasked, 1, memory_order_relaxed) % AGAIN == 0;
}

static ssize_t move_uncached(const struct io_request *request)
{
	struct iovec iov = { io_rest_data(request), io_rest_length(request) };
	off_t offset = (off_t)io_rest_offset(request);

	return or_errno(request->kind == IO_READ
				? preadv2(request->fd, &iov, 1, offset, RWF_DONTCACHE)
				: pwritev2(request->fd, &iov, 1, offset, RWF_DONTCACHE));
}

static ssize_t buffered_move(void *argument, struct io_tally *tally,
			     const struct io_request *request)
{
	struct buffered *state = argument;
	ssize_t result = -EOPNOTSUPP;

	if (ask(state)) {
		result = move_uncached(request);
		if (result == -EOPNOTSUPP) {
			io_count(&tally->refused);
			atomic_fetch_add_explicit(&state->refusals, 1, memory_order_relaxed);
		} else if (result > 0 &&
			   atomic_load_explicit(&state->refusals, memory_order_relaxed)) {
			atomic_store_explicit(&state->refusals, 0, memory_order_relaxed);
		}
	}
	return result == -EOPNOTSUPP ? workers_move(request) : result;
}

static const struct workers_kind buffered_kind = {
	.thread = "od-buffered",
	.state = sizeof(struct buffered),
	.move = buffered_move,
};

static int buffered_open(struct io_backend **backend, const struct io_limits *limits)
{
	return workers_open(backend, limits, &buffered_kind);
}

const struct io_backend_ops io_buffered_ops = {
	.name = "buffered",
	.open = buffered_open,
	.close = workers_close,
	.submit = workers_submit,
	.cancel = workers_cancel,
	.in_flight = workers_in_flight,
	.read_counters = workers_read_counters,
};
