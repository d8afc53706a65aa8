/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel has no memory. This program has its own copy of the pool, whose system calls for
 * memory fail when told to.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* The number of calls that still succeed; negative: all. */
static _Atomic int mmap_left = -1, mprotect_left = -1, madvise_left = -1, calloc_left = -1;

static bool fails(_Atomic int *left)
{
	return *left >= 0 && (*left)-- == 0 && ++*left == 0;
}

static inline void *test_mmap(void *p, size_t size, int prot, int flags, int fd, off_t offset)
{
	if (!fails(&mmap_left))
		return mmap(p, size, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

static inline int test_mprotect(void *p, size_t size, int prot)
{
	if ((prot & PROT_WRITE) == 0 || !fails(&mprotect_left))
		return mprotect(p, size, prot);
	errno = ENOMEM;
	return -1;
}

static inline int test_madvise(void *p, size_t size, int advice)
{
	if (advice != MADV_DONTNEED || !fails(&madvise_left))
		return madvise(p, size, advice);
	errno = EINVAL;
	return -1;
}

static inline void *test_calloc(size_t count, size_t size)
{
	return fails(&calloc_left) ? NULL : calloc(count, size);
}

#define mmap	 test_mmap
#define mprotect test_mprotect
#define madvise	 test_madvise
#define calloc	 test_calloc

#include "pool/depot.c"
#include "pool/pool.c"
#include "pool/trim.c"
#include "pool/wait.c"

#include "pool_test.h"

START_TEST(test_new)
{
	_Atomic int *const call[] = { &mmap_left, &mmap_left, &calloc_left };
	const int left[] = { 0, 1, 0 };

	for (int i = 0; i < 3; i++) {
		int err = 0;

		*call[i] = left[i];
		ck_assert_ptr_null(pool_new(MIB, &err));
		ck_assert_int_eq(err, -ENOMEM);
		*call[i] = -1;
	}
}
END_TEST

START_TEST(test_first)
{
	struct pool *pool = new_pool(4 * MIB);
	struct pool_buffer b = { 0 };

	mprotect_left = 0;
	ck_assert_int_eq(pool_try(pool, 4096, &b), -ENOMEM);
	ck_assert_int_eq(pool_lease(pool, 4096, 1, &b, UINT64_MAX, NULL), -ENOMEM);
	ck_assert_int_eq(pool_lease(pool, MIB, 4, &b, LONG_ENOUGH, NULL), -ENOMEM);
	ck_assert_uint_eq(counters_of(pool).failures, 3);
	ck_assert_uint_eq(counters_of(pool).committed, 0);
	ck_assert_uint_eq(counters_of(pool).leases, 0);
	mprotect_left = -1;
	b = lease_one(pool, MIB);
	pool_return(pool, &b);
	pool_free(pool);
}
END_TEST

/* Memory for some of the buffers only: none of them, and nothing is lost by it. */
START_TEST(test_some)
{
	struct pool *pool = new_pool(4 * MIB);
	struct pool_buffer one = lease_one(pool, MIB), b[4];

	mprotect_left = 1;
	ck_assert_int_eq(pool_lease(pool, MIB, 3, b, LONG_ENOUGH, NULL), -ENOMEM);
	ck_assert_uint_eq(counters_of(pool).leased, MIB);
	ck_assert_uint_eq(counters_of(pool).committed, 2 * MIB);
	/* What is there can be had. */
	b[0] = lease_one(pool, MIB);
	pool_return(pool, &b[0]);
	pool_return(pool, &one);
	mprotect_left = -1;
	ck_assert_int_eq(pool_lease(pool, MIB, 4, b, 0, NULL), 0);
	return_all(pool, b, 4);
	pool_free(pool);
}
END_TEST

static void *wait_thread(void *pool)
{
	struct pool_buffer b[3];

	return (void *)(intptr_t)pool_lease(pool, MIB, 3, b, UINT64_MAX, NULL);
}

/* Several wait in line; when their turn comes there is no memory: each of them is told. */
START_TEST(test_waiters)
{
	struct pool *pool = new_pool(4 * MIB);
	struct pool_buffer b[2] = { lease_one(pool, MIB), lease_one(pool, 4096) };
	pthread_t thread[3];
	void *result;

	for (unsigned i = 0; i < 3; i++) {
		pthread_create(&thread[i], NULL, wait_thread, pool);
		await_waits(pool, i + 1);
	}
	mprotect_left = 0;
	return_all(pool, b, 2);
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], &result);
		ck_assert_int_eq((int)(intptr_t)result, -ENOMEM);
	}
	ck_assert_uint_eq(counters_of(pool).leased, 0);
	pool_free(pool);
}
END_TEST

/* The memory cannot be given back: it stays in use, and registered. */
static int registered;

static void committed(void *argument, uint32_t chunk, void *data, size_t size)
{
	(void)argument, (void)chunk, (void)data, (void)size;
	registered++;
}

static void releasing(void *argument, uint32_t chunk)
{
	(void)argument, (void)chunk;
	registered--;
}

START_TEST(test_trim)
{
	struct pool_observer observer = { committed, releasing, NULL };
	struct pool *pool = new_pool(2 * MIB);
	struct pool_buffer b[2];

	pool_observe(pool, &observer);
	ck_assert_int_eq(pool_lease(pool, MIB, 2, b, 0, NULL), 0);
	ck_assert_int_eq(registered, 2);
	return_all(pool, b, 2);
	madvise_left = 0;
	ck_assert_uint_eq(pool_trim(pool, true), 0);
	ck_assert_uint_eq(counters_of(pool).committed, 2 * MIB);
	ck_assert_int_eq(registered, 2);
	ck_assert_int_eq(pool_lease(pool, MIB, 2, b, 0, NULL), 0);
	memset(b[1].data, 1, MIB);
	return_all(pool, b, 2);
	madvise_left = -1;
	ck_assert_uint_eq(pool_trim(pool, true), 2 * MIB);
	ck_assert_int_eq(registered, 0);
	pool_free(pool);
}
END_TEST

/* For once, the kernel itself says no. */
START_TEST(test_rlimit)
{
	struct rlimit small = { 4096, RLIM_INFINITY }; /* 0 would mean something else */
	struct pool *pool = new_pool(64 * MIB);
	struct pool_buffer b;

	ck_assert_int_eq(setrlimit(RLIMIT_DATA, &small), 0);
	ck_assert_int_eq(pool_lease(pool, MIB, 1, &b, UINT64_MAX, NULL), -ENOMEM);
	small.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_DATA, &small), 0);
	b = lease_one(pool, MIB);
	pool_return(pool, &b);
	pool_free(pool);
}
END_TEST

RUN_CASES("pool_nomem", test_new, test_first, test_some, test_waiters, test_trim, test_rlimit)
