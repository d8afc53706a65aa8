/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many requests at once: each is done exactly once, and readers see no byte older than a write that
 * was done before they asked.
 */
#include "io_fixture.h"

#include <pthread.h>
#include <semaphore.h>

#include "suite.h"
#include "util/clock.h"

#define BLOCK 4096u

/* A crowd of requests, and how often each was done. */
struct crowd {
	sem_t done;
	_Atomic unsigned times[600];
	_Atomic unsigned wrong;
	struct io_request request[600];
};

static void crowd_done(struct io_request *request, ssize_t result)
{
	struct crowd *crowd = request->argument;

	if (result != (ssize_t)request->length)
		atomic_fetch_add(&crowd->wrong, 1);
	atomic_fetch_add(&crowd->times[request - crowd->request], 1);
	sem_post(&crowd->done);
}

/* Reads of blocks in turn, each with a buffer of its own. */
static struct crowd *make_crowd(struct fixture *f, unsigned count)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	static char data[64 * BLOCK];

	ck_assert_ptr_nonnull(crowd);
	sem_init(&crowd->done, 0, 0);
	/* Holes are read without the disk. */
	memset(data, 'c', sizeof(data));
	ck_assert_int_eq(plainly(IO_WRITE, f->plain, 0, sizeof(data), data), sizeof(data));
	for (unsigned i = 0; i < count; i++)
		crowd->request[i] = (struct io_request){
			.fd = f->fd,
			.offset = i % 64 * BLOCK,
			.length = BLOCK,
			.buffer = lease(f, BLOCK),
			.done = crowd_done,
			.argument = crowd,
		};
	return crowd;
}

static void free_crowd(struct fixture *f, struct crowd *crowd, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		ck_assert_uint_eq(atomic_load(&crowd->times[i]), 1);
		pool_return(f->pool, &crowd->request[i].buffer);
	}
	ck_assert_uint_eq(atomic_load(&crowd->wrong), 0);
	sem_destroy(&crowd->done);
	free(crowd);
}

static void submit_part(struct fixture *f, struct crowd *crowd, unsigned from, unsigned count)
{
	struct io_request *requests[600];

	for (unsigned i = 0; i < count; i++)
		requests[i] = &crowd->request[from + i];
	f->ops->submit(f->backend, requests, count);
}

START_TEST(test_beyond_depth)
{
	struct crowd *crowd;
	struct fixture f;

	if (!set_up(&f, _i, 4))
		return;
	crowd = make_crowd(&f, 600);
	submit_part(&f, crowd, 0, 0);
	submit_part(&f, crowd, 0, 500);
	for (unsigned i = 500; i < 600; i++)
		submit_part(&f, crowd, i, 1);
	for (unsigned i = 0; i < 600; i++)
		sem_wait(&crowd->done);
	/* The last `done` may not have returned; what it counts is counted before. */
	ck_assert_uint_eq(f.ops->in_flight(f.backend), 0);
	free_crowd(&f, crowd, 600);
	tear_down(&f);
}
END_TEST

/* The backend ends with its queue full: nothing is lost, nothing is done twice. */
START_TEST(test_close_in_flight)
{
	struct crowd *crowd;
	struct fixture f;

	if (!set_up(&f, _i, 3))
		return;
	crowd = make_crowd(&f, 300);
	submit_part(&f, crowd, 0, 300);
	f.ops->close(f.backend);
	free_crowd(&f, crowd, 300);
	pool_free(f.pool);
	close(f.fd);
	close(f.plain);
}
END_TEST

/* Opened and closed without a request; and with a depth beyond what there can be. */
START_TEST(test_open_close)
{
	static const unsigned depths[] = { 1, 2, 100000 };
	struct fixture f;

	for (int i = 0; i < 3; i++) {
		if (!set_up(&f, _i, depths[i]))
			return;
		tear_down(&f);
	}
}
END_TEST

/* The backend's threads have just been started, and may be anywhere on their way to sleep. */
START_TEST(test_first_request)
{
	struct io_limits limits = { .depth = 1 };
	struct pool_buffer buffer;
	struct fixture f;

	if (!set_up(&f, _i, 1))
		return;
	buffer = lease(&f, BLOCK);
	for (unsigned i = 0; i < 600; i++) {
		uint64_t start;

		f.ops->close(f.backend);
		ck_assert_int_eq(f.ops->open(&f.backend, &limits), 0);
		start = clock_ns();
		while (clock_ns() - start < i % 150 * 1000)
			;
		ck_assert_int_eq(transfer(&f, IO_READ, f.fd, 0, BLOCK, buffer), 0);
	}
	pool_return(f.pool, &buffer);
	tear_down(&f);
}
END_TEST

struct chain {
	struct fixture *f;
	sem_t end;
	unsigned left;
};

static void chain_done(struct io_request *request, ssize_t result)
{
	struct chain *chain = request->argument;

	ck_assert_int_eq(result, BLOCK);
	if (--chain->left)
		chain->f->ops->submit(chain->f->backend, &request, 1);
	else
		sem_post(&chain->end);
}

/* A `done` that submits the same request again. */
START_TEST(test_submit_from_done)
{
	struct fixture f;
	struct chain chain = { .f = &f, .left = 300 };
	struct io_request request = { .length = BLOCK, .done = chain_done, .argument = &chain };
	struct io_request *requests[] = { &request };

	if (!set_up(&f, _i, 1))
		return;
	sem_init(&chain.end, 0, 0);
	ck_assert_int_eq(ftruncate(f.plain, BLOCK), 0);
	request.fd = f.fd;
	request.buffer = lease(&f, BLOCK);
	f.ops->submit(f.backend, requests, 1);
	sem_wait(&chain.end);
	pool_return(f.pool, &request.buffer);
	tear_down(&f);
}
END_TEST

#define THREADS 8
#define BLOCKS	24u
#define ROUNDS	150

/*
 * A block is written by one thread alone, each time with the next number in every word. The number
 * is a byte, so that it is new or old, but never torn.
 */
struct stamps {
	struct fixture *f;
	_Atomic unsigned thread, begun[BLOCKS], finished[BLOCKS];
	_Atomic unsigned bad;
};

static uint64_t stamp(unsigned block, unsigned number)
{
	return (uint64_t)(block + 1) << 32 | number;
}

static void write_stamps(struct stamps *s, unsigned block, struct pool_buffer buffer)
{
	unsigned number = atomic_load(&s->begun[block]) + 1;
	uint64_t word = stamp(block, number);

	if (number > 255)
		return;
	for (unsigned i = 0; i < BLOCK; i += 8)
		memcpy((char *)buffer.data + i, &word, 8);
	atomic_store(&s->begun[block], number);
	if (transfer(s->f, IO_WRITE, s->f->fd, block * BLOCK, BLOCK, buffer) != BLOCK)
		atomic_fetch_add(&s->bad, 1);
	atomic_store(&s->finished[block], number);
}

static void read_stamps(struct stamps *s, unsigned from, unsigned count, struct pool_buffer buffer)
{
	unsigned least[BLOCKS];
	bool bad;

	for (unsigned b = from; b < from + count; b++)
		least[b] = atomic_load(&s->finished[b]);
	bad = transfer(s->f, IO_READ, s->f->fd, from * BLOCK, count * BLOCK, buffer) !=
	      (ssize_t)(count * BLOCK);
	for (unsigned i = 0; !bad && i < count * BLOCK; i += 8) {
		unsigned b = from + i / BLOCK;
		uint64_t word;

		memcpy(&word, (char *)buffer.data + i, 8);
		bad = word < stamp(b, least[b]) || word > stamp(b, atomic_load(&s->begun[b]));
	}
	if (bad)
		atomic_fetch_add(&s->bad, 1);
}

static void *stamp_thread(void *argument)
{
	struct stamps *s = argument;
	unsigned self = atomic_fetch_add(&s->thread, 1);
	uint64_t seed = 1000003 * (self + 1);
	struct pool_buffer buffer = lease(s->f, 4 * BLOCK);

	for (int i = 0; i < ROUNDS; i++) {
		unsigned block = draw(&seed) % BLOCKS, count = 1 + draw(&seed) % 4;

		if (draw(&seed) % 2)
			write_stamps(s, block / THREADS * THREADS + self, buffer);
		else if (block + count <= BLOCKS)
			read_stamps(s, block, count, buffer);
	}
	pool_return(s->f->pool, &buffer);
	return NULL;
}

START_TEST(test_readers_and_writers)
{
	pthread_t thread[THREADS];
	struct fixture f;
	struct stamps s = { .f = &f };
	struct pool_buffer buffer;

	if (!set_up(&f, _i, 5))
		return;
	buffer = lease(&f, BLOCK);
	for (unsigned b = 0; b < BLOCKS; b++)
		write_stamps(&s, b, buffer);
	pool_return(f.pool, &buffer);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, stamp_thread, &s);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(atomic_load(&s.bad), 0);
	tear_down(&f);
}
END_TEST

struct resizer {
	int fd;
	_Atomic bool stop;
};

static void *resize(void *argument)
{
	static const off_t sizes[] = { 3 * BLOCK + 5, 40 * BLOCK, 0, 16 * BLOCK + 4095, BLOCK };
	struct resizer *r = argument;

	for (unsigned i = 0; !atomic_load(&r->stop); i++)
		if (ftruncate(r->fd, sizes[i % 5]))
			return r;
	return NULL;
}

/* Cut and grown meanwhile: what is read is a byte of the file or a hole, and no error. */
START_TEST(test_resized_meanwhile)
{
	struct pool_buffer buffer;
	struct resizer r = { 0 };
	pthread_t thread;
	struct fixture f;
	void *failed;

	if (!set_up(&f, _i, 4))
		return;
	buffer = lease(&f, 32 * BLOCK);
	r.fd = f.plain;
	pthread_create(&thread, NULL, resize, &r);
	for (int i = 0; i < 150; i++) {
		const char *data = buffer.data;
		ssize_t got;

		memset(buffer.data, 'x', BLOCK);
		got = transfer(&f, IO_WRITE, f.fd, i % 32 * BLOCK, BLOCK, buffer);
		ck_assert_int_eq(got, BLOCK);
		memset(buffer.data, '?', buffer.size);
		got = transfer(&f, IO_READ, f.fd, 0, 32 * BLOCK, buffer);
		ck_assert(got >= 0 && got <= (ssize_t)(32 * BLOCK));
		for (ssize_t n = 0; n < got; n++)
			if (data[n] && data[n] != 'x')
				ck_abort_msg("byte %zd of %zd is %#x", n, got, data[n]);
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, &failed);
	ck_assert_ptr_null(failed);
	pool_return(f.pool, &buffer);
	tear_down(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_beyond_depth,     test_close_in_flight,	 test_open_close,
		test_submit_from_done, test_readers_and_writers, test_resized_meanwhile,
		test_first_request,
	};

	return run_case("io_many", per_backend(tests, sizeof(tests) / sizeof(*tests)));
}
