/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lazy hand-over: who has the lead after a section, and when. No test asserts how long it took. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/lookout.h"
#include "suite.h"
#include "util/clock.h"

#define MSEC  1000000ull
#define START (1000000ull & ~63ull)
#define KIND  14u

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
};

static void hand_over(void *argument)
{
	atomic_fetch_add(&((struct lead *)argument)->handed_over, 1);
}

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
	ck_assert_int_eq(lookout_start(l, hand_over, lead), 0);
	return l;
}

START_TEST(taken_when_it_lasts)
{
	struct lead lead = { 0 };
	struct lookout *l = start(&lead);
	uint64_t section = lookout_open(l, KIND, clock_ns());

	ck_assert_uint_ne(section, 0);
	wait_for(&lead.handed_over, 1);
	ck_assert(!lookout_close(l, section));
	/* Whether anybody gained by that is not known yet. */
	ck_assert_uint_ne(lookout_open(l, KIND, clock_ns()), 0);
	lookout_stop(l);
	free(l);
}
END_TEST

/* Also from its sleep. */
START_TEST(woken)
{
	struct lead lead = { 0 };
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
	struct lead lead = { 0 };
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

static bool is_eager(struct lookout *l, unsigned kind, uint64_t now)
{
	uint64_t section = lookout_open(l, kind, now);

	if (section)
		lookout_close(l, section);
	return !section;
}

/* A lookout that never interferes. */
static const struct lookout quiet = { .section = LOOKOUT_CLOSED, .running = true };

/* Who waits while others are at work lets them have the lead, from the next request on. */
START_TEST(others_wait_too)
{
	struct lookout l = quiet;

	lookout_ended(&l, KIND, 1000 * MSEC, 2 * LOOKOUT_WAIT, LOOKOUT_OTHERS, false);
	ck_assert(is_eager(&l, KIND, 1000 * MSEC));
	ck_assert(!is_eager(&l, KIND + 1, 1000 * MSEC));
	ck_assert(is_eager(&l, KIND, 1000 * MSEC + LOOKOUT_EAGER - 1));
	ck_assert(!is_eager(&l, KIND, 1000 * MSEC + LOOKOUT_EAGER));
	/* Opcodes that we don't know share a kind. */
	lookout_ended(&l, 4096, 1000 * MSEC, 2 * LOOKOUT_WAIT, LOOKOUT_OTHERS, false);
	ck_assert(is_eager(&l, 5000, 1000 * MSEC));
}
END_TEST

/* A single program, however long it waits, and who was only preempted. */
START_TEST(alone_or_unknown)
{
	struct lookout l = quiet;

	lookout_ended(&l, KIND, 1000 * MSEC, 5 * MSEC, LOOKOUT_ALONE, true);
	lookout_ended(&l, KIND, 1000 * MSEC, 5 * MSEC, LOOKOUT_UNKNOWN, true);
	ck_assert(!is_eager(&l, KIND, 1000 * MSEC));
	/* The others have gone. */
	lookout_ended(&l, KIND, 1000 * MSEC, 5 * MSEC, LOOKOUT_OTHERS, true);
	ck_assert(is_eager(&l, KIND, 1000 * MSEC));
	for (unsigned i = 0; i < 10; i++)
		lookout_ended(&l, KIND, 1000 * MSEC, 5 * MSEC, LOOKOUT_ALONE, true);
	ck_assert(!is_eager(&l, KIND, 1000 * MSEC));
}
END_TEST

/* A wait pays for as many hand-overs before requests that then don't wait as it took time. */
START_TEST(credit_is_spent)
{
	struct lookout l = quiet;
	unsigned n = 0;

	lookout_ended(&l, KIND, 1000 * MSEC, 20 * LOOKOUT_COST, LOOKOUT_OTHERS, false);
	for (; is_eager(&l, KIND, 1000 * MSEC) && n < 1000; n++)
		lookout_ended(&l, KIND, 1000 * MSEC, LOOKOUT_COST, LOOKOUT_UNKNOWN, true);
	ck_assert_uint_eq(n, 20);
	/* One that takes seconds does not pay for thousands. */
	for (unsigned i = 0; i < 1000; i++)
		lookout_ended(&l, KIND, 1000 * MSEC, 9000 * MSEC, LOOKOUT_OTHERS, true);
	for (n = 0; is_eager(&l, KIND, 1000 * MSEC) && n < 10000; n++)
		lookout_ended(&l, KIND, 1000 * MSEC, LOOKOUT_COST, LOOKOUT_UNKNOWN, true);
	ck_assert_uint_eq(n, LOOKOUT_CREDIT_MAX);
	/* Where nothing was handed over nothing is spent. */
	lookout_ended(&l, KIND, 1000 * MSEC, LOOKOUT_WAIT, LOOKOUT_OTHERS, false);
	for (n = 0; n < 1000; n++)
		lookout_ended(&l, KIND, 1000 * MSEC, LOOKOUT_COST, LOOKOUT_UNKNOWN, false);
	ck_assert(is_eager(&l, KIND, 1000 * MSEC));
}
END_TEST

/* Looking costs a system call: only while something takes long. */
START_TEST(looks_closer)
{
	struct lookout l = quiet;

	ck_assert(!lookout_wants_to_know(&l, 1000 * MSEC));
	lookout_ended(&l, KIND, 1000 * MSEC, LOOKOUT_WAIT - 1, LOOKOUT_UNKNOWN, false);
	ck_assert(!lookout_wants_to_know(&l, 1000 * MSEC));
	lookout_ended(&l, KIND, 1000 * MSEC, LOOKOUT_WAIT, LOOKOUT_UNKNOWN, false);
	ck_assert(lookout_wants_to_know(&l, 1000 * MSEC));
	ck_assert(!lookout_wants_to_know(&l, 1000 * MSEC + LOOKOUT_EAGER));
}
END_TEST

/* Without its thread everything is handed over. */
START_TEST(without_thread)
{
	struct lookout l = { .section = LOOKOUT_CLOSED };

	ck_assert(is_eager(&l, KIND, 1000 * MSEC));
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("lookout");

	tcase_set_timeout(tcase, 100);
	tcase_add_test(tcase, steps);
	tcase_add_test(tcase, steps_closed);
	tcase_add_test(tcase, taken_when_it_lasts);
	tcase_add_test(tcase, woken);
	tcase_add_test(tcase, one_lead);
	tcase_add_test(tcase, others_wait_too);
	tcase_add_test(tcase, alone_or_unknown);
	tcase_add_test(tcase, credit_is_spent);
	tcase_add_test(tcase, looks_closer);
	tcase_add_test(tcase, without_thread);
	return run_case("lookout", tcase);
}
