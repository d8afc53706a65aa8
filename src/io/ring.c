/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_uring. One thread fills the ring, waits in it and calls `done`. Callers leave their requests
 * in its inbox, and the ring polls the eventfd by which they wake it. They don't submit
 * themselves: the kernel completes a request on the thread that submitted it, so that two threads
 * would have to wake for each; and it cancels what a thread has in flight when that thread exits.
 *
 * Chunks of the pool are registered on whatever thread commits them. That rules out
 * IORING_SETUP_SINGLE_ISSUER and DEFER_TASKRUN, but otherwise a thread in `done` that returns a
 * buffer and one that waits for its chunk to be registered could wait for each other.
 */
#include "io/inbox.h"

#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util/log.h"

#define DEPTH_MAX  4096u
#define CHUNKS_MAX (1u << 14) /* IORING_MAX_REG_BUFFERS, io_uring/rsrc.c */
#define SPARE	   8u	      /* entries of the ring for the wake-up and cancellations */

/*
 * A short O_DIRECT read that ends within a sector is at the end of the file, as no disk has smaller
 * ones. Saves another turn, which could only give EINVAL.
 */
#define SECTOR 512u

/* user_data that is no request's address. */
enum { KEY_WAKE = 1, KEY_CANCEL };

/* io_private.flags */
enum { ASYNC = 1, CANCEL_SENT = 2 };

struct io_backend {
	struct io_uring uring; /* the thread's, but for registering */
	struct io_tally tally;
	unsigned depth;
	pthread_t thread;
	struct inbox inbox;

	/* The thread's own: requests it holds are in one of the two queues. */
	struct io_queue ready, running; /* to go into the ring; in it */
	unsigned held;			/* at most depth */
	bool wake_armed, cancels_left;

	struct pool *pool;
	_Atomic bool said; /* that a chunk could not be registered */
	uint32_t chunks;   /* of registered[] */
	/* Each chunk's memory where it is registered. Relaxed: whoever holds a lease in the chunk
	 * has got it after the hook, and the request came through our lock. */
	_Atomic(char *) registered[];
};

static bool is_registered(const struct io_backend *b, const struct pool_buffer *buffer)
{
	char *data = buffer->data, *chunk;

	if (buffer->chunk >= b->chunks)
		return false;
	chunk = atomic_load_explicit(&b->registered[buffer->chunk], memory_order_relaxed);
	return chunk && data >= chunk && data + buffer->size <= chunk + POOL_CHUNK;
}

static void prepare(struct io_backend *b, struct io_uring_sqe *sqe, struct io_request *request)
{
	void *data = io_rest_data(request);
	uint32_t length = io_rest_length(request);
	uint64_t offset = io_rest_offset(request);
	int chunk = (int)request->buffer.chunk;
	bool fixed = length && is_registered(b, &request->buffer);

	if (request->kind == IO_READ && fixed)
		io_uring_prep_read_fixed(sqe, request->fd, data, length, offset, chunk);
	else if (request->kind == IO_READ)
		io_uring_prep_read(sqe, request->fd, data, length, offset);
	else if (fixed)
		io_uring_prep_write_fixed(sqe, request->fd, data, length, offset, chunk);
	else
		io_uring_prep_write(sqe, request->fd, data, length, offset);
	if (request->private.flags & ASYNC)
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	io_uring_sqe_set_data(sqe, request);
	if (fixed)
		io_count(&b->tally.fixed);
}

/*
 * An edge-triggered poll: the eventfd is not read while it is armed. To be called before
 * inbox_take() lets others know that the thread sleeps: what is read here wakes nobody.
 */
static void arm_wake(struct io_backend *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->uring);
	eventfd_t old;

	if (!sqe)
		return;
	eventfd_read(b->inbox.wake_fd, &old);
	io_uring_prep_poll_multishot(sqe, b->inbox.wake_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, KEY_WAKE);
	b->wake_armed = true;
}

static void send_cancels(struct io_backend *b)
{
	b->cancels_left = false;
	for (struct io_request *r = b->running.head; r; r = r->private.next) {
		struct io_uring_sqe *sqe;

		if ((r->private.flags & CANCEL_SENT) ||
		    !atomic_load_explicit(&r->private.cancelled, memory_order_relaxed))
			continue;
		sqe = io_uring_get_sqe(&b->uring);
		if (!sqe) {
			b->cancels_left = true;
			return;
		}
		io_uring_prep_cancel(sqe, r, 0);
		io_uring_sqe_set_data64(sqe, KEY_CANCEL);
		r->private.flags |= CANCEL_SENT;
	}
}

static void fill_ring(struct io_backend *b)
{
	struct io_uring_sqe *sqe;

	while (b->ready.head && (sqe = io_uring_get_sqe(&b->uring))) {
		struct io_request *request = io_queue_pop(&b->ready);

		prepare(b, sqe, request);
		io_queue_push(&b->running, request);
	}
	if (b->cancels_left)
		send_cancels(b);
}

/* Submits, and waits for one completion at least if wait is 1. */
static void enter_ring(struct io_backend *b, unsigned wait)
{
	const struct timespec moment = { 0, 1000000 }; /* 1 ms */
	int err = wait ? io_uring_submit_and_wait(&b->uring, wait) : io_uring_submit(&b->uring);

	/* EAGAIN, EBUSY: the kernel is out of memory or of room. What it didn't take stays in the
	 * ring for the next time. */
	if (err < 0 && err != -EINTR)
		nanosleep(&moment, NULL);
}

static void completed(struct io_backend *b, struct io_request *request, int result,
		      struct io_queue *finished)
{
	struct io_private *private = &request->private;

	io_queue_remove(&b->running, request);
	/* Once more where it may block: O_NONBLOCK, or a request that could not be allocated. */
	if (result == -EAGAIN && !(private->flags & ASYNC)) {
		private->flags |= ASYNC;
		result = -EINTR;
	}
	if (io_advance(&b->tally, request, result, SECTOR)) {
		io_queue_push(&b->ready, request);
	} else {
		io_queue_push(finished, request);
		b->held--;
	}
}

static void reap(struct io_backend *b, struct io_queue *finished)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&b->uring, head, cqe)
	{
		uint64_t key = io_uring_cqe_get_data64(cqe);

		count++;
		if (key == KEY_WAKE)
			b->wake_armed = cqe->flags & IORING_CQE_F_MORE;
		else if (key != KEY_CANCEL)
			completed(b, io_uring_cqe_get_data(cqe), cqe->res, finished);
	}
	io_uring_cq_advance(&b->uring, count);
}

static void *ring_thread(void *argument)
{
	struct io_backend *b = argument;
	struct io_queue finished = { 0 };
	struct inbox_news news;
	bool registered = io_uring_register_ring_fd(&b->uring) == 1; /* saves a look-up per call */

	pthread_setname_np(pthread_self(), "od-ring");
	for (;;) {
		reap(b, &finished);
		if (!b->wake_armed)
			arm_wake(b);
		news = inbox_take(&b->inbox, !finished.head, &b->ready, &b->held, b->depth);
		if (news.ended && !finished.head)
			break;
		b->cancels_left |= news.cancels;
		fill_ring(b);
		if (!finished.head) {
			enter_ring(b, 1);
			continue;
		}
		/* The disk first, then the callers. */
		if (io_uring_sq_ready(&b->uring))
			enter_ring(b, 0);
		io_finish_all(&b->tally, &finished);
	}
	if (registered)
		io_uring_unregister_ring_fd(&b->uring);
	return NULL;
}

static void ring_submit(struct io_backend *b, struct io_request **requests, unsigned count)
{
	inbox_submit(&b->inbox, requests, count);
}

static void ring_cancel(struct io_backend *b, struct io_request *request)
{
	inbox_cancel(&b->inbox, request);
}

static int register_chunk(struct io_backend *b, uint32_t chunk, void *data, size_t size)
{
	struct iovec iov = { data, size };
	__u64 tag = 0;

	return io_uring_register_buffers_update_tag(&b->uring, chunk, &iov, &tag, 1);
}

static void not_registered(struct io_backend *b, int err)
{
	io_count(&b->tally.refused);
	if (!atomic_exchange_explicit(&b->said, true, memory_order_relaxed))
		log_line(LOG_NOTICE, "io_uring: a buffer is not registered (%s%s); works without",
			 strerrordesc_np(-err), err == -ENOMEM ? ": RLIMIT_MEMLOCK?" : "");
}

static void chunk_committed(void *argument, uint32_t chunk, void *data, size_t size)
{
	struct io_backend *b = argument;
	int err = chunk < b->chunks ? register_chunk(b, chunk, data, size) : -ENOBUFS;

	if (err >= 0)
		atomic_store_explicit(&b->registered[chunk], data, memory_order_relaxed);
	else
		not_registered(b, err);
}

static void chunk_releasing(void *argument, uint32_t chunk)
{
	struct io_backend *b = argument;

	if (chunk >= b->chunks ||
	    !atomic_load_explicit(&b->registered[chunk], memory_order_relaxed))
		return;
	atomic_store_explicit(&b->registered[chunk], NULL, memory_order_relaxed);
	register_chunk(b, chunk, NULL, 0);
}

/* The best flags that this kernel knows. */
static int set_up(struct io_uring *uring, unsigned entries)
{
	static const unsigned flags[] = {
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, /* 5.19 */
		0,
	};
	int err = -EINVAL;

	for (unsigned i = 0; err == -EINVAL && i < sizeof(flags) / sizeof(*flags); i++) {
		struct io_uring_params params = { .flags = flags[i] };

		err = io_uring_queue_init_params(entries, uring, &params);
	}
	/* 5.13: polls that stay armed. The one feature of that version which shows. */
	if (!err && !(uring->features & IORING_FEAT_RSRC_TAGS)) {
		io_uring_queue_exit(uring);
		err = -ENOSYS;
	}
	return err;
}

/* Nothing depends on it: where the table is refused, requests go unregistered. */
static void observe_pool(struct io_backend *b)
{
	const struct pool_observer observer = { chunk_committed, chunk_releasing, b };
	int err = 0;

	if (!b->pool)
		return;
	if (b->chunks)
		err = io_uring_register_buffers_sparse(&b->uring, b->chunks);
	if (err < 0) {
		b->chunks = 0;
		not_registered(b, err);
	}
	pool_observe(b->pool, &observer);
}

static void unobserve_pool(struct io_backend *b)
{
	const struct pool_observer nobody = { 0 };

	if (b->pool)
		pool_observe(b->pool, &nobody);
}

static void ring_free(struct io_backend *b)
{
	inbox_deinit(&b->inbox);
	free(b);
}

static int ring_open(struct io_backend **backend, const struct io_limits *limits)
{
	uint32_t chunks = limits->pool ? pool_chunks(limits->pool) : 0;
	struct io_backend *b;
	int err;

	if (!limits->depth)
		return -EINVAL;
	if (chunks > CHUNKS_MAX)
		chunks = CHUNKS_MAX;
	b = calloc(1, sizeof(*b) + chunks * sizeof(*b->registered));
	if (!b)
		return -ENOMEM;
	b->depth = limits->depth < DEPTH_MAX ? limits->depth : DEPTH_MAX;
	b->pool = limits->pool;
	b->chunks = chunks;
	err = inbox_init(&b->inbox, &b->tally);
	if (err) {
		free(b);
		return err;
	}
	err = set_up(&b->uring, b->depth + SPARE);
	if (err) {
		ring_free(b);
		return err;
	}
	io_uring_ring_dontfork(&b->uring);
	observe_pool(b);
	err = io_thread_start(&b->thread, ring_thread, b);
	if (err) {
		unobserve_pool(b);
		io_uring_queue_exit(&b->uring);
		ring_free(b);
		return err;
	}
	*backend = b;
	return 0;
}

static void ring_close(struct io_backend *b)
{
	inbox_close(&b->inbox);
	pthread_join(b->thread, NULL);
	unobserve_pool(b);
	io_uring_queue_exit(&b->uring);
	ring_free(b);
}

static unsigned ring_in_flight(const struct io_backend *b)
{
	return io_tally_in_flight(&b->tally);
}

static void ring_read_counters(const struct io_backend *b, struct io_counters *counters)
{
	io_tally_read(&b->tally, counters);
}

const struct io_backend_ops io_ring_ops = {
	.name = "ring",
	.open = ring_open,
	.close = ring_close,
	.submit = ring_submit,
	.cancel = ring_cancel,
	.in_flight = ring_in_flight,
	.read_counters = ring_read_counters,
};
