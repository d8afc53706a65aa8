/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats/stats.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "stats/opname.h"
#include "suite.h"

#define ROWS(a) ((int)(sizeof(a) / sizeof((a)[0])))

#define THREADS 4
#define ROUNDS	100000

/* A bucket is a quarter of a power of two, so its upper edge is at most 25 % above what is in it. */
#define ASSERT_NEAR(reported, real)                                                         \
	do {                                                                                \
		ck_assert_uint_ge((reported), (real));                                      \
		ck_assert_uint_le((reported), (real) < 256 ? 320 : (uint64_t)(real)*5 / 4); \
	} while (0)

static struct stats_snapshot snapshot_of(const struct stats *stats)
{
	struct stats_snapshot s;

	memset(&s, 0xa5, sizeof(s));
	stats_snapshot(stats, &s);
	return s;
}

START_TEST(test_empty)
{
	struct stats stats = { NULL };
	struct stats_snapshot s = snapshot_of(&stats);

	ck_assert_uint_eq(s.version, STATS_VERSION);
	ck_assert_uint_eq(s.size, sizeof(s));
	for (int i = 0; i < STATS_OPS; i++) {
		ck_assert_uint_eq(s.op[i].count, 0);
		ck_assert_uint_eq(s.op[i].p50_ns, 0);
		ck_assert_uint_eq(s.op[i].max_ns, 0);
	}
	stats_deinit(&stats);
}
END_TEST

/* Uniform from 1 to 1,000,000 ns in a scrambled order. */
START_TEST(test_uniform)
{
	enum { COUNT = 1000000 };
	struct stats stats = { NULL };
	struct stats_block *block = stats_block_new(&stats);
	struct stats_snapshot s;

	for (uint64_t i = 0; i < COUNT; i++)
		stats_request(block, 15, 0, i * 7919 % COUNT + 1);
	s = snapshot_of(&stats);
	ck_assert_uint_eq(s.op[15].count, COUNT);
	ck_assert_uint_eq(s.op[15].failed, 0);
	ck_assert_uint_eq(s.op[15].total_ns, (uint64_t)COUNT * (COUNT + 1) / 2);
	ASSERT_NEAR(s.op[15].p50_ns, 500000u);
	ASSERT_NEAR(s.op[15].p90_ns, 900000u);
	ASSERT_NEAR(s.op[15].p99_ns, 990000u);
	ASSERT_NEAR(s.op[15].max_ns, 1000000u);
	stats_deinit(&stats);
}
END_TEST

/* 90 fast, 9 middling, 1 slow: a percentile at the very edge of a group belongs to that group. */
START_TEST(test_steps)
{
	struct stats stats = { NULL };
	struct stats_block *block = stats_block_new(&stats);
	struct stats_snapshot s;

	for (int i = 0; i < 100; i++)
		stats_request(block, 1, 0, i < 90 ? 1000 : i < 99 ? 50000 : 3000000);
	s = snapshot_of(&stats);
	ASSERT_NEAR(s.op[1].p50_ns, 1000u);
	ASSERT_NEAR(s.op[1].p90_ns, 1000u);
	ASSERT_NEAR(s.op[1].p99_ns, 50000u);
	ASSERT_NEAR(s.op[1].max_ns, 3000000u);
	stats_deinit(&stats);
}
END_TEST

static const uint64_t values[] = {
	0,    1,    255,      256,   257,	319,	    320,	511,	       512,
	1023, 1024, 1u << 20, 65535, 999999999, 1000000000, 1ull << 31, 3221225471ull,
};

START_TEST(test_single_value)
{
	struct stats stats = { NULL };
	struct stats_block *block = stats_block_new(&stats);
	uint64_t ns = values[_i];
	struct stats_snapshot s;

	stats_request(block, 3, 0, ns);
	s = snapshot_of(&stats);
	ASSERT_NEAR(s.op[3].p50_ns, ns);
	ck_assert_uint_eq(s.op[3].p50_ns, s.op[3].max_ns);
	ck_assert_uint_eq(s.op[3].p50_ns, s.op[3].p99_ns);
	stats_deinit(&stats);
}
END_TEST

/* What doesn't fit is the largest number there is, not what is left of it. */
START_TEST(test_saturation)
{
	static const uint64_t large[] = { 4294967295ull,  4294967296ull, 60000000000ull,
					  68719476736ull, 1ull << 40,	 UINT64_MAX };

	for (int i = 0; i < ROWS(large); i++) {
		struct stats stats = { NULL };
		struct stats_snapshot s;

		stats_request(stats_block_new(&stats), 3, 0, large[i]);
		s = snapshot_of(&stats);
		ck_assert_uint_eq(s.op[3].max_ns, UINT32_MAX);
		ck_assert_uint_eq(s.op[3].p50_ns, UINT32_MAX);
		ck_assert_uint_eq(s.op[3].total_ns, large[i]);
		stats_deinit(&stats);
	}
}
END_TEST

START_TEST(test_errors)
{
	struct stats stats = { NULL };
	struct stats_block *block = stats_block_new(&stats);
	struct stats_snapshot s;

	stats_request(block, 1, 2, 100);
	stats_request(block, 1, 2, 100);
	stats_request(block, 1, 133, 100); /* EHWPOISON, the last that Linux has */
	stats_request(block, 1, 134, 100);
	stats_request(block, 1, 512, 100); /* ERESTARTSYS */
	stats_request(block, 1, 0, 100);
	stats_request(block, STATS_OPS - 1, 5, 100);
	stats_request(block, STATS_OPS, 5, 100); /* not an operation: nowhere */
	stats_request(block, 4096, 5, 100);
	s = snapshot_of(&stats);
	ck_assert_uint_eq(s.op[1].count, 6);
	ck_assert_uint_eq(s.op[1].failed, 5);
	ck_assert_uint_eq(s.errors[2], 2);
	ck_assert_uint_eq(s.errors[133], 1);
	ck_assert_uint_eq(s.errors[0], 2); /* those out of range */
	ck_assert_uint_eq(s.errors[5], 1);
	ck_assert_uint_eq(s.op[STATS_OPS - 1].failed, 1);
	stats_deinit(&stats);
}
END_TEST

/* Each thread has a block of its own; a reader looks on meanwhile. */
static void *count_thread(void *argument)
{
	struct stats *stats = argument;
	struct stats_block *block = stats_block_new(stats);

	for (unsigned i = 0; i < ROUNDS; i++) {
		stats_request(block, i % STATS_OPS, i % 10 ? 0 : 5, i);
		stats_add(&block->bytes[STATS_READ_CACHED], 4096);
		stats_add(&block->events[STATS_HANDED_OVER], 1);
	}
	return NULL;
}

START_TEST(test_threads)
{
	struct stats stats = { NULL };
	pthread_t thread[THREADS];
	struct stats_snapshot s;
	uint64_t total = 0, failed = 0, before = 0;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, count_thread, &stats), 0);
	for (int i = 0; i < 50; i++) {
		s = snapshot_of(&stats);
		ck_assert_uint_ge(s.events[STATS_HANDED_OVER], before);
		before = s.events[STATS_HANDED_OVER];
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	s = snapshot_of(&stats);
	for (int i = 0; i < STATS_OPS; i++) {
		total += s.op[i].count;
		failed += s.op[i].failed;
	}
	ck_assert_uint_eq(total, THREADS * ROUNDS);
	ck_assert_uint_eq(failed, THREADS * ROUNDS / 10);
	ck_assert_uint_eq(s.errors[5], THREADS * ROUNDS / 10);
	ck_assert_uint_eq(s.bytes[STATS_READ_CACHED], 4096ull * THREADS * ROUNDS);
	ck_assert_uint_eq(s.bytes[STATS_WRITE_CACHED], 0);
	ck_assert_uint_eq(s.events[STATS_HANDED_OVER], THREADS * ROUNDS);
	stats_deinit(&stats);
}
END_TEST

START_TEST(test_opname)
{
	ck_assert_str_eq(opname(1), "LOOKUP");
	ck_assert_str_eq(opname(26), "INIT");
	ck_assert_str_eq(opname(42), "BATCH_FORGET");
	ck_assert_str_eq(opname(51), "TMPFILE");
	ck_assert_str_eq(opname(52), "STATX");
	ck_assert_str_eq(opname(53), "COPY_FILE_RANGE_64");
	ck_assert_str_eq(opname(0), "?");
	ck_assert_str_eq(opname(7), "?");
	ck_assert_str_eq(opname(19), "?");
	ck_assert_str_eq(opname(54), "?");
	ck_assert_str_eq(opname(4096), "?");
	ck_assert_str_eq(opname(UINT32_MAX), "?");
	for (unsigned i = 1; i < STATS_OPS; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert(*opname(i) == '?' || strcmp(opname(i), opname(j)) != 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stats");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_empty);
	tcase_add_test(tc, test_uniform);
	tcase_add_test(tc, test_steps);
	tcase_add_loop_test(tc, test_single_value, 0, ROWS(values));
	tcase_add_test(tc, test_saturation);
	tcase_add_test(tc, test_errors);
	tcase_add_test(tc, test_threads);
	tcase_add_test(tc, test_opname);
	return run_case("stats", tc);
}
