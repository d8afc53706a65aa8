/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/lookout.h"

#include "util/clock.h"
#include "util/futex.h"

#define KIND_MASK ((uint64_t)LOOKOUT_KINDS - 1)

static unsigned kind_of(unsigned opcode)
{
	return opcode < LOOKOUT_KINDS ? opcode : LOOKOUT_KINDS - 1;
}

enum lookout_step lookout_step(uint64_t section, uint64_t now, uint64_t *wait_ns)
{
	uint64_t start = section & ~LOOKOUT_CLOSED & ~KIND_MASK;
	uint64_t age = now > start ? now - start : 0;

	*wait_ns = LOOKOUT_PATIENCE;
	if (!(section & LOOKOUT_CLOSED)) {
		if (age >= LOOKOUT_PATIENCE)
			return LOOKOUT_TAKE;
		*wait_ns = LOOKOUT_PATIENCE - age;
		return LOOKOUT_WATCH;
	}
	/* What is opened from now on is young enough when we look again. */
	return age < LOOKOUT_LINGER ? LOOKOUT_WATCH : LOOKOUT_SLEEP;
}

bool lookout_wants_to_know(const struct lookout *l, uint64_t now)
{
	return now < atomic_load_explicit(&l->slow_until, memory_order_relaxed);
}

static uint32_t credit_after(uint32_t credit, uint64_t elapsed, enum lookout_wait wait,
			     bool handed_over)
{
	uint64_t pays_for = elapsed / LOOKOUT_COST;

	if (wait == LOOKOUT_ALONE)
		return credit / 2;
	if (wait == LOOKOUT_OTHERS) {
		credit += pays_for < LOOKOUT_CREDIT ? (uint32_t)pays_for : LOOKOUT_CREDIT;
		return credit < LOOKOUT_CREDIT_MAX ? credit : LOOKOUT_CREDIT_MAX;
	}
	return credit - (handed_over && credit);
}

/* Relaxed: what is counted wrongly when two end at once is soon counted again. */
void lookout_ended(struct lookout *l, unsigned kind, uint64_t now, uint64_t elapsed,
		   enum lookout_wait wait, bool handed_over)
{
	_Atomic uint32_t *credit = &l->credit[kind_of(kind)];
	uint32_t had = atomic_load_explicit(credit, memory_order_relaxed);
	uint32_t has = credit_after(had, elapsed, wait, handed_over);

	if (has != had)
		atomic_store_explicit(credit, has, memory_order_relaxed);
	if (wait == LOOKOUT_OTHERS)
		atomic_store_explicit(&l->eager_until[kind_of(kind)], now + LOOKOUT_EAGER,
				      memory_order_relaxed);
	if (elapsed >= LOOKOUT_WAIT)
		atomic_store_explicit(&l->slow_until, now + LOOKOUT_EAGER, memory_order_relaxed);
}

static bool is_eager(const struct lookout *l, unsigned kind, uint64_t now)
{
	return !l->running ||
	       (atomic_load_explicit(&l->credit[kind], memory_order_relaxed) &&
		now < atomic_load_explicit(&l->eager_until[kind], memory_order_relaxed));
}

static void take(struct lookout *l, uint64_t section)
{
	uint64_t open = section;

	if (atomic_compare_exchange_strong(&l->section, &open, section | LOOKOUT_CLOSED))
		l->hand_over(l->argument);
	/* else it has ended by itself */
}

/*
 * No wake-up is lost: the leader stores its section before it looks at `asleep`, and we store
 * `asleep` before we look at the section again, all in one order (seq_cst).
 */
static void sleep_until_opened(struct lookout *l, uint64_t seen)
{
	atomic_store(&l->asleep, 1);
	if (atomic_load(&l->section) == seen && !atomic_load(&l->stop))
		futex_wait(&l->asleep, 1, NULL);
	atomic_store(&l->asleep, 0);
}

static void *lookout_main(void *argument)
{
	struct lookout *l = argument;

	while (!atomic_load(&l->stop)) {
		uint64_t section = atomic_load(&l->section), now = clock_ns(), wait_ns;
		struct timespec pause;

		switch (lookout_step(section, now, &wait_ns)) {
		case LOOKOUT_TAKE:
			take(l, section);
			break;
		case LOOKOUT_WATCH:
			pause = (struct timespec){ .tv_nsec = (long)wait_ns };
			clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
			break;
		case LOOKOUT_SLEEP:
			sleep_until_opened(l, section);
			break;
		}
	}
	return NULL;
}

int lookout_start(struct lookout *l, void (*hand_over)(void *argument), void *argument)
{
	int err;

	l->hand_over = hand_over;
	l->argument = argument;
	atomic_store(&l->section, LOOKOUT_CLOSED);
	err = pthread_create(&l->thread, NULL, lookout_main, l);
	l->running = !err;
	return -err;
}

static void wake(struct lookout *l)
{
	if (atomic_exchange(&l->asleep, 0))
		futex_wake(&l->asleep, 1);
}

void lookout_stop(struct lookout *l)
{
	if (!l->running)
		return;
	atomic_store(&l->stop, true);
	wake(l);
	pthread_join(l->thread, NULL);
	l->running = false;
}

uint64_t lookout_open(struct lookout *l, unsigned kind, uint64_t start)
{
	uint64_t section = (start & ~LOOKOUT_CLOSED & ~KIND_MASK) | kind_of(kind);

	if (is_eager(l, kind_of(kind), start))
		return 0;
	atomic_store(&l->section, section);
	if (atomic_load(&l->asleep))
		wake(l);
	return section;
}

bool lookout_close(struct lookout *l, uint64_t section)
{
	return atomic_compare_exchange_strong(&l->section, &section, section | LOOKOUT_CLOSED);
}
