/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a lease and its return cost: nanoseconds for both together, medians. Prints, asserts
 * nothing.
 */
#include "pool/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/clock.h"

#define RUNS 9

struct bench {
	struct pool *pool;
	uint32_t size;
	unsigned threads, rounds;
	bool hold; /* let others run while a buffer is out */
	pthread_barrier_t start;
	_Atomic uint64_t ns;
	_Atomic int failed;
};

struct worker {
	struct bench *bench;
	unsigned number;
};

static cpu_set_t allowed; /* before any pinning */

static void pin(unsigned number)
{
	cpu_set_t one;
	unsigned seen = 0;

	number %= (unsigned)CPU_COUNT(&allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && seen++ == number) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof(one), &one);
			return;
		}
}

/* The thread's own time: other work does not lengthen it. But waiting takes none of it. */
static uint64_t time_ns(const struct bench *b)
{
	struct timespec ts;

	if (b->hold)
		return clock_ns();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void *lease_and_return(void *argument)
{
	struct worker *w = argument;
	struct bench *b = w->bench;
	struct pool_buffer buffer;
	uint64_t start;

	pin(w->number);
	pthread_barrier_wait(&b->start);
	start = time_ns(b);
	for (unsigned i = 0; i < b->rounds; i++) {
		if (pool_lease(b->pool, b->size, 1, &buffer, UINT64_MAX, NULL)) {
			atomic_fetch_add(&b->failed, 1);
			continue;
		}
		if (b->hold)
			sched_yield();
		pool_return(b->pool, &buffer);
	}
	atomic_fetch_add(&b->ns, time_ns(b) - start);
	return NULL;
}

/* As I/O does it: one thread leases, another returns. */
#define RING 64
struct hand {
	struct bench *bench;
	struct pool_buffer slot[RING];
	_Alignas(64) _Atomic unsigned head;
	_Alignas(64) _Atomic unsigned tail;
};

/* Somebody else may have the other one's CPU. */
static void relax(void)
{
	static _Thread_local unsigned spins;

	if (++spins % 1024 == 0)
		sched_yield();
}

static void *take_over(void *argument)
{
	struct hand *h = argument;

	pin(1);
	for (unsigned i = 0; i < h->bench->rounds; i++) {
		while (atomic_load_explicit(&h->head, memory_order_acquire) == i)
			relax();
		pool_return(h->bench->pool, &h->slot[i % RING]);
		atomic_store_explicit(&h->tail, i + 1, memory_order_release);
	}
	return NULL;
}

static double hand_over(struct bench *b)
{
	static struct hand h;
	pthread_t thread;
	uint64_t start;

	h.bench = b;
	h.head = h.tail = 0;
	pthread_create(&thread, NULL, take_over, &h);
	pin(0);
	start = clock_ns();
	for (unsigned i = 0; i < b->rounds; i++) {
		while (i - atomic_load_explicit(&h.tail, memory_order_acquire) == RING)
			relax();
		if (pool_lease(b->pool, b->size, 1, &h.slot[i % RING], UINT64_MAX, NULL))
			b->failed++;
		atomic_store_explicit(&h.head, i + 1, memory_order_release);
	}
	pthread_join(thread, NULL);
	return (double)(clock_ns() - start) / b->rounds;
}

static double together(struct bench *b)
{
	struct worker worker[16];
	pthread_t thread[16];

	b->ns = 0;
	pthread_barrier_init(&b->start, NULL, b->threads);
	for (unsigned i = 0; i < b->threads; i++) {
		worker[i] = (struct worker){ .bench = b, .number = i };
		pthread_create(&thread[i], NULL, lease_and_return, &worker[i]);
	}
	for (unsigned i = 0; i < b->threads; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&b->start);
	return (double)b->ns / b->threads / b->rounds;
}

static double hold_on(struct bench *b)
{
	b->hold = true;
	return together(b);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const char *what, size_t memory, uint32_t size, unsigned threads,
		    unsigned rounds, double (*run)(struct bench *))
{
	struct bench b = {
		.size = size,
		.threads = threads,
		.rounds = rounds,
	};
	struct pool_counters counters;
	double ns[RUNS];
	int err;

	b.pool = pool_new(memory, &err);
	if (!b.pool) {
		printf("%s: %d\n", what, err);
		return;
	}
	for (int i = 0; i < RUNS; i++)
		ns[i] = run(&b);
	pool_read_counters(b.pool, &counters);
	pool_free(b.pool);
	qsort(ns, RUNS, sizeof(*ns), compare);
	printf("%-38s %4u KiB %2u threads  median %8.1f ns  (%.1f … %.1f)  waits %llu%s\n", what,
	       size / 1024, threads, ns[RUNS / 2], ns[0], ns[RUNS - 1],
	       (unsigned long long)counters.waits, b.failed ? "  FAILED" : "");
}

int main(void)
{
	static const uint32_t size[] = { 4096, 1u << 20 };

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 2; i++) {
		measure("lease + return", 16u << 20, size[i], 1, 2000000, together);
		measure("lease + return", 16u << 20, size[i], 2, 2000000, together);
		measure("lease here, return there", 128u << 20, size[i], 2, 500000, hand_over);
	}
	measure("more threads than CPUs", 16u << 20, 4096, 8, 200000, together);
	/* Fewer buffers than threads, held while others run: nearly each lease waits its turn. */
	measure("one buffer, waiting in turn", 1u << 20, 1u << 20, 2, 20000, hold_on);
	measure("one buffer, waiting in turn", 1u << 20, 1u << 20, 8, 5000, hold_on);
	measure("two buffers, waiting in turn", 2u << 20, 1u << 20, 8, 5000, hold_on);
	return 0;
}
