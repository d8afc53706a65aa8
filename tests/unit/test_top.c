/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/top.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

static struct stats_snapshot before, now;
static struct top_history history;

static void fill(void)
{
	memset(&before, 0, sizeof(before));
	before.version = now.version = STATS_VERSION;
	before.uptime_ns = 1000000000;
	now = before;
	now.uptime_ns = 3000000000; /* two seconds later */
	now.op[1].count = 400;
	now.op[1].total_ns = 400 * 5000;
	now.op[14].count = 100;
	now.latency[10] = 500;
	now.bytes[STATS_READ_RING] = 24000000;
	now.events[STATS_GUESSES_USED] = 3;
	now.events[STATS_GUESSES_LATE] = 1;
	memset(&history, 0, sizeof(history));
	for (int i = 0; i < TOP_HISTORY + 10; i++)
		top_remember(&history, &before, &now);
}

static char *frame_of(unsigned rows, unsigned columns, bool colour, bool live)
{
	struct top_view view = {
		.mount = "/fast",
		.source = "/data",
		.before = &before,
		.now = &now,
		.history = &history,
		.rows = rows,
		.columns = columns,
		.utf8 = true,
		.colour = colour,
		.live = live,
	};
	char *text = top_frame(&view);

	ck_assert_ptr_nonnull(text);
	return text;
}

START_TEST(test_numbers)
{
	char *text;

	fill();
	text = frame_of(24, 80, false, false);
	ck_assert_ptr_nonnull(strstr(text, "requests        250/s"));
	ck_assert_ptr_nonnull(strstr(text, "12 MB/s"));
	ck_assert_ptr_nonnull(strstr(text, "hit rate 75 %"));
	ck_assert_ptr_nonnull(strstr(text, "LOOKUP                      200         5.0 us"));
	ck_assert(strstr(text, "LOOKUP") < strstr(text, "OPEN ")); /* the most frequent first */
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_null(strstr(text, "q quit"));
	free(text);
}
END_TEST

/* Whatever the size: no line too many, none too long. */
START_TEST(test_sizes)
{
	static const unsigned sizes[][2] = { { 24, 80 }, { 1, 1 },    { 3, 10 },
					     { 12, 40 }, { 60, 200 }, { 5, 300 } };

	fill();
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = frame_of(sizes[i][0], sizes[i][1], false, true);
		unsigned lines = 0, column = 0;

		for (const char *c = text; *c; c++) {
			if (*c == '\n') {
				lines++;
				column = 0;
			} else if (((unsigned char)*c & 0xc0) != 0x80) {
				ck_assert_uint_lt(column++, sizes[i][1]);
			}
		}
		ck_assert_uint_eq(lines, sizes[i][0]);
		free(text);
	}
}
END_TEST

START_TEST(test_colour)
{
	char *text;

	fill();
	text = frame_of(24, 80, true, true);
	ck_assert_ptr_nonnull(strstr(text, "\033[7m"));
	ck_assert_ptr_nonnull(strstr(text, "q quit"));
	free(text);
}
END_TEST

START_TEST(test_history)
{
	fill();
	ck_assert_uint_eq(history.count, TOP_HISTORY);
	ck_assert_uint_gt(history.p50_ns[TOP_HISTORY - 1], 0);
	top_remember(&history, &now, &now); /* nothing happened */
	ck_assert_uint_eq(history.count, TOP_HISTORY);
	ck_assert_uint_eq(history.p50_ns[TOP_HISTORY - 1], 0);
	ck_assert_uint_gt(history.p50_ns[TOP_HISTORY - 2], 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("top");

	tcase_add_test(tc, test_numbers);
	tcase_add_test(tc, test_sizes);
	tcase_add_test(tc, test_colour);
	tcase_add_test(tc, test_history);
	return run_case("top", tc);
}
