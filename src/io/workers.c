/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/workers.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/cleanup.h"

#define WORKERS_MAX 256u /* threads; no disk that needs this backend gains from more */

struct io_backend {
	const struct workers_kind *kind;
	struct io_tally tally;
	pthread_mutex_t lock; /* of what follows, up to the threads; never held over a transfer */
	pthread_cond_t work;
	struct io_queue waiting;
	unsigned idle; /* threads that wait for work, or have been woken and don't know it yet */
	bool closing;
	unsigned started;
	pthread_t thread[WORKERS_MAX];
	_Alignas(max_align_t) char state[];
};

ssize_t workers_move(const struct io_request *request)
{
	void *data = io_rest_data(request);
	uint32_t length = io_rest_length(request);
	off_t offset = (off_t)io_rest_offset(request);

	return or_errno(request->kind == IO_READ ? pread(request->fd, data, length, offset)
						 : pwrite(request->fd, data, length, offset));
}

static void serve(struct io_backend *b, struct io_request *request)
{
	ssize_t piece;

	do {
		piece = b->kind->move(b->state, &b->tally, request);
	} while (io_advance(&b->tally, request, piece, 1));
	io_finish(&b->tally, request, request->private.result);
}

/* The next request, or NULL when the backend closes and none is left. */
static struct io_request *next(struct io_backend *b)
{
	struct io_request *request;

	pthread_mutex_lock(&b->lock);
	while (!(request = io_queue_pop(&b->waiting)) && !b->closing) {
		b->idle++;
		pthread_cond_wait(&b->work, &b->lock);
		b->idle--;
	}
	if (request)
		request->private.waiting = false;
	pthread_mutex_unlock(&b->lock);
	return request;
}

static void *worker(void *argument)
{
	struct io_backend *b = argument;
	struct io_request *request;

	pthread_setname_np(pthread_self(), b->kind->thread);
	while ((request = next(b)))
		serve(b, request);
	return NULL;
}

int workers_open(struct io_backend **backend, const struct io_limits *limits,
		 const struct workers_kind *kind)
{
	unsigned threads = limits->depth < WORKERS_MAX ? limits->depth : WORKERS_MAX;
	struct io_backend *b;
	int err = -EINVAL;

	if (!threads)
		return err;
	b = calloc(1, sizeof(*b) + kind->state);
	if (!b)
		return -ENOMEM;
	b->kind = kind;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	/* All now: a thread started by a submitter would have that one's credentials. */
	for (; b->started < threads; b->started++) {
		err = io_thread_start(&b->thread[b->started], worker, b);
		if (err)
			break;
	}
	if (!b->started) {
		workers_close(b);
		return err;
	}
	*backend = b; /* with fewer threads than asked for, if that is what there is */
	return 0;
}

void workers_close(struct io_backend *b)
{
	pthread_mutex_lock(&b->lock);
	b->closing = true;
	pthread_cond_broadcast(&b->work);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; i < b->started; i++)
		pthread_join(b->thread[i], NULL);
	pthread_cond_destroy(&b->work);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void workers_submit(struct io_backend *b, struct io_request **requests, unsigned count)
{
	struct io_queue refused = { 0 };
	unsigned wake;

	pthread_mutex_lock(&b->lock);
	io_accept(&b->tally, &b->waiting, &refused, requests, count);
	wake = count < b->idle ? count : b->idle;
	pthread_mutex_unlock(&b->lock);
	while (wake--)
		pthread_cond_signal(&b->work);
	io_finish_all(&b->tally, &refused);
}

/* What a thread has begun can't be taken from it; it only won't be repeated. */
void workers_cancel(struct io_backend *b, struct io_request *request)
{
	bool waited;

	pthread_mutex_lock(&b->lock);
	waited = request->private.waiting;
	if (waited) {
		io_queue_remove(&b->waiting, request);
		request->private.waiting = false;
	} else {
		atomic_store_explicit(&request->private.cancelled, true, memory_order_relaxed);
	}
	pthread_mutex_unlock(&b->lock);
	if (waited)
		io_finish(&b->tally, request, -ECANCELED);
}

unsigned workers_in_flight(const struct io_backend *b)
{
	return io_tally_in_flight(&b->tally);
}

void workers_read_counters(const struct io_backend *b, struct io_counters *counters)
{
	io_tally_read(&b->tally, counters);
}
