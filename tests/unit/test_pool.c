/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool's contract, by one thread. */
#include "pool_test.h"

#include <errno.h>
#include <sys/mman.h>

START_TEST(test_class)
{
	ck_assert_uint_eq(pool_class(0), 0);
	ck_assert_uint_eq(pool_class(1), 4096);
	ck_assert_uint_eq(pool_class(4096), 4096);
	ck_assert_uint_eq(pool_class(4097), 8192);
	ck_assert_uint_eq(pool_class(8192), 8192);
	ck_assert_uint_eq(pool_class(100000), 131072);
	ck_assert_uint_eq(pool_class(MIB - 1), MIB);
	ck_assert_uint_eq(pool_class(MIB), MIB);
	ck_assert_uint_eq(pool_class(MIB + 1), 0);
	ck_assert_uint_eq(pool_class(SIZE_MAX), 0);
	ck_assert_uint_eq(pool_class(((size_t)1 << 32) + 1), 0);
}
END_TEST

START_TEST(test_refused)
{
	static const size_t bad[] = {
		0, 1, 4096, POOL_CHUNK - 1, SIZE_MAX, SIZE_MAX / 2, POOL_MAX_MEMORY
	};
	int err;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err = 0;
		ck_assert_ptr_null(pool_new(bad[i], &err));
		ck_assert_int_eq(err, -EINVAL);
	}
	ck_assert_ptr_null(pool_free(NULL));
}
END_TEST

START_TEST(test_size)
{
	struct pool *pool = new_pool(3 * MIB + 12345);

	ck_assert_uint_eq(pool_memory(pool), 3 * MIB);
	ck_assert_uint_eq(pool_chunks(pool), 3);
	pool_free(pool);
}
END_TEST

START_TEST(test_bad_lease)
{
	struct pool *pool = new_pool(2 * MIB);
	struct pool_buffer b[3];

	ck_assert_int_eq(pool_try(pool, 0, b), -EINVAL);
	ck_assert_int_eq(pool_try(pool, MIB + 1, b), -EINVAL);
	ck_assert_int_eq(pool_try(pool, SIZE_MAX, b), -EINVAL);
	ck_assert_int_eq(pool_lease(pool, 4096, 0, b, UINT64_MAX, NULL), -EINVAL);
	ck_assert_int_eq(pool_lease(pool, MIB, 3, b, UINT64_MAX, NULL), -EINVAL);
	ck_assert_int_eq(pool_lease(pool, 4096, 2 * ALL_4K + 1, b, UINT64_MAX, NULL), -EINVAL);
	ck_assert_int_eq(pool_lease(pool, 4096, UINT32_MAX, b, UINT64_MAX, NULL), -EINVAL);
	ck_assert_uint_eq(counters_of(pool).committed, 0);
	ck_assert_uint_eq(counters_of(pool).leases, 0);
	pool_free(pool);
}
END_TEST

START_TEST(test_alignment)
{
	struct pool *pool = new_pool(16 * MIB);
	struct pool_buffer b[20];

	for (uint32_t size = POOL_MIN_SIZE; size <= POOL_MAX_SIZE; size *= 2) {
		for (int i = 0; i < 8; i++) {
			b[i] = lease_one(pool, size - 100);
			ck_assert_uint_eq(b[i].size, size);
			ck_assert_uint_eq((uintptr_t)b[i].data % size, 0);
			ck_assert_uint_lt(b[i].chunk, pool_chunks(pool));
			memset(b[i].data, 0xaa, size);
			for (int j = 0; j < i; j++)
				ck_assert(llabs((char *)b[i].data - (char *)b[j].data) >= size);
		}
		return_all(pool, b, 8);
	}
	pool_free(pool);
}
END_TEST

/* A gibibyte costs nothing until somebody wants some of it, and then what it uses. */
START_TEST(test_lazy)
{
	size_t before = resident_bytes();
	struct pool *pool = new_pool((size_t)1 << 30);
	struct pool_buffer b;

	ck_assert_uint_lt(resident_bytes(), before + MIB);
	ck_assert_uint_eq(counters_of(pool).committed, 0);
	b = lease_one(pool, MIB);
	ck_assert_uint_eq(counters_of(pool).committed, POOL_CHUNK);
	ck_assert_uint_lt(resident_bytes(), before + MIB);
	memset(b.data, 1, b.size);
	ck_assert_uint_ge(resident_bytes(), before + MIB);
	pool_return(pool, &b);
	pool_free(pool);
}
END_TEST

START_TEST(test_zeros)
{
	struct pool *pool = new_pool(4 * MIB);
	struct pool_buffer small = lease_one(pool, 1), large = lease_one(pool, MIB);

	ck_assert(all_bytes(small.data, small.size, 0));
	ck_assert(all_bytes(large.data, large.size, 0));
	pool_return(pool, &small);
	pool_return(pool, &large);
	ck_assert_ptr_null(small.data);
	pool_return(pool, &small); /* of nothing: nothing happens */
	ck_assert_uint_eq(counters_of(pool).returns, 2);
	pool_free(pool);
}
END_TEST

START_TEST(test_reuse)
{
	struct pool *pool = new_pool(16 * MIB);
	struct pool_buffer b[3], again;
	void *data[3];

	stay_here();
	for (uint32_t size = POOL_MIN_SIZE; size <= POOL_MAX_SIZE; size *= 2) {
		for (int i = 0; i < 3; i++) {
			b[i] = lease_one(pool, size);
			data[i] = b[i].data;
		}
		return_all(pool, b, 3);
		for (int i = 2; i >= 0; i--) {
			b[i] = lease_one(pool, size);
			ck_assert_ptr_eq(b[i].data, data[i]);
		}
		return_all(pool, b, 3);
		ck_assert_int_eq(pool_lease(pool, size, 2, b, 0, NULL), 0);
		ck_assert_ptr_eq(b[0].data, data[2]);
		ck_assert_ptr_eq(b[1].data, data[1]);
		again = lease_one(pool, size);
		ck_assert_ptr_eq(again.data, data[0]);
		return_all(pool, b, 2);
		pool_return(pool, &again);
	}
	pool_free(pool);
}
END_TEST

/* Far more than a magazine holds comes and goes, and each is there once. */
START_TEST(test_all_out)
{
	struct pool *pool = new_pool(2 * MIB);
	static struct pool_buffer b[2 * ALL_4K + 1];

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 2 * ALL_4K; i++) {
			b[i] = lease_one(pool, 4096);
			*(int *)b[i].data = i;
		}
		ck_assert_int_eq(pool_try(pool, 4096, &b[2 * ALL_4K]), -EAGAIN);
		ck_assert_int_eq(pool_try(pool, MIB, &b[2 * ALL_4K]), -EAGAIN);
		ck_assert_uint_eq(counters_of(pool).leased, 2 * MIB);
		for (int i = 0; i < 2 * ALL_4K; i++)
			ck_assert_int_eq(*(int *)b[i].data, i);
		return_all(pool, b, 2 * ALL_4K);
		ck_assert_uint_eq(counters_of(pool).leased, 0);
	}
	ck_assert_uint_eq(counters_of(pool).leases, 20 * ALL_4K);
	ck_assert_uint_eq(counters_of(pool).returns, 20 * ALL_4K);
	ck_assert_uint_eq(counters_of(pool).peak, 2 * MIB);
	pool_free(pool);
}
END_TEST

/* A chunk with one lease out keeps its class; without, it serves whoever comes. */
START_TEST(test_change_class)
{
	struct pool *pool = new_pool(2 * MIB);
	struct pool_buffer small, more, large[2];

	small = lease_one(pool, 4096);
	memset(small.data, 7, small.size);
	large[0] = lease_one(pool, MIB);
	ck_assert_int_eq(pool_try(pool, MIB, &large[1]), -EAGAIN);
	ck_assert_int_eq(pool_try(pool, 8192, &more), -EAGAIN);
	more = lease_one(pool, 4096);
	memset(large[0].data, 9, MIB);
	ck_assert(all_bytes(small.data, small.size, 7));
	pool_return(pool, &small);
	ck_assert_int_eq(pool_try(pool, MIB, &large[1]), -EAGAIN);
	pool_return(pool, &more);
	large[1] = lease_one(pool, MIB);
	ck_assert_uint_ne(large[0].chunk, large[1].chunk);
	return_all(pool, large, 2);
	for (uint32_t size = POOL_MIN_SIZE; size <= POOL_MAX_SIZE; size *= 2) {
		static struct pool_buffer b[2 * ALL_4K];

		ck_assert_int_eq(pool_lease(pool, size, 2 * MIB / size, b, 0, NULL), 0);
		return_all(pool, b, 2 * MIB / size);
	}
	ck_assert_uint_eq(counters_of(pool).committed, 2 * MIB);
	pool_free(pool);
}
END_TEST

START_TEST(test_all_or_nothing)
{
	struct pool *pool = new_pool(4 * MIB);
	struct pool_buffer one = lease_one(pool, MIB), b[4] = { 0 };

	ck_assert_int_eq(pool_lease(pool, MIB, 4, b, 0, NULL), -EAGAIN);
	ck_assert_int_eq(pool_lease(pool, MIB, 4, b, 20 * MSEC, NULL), -ETIMEDOUT);
	ck_assert_uint_eq(counters_of(pool).leased, MIB);
	ck_assert_uint_eq(counters_of(pool).timeouts, 1);
	ck_assert_int_eq(pool_lease(pool, MIB, 3, b, 0, NULL), 0);
	return_all(pool, b, 3);
	pool_return(pool, &one);
	ck_assert_int_eq(pool_lease(pool, MIB, 4, b, 0, NULL), 0);
	return_all(pool, b, 4);
	pool_free(pool);
}
END_TEST

static bool is_mapped(void *p)
{
	unsigned char there;

	return mincore(p, 4096, &there) == 0;
}

/* Random leases of all sizes; a map of the pool says whose each unit is. */
START_TEST(test_random)
{
	enum { SLOTS = 300 };
	static struct pool_buffer slot[SLOTS];
	static unsigned stamp[SLOTS];
	struct pool *pool = new_pool(8 * MIB);
	unsigned state = 1, next = 1;

	for (int round = 0; round < 200000; round++) {
		unsigned i, *p;

		state = state * 1664525 + 1013904223;
		i = (state >> 8) % SLOTS;
		p = slot[i].data;
		if (p) {
			ck_assert_uint_eq(p[0], stamp[i]);
			ck_assert_uint_eq(p[slot[i].size / sizeof(*p) - 1], stamp[i]);
			pool_return(pool, &slot[i]);
		} else if (pool_try(pool, (size_t)4096 << (state >> 20) % 9, &slot[i]) == 0) {
			stamp[i] = next++;
			p = slot[i].data;
			p[0] = p[slot[i].size / sizeof(*p) - 1] = stamp[i];
		}
		if (round % 1000 == 0)
			pool_trim(pool, round % 2000 == 0);
	}
	return_all(pool, slot, SLOTS);
	ck_assert_uint_eq(counters_of(pool).leased, 0);
	ck_assert_uint_eq(pool_trim(pool, true), counters_of(pool).peak);
	pool_free(pool);
}
END_TEST

START_TEST(test_outlives)
{
	struct pool *pool = new_pool(4 * MIB);
	struct pool_buffer a = lease_one(pool, 4096), b = lease_one(pool, MIB), c;
	char *data = a.data;

	ck_assert_ptr_null(pool_free(pool));
	ck_assert_int_eq(pool_try(pool, 4096, &c), -ESHUTDOWN);
	ck_assert_int_eq(pool_lease(pool, 4096, 1, &c, UINT64_MAX, NULL), -ESHUTDOWN);
	ck_assert_uint_eq(pool_trim(pool, true), 0);
	memset(b.data, 3, b.size);
	pool_return(pool, &b);
	memset(a.data, 4, a.size);
	ck_assert(is_mapped(data));
	pool_return(pool, &a);
	ck_assert(!is_mapped(data));
}
END_TEST

RUN_CASES("pool", test_class, test_refused, test_size, test_bad_lease, test_alignment, test_lazy,
	  test_zeros, test_reuse, test_all_out, test_change_class, test_all_or_nothing, test_random,
	  test_outlives)
