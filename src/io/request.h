/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the backends share inside: queues of requests, what a piece's result means, the counting,
 * and how a thread is started. Nobody above io/ includes this.
 */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "io/backend.h"

/* Requests linked through their private part. Locking is the owner's affair. */
struct io_queue {
	struct io_request *head, *tail;
};

void io_queue_push(struct io_queue *queue, struct io_request *request);
struct io_request *io_queue_pop(struct io_queue *queue);
void io_queue_remove(struct io_queue *queue, struct io_request *request);

/* Relaxed throughout: nothing else is concluded from them. */
struct io_tally {
	_Atomic unsigned in_flight;
	_Atomic uint64_t requests, read, written, repeats, fixed, refused;
};

static inline void io_count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

unsigned io_tally_in_flight(const struct io_tally *tally);
void io_tally_read(const struct io_tally *tally, struct io_counters *counters);

/*
 * Accepts requests: prepares each private part and puts it on the queue. Those that no backend can
 * carry out go to refused instead, with their result. The caller holds the queue's lock.
 */
void io_accept(struct io_tally *tally, struct io_queue *queue, struct io_queue *refused,
	       struct io_request **requests, unsigned count);
/* The end of a request: counts and calls done. The request is not ours afterwards. */
void io_finish(struct io_tally *tally, struct io_request *request, ssize_t result);
/* The same for all of a queue, with the result that is in each private part. */
void io_finish_all(struct io_tally *tally, struct io_queue *queue);

/* The part that remains of a request. */
static inline void *io_rest_data(const struct io_request *request)
{
	return (char *)request->buffer.data + request->private.moved;
}

static inline uint32_t io_rest_length(const struct io_request *request)
{
	return request->length - request->private.moved;
}

static inline uint64_t io_rest_offset(const struct io_request *request)
{
	return request->offset + request->private.moved;
}

/*
 * Takes the result of a piece: bytes or -errno. True when the rest is to be transferred next; false
 * at the end, with the request's result in its private part. EAGAIN is an error here. A short read
 * that ends between multiples of sector is at the file's end for certain; 1 if nothing is.
 */
bool io_advance(struct io_tally *tally, struct io_request *request, ssize_t piece, uint32_t sector);
/* The result of a request that goes no further: its bytes, or err if there are none. */
ssize_t io_ended(const struct io_request *request, int err);

/* A thread with all signals blocked and a small stack. 0 or -errno. */
int io_thread_start(pthread_t *thread, void *(*main)(void *), void *argument);
