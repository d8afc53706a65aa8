/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a big directory is listed without attributes. */
#include <check.h>
#include <stdio.h>

#include "fs/habit.h"
#include "suite.h"

#define MS	1000000ull
#define ENTRIES 10000u
#define ALL	(ENTRIES / HABIT_SAMPLE)

/* A whole listing. */
static bool list(struct habit *h, uint64_t now, uint32_t asked_before)
{
	bool bare = habit_next(h, now, asked_before);

	habit_listed(h);
	return bare;
}

START_TEST(names_only)
{
	struct habit h;
	uint64_t now = 1;

	habit_init(&h, ENTRIES);
	ck_assert(!list(&h, now, 0));
	/* What was known before has to expire first. */
	ck_assert(!list(&h, now + 100 * MS, 0));
	ck_assert(!list(&h, now + HABIT_WAIT - 1, 0));
	ck_assert(!list(&h, now + HABIT_WAIT, 0));
	ck_assert(list(&h, now + HABIT_WAIT + 1, 0));
	for (int i = 0; i < 1000; i++)
		ck_assert(list(&h, now + HABIT_WAIT + 1, 0));
	/* A few that are opened by name say nothing. */
	ck_assert(list(&h, now + HABIT_WAIT + 1, ALL / HABIT_FEW - 1));
}
END_TEST

START_TEST(attributes)
{
	struct habit h;
	uint64_t now = 1;

	habit_init(&h, ENTRIES);
	for (int i = 0; i < 100; i++, now += 300 * MS) /* the kernel asks once a second */
		ck_assert(!list(&h, now, i % 3 == 2 ? ALL : 0));
}
END_TEST

/* find, again at once while the kernel still knows all, and once more when it has forgotten. */
START_TEST(again_at_once)
{
	struct habit h;
	uint64_t now = 1;

	habit_init(&h, ENTRIES);
	ck_assert(!list(&h, now, 0));
	for (int i = 0; i < 100; i++, now += 2 * HABIT_WAIT) {
		ck_assert(!list(&h, now + 10 * MS, i > 0 ? ALL : 0));
		ck_assert(!list(&h, now + 20 * MS, 0));
		ck_assert(!list(&h, now + HABIT_WAIT + 20 * MS, 0));
	}
}
END_TEST

/* grep opens a directory twice and reads it once. */
START_TEST(opened_twice)
{
	struct habit h;
	uint64_t now = 1;

	habit_init(&h, ENTRIES);
	ck_assert(!list(&h, now, 0));
	for (int i = 0; i < 100; i++) {
		now += 2 * HABIT_WAIT;
		ck_assert(!habit_next(&h, now, i > 0 ? ALL : 0));
		ck_assert(!list(&h, now + MS, 0));
	}
}
END_TEST

/* Listings until one is bare, with all forgotten between them. */
static unsigned until_bare(struct habit *h, uint64_t *now)
{
	unsigned n = 1;

	while (!list(h, *now += 2 * HABIT_WAIT, 0))
		n++;
	return n;
}

START_TEST(both_by_turns)
{
	struct habit h;
	uint64_t now = 1;
	unsigned wanted = 1;

	habit_init(&h, ENTRIES);
	ck_assert_uint_eq(until_bare(&h, &now), 3);
	for (int i = 0; i < 10; i++) {
		ck_assert(!list(&h, now += MS, ALL));
		wanted = wanted < HABIT_PATIENCE ? wanted * 2 : HABIT_PATIENCE;
		ck_assert_uint_eq(until_bare(&h, &now),
				  wanted + 1); /* each time wrong makes it rarer */
	}
	/* What goes well for long is forgiven. */
	for (unsigned i = 0; i < 2 * HABIT_PATIENCE; i++)
		ck_assert(list(&h, now += MS, 0));
	ck_assert(!list(&h, now += MS, ALL));
	ck_assert_uint_le(until_bare(&h, &now), 3);
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
	tcase_add_test(tcase, again_at_once);
	tcase_add_test(tcase, opened_twice);
	tcase_add_test(tcase, both_by_turns);
	tcase_add_test(tcase, sample);
	return run_case("habit", tcase);
}
