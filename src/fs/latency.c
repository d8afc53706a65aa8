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

/* A verdict against holding stands so long: something else may have had the CPUs. */
#define MEASURE_AGAIN 60 /* s */

struct latency {
	enum option_wake mode;
	int device;
	int32_t value; /* us to be held */
	struct wakeup wakeup;
	_Atomic uint64_t last;	  /* request of a burst, ns */
	_Atomic uint32_t asleep;  /* futex: 1 while the thread waits for a burst */
	_Atomic uint32_t stop;	  /* futex: 1 at the end */
	pthread_t thread;
	bool running;
};

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
	return l;
}

static int hold(struct latency *l, int32_t value)
{
	if (write(l->device, &value, sizeof(value)) == sizeof(value))
		return 0;
	log_line(LOG_WARNING, "%s: %s", WAKEUP_DEVICE, strerror(errno));
	return -1;
}

/* wake=qos is served as it was asked for; otherwise only a measured gain counts. */
static bool worth_it(struct latency *l)
{
	char why[200];
	enum wakeup_advice advice;

	if (l->mode == OPTION_WAKE_QOS) {
		l->value = 0;
		return true;
	}
	wakeup_measure(&l->wakeup, l->device);
	l->value = wakeup_value(&l->wakeup);
	advice = wakeup_advise(&l->wakeup, why);
	if (advice != WAKEUP_NOTHING)
		log_line(LOG_INFO, "wake=auto: %s", why);
	return advice == WAKEUP_HOLD;
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

/* Measures now, and while it gains nothing again at the first burst of a later minute. */
static bool wait_until_worth_it(struct latency *l)
{
	static const struct timespec rest = {.tv_sec = MEASURE_AGAIN};

	while (!atomic_load(&l->stop)) {
		if (worth_it(l))
			return true;
		futex_wait(&l->stop, 0, &rest);
		wait_for_burst(l, atomic_load(&l->last));
	}
	return false;
}

static void *latency_main(void *argument)
{
	static const struct timespec pause = {.tv_nsec = LATENCY_QUIET / 2};
	struct latency *l = argument;
	uint64_t seen = 0;
	bool works = wait_until_worth_it(l);

	while (works && !atomic_load(&l->stop)) {
		wait_for_burst(l, seen);
		if (atomic_load(&l->stop))
			break;
		works = hold(l, l->value) == 0;
		do {
			clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
			seen = atomic_load(&l->last);
		} while (clock_ns() < seen + LATENCY_QUIET && !atomic_load(&l->stop));
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
