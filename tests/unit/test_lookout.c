/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lazy hand-over: who has the lead after a section, and when. No test asserts how long it took. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/lookout.h"
#include "suite.h"
#include "util/clock.h"

#define MSEC 1000000ull
#define START (1000000ull & ~63ull)
#define KIND 14u

START_TEST(steps)
{
	uint64_t wait_ns;

	ck_assert_int_eq(lookout_step(START | KIND, START, &wait_ns), LOOKOUT_WATCH);
	ck_assert_uint_eq(wait_ns, LOOKOUT_PATIENCE);
	/* Exactly when its patience ends, not a period later. */
	ck_assert_int_eq(lookout_step(START | KIND, START + 500000, &wait_ns), LOOKOUT_WATCH);
	ck_assert_uint_eq(wait_ns, LOOKOUT_PATIENCE - 500000);
	ck_assert_int_eq(lookout_step(START | KIND, START + LOOKOUT_PATIENCE, &wait_ns),
			 LOOKOUT_TAKE);
	/* Clocks of two CPUs may differ a little. */
	ck_assert_int_eq(lookout_step(START | KIND, START - 64, &wait_ns), LOOKOUT_WATCH);
	ck_assert_uint_eq(wait_ns, LOOKOUT_PATIENCE);
}
END_TEST

START_TEST(steps_closed)
{
	uint64_t wait_ns, closed = LOOKOUT_CLOSED | START | KIND;

	ck_assert_int_eq(lookout_step(closed, START + 1, &wait_ns), LOOKOUT_WATCH);
	ck_assert_uint_eq(wait_ns, LOOKOUT_PATIENCE);
	ck_assert_int_eq(lookout_step(closed, START + LOOKOUT_LINGER - 1, &wait_ns), LOOKOUT_WATCH);
	ck_assert_int_eq(lookout_step(closed, START + LOOKOUT_LINGER, &wait_ns), LOOKOUT_SLEEP);
	ck_assert_int_eq(lookout_step(LOOKOUT_CLOSED, 1ull << 40, &wait_ns), LOOKOUT_SLEEP);
}
END_TEST

struct lead {
	_Atomic unsigned handed_over;
	_Atomic bool waits;
};

static bool waits(void *argument)
{
	return atomic_load(&((struct lead *)argument)->waits);
}

static void hand_over(void *argument)
{
	atomic_fetch_add(&((struct lead *)argument)->handed_over, 1);
}

static const struct lookout_calls calls = {waits, hand_over};

/* Polls: the lookout's thread may be kept from running for as long as it pleases the machine. */
static void wait_for(const _Atomic unsigned *count, unsigned wanted)
{
	for (unsigned i = 0; i < 60000 && atomic_load(count) < wanted; i++)
		usleep(1000);
	ck_assert_uint_eq(atomic_load(count), wanted);
}

static struct lookout *start(struct lead *lead)
{
	struct lookout *l = calloc(1, sizeof(*l));

	ck_assert_ptr_nonnull(l);
	ck_assert_int_eq(lookout_start(l, &calls, lead), 0);
	return l;
}

START_TEST(taken_when_it_lasts)
{
	struct lead lead = {.waits = true};
	struct lookout *l = start(&lead);
	uint64_t now = clock_ns();
	uint64_t section = lookout_open(l, KIND, now);

	ck_assert_uint_ne(section, 0);
	wait_for(&lead.handed_over, 1);
	ck_assert(!lookout_close(l, section));
	/* Its kind hands over at once from then on, and no other does. */
	ck_assert_uint_eq(lookout_open(l, KIND, now + LOOKOUT_PATIENCE), 0);
	ck_assert_uint_ne(lookout_open(l, KIND + 1, now + LOOKOUT_PATIENCE), 0);
	ck_assert_uint_ne(lookout_open(l, KIND, now + 3600000 * MSEC), 0);
	lookout_stop(l);
	free(l);
}
END_TEST

START_TEST(preempted_is_not_eager)
{
	struct lead lead = {.waits = false};
	struct lookout *l = start(&lead);
	uint64_t section = lookout_open(l, KIND, clock_ns());

	wait_for(&lead.handed_over, 1);
	ck_assert(!lookout_close(l, section));
	ck_assert_uint_ne(lookout_open(l, KIND, clock_ns()), 0);
	lookout_stop(l);
	free(l);
}
END_TEST

/* Also from its sleep. */
START_TEST(woken)
{
	struct lead lead = {.waits = true};
	struct lookout *l = start(&lead);
	uint64_t section;

	for (unsigned i = 0; i < 60000 && !atomic_load(&l->asleep); i++)
		usleep(1000);
	ck_assert(atomic_load(&l->asleep));
	section = lookout_open(l, KIND, clock_ns());
	wait_for(&lead.handed_over, 1);
	ck_assert(!lookout_close(l, section));
	lookout_stop(l);
	free(l);
}
END_TEST

/* The lead is either kept or handed over, never both and never neither. */
START_TEST(one_lead)
{
	struct lead lead = {.waits = false};
	struct lookout *l = start(&lead);
	unsigned lost = 0;

	for (unsigned i = 0; i < 3000; i++) {
		uint64_t section = lookout_open(l, i % LOOKOUT_KINDS, clock_ns());

		if (i % 10 == 0)
			usleep(LOOKOUT_PATIENCE / 1000 - 100 + i % 7 * 40);
		if (!lookout_close(l, section))
			lost++;
	}
	lookout_stop(l);
	ck_assert_uint_eq(atomic_load(&lead.handed_over), lost);
	free(l);
}
END_TEST

START_TEST(waited_by_itself)
{
	struct lookout l = {0};

	lookout_waited(&l, KIND, 1000 * MSEC);
	ck_assert_uint_eq(lookout_open(&l, KIND, 1000 * MSEC), 0);
	ck_assert_uint_eq(lookout_open(&l, KIND, 1000 * MSEC + LOOKOUT_EAGER - 1), 0);
	ck_assert_uint_ne(lookout_open(&l, KIND, 1000 * MSEC + LOOKOUT_EAGER), 0);
	/* Opcodes that we don't know share a kind. */
	lookout_waited(&l, 4096, 1000 * MSEC);
	ck_assert_uint_eq(lookout_open(&l, 5000, 1000 * MSEC), 0);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("lookout");

	tcase_set_timeout(tcase, 100);
	tcase_add_test(tcase, steps);
	tcase_add_test(tcase, steps_closed);
	tcase_add_test(tcase, taken_when_it_lasts);
	tcase_add_test(tcase, preempted_is_not_eager);
	tcase_add_test(tcase, woken);
	tcase_add_test(tcase, one_lead);
	tcase_add_test(tcase, waited_by_itself);
	return run_case("lookout", tcase);
}
