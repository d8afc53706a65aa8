/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/latency.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "probe/wakeup.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/futex.h"
#include "util/log.h"

#define MEASURE_RARELY 64 /* s at least, where it has gained nothing so far */

struct latency {
	enum option_wake mode;
	int device;
	int32_t value; /* us to be held */
	bool worth_it;
	enum wakeup_advice advice; /* to be said; nothing under wake=qos */
	char why[200];
	struct wakeup wakeup;
	_Atomic uint64_t last;	 /* request of a burst, ns */
	_Atomic uint32_t asleep; /* futex: 1 while the thread waits for a burst */
	_Atomic uint32_t stop;	 /* futex: 1 at the end */
	pthread_t thread;
	bool running;
};

static int hold(struct latency *l, int32_t value)
{
	if (write(l->device, &value, sizeof(value)) == sizeof(value))
		return 0;
	log_line(LOG_WARNING, "%s: %s", WAKEUP_DEVICE, strerror(errno));
	return -1;
}

/* wake=qos is served as it was asked for; otherwise only a measured gain counts. */
static bool is_worth_it(struct latency *l)
{
	if (l->mode == OPTION_WAKE_QOS)
		return true;
	wakeup_measure(&l->wakeup, l->device);
	l->value = wakeup_value(&l->wakeup);
	l->advice = wakeup_advise(&l->wakeup, l->why);
	return l->advice == WAKEUP_HOLD;
}

/* When there is work, not at each mount on somebody's terminal. */
static void say_once(struct latency *l)
{
	if (l->advice != WAKEUP_NOTHING)
		log_line(LOG_INFO, "wake=auto: %s", l->why);
	l->advice = WAKEUP_NOTHING;
}

struct latency *latency_new(enum option_wake mode)
{
	struct latency *l;
	int root;

	if (mode != OPTION_WAKE_AUTO && mode != OPTION_WAKE_QOS)
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->mode = mode;
	l->device = open(WAKEUP_DEVICE, O_WRONLY | O_CLOEXEC);
	if (l->device < 0) {
		if (mode == OPTION_WAKE_QOS)
			log_line(LOG_WARNING, "wake=qos: %s: %s", WAKEUP_DEVICE, strerror(errno));
		free(l);
		return NULL;
	}
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	wakeup_look(&l->wakeup, root);
	if (root >= 0)
		close(root);
	l->worth_it = is_worth_it(l);
	return l;
}

/* No wake-up is lost: latency_burst() stores the time before it looks at `asleep`, and we look at
 * the time again after that is set, all in one order. */
static void wait_for_burst(struct latency *l, uint64_t seen)
{
	atomic_store(&l->asleep, 1);
	if (atomic_load(&l->last) == seen && !atomic_load(&l->stop))
		futex_wait(&l->asleep, 1, NULL);
	atomic_store(&l->asleep, 0);
}

/* Until no request has come for a moment. Returns when the last one came. */
static uint64_t wait_for_quiet(struct latency *l)
{
	static const struct timespec pause = { .tv_nsec = LATENCY_QUIET / 2 };
	uint64_t seen;

	do {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		seen = atomic_load(&l->last);
	} while (clock_ns() < seen + LATENCY_QUIET && !atomic_load(&l->stop));
	return seen;
}

/* Something else may have had the CPUs: measures again, ever less often, when a burst has ended. */
static bool wait_until_worth_it(struct latency *l)
{
	struct timespec rest = { .tv_sec = 1 };

	while (!l->worth_it && !atomic_load(&l->stop)) {
		futex_wait(&l->stop, 0, &rest);
		wait_for_burst(l, atomic_load(&l->last));
		say_once(l);
		wait_for_quiet(l);
		if (!atomic_load(&l->stop))
			l->worth_it = is_worth_it(l);
		if (rest.tv_sec < MEASURE_RARELY)
			rest.tv_sec *= 2;
	}
	return l->worth_it;
}

static void *latency_main(void *argument)
{
	struct latency *l = argument;
	uint64_t seen = 0;
	bool works = wait_until_worth_it(l);

	while (works && !atomic_load(&l->stop)) {
		wait_for_burst(l, seen);
		if (atomic_load(&l->stop))
			break;
		say_once(l);
		works = hold(l, l->value) == 0;
		seen = wait_for_quiet(l);
		works = hold(l, WAKEUP_RELEASE_US) == 0 && works;
	}
	return NULL;
}

void latency_start(struct latency *l)
{
	if (l)
		l->running = pthread_create(&l->thread, NULL, latency_main, l) == 0;
}

static void wake(struct latency *l)
{
	if (atomic_exchange(&l->asleep, 0))
		futex_wake(&l->asleep, 1);
}

struct latency *latency_free(struct latency *l)
{
	if (!l)
		return NULL;
	atomic_store(&l->stop, 1);
	futex_wake(&l->stop, 1);
	wake(l);
	if (l->running)
		pthread_join(l->thread, NULL);
	close(l->device);
	free(l);
	return NULL;
}

void latency_burst(struct latency *l, uint64_t now)
{
	atomic_store(&l->last, now);
	if (atomic_load(&l->asleep))
		wake(l);
}
