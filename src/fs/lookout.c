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

void lookout_waited(struct lookout *l, unsigned kind, uint64_t now)
{
	_Atomic uint64_t *until = &l->eager_until[kind_of(kind)];

	/* Relaxed: a thread that sees it late loses a millisecond. */
	if (atomic_load_explicit(until, memory_order_relaxed) < now + LOOKOUT_EAGER)
		atomic_store_explicit(until, now + LOOKOUT_EAGER, memory_order_relaxed);
}

static void take(struct lookout *l, uint64_t section, uint64_t now)
{
	uint64_t open = section;
	bool waits = l->calls.waits(l->argument);

	if (!atomic_compare_exchange_strong(&l->section, &open, section | LOOKOUT_CLOSED))
		return; /* it has ended by itself */
	if (waits)
		lookout_waited(l, (unsigned)(section & KIND_MASK), now);
	l->calls.hand_over(l->argument);
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
			take(l, section, now);
			break;
		case LOOKOUT_WATCH:
			pause = (struct timespec){.tv_nsec = (long)wait_ns};
			clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
			break;
		case LOOKOUT_SLEEP:
			sleep_until_opened(l, section);
			break;
		}
	}
	return NULL;
}

int lookout_start(struct lookout *l, const struct lookout_calls *calls, void *argument)
{
	int err;

	l->calls = *calls;
	l->argument = argument;
	atomic_store(&l->section, LOOKOUT_CLOSED);
	err = pthread_create(&l->thread, NULL, lookout_main, l);
	l->running = !err;
	for (unsigned i = 0; err && i < LOOKOUT_KINDS; i++)
		atomic_store(&l->eager_until[i], UINT64_MAX);
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

	if (start < atomic_load_explicit(&l->eager_until[kind_of(kind)], memory_order_relaxed))
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
