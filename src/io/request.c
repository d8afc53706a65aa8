/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/request.h"

#include <signal.h>

#define STACK_SIZE (256u << 10) /* bytes: ours is shallow, the rest is for `done` */

void io_queue_push(struct io_queue *queue, struct io_request *request)
{
	request->private.next = NULL;
	request->private.previous = queue->tail;
	if (queue->tail)
		queue->tail->private.next = request;
	else
		queue->head = request;
	queue->tail = request;
}

void io_queue_remove(struct io_queue *queue, struct io_request *request)
{
	struct io_request *next = request->private.next, *previous = request->private.previous;

	if (previous)
		previous->private.next = next;
	else
		queue->head = next;
	if (next)
		next->private.previous = previous;
	else
		queue->tail = previous;
}

struct io_request *io_queue_pop(struct io_queue *queue)
{
	struct io_request *request = queue->head;

	if (request)
		io_queue_remove(queue, request);
	return request;
}

static uint64_t value(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

unsigned io_tally_in_flight(const struct io_tally *tally)
{
	return atomic_load_explicit(&tally->in_flight, memory_order_relaxed);
}

void io_tally_read(const struct io_tally *tally, struct io_counters *counters)
{
	*counters = (struct io_counters){
		.requests = value(&tally->requests),
		.read = value(&tally->read),
		.written = value(&tally->written),
		.repeats = value(&tally->repeats),
		.fixed = value(&tally->fixed),
		.refused = value(&tally->refused),
	};
}

void io_accept(struct io_tally *tally, struct io_queue *queue, struct io_queue *refused,
	       struct io_request **requests, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct io_request *request = requests[i];
		struct io_private *private = &request->private;

		private->moved = 0;
		private->flags = 0;
		private->result = -EINVAL;
		atomic_store_explicit(&private->cancelled, false, memory_order_relaxed);
		/* io_uring takes an offset of -1 for "where the descriptor stands". */
		private->waiting =
			request->length <= request->buffer.size && request->offset <= INT64_MAX;
		io_queue_push(private->waiting ? queue : refused, request);
	}
	atomic_fetch_add_explicit(&tally->in_flight, count, memory_order_relaxed);
}

void io_finish(struct io_tally *tally, struct io_request *request, ssize_t result)
{
	io_count(&tally->requests);
	if (result > 0)
		atomic_fetch_add_explicit(request->kind == IO_READ ? &tally->read : &tally->written,
					  (uint64_t)result, memory_order_relaxed);
	atomic_fetch_sub_explicit(&tally->in_flight, 1, memory_order_relaxed);
	request->done(request, result);
}

void io_finish_all(struct io_tally *tally, struct io_queue *queue)
{
	struct io_request *request;

	while ((request = io_queue_pop(queue)))
		io_finish(tally, request, request->private.result);
}

ssize_t io_ended(const struct io_request *request, int err)
{
	return request->private.moved ? (ssize_t)request->private.moved : err;
}

bool io_advance(struct io_tally *tally, struct io_request *request, ssize_t piece, uint32_t sector)
{
	struct io_private *private = &request->private;
	bool more;

	if (piece > 0) {
		private->moved += (uint32_t)piece;
		more = private->moved < request->length &&
		       (request->kind == IO_WRITE || private->moved % sector == 0);
	} else {
		more = piece == -EINTR;
		/* A write that neither moves nor fails would be repeated for ever. */
		if (!piece && request->length && request->kind == IO_WRITE)
			piece = -EIO;
	}
	if (more && atomic_load_explicit(&private->cancelled, memory_order_relaxed)) {
		piece = -ECANCELED;
		more = false;
	}
	if (more)
		io_count(&tally->repeats);
	else
	private->result = io_ended(request, (int)piece);
	return more;
}

int io_thread_start(pthread_t *thread, void *(*main)(void *), void *argument)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	/* Nothing is lost where that is refused: the stack is larger then. */
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	/* Signals are the main thread's; and RLIMIT_FSIZE's SIGXFSZ would end the daemon. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(thread, &attr, main, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}
