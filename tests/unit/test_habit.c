/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a big directory is listed without attributes. */
#include <check.h>
#include <stdio.h>

#include "fs/habit.h"
#include "suite.h"

#define MS 1000000ull
#define ENTRIES 10000u
#define ALL (ENTRIES / HABIT_SAMPLE)

START_TEST(names_only)
{
	struct habit h;
	uint64_t now = 1;

	habit_init(&h, ENTRIES);
	ck_assert(!habit_next(&h, now, 0));
	/* What was known before has to expire first. */
	ck_assert(!habit_next(&h, now + 100 * MS, 0));
	ck_assert(!habit_next(&h, now + HABIT_WAIT - 1, 0));
	ck_assert(habit_next(&h, now + HABIT_WAIT, 0));
	for (int i = 0; i < 1000; i++)
		ck_assert(habit_next(&h, now + HABIT_WAIT, 0));
	/* A few that are opened by name say nothing. */
	ck_assert(habit_next(&h, now + HABIT_WAIT, ALL / HABIT_FEW - 1));
}
END_TEST

START_TEST(attributes)
{
	struct habit h;
	uint64_t now = 1;

	habit_init(&h, ENTRIES);
	for (int i = 0; i < 100; i++, now += 300 * MS) /* the kernel asks once a second */
		ck_assert(!habit_next(&h, now, i % 3 == 2 ? ALL : 0));
}
END_TEST

/* Bare listings between two that want attributes; each time wrong makes it rarer. */
static unsigned until_bare(struct habit *h, uint64_t *now)
{
	unsigned n = 1;

	while (!habit_next(h, *now += 2 * HABIT_WAIT, 0))
		n++;
	return n;
}

START_TEST(both_by_turns)
{
	struct habit h;
	uint64_t now = 1;
	unsigned wanted = 1;

	habit_init(&h, ENTRIES);
	ck_assert_uint_eq(until_bare(&h, &now), 2);
	for (int i = 0; i < 10; i++) {
		ck_assert(!habit_next(&h, now += MS, ALL));
		wanted = wanted < HABIT_PATIENCE ? wanted * 2 : HABIT_PATIENCE;
		ck_assert_uint_eq(until_bare(&h, &now), wanted);
	}
	/* What goes well for long is forgiven. */
	for (unsigned i = 0; i < 2 * HABIT_PATIENCE; i++)
		ck_assert(habit_next(&h, now += MS, 0));
	ck_assert(!habit_next(&h, now += MS, ALL));
	ck_assert_uint_le(until_bare(&h, &now), 2);
}
END_TEST

START_TEST(sample)
{
	unsigned n = 0;
	char name[32];

	for (unsigned i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "file-%u.c", i);
		n += habit_samples(name);
	}
	ck_assert_uint_ge(n, ALL / 2);
	ck_assert_uint_le(n, ALL * 2);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("habit");

	tcase_add_test(tcase, names_only);
	tcase_add_test(tcase, attributes);
	tcase_add_test(tcase, both_by_turns);
	tcase_add_test(tcase, sample);
	return run_case("habit", tcase);
}
