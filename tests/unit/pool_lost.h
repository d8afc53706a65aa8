/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stress test that finds lost wake-ups: two threads want the only buffer, hold it for no time at
 * all, and return it. A lease that ends by its timeout while nobody has the buffer was forgotten.
 * Run on the pool as it is (test_pool_threads.c) and on one with the fault put back
 * (test_pool_fault.c).
 */
#pragma once

#include "pool_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

struct lost {
	struct pool *pool;
	uint64_t until_ns;
	_Atomic uint64_t found, rounds;
};

static void *lost_thread(void *argument)
{
	struct lost *l = argument;
	struct pool_buffer b;
	uint64_t rounds = 0;

	while (!atomic_load(&l->found) && clock_ns() < l->until_ns) {
		for (int i = 0; i < 1000 && !atomic_load(&l->found); i++, rounds++) {
			int err = pool_lease(l->pool, MIB, 1, &b, 2000 * MSEC, NULL);

			if (!err)
				pool_return(l->pool, &b);
			else if (err != -ETIMEDOUT || counters_of(l->pool).leased == 0)
				atomic_fetch_add(&l->found, 1);
		}
	}
	atomic_fetch_add(&l->rounds, rounds);
	return NULL;
}

/* How many were found; ends at the first. */
static inline uint64_t find_lost(uint64_t ns)
{
	struct lost l = { .pool = new_pool(MIB), .until_ns = clock_ns() + ns };
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, lost_thread, &l), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	printf("%llu rounds, %llu waits, %llu lost\n", (unsigned long long)atomic_load(&l.rounds),
	       (unsigned long long)counters_of(l.pool).waits,
	       (unsigned long long)atomic_load(&l.found));
	pool_free(l.pool);
	return atomic_load(&l.found);
}
