/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log's limit: a burst, then silence, then how much was left out. */
#include <check.h>
#include <stdlib.h>

#include "suite.h"
#include "util/log.h"

#define START 1000u

START_TEST(test_burst)
{
	struct log_limit limit = { 0 };
	uint32_t left_out = 1;

	for (unsigned i = 0; i < LOG_BURST; i++) {
		ck_assert(log_admits(&limit, START + i, &left_out));
		ck_assert_uint_eq(left_out, 0);
	}
	for (unsigned i = 0; i < 7; i++)
		ck_assert(!log_admits(&limit, START + LOG_PERIOD_NS - 1, &left_out));
	ck_assert(log_admits(&limit, START + LOG_PERIOD_NS, &left_out));
	ck_assert_uint_eq(left_out, 7);
	ck_assert(log_admits(&limit, START + LOG_PERIOD_NS, &left_out));
	ck_assert_uint_eq(left_out, 0);
}
END_TEST

START_TEST(test_seldom)
{
	struct log_limit limit = { 0 };
	uint32_t left_out;

	for (uint64_t now = START; now < 1000 * LOG_PERIOD_NS; now += LOG_PERIOD_NS / 2) {
		ck_assert(log_admits(&limit, now, &left_out));
		ck_assert_uint_eq(left_out, 0);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("limit");

	tcase_add_test(tc, test_burst);
	tcase_add_test(tc, test_seldom);
	return run_case("log", tc);
}
