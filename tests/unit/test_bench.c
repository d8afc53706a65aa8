/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/bench.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "suite.h"

static int near(double a, double b)
{
	return fabs(a - b) < 1e-9;
}

static struct bench_cell cell_of(double seconds)
{
	return (struct bench_cell){ .seconds = { seconds, seconds * 2, seconds / 2 }, .count = 3 };
}

/* Reading the tree: cold native, cold mounted, hot native, hot mounted. */
static struct bench_result result_of(double cn, double cm, double hn, double hm)
{
	struct bench_result r = { .cold = true, .cold_share = 1 };

	r.cell[BENCH_TREE][BENCH_COLD][BENCH_NATIVE] = cell_of(cn);
	r.cell[BENCH_TREE][BENCH_COLD][BENCH_MOUNTED] = cell_of(cm);
	r.cell[BENCH_TREE][BENCH_HOT][BENCH_NATIVE] = cell_of(hn);
	r.cell[BENCH_TREE][BENCH_HOT][BENCH_MOUNTED] = cell_of(hm);
	return r;
}

START_TEST(test_median)
{
	struct bench_cell c = { .count = 0 };

	ck_assert(bench_median(&c) < 0);
	ck_assert(bench_spread(&c) < 0);
	c = (struct bench_cell){ .seconds = { 5 }, .count = 1 };
	ck_assert(near(bench_median(&c), 5) && near(bench_spread(&c), 0));
	c = (struct bench_cell){ .seconds = { 5, 1, 3, 2, 4 }, .count = 5 };
	ck_assert(near(bench_median(&c), 3) && near(bench_spread(&c), 4));
	c.count = 4;
	ck_assert(near(bench_median(&c), 2.5));
}
END_TEST

START_TEST(test_break_even)
{
	struct bench_result r = result_of(10, 2, 1, 3); /* saves 8, costs 2 */

	ck_assert(near(bench_gain(&r, BENCH_TREE, BENCH_COLD), 5));
	ck_assert(near(bench_break_even(&r), 0.2));
	r = result_of(10, 2, 1, 1); /* costs nothing */
	ck_assert(near(bench_break_even(&r), 0));
	r = result_of(10, 12, 1, 2); /* saves nothing */
	ck_assert(bench_break_even(&r) > 1);
	memset(&r, 0, sizeof(r));
	ck_assert(bench_break_even(&r) < 0);
	ck_assert(bench_gain(&r, BENCH_STREAM, BENCH_HOT) < 0);
}
END_TEST

START_TEST(test_verdict)
{
	struct bench_result r = result_of(10, 2, 1, 3);
	struct bench_verdict v = bench_verdict(&r);

	ck_assert(v.mount && strncmp(v.text, "mount this", 10) == 0);
	r.cold_share = 0.1;
	v = bench_verdict(&r);
	ck_assert(!v.mount && strstr(v.text, "yours: 10 %"));
	r = result_of(10, 10, 1, 3);
	v = bench_verdict(&r);
	ck_assert(!v.mount && strstr(v.text, "gains nothing here, because"));
	r.cell[BENCH_STREAM][BENCH_COLD][BENCH_NATIVE] = cell_of(9);
	r.cell[BENCH_STREAM][BENCH_COLD][BENCH_MOUNTED] = cell_of(3);
	v = bench_verdict(&r);
	ck_assert(v.mount && strstr(v.text, "3.0 times"));
	r.cold = false;
	v = bench_verdict(&r);
	ck_assert(!v.mount && strstr(v.text, "no verdict"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("bench");

	tcase_add_test(tc, test_median);
	tcase_add_test(tc, test_break_even);
	tcase_add_test(tc, test_verdict);
	return run_case("bench", tc);
}
