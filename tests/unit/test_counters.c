/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats/counters.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "stats/stats.h"
#include "suite.h"

/* Each counter has a name of its own, fit for JSON and Prometheus, and says what it means. */
START_TEST(test_names)
{
	const char *seen[256];
	unsigned n = 0;

	for (unsigned g = 0; g < STATS_GROUPS; g++) {
		const struct stats_group *group = &stats_groups[g];
		unsigned used = 0;

		for (unsigned i = 0; i < group->count; i++) {
			const char *name = group->counter[i].name;

			if (!name)
				continue;
			used++;
			ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
					  strlen(name));
			ck_assert_uint_lt(strlen(group->counter[i].meaning), 75);
			ck_assert_ptr_null(strpbrk(group->counter[i].meaning, "\n\\\""));
			for (unsigned j = 0; j < n; j++)
				ck_assert_str_ne(name, seen[j]);
			ck_assert_uint_lt(n, 256);
			seen[n++] = name;
		}
		ck_assert_uint_gt(used, 0);
		ck_assert_uint_lt(used, group->count);
	}
}
END_TEST

START_TEST(test_values)
{
	struct stats_snapshot s = { .version = STATS_VERSION };

	s.gauges[STATS_FDS] = 1;
	s.bytes[STATS_FETCHED] = 2;
	s.events[STATS_GIVEN_UP] = 3;
	s.times[STATS_WAITED] = 4;
	ck_assert_uint_eq(stats_value(&s, &stats_groups[0], STATS_FDS), 1);
	ck_assert_uint_eq(stats_value(&s, &stats_groups[1], STATS_FETCHED), 2);
	ck_assert_uint_eq(stats_value(&s, &stats_groups[2], STATS_GIVEN_UP), 3);
	ck_assert_uint_eq(stats_value(&s, &stats_groups[3], STATS_WAITED), 4);
}
END_TEST

static int near(double a, double b)
{
	return fabs(a - b) < 1e-6 * (fabs(b) + 1);
}

START_TEST(test_hit_rate)
{
	struct stats_snapshot s = { .version = STATS_VERSION };
	struct stats_guesses g = stats_guesses(&s);

	ck_assert(stats_hit_rate(&g) < 0);
	s.events[STATS_STREAM_USED] = 5;
	s.events[STATS_GUESSES_USED] = 1;
	s.events[STATS_GUESSES_LATE] = 1;
	s.events[STATS_STREAM_WASTED] = 1;
	g = stats_guesses(&s);
	ck_assert_uint_eq(g.used, 6);
	ck_assert_uint_eq(g.late, 1);
	ck_assert_uint_eq(g.wasted, 1);
	ck_assert(near(stats_hit_rate(&g), 0.75));
}
END_TEST

START_TEST(test_not_waited)
{
	struct stats_snapshot s = { .version = STATS_VERSION };

	s.events[STATS_GUESSES_USED] = 100;
	ck_assert(stats_not_waited(&s) < 0); /* no request has waited yet */
	s.events[STATS_HANDED_OVER] = 4;
	s.times[STATS_WAITED] = 8000;
	ck_assert(near(stats_not_waited(&s), 100 * 2000.0));
	s.gauges[STATS_LATENCY] = 1000000; /* measured: goes before */
	ck_assert(near(stats_not_waited(&s), 100 * 1e6));
	s.bytes[STATS_FETCHED] = 64 << 20; /* nothing of it known to be used */
	ck_assert(near(stats_not_waited(&s), 100 * 1e6));
	s.events[STATS_STREAM_USED] = 3;
	s.events[STATS_STREAM_WASTED] = 1;
	ck_assert(near(stats_not_waited(&s), (100 + 384) * 1e6));
}
END_TEST

START_TEST(test_percentile)
{
	uint64_t histogram[STATS_BUCKETS] = { 0 };

	ck_assert_uint_eq(stats_percentile(histogram, 50), 0);
	ck_assert_uint_eq(stats_percentile(histogram, 100), 0);
	histogram[10] = 99;
	histogram[20] = 1;
	ck_assert_uint_eq(stats_percentile(histogram, 50), stats_bucket_edge(10));
	ck_assert_uint_eq(stats_percentile(histogram, 99), stats_bucket_edge(10));
	ck_assert_uint_eq(stats_percentile(histogram, 100), stats_bucket_edge(20));
	histogram[10] = 0;
	ck_assert_uint_eq(stats_percentile(histogram, 1), stats_bucket_edge(20));
	for (unsigned i = 1; i < STATS_BUCKETS; i++)
		ck_assert_uint_gt(stats_bucket_edge(i), stats_bucket_edge(i - 1));
}
END_TEST

/* Of all requests that a program waits for, and only those. */
START_TEST(test_latency_of_all)
{
	struct stats stats = { NULL };
	struct stats_block *block = stats_block_new(&stats);
	struct stats_snapshot s;
	uint64_t count = 0;

	stats_request(block, 1, 0, 1000);  /* LOOKUP */
	stats_request(block, 14, 0, 1000); /* OPEN */
	stats_request(block, 18, 0, 1000); /* RELEASE */
	stats_request(block, 2, 0, 1000);  /* FORGET */
	stats_add(&block->times[STATS_WAITED], 77);
	stats_snapshot(&stats, &s);
	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		count += s.latency[i];
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(s.times[STATS_WAITED], 77);
	ck_assert_uint_eq(stats_percentile(s.latency, 100), s.op[1].max_ns);
	stats_deinit(&stats);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("counters");

	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_values);
	tcase_add_test(tc, test_hit_rate);
	tcase_add_test(tc, test_not_waited);
	tcase_add_test(tc, test_percentile);
	tcase_add_test(tc, test_latency_of_all);
	return run_case("counters", tc);
}
