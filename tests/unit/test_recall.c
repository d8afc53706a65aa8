/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens that come again: what was opened next the last time is told, and nothing else. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "prefetch/recall.h"
#include "suite.h"

#define RUN  300u
#define ROOM 32u

struct model {
	struct recall *recall;
	unsigned char told[100000];
	unsigned guesses, hits;
};

static struct model *model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));

	m->recall = recall_new();
	ck_assert(m->recall);
	return m;
}

static void model_free(struct model *m)
{
	ck_assert(!recall_free(m->recall));
	free(m);
}

static void open_file(struct model *m, uint64_t ino, uint32_t uid)
{
	const struct recall_file *next[ROOM];
	struct recall_file file = { .ino = ino, .uid = uid, .handle_length = 4 };
	unsigned n;

	m->hits += m->told[ino];
	n = recall_open(m->recall, &file, next, ROOM);
	if (n > ROOM)
		ck_abort();
	for (unsigned i = 0; i < n; i++) {
		if (next[i]->uid != uid || next[i]->handle_length != 4)
			ck_abort();
		m->told[next[i]->ino] = 1;
	}
	m->guesses += n;
}

/* The same files in no order of their own. */
static uint64_t nth(unsigned i)
{
	return 1 + (uint64_t)i * 7919 % 9973;
}

START_TEST(test_second_run)
{
	struct model *m = model_new();

	for (unsigned i = 0; i < RUN; i++)
		open_file(m, nth(i), 0);
	ck_assert_uint_eq(m->guesses, 0);
	for (unsigned i = 0; i < RUN; i++)
		open_file(m, nth(i), 0);
	ck_assert_uint_ge(m->hits, RUN - 4);
	ck_assert_uint_le(m->guesses, RUN);
	model_free(m);
}
END_TEST

/* make -j2: two compilers at once, whose opens mix in another way each time. */
START_TEST(test_mixed)
{
	struct model *m = model_new();
	unsigned a = 0, b = 0;

	srand(3);
	for (unsigned run = 0; run < 2; run++)
		for (a = b = 0; a + b < 2 * RUN;) {
			if (b == RUN || (a < RUN && rand() % 2))
				open_file(m, nth(a++), 0);
			else
				open_file(m, nth(2000 + b++), 0);
			if (a > b + 6)
				open_file(m, nth(2000 + b++), 0);
			if (b > a + 6)
				open_file(m, nth(a++), 0);
		}
	ck_assert_uint_ge(m->hits, 2 * RUN * 8 / 10);
	model_free(m);
}
END_TEST

START_TEST(test_other_user)
{
	struct model *m = model_new();

	for (unsigned i = 0; i < RUN; i++)
		open_file(m, nth(i), 0);
	for (unsigned i = 0; i < RUN; i++)
		open_file(m, nth(i), 1000);
	ck_assert_uint_eq(m->guesses, 0);
	model_free(m);
}
END_TEST

/* The same files, never in the same order: hardly anything may be guessed. */
START_TEST(test_no_order)
{
	struct model *m = model_new();

	srand((unsigned)_i);
	for (unsigned i = 0; i < 5000; i++)
		open_file(m, 1 + (unsigned)rand() % 2000, 0);
	ck_assert_uint_lt(m->guesses, 5000 / 10);
	model_free(m);
}
END_TEST

/* More than the log holds. */
START_TEST(test_overwritten)
{
	struct model *m = model_new();

	for (unsigned run = 0; run < 2; run++)
		for (unsigned i = 0; i < RECALL_LOG + 100; i++)
			open_file(m, 1 + i, 0);
	ck_assert_uint_eq(m->guesses, 0);
	model_free(m);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("recall");

	tcase_add_test(tc, test_second_run);
	tcase_add_test(tc, test_mixed);
	tcase_add_test(tc, test_other_user);
	tcase_add_loop_test(tc, test_no_order, 0, 5);
	tcase_add_test(tc, test_overwritten);
	return run_case("recall", tc);
}
