/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/slab.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "slab_fill.h"
#include "suite.h"

#define THREADS 4
#define ROUNDS	60000
#define SLOTS	512

struct stress {
	struct slab *slab;
	_Atomic uint64_t slot[SLOTS]; /* names in nobody's hands: who takes one out owns it */
	_Atomic uint64_t stale[SLOTS];
	_Atomic unsigned number, bad;
};

static void stress_round(struct stress *s, unsigned self, unsigned draw)
{
	uint64_t id = atomic_exchange(&s->slot[draw % SLOTS], 0);

	if (id) {
		void *object = slab_get(s->slab, id);

		if (!object || !filled(object, 48, id))
			atomic_fetch_add(&s->bad, 1);
		slab_release(s->slab, id);
		atomic_store(&s->stale[draw % SLOTS], id);
	} else {
		void *object = slab_alloc(s->slab, draw % 64 ? self : draw >> 8, &id);

		if (!object || !zeroed(object, 48)) {
			atomic_fetch_add(&s->bad, 1);
			return;
		}
		fill(object, 48, id);
		id = atomic_exchange(&s->slot[draw % SLOTS], id);
		if (id) /* somebody put one there meanwhile */
			slab_release(s->slab, id);
	}
	/* Names gone long ago stay gone; others must only not crash. */
	slab_get(s->slab, atomic_load(&s->slot[(draw >> 10) % SLOTS]));
	id = atomic_load(&s->stale[(draw >> 12) % SLOTS]);
	if (id && slab_get(s->slab, id))
		atomic_fetch_add(&s->bad, 1);
}

static void *stress_thread(void *argument)
{
	struct stress *s = argument;
	unsigned self = atomic_fetch_add(&s->number, 1), state = self * 7919 + 1;

	for (int i = 0; i < ROUNDS; i++) {
		state = state * 1664525 + 1013904223;
		stress_round(s, self, state >> 4);
	}
	return NULL;
}

START_TEST(test_threads)
{
	static struct stress s;
	pthread_t thread[THREADS];
	unsigned left = 0;

	s.slab = slab_new(48, 4, 1u << 20);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, stress_thread, &s), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(atomic_load(&s.bad), 0);
	for (int i = 0; i < SLOTS; i++)
		left += atomic_load(&s.slot[i]) != 0;
	ck_assert_uint_eq(slab_count(s.slab), left);
	slab_free_all(s.slab);
}
END_TEST

/* Whole chunks filled and emptied by all at once: shards hand chunks to each other. */
static void *churn_thread(void *argument)
{
	enum { BATCH = 1500 };
	struct stress *s = argument;
	unsigned self = atomic_fetch_add(&s->number, 1);
	uint64_t *id = calloc(BATCH, sizeof(*id));

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < BATCH; i++) {
			void *object = slab_alloc(s->slab, self + round, &id[i]);

			if (!object || !zeroed(object, 48))
				atomic_fetch_add(&s->bad, 1);
			else
				fill(object, 48, id[i]);
		}
		for (unsigned i = 0; i < BATCH; i++) {
			if (!filled(slab_get(s->slab, id[i]), 48, id[i]))
				atomic_fetch_add(&s->bad, 1);
			slab_release(s->slab, id[i]);
		}
	}
	free(id);
	return NULL;
}

START_TEST(test_threads_churn)
{
	static struct stress s;
	pthread_t thread[THREADS];

	s.slab = slab_new(48, 4, 1u << 16);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, churn_thread, &s), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(atomic_load(&s.bad), 0);
	ck_assert_uint_eq(slab_count(s.slab), 0);
	slab_free_all(s.slab);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("slab_threads");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_threads);
	tcase_add_test(tc, test_threads_churn);
	return run_case("slab_threads", tc);
}
