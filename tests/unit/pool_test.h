/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the pool's tests share. */
#pragma once

#include "pool/pool.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "suite.h"
#include "util/clock.h"

#define MIB	    (1u << 20)
#define MSEC	    1000000ull
#define LONG_ENOUGH (30 * NSEC_PER_SEC) /* a wait that must not end by its time */
#define ALL_4K	    256			/* buffers of 4 KiB in a chunk */

static inline struct pool *new_pool(size_t memory)
{
	int err = 1;
	struct pool *pool = pool_new(memory, &err);

	ck_assert_msg(pool != NULL, "pool_new: %d", err);
	ck_assert_int_eq(err, 0);
	return pool;
}

static inline struct pool_counters counters_of(struct pool *pool)
{
	struct pool_counters c;

	pool_read_counters(pool, &c);
	return c;
}

static inline struct pool_buffer lease_one(struct pool *pool, size_t size)
{
	struct pool_buffer b = { 0 };

	ck_assert_int_eq(pool_lease(pool, size, 1, &b, LONG_ENOUGH, NULL), 0);
	return b;
}

static inline void return_all(struct pool *pool, struct pool_buffer *b, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pool_return(pool, &b[i]);
}

static inline bool all_bytes(const void *data, size_t size, unsigned char byte)
{
	const unsigned char *p = data;

	return p[0] == byte && !memcmp(p, p + 1, size - 1);
}

static inline void sleep_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000l };

	nanosleep(&ts, NULL);
}

/* Until so many leases have had to wait, ever. */
static inline void await_waits(struct pool *pool, uint64_t waits)
{
	while (counters_of(pool).waits < waits)
		sleep_ms(1);
}

/* Which buffer comes next is certain on one CPU only. */
static inline void stay_here(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static inline size_t resident_bytes(void)
{
	unsigned long size, resident;
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident * 4096;
}

static inline int run_cases(const char *name, const TTest *const *test, size_t count)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 100);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tc, test[i]);
	return run_case(name, tc);
}

#define RUN_CASES(name, ...)                                                \
	int main(void)                                                      \
	{                                                                   \
		const TTest *const test[] = { __VA_ARGS__ };                \
		return run_cases(name, test, sizeof(test) / sizeof(*test)); \
	}
