/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leases that wait: their order, and their ends. */
#include "pool_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

struct waiter {
	pthread_t thread;
	struct pool *pool;
	size_t size;
	unsigned count;
	uint64_t timeout_ns;
	struct pool_cancel *cancel;
	struct pool_buffer buffer[ALL_4K];
	_Atomic unsigned *order; /* a number for each that was served */
	unsigned place;
	int result;
	_Atomic bool ended;
};

static void *wait_thread(void *argument)
{
	struct waiter *w = argument;

	w->result = pool_lease(w->pool, w->size, w->count, w->buffer, w->timeout_ns, w->cancel);
	if (w->order)
		w->place = atomic_fetch_add(w->order, 1) + 1;
	atomic_store(&w->ended, true);
	return NULL;
}

/* Starts it, and sees it wait. */
static void start(struct waiter *w, struct pool *pool, size_t size, unsigned count)
{
	uint64_t waits = counters_of(pool).waits;

	w->pool = pool;
	w->size = size;
	w->count = count;
	if (!w->timeout_ns)
		w->timeout_ns = LONG_ENOUGH;
	ck_assert_int_eq(pthread_create(&w->thread, NULL, wait_thread, w), 0);
	/* Or sees it served: who was before it may have given up already. */
	while (counters_of(pool).waits < waits + 1 && !atomic_load(&w->ended))
		sleep_ms(1);
}

static void join(struct waiter *w, int result)
{
	pthread_join(w->thread, NULL);
	ck_assert_int_eq(w->result, result);
}

START_TEST(test_blocks)
{
	struct pool *pool = new_pool(MIB);
	struct pool_buffer b = lease_one(pool, MIB);
	struct waiter w = { .timeout_ns = UINT64_MAX };

	start(&w, pool, MIB, 1);
	sleep_ms(30);
	ck_assert(!atomic_load(&w.ended));
	pool_return(pool, &b);
	join(&w, 0);
	ck_assert_uint_eq(counters_of(pool).leased, MIB);
	return_all(pool, w.buffer, 1);
	pool_free(pool);
}
END_TEST

/* A waiter for another class gets the chunk when it is whole, in whichever magazines it is. */
START_TEST(test_other_class)
{
	struct pool *pool = new_pool(MIB);
	struct pool_buffer b[10];
	struct waiter w = { 0 };

	for (int i = 0; i < 10; i++)
		b[i] = lease_one(pool, 8192);
	return_all(pool, b, 5);
	start(&w, pool, MIB, 1);
	return_all(pool, b + 5, 5);
	join(&w, 0);
	return_all(pool, w.buffer, 1);
	pool_free(pool);
}
END_TEST

START_TEST(test_timeout)
{
	struct pool *pool = new_pool(MIB);
	struct pool_buffer b = lease_one(pool, MIB), c;
	uint64_t before = clock_ns();

	ck_assert_int_eq(pool_lease(pool, 4096, 1, &c, 50 * MSEC, NULL), -ETIMEDOUT);
	ck_assert_uint_ge(clock_ns() - before, 50 * MSEC);
	ck_assert_int_eq(pool_lease(pool, 4096, 1, &c, 1, NULL), -ETIMEDOUT);
	ck_assert_int_eq(pool_lease(pool, 4096, 1, &c, 0, NULL), -EAGAIN);
	ck_assert_uint_eq(counters_of(pool).timeouts, 2);
	ck_assert_uint_eq(counters_of(pool).waits, 2);
	pool_return(pool, &b);
	c = lease_one(pool, 4096);
	pool_return(pool, &c);
	pool_free(pool);
}
END_TEST

START_TEST(test_cancel)
{
	struct pool *pool = new_pool(MIB);
	struct pool_cancel cancel = { 0 }, other = { 0 };
	struct pool_buffer b = lease_one(pool, MIB), c;
	struct waiter w[2] = { { .cancel = &cancel }, { .cancel = &other } };

	start(&w[0], pool, MIB, 1);
	start(&w[1], pool, MIB, 1);
	pool_cancel(pool, &cancel);
	join(&w[0], -ECANCELED);
	ck_assert(!atomic_load(&w[1].ended));
	/* One that would wait ends at once; one that need not wait does not care. */
	ck_assert_int_eq(pool_lease(pool, MIB, 1, &c, LONG_ENOUGH, &cancel), -ECANCELED);
	ck_assert_uint_eq(counters_of(pool).cancelled, 2);
	pool_return(pool, &b);
	join(&w[1], 0);
	return_all(pool, w[1].buffer, 1);
	ck_assert_int_eq(pool_lease(pool, MIB, 1, &c, LONG_ENOUGH, &cancel), 0);
	pool_return(pool, &c);
	pool_free(pool);
}
END_TEST

START_TEST(test_in_order)
{
	enum { WAITERS = 6 };
	struct pool *pool = new_pool(MIB);
	struct pool_buffer b = lease_one(pool, MIB);
	static struct waiter w[WAITERS];
	_Atomic unsigned order = 0;

	for (int i = 0; i < WAITERS; i++) {
		w[i].order = &order;
		/* Later ones that need less must wait as well. */
		start(&w[i], pool, i % 2 ? 4096 : MIB, 1);
	}
	pool_return(pool, &b);
	for (unsigned i = 0; i < WAITERS; i++) {
		join(&w[i], 0);
		ck_assert_uint_eq(w[i].place, i + 1);
		if (i + 1 < WAITERS)
			ck_assert(!atomic_load(&w[i + 1].ended));
		return_all(pool, w[i].buffer, 1);
	}
	pool_free(pool);
}
END_TEST

/* Buffers come back one by one: neither a newcomer nor a small request gets them first. */
START_TEST(test_not_overtaken)
{
	struct pool *pool = new_pool(MIB);
	static struct pool_buffer b[ALL_4K];
	struct pool_buffer c;
	static struct waiter w;

	ck_assert_int_eq(pool_lease(pool, 4096, ALL_4K, b, 0, NULL), 0);
	start(&w, pool, 4096, ALL_4K);
	for (int i = 0; i < ALL_4K - 1; i++) {
		pool_return(pool, &b[i]);
		ck_assert_int_eq(pool_try(pool, 4096, &c), -EAGAIN);
	}
	ck_assert_int_eq(pool_lease(pool, 4096, 1, &c, 5 * MSEC, NULL), -ETIMEDOUT);
	ck_assert(!atomic_load(&w.ended));
	pool_return(pool, &b[ALL_4K - 1]);
	join(&w, 0);
	return_all(pool, w.buffer, ALL_4K);
	pool_free(pool);
}
END_TEST

/* The first gives up, and the second needs no more than there is: nobody returns anything now. */
START_TEST(test_next_is_served)
{
	struct pool *pool = new_pool(2 * MIB);
	struct pool_buffer b = lease_one(pool, MIB);
	struct pool_cancel cancel = { 0 };
	struct waiter cancelled = { .cancel = &cancel }, next = { 0 };
	struct waiter late = { .timeout_ns = 100 * MSEC }, after = { 0 };

	start(&cancelled, pool, MIB, 2);
	start(&next, pool, MIB, 1);
	ck_assert(!atomic_load(&next.ended));
	pool_cancel(pool, &cancel);
	join(&cancelled, -ECANCELED);
	join(&next, 0);
	pool_return(pool, &next.buffer[0]);
	start(&late, pool, MIB, 2);
	start(&after, pool, MIB, 1);
	join(&late, -ETIMEDOUT);
	join(&after, 0);
	pool_return(pool, &after.buffer[0]);
	pool_return(pool, &b);
	pool_free(pool);
}
END_TEST

START_TEST(test_shutdown)
{
	struct pool *pool = new_pool(MIB);
	struct pool_buffer b = lease_one(pool, MIB);
	struct waiter w[3] = { 0 };

	for (int i = 0; i < 3; i++)
		start(&w[i], pool, 4096u << i, 1 + (unsigned)i);
	pool_free(pool);
	for (int i = 0; i < 3; i++)
		join(&w[i], -ESHUTDOWN);
	memset(b.data, 1, b.size);
	pool_return(pool, &b);
}
END_TEST

RUN_CASES("pool_wait", test_blocks, test_other_class, test_timeout, test_cancel, test_in_order,
	  test_not_overtaken, test_next_is_served, test_shutdown)
