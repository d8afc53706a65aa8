/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/wakeup.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/sysfile.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/futex.h"

#define SMALL_MACHINE 8u     /* CPUs of a virtual machine that may be kept from idling unasked */
#define SEVERAL_TIMES 3u     /* cheaper: a gain */
#define WORTH_NS      10000u /* gained at least */
#define TURNS	      3u     /* each way, by turns */
#define MEASURE_NS    4000000ull /* a turn */
/* Between rounds: a CPU that is woken sooner may still be polled for by guest or host, which keep
 * that up for 200 us at most (guest_halt_poll_ns, kvm.halt_poll_ns), and tells nothing. */
#define REST_NS	    250000
#define MAX_ROUNDS  64u
#define FEW_ROUNDS  5u	    /* no figure comes from fewer */
#define PATIENCE_NS 5000000 /* for one answer: the other CPU is busy */

void wakeup_look(struct wakeup *w, int root)
{
	autofree char *text = NULL;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*w = (struct wakeup){ .cpus = cpus > 0 ? (unsigned)cpus : 1 };
	if (sys_slurp(root, "proc/cpuinfo", 16384, &text) <= 0)
		return;
	/* x86 says so in its flags. What other architectures don't say is not guessed. */
	if (strstr(text, " hypervisor"))
		w->machine = WAKEUP_VIRTUAL;
	else if (strstr(text, "\nflags\t"))
		w->machine = WAKEUP_BARE_METAL;
}

struct pingpong {
	_Atomic uint32_t ball; /* even: the server's turn, odd: the other's */
	_Atomic bool end;
	uint64_t until;
	uint32_t sample[MAX_ROUNDS];
	unsigned rounds;
};

/* False: the ball has not come. */
static bool wait_while(struct pingpong *p, uint32_t value)
{
	static const struct timespec patience = { .tv_nsec = PATIENCE_NS };

	while (atomic_load(&p->ball) == value && !atomic_load(&p->end))
		if (!futex_wait(&p->ball, value, &patience))
			return false;
	return !atomic_load(&p->end);
}

static void hit(struct pingpong *p, uint32_t value)
{
	atomic_store(&p->ball, value);
	futex_wake(&p->ball, 1);
}

static void *answer(void *argument)
{
	struct pingpong *p = argument;
	uint32_t ball = 0;

	for (; wait_while(p, ball); ball += 2)
		hit(p, ball + 2);
	return NULL;
}

static void *serve(void *argument)
{
	static const struct timespec rest = { .tv_nsec = REST_NS };
	struct pingpong *p = argument;
	uint32_t ball = 0;

	while (p->rounds < MAX_ROUNDS && clock_ns() < p->until) {
		uint64_t start;

		clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
		start = clock_ns();
		hit(p, ball + 1);
		if (!wait_while(p, ball + 1))
			break;
		ball += 2;
		p->sample[p->rounds++] = (uint32_t)(clock_ns() - start);
	}
	atomic_store(&p->end, true);
	hit(p, UINT32_MAX);
	return NULL;
}

static int start_on(pthread_t *thread, int cpu, void *(*run)(void *), void *argument)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	err = pthread_create(thread, &attr, run, argument);
	pthread_attr_destroy(&attr);
	return err;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The median round trip, 0 if there is none to be had. */
static uint32_t round_trip(int cpu, int other_cpu)
{
	autofree struct pingpong *p = calloc(1, sizeof(*p));
	pthread_t a, b;

	if (!p || start_on(&b, other_cpu, answer, p) != 0)
		return 0;
	p->until = clock_ns() + MEASURE_NS;
	if (start_on(&a, cpu, serve, p) == 0) {
		pthread_join(a, NULL);
	} else {
		atomic_store(&p->end, true);
		hit(p, UINT32_MAX);
	}
	pthread_join(b, NULL);
	if (p->rounds < FEW_ROUNDS)
		return 0;
	qsort(p->sample, p->rounds, sizeof(p->sample[0]), compare);
	return p->sample[p->rounds / 2];
}

/* Two CPUs that we may run on. */
static bool two_cpus(int cpu[2])
{
	unsigned n = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return false;
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET((unsigned)i, &set))
			cpu[n++] = i;
	return n == 2;
}

static int hold(int device, int32_t value)
{
	return write(device, &value, sizeof(value)) == sizeof(value) ? 0 : errno;
}

/* The least of the turns: what disturbs adds. 0, not measured, is least of all. */
static void keep_least(uint32_t *least, uint32_t ns, unsigned turn)
{
	if (!turn || ns < *least)
		*least = ns;
}

void wakeup_measure(struct wakeup *w, int device)
{
	int cpu[2];

	w->plain_ns = w->held_ns = 0;
	w->error = 0;
	if (!two_cpus(cpu)) {
		w->error = ENXIO;
		return;
	}
	for (unsigned turn = 0; turn < TURNS && !w->error; turn++) {
		keep_least(&w->plain_ns, round_trip(cpu[0], cpu[1]), turn);
		if (device < 0)
			continue;
		w->error = hold(device, wakeup_value(w));
		if (!w->error)
			keep_least(&w->held_ns, round_trip(cpu[0], cpu[1]), turn);
		hold(device, WAKEUP_RELEASE_US);
	}
}

int32_t wakeup_value(const struct wakeup *w)
{
	return w->machine == WAKEUP_BARE_METAL ? WAKEUP_MILD_US : 0;
}

enum wakeup_advice wakeup_advise(const struct wakeup *w, char why[200])
{
	char figures[100];

	if (!w->plain_ns || !w->held_ns) {
		snprintf(why, 200, "not known what it gains to keep CPUs from idling: %s",
			 w->error ? strerror(w->error) : "not measured, or they are busy");
		return WAKEUP_NOTHING;
	}
	snprintf(figures, sizeof(figures),
		 "a wake-up and its answer take %.1f us, %.1f with %s at %d", w->plain_ns / 1000.0,
		 w->held_ns / 1000.0, WAKEUP_DEVICE, (int)wakeup_value(w));
	if (w->held_ns * (uint64_t)SEVERAL_TIMES > w->plain_ns ||
	    w->plain_ns - w->held_ns < WORTH_NS) {
		snprintf(why, 200, "%s: no gain, nothing is held", figures);
		return WAKEUP_NOTHING;
	}
	if (w->machine == WAKEUP_UNKNOWN_MACHINE ||
	    (w->machine == WAKEUP_VIRTUAL && w->cpus > SMALL_MACHINE)) {
		snprintf(why, 200, "%s: -o wake=qos would gain", figures);
		return WAKEUP_RECOMMEND;
	}
	snprintf(why, 200, "%s: held during bursts of requests", figures);
	return WAKEUP_HOLD;
}
