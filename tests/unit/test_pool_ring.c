/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool's chunks in a ring's sparse buffer table, and READ_FIXED from a real file while memory
 * is given back in between. Skipped (77) without io_uring.
 */
#include "pool_test.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define CHUNKS	    3
#define FILE_BLOCKS 1024
#define IN_FLIGHT   6

struct traffic {
	struct io_uring ring;
	struct pool *pool;
	struct pool_buffer buffer[IN_FLIGHT];
	uint32_t block[IN_FLIGHT];
	int fd;
	bool forgetful; /* registers a chunk once and for all: the trap */
	bool seen[CHUNKS];
	_Atomic unsigned refused, committed;
	_Atomic bool stop;
};

static void update(struct traffic *t, uint32_t chunk, void *data, size_t size)
{
	struct iovec iov = { data, size };
	__u64 tag = 0;

	if (io_uring_register_buffers_update_tag(&t->ring, chunk, &iov, &tag, 1) != 1)
		t->refused++;
}

static void on_committed(void *argument, uint32_t chunk, void *data, size_t size)
{
	struct traffic *t = argument;

	t->committed++;
	if (!t->forgetful || !t->seen[chunk])
		update(t, chunk, data, size);
	t->seen[chunk] = true;
}

static void on_releasing(void *argument, uint32_t chunk)
{
	struct traffic *t = argument;

	if (!t->forgetful)
		update(t, chunk, NULL, 0);
}

static int open_file(void)
{
	char name[] = "/var/tmp/test_pool_ring.XXXXXX";
	int plain = mkstemp(name), fd;
	uint32_t block[1024];

	ck_assert_int_ge(plain, 0);
	for (uint32_t n = 0; n < FILE_BLOCKS; n++) {
		for (uint32_t i = 0; i < 1024; i++)
			block[i] = n * 1024 + i + 1;
		ck_assert_int_eq(write(plain, block, sizeof(block)), sizeof(block));
	}
	ck_assert_int_eq(fsync(plain), 0);
	fd = open(name, O_RDONLY | O_DIRECT);
	if (fd < 0)
		fd = open(name, O_RDONLY); /* no Direct IO here: the registration is the same */
	unlink(name);
	close(plain);
	return fd;
}

static void submit_all(struct traffic *t, unsigned state)
{
	size_t size = (size_t)4096 << state % 7;

	ck_assert_int_eq(pool_lease(t->pool, size, IN_FLIGHT, t->buffer, LONG_ENOUGH, NULL), 0);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);
		struct pool_buffer *b = &t->buffer[i];

		state = state * 1664525 + 1013904223;
		t->block[i] = (state >> 16) % (FILE_BLOCKS - 63);
		io_uring_prep_read_fixed(sqe, t->fd, b->data, b->size, (__u64)t->block[i] * 4096,
					 (int)b->chunk);
		sqe->user_data = i;
	}
	ck_assert_int_eq(io_uring_submit(&t->ring), IN_FLIGHT);
}

/* Blocks that are not what the file has. */
static unsigned reap_all(struct traffic *t)
{
	unsigned wrong = 0;

	for (unsigned n = 0; n < IN_FLIGHT; n++) {
		struct io_uring_cqe *cqe;
		struct pool_buffer *b;
		unsigned i;

		ck_assert_int_eq(io_uring_wait_cqe(&t->ring, &cqe), 0);
		i = (unsigned)cqe->user_data;
		b = &t->buffer[i];
		ck_assert_int_eq(cqe->res, (int)b->size);
		io_uring_cqe_seen(&t->ring, cqe);
		for (uint32_t word = 0; word < b->size / 4; word++)
			wrong += ((uint32_t *)b->data)[word] != t->block[i] * 1024 + word + 1;
		memset(b->data, 0xee, b->size);
		pool_return(t->pool, b);
	}
	return wrong;
}

static void *trim_thread(void *argument)
{
	struct traffic *t = argument;

	while (!atomic_load(&t->stop)) {
		pool_trim(t->pool, true);
		usleep(100);
	}
	return NULL;
}

static struct traffic *traffic_new(bool forgetful)
{
	struct traffic *t = calloc(1, sizeof(*t));
	struct pool_observer observer = { on_committed, on_releasing, t };

	ck_assert_int_eq(io_uring_queue_init(64, &t->ring, 0), 0);
	ck_assert_int_eq(io_uring_register_buffers_sparse(&t->ring, CHUNKS), 0);
	t->fd = open_file();
	ck_assert_int_ge(t->fd, 0);
	t->forgetful = forgetful;
	t->pool = new_pool(CHUNKS * MIB);
	pool_observe(t->pool, &observer);
	return t;
}

static void traffic_free(struct traffic *t)
{
	pool_observe(t->pool, NULL);
	io_uring_queue_exit(&t->ring);
	pool_free(t->pool);
	close(t->fd);
	free(t);
}

START_TEST(test_right)
{
	struct traffic *t = traffic_new(false);
	uint64_t until = clock_ns() + 2 * NSEC_PER_SEC;
	unsigned rounds = 0;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, trim_thread, t), 0);
	/* (A busy machine may not let the other thread trim for some time.) */
	for (; clock_ns() < until || rounds < 50 || t->committed <= 10; rounds++) {
		submit_all(t, rounds);
		ck_assert_uint_eq(reap_all(t), 0);
		if (rounds % 4 == 0)
			usleep(200);
	}
	atomic_store(&t->stop, true);
	pthread_join(thread, NULL);
	printf("%u reads, %u times registered\n", rounds * IN_FLIGHT, t->committed);
	ck_assert_uint_eq(t->refused, 0);
	ck_assert_uint_gt(t->committed, 10);
	traffic_free(t);
}
END_TEST

/* Would the above have seen it? A registration that outlives the memory reads elsewhere. */
START_TEST(test_trap)
{
	struct traffic *t = traffic_new(true);

	submit_all(t, 1);
	ck_assert_uint_eq(reap_all(t), 0);
	ck_assert_uint_gt(pool_trim(t->pool, true), 0);
	submit_all(t, 1);
	ck_assert_uint_gt(reap_all(t), 0);
	traffic_free(t);
}
END_TEST

static bool ring_available(void)
{
	struct io_uring ring;
	bool available = io_uring_queue_init(4, &ring, 0) == 0;

	if (available) {
		available = io_uring_register_buffers_sparse(&ring, CHUNKS) == 0;
		io_uring_queue_exit(&ring);
	}
	return available;
}

int main(void)
{
	const TTest *const test[] = { test_right, test_trap };

	if (!ring_available()) {
		puts("skip # no io_uring, or no sparse buffer tables (Linux 5.19)");
		return 77;
	}
	return run_cases("pool_ring", test, 2);
}
