/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything at once. */
#include "pool_lost.h"

#define THREADS 4

struct stress {
	struct pool *pool;
	unsigned rounds;
	_Atomic unsigned number, bad, refused;
	_Atomic bool stop;
};

static void run_threads(struct stress *s, void *(*fn)(void *), unsigned count)
{
	pthread_t thread[THREADS];

	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, fn, s), 0);
	for (unsigned i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
}

/* Stamps both ends of a buffer; nobody else may touch them meanwhile. */
static bool use(struct pool_buffer *b, unsigned stamp)
{
	volatile unsigned *first = b->data, *last = first + b->size / sizeof(*first) - 1;

	*first = *last = stamp;
	if (stamp % 64 == 0)
		sched_yield();
	return *first == stamp && *last == stamp;
}

static void *stress_thread(void *argument)
{
	struct stress *s = argument;
	unsigned self = atomic_fetch_add(&s->number, 1), state = self * 7919 + 1;
	struct pool_buffer b[4];

	for (unsigned round = 0; round < s->rounds; round++) {
		unsigned count = 1 + (state >> 9) % 4;
		size_t size = (size_t)4096 << (state >> 16) % 9;
		int err;

		state = state * 1664525 + 1013904223;
		err = pool_lease(s->pool, size, count, b, LONG_ENOUGH, NULL);
		if (err) {
			atomic_fetch_add(&s->bad, 1);
			continue;
		}
		for (unsigned i = 0; i < count; i++)
			if (!use(&b[i], state + i))
				atomic_fetch_add(&s->bad, 1);
		return_all(s->pool, b, count);
		if (round % 256 == 0)
			pool_trim(s->pool, state & 1);
	}
	return NULL;
}

/* All sizes, in a pool where they get in each other's way. */
START_TEST(test_threads)
{
	struct stress s = { .pool = new_pool(5 * MIB), .rounds = 50000 };
	struct pool_counters c;

	run_threads(&s, stress_thread, THREADS);
	ck_assert_uint_eq(s.bad, 0);
	c = counters_of(s.pool);
	ck_assert_uint_eq(c.leased, 0);
	ck_assert_uint_eq(c.leases, c.returns);
	ck_assert_uint_eq(c.timeouts, 0);
	ck_assert_uint_gt(c.waits, 0);
	pool_free(s.pool);
}
END_TEST

/* Two at a time of three: who held one while waiting for another would hang. */
static void *greedy_thread(void *argument)
{
	struct stress *s = argument;
	struct pool_buffer b[3];

	for (unsigned round = 0; round < s->rounds; round++) {
		if (pool_lease(s->pool, MIB, 2 + round % 2, b, LONG_ENOUGH, NULL)) {
			atomic_fetch_add(&s->bad, 1);
			continue;
		}
		sched_yield();
		return_all(s->pool, b, 2 + round % 2);
	}
	return NULL;
}

START_TEST(test_no_hold_and_wait)
{
	struct stress s = { .pool = new_pool(3 * MIB), .rounds = 3000 };

	run_threads(&s, greedy_thread, THREADS);
	ck_assert_uint_eq(s.bad, 0);
	pool_free(s.pool);
}
END_TEST

static void *hammer_thread(void *argument)
{
	struct stress *s = argument;
	struct pool_buffer b;

	while (!atomic_load(&s->stop))
		if (!pool_lease(s->pool, 4096, 1, &b, LONG_ENOUGH, NULL))
			pool_return(s->pool, &b);
	return NULL;
}

/* Who needs everything gets it, however many take a little all the time. */
START_TEST(test_fair)
{
	struct stress s = { .pool = new_pool(MIB) };
	pthread_t thread[3];
	struct pool_buffer b;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, hammer_thread, &s);
	for (int i = 0; i < 300; i++) {
		b = lease_one(s.pool, MIB);
		pool_return(s.pool, &b);
	}
	atomic_store(&s.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	pool_free(s.pool);
}
END_TEST

/* Keeps one lease, so that the pool is there, and takes others until it is closed. */
static void *keeper_thread(void *argument)
{
	struct stress *s = argument;
	struct pool_buffer keep = lease_one(s->pool, 4096), b;
	int err;

	atomic_fetch_add(&s->number, 1);
	while ((err = pool_lease(s->pool, s->number % 2 ? MIB : 8192, 1, &b, 1 * MSEC, NULL)) !=
	       -ESHUTDOWN)
		if (!err)
			pool_return(s->pool, &b);
	atomic_fetch_add(&s->refused, 1);
	pool_return(s->pool, &keep);
	return NULL;
}

START_TEST(test_shutdown)
{
	for (unsigned round = 0; round < 100; round++) {
		struct stress s = { .pool = new_pool((2 + round % 2) * MIB) };
		pthread_t thread[THREADS];

		for (int i = 0; i < THREADS; i++)
			pthread_create(&thread[i], NULL, keeper_thread, &s);
		while (atomic_load(&s.number) < THREADS)
			sched_yield();
		pool_free(s.pool);
		for (int i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		ck_assert_uint_eq(s.refused, THREADS);
	}
}
END_TEST

/* One buffer each, returned while the pool closes: the last one frees it, and only that one. */
static void *last_thread(void *argument)
{
	struct stress *s = argument;
	struct pool *pool = s->pool;
	struct pool_buffer b = lease_one(pool, 65536);

	atomic_fetch_add(&s->number, 1);
	while (atomic_load(&s->number) < THREADS + 1)
		sched_yield();
	pool_return(pool, &b);
	return NULL;
}

START_TEST(test_last_return)
{
	for (int round = 0; round < 1000; round++) {
		struct stress s = { .pool = new_pool(MIB) };
		pthread_t thread[THREADS];

		for (int i = 0; i < THREADS; i++)
			pthread_create(&thread[i], NULL, last_thread, &s);
		while (atomic_load(&s.number) < THREADS)
			sched_yield();
		atomic_fetch_add(&s.number, 1);
		pool_free(s.pool);
		for (int i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
	}
}
END_TEST

/* Cancelling and returning at the same time: either, and never neither. */
static void *cancelled_thread(void *argument)
{
	struct stress *s = argument;
	struct pool_cancel cancel = { 0 };
	struct pool_buffer b;

	for (unsigned round = 0; round < s->rounds; round++) {
		int err = pool_lease(s->pool, MIB, 1, &b, round % 3 ? LONG_ENOUGH : 20000, &cancel);

		if (!err) {
			if (round % 2)
				pool_cancel(s->pool, &cancel);
			pool_return(s->pool, &b);
		} else if (err != -ECANCELED && err != -ETIMEDOUT) {
			atomic_fetch_add(&s->bad, 1);
		}
		if (round % 5 == 0)
			atomic_store(&cancel.cancelled, false);
	}
	return NULL;
}

START_TEST(test_cancel)
{
	struct stress s = { .pool = new_pool(MIB), .rounds = 20000 };

	run_threads(&s, cancelled_thread, THREADS);
	ck_assert_uint_eq(s.bad, 0);
	ck_assert_uint_eq(counters_of(s.pool).leased, 0);
	pool_free(s.pool);
}
END_TEST

START_TEST(test_nothing_lost)
{
	ck_assert_uint_eq(find_lost((getenv("OVERDRIVE_LONG") ? 60 : 5) * NSEC_PER_SEC), 0);
}
END_TEST

RUN_CASES("pool_threads", test_threads, test_no_hold_and_wait, test_fair, test_shutdown,
	  test_last_return, test_cancel, test_nothing_lost)
