/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/table.h"

#include <check.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "suite.h"
#include "table_fixture.h"

#define THREADS 4
#define ROUNDS	20000
#define OBJECTS 300

#define HELD 16

static _Atomic unsigned bad, threads;

static struct node *stress_ref(uint64_t which, bool by_number, const char *name)
{
	struct identity id = by_number ? number(which) : handle(which, which % 2 ? 40 : 8), back;
	struct node *n = node_ref(table, &id, S_IFREG, root, name), *other;

	node_identity(table, n, &back);
	if (back.length != id.length || memcmp(back.bytes, id.bytes, id.length) != 0 ||
	    node_get(table, n->id) != n)
		atomic_fetch_add(&bad, 1);
	other = known(&id);
	if (other)
		node_forget(table, other, 1);
	return n;
}

/* Holds a few nodes at any time, as the kernel does. */
static void *stress_thread(void *by_number)
{
	unsigned state = atomic_fetch_add(&threads, 1) * 7919 + 1;
	struct node *held[HELD] = { NULL };

	for (int i = 0; i < ROUNDS; i++) {
		struct node **slot;

		state = state * 1664525 + 1013904223;
		slot = &held[state >> 24 & (HELD - 1)];
		if (*slot && node_get(table, (*slot)->id) != *slot)
			atomic_fetch_add(&bad, 1);
		if (*slot && (state >> 9 & 31) == 0)
			node_detach(table, *slot);
		node_forget(table, *slot, 1);
		*slot = stress_ref((state >> 12) % OBJECTS, by_number, state >> 8 & 1 ? "x" : "y");
	}
	for (int i = 0; i < HELD; i++)
		node_forget(table, held[i], 1);
	return NULL;
}

START_TEST(test_threads)
{
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, stress_thread, _i ? table : NULL),
				 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(atomic_load(&bad), 0);
	ck_assert_uint_eq(node_count(table), 1);
}
END_TEST

/* Files carried between two directories, which go when the last file leaves. */
static void *move_thread(void *unused)
{
	unsigned self = atomic_fetch_add(&threads, 1);

	(void)unused;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct node *from = ref_at(1000 + i % 3, root, "from");
		struct node *file = ref_at(i % 50, from, "file");
		struct node *to = ref_at(1000 + (i + self) % 3, root, "to");

		node_forget(table, from, 1);
		node_moved(table, file, to, self % 2 ? "file" : "other");
		node_forget(table, to, 1);
		if (node_get(table, file->id) != file)
			atomic_fetch_add(&bad, 1);
		node_forget(table, file, 1);
	}
	return NULL;
}

START_TEST(test_threads_moving)
{
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, move_thread, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(atomic_load(&bad), 0);
	ck_assert_uint_eq(node_count(table), 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("table_threads");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_threads, 0, 2);
	tcase_add_test(tc, test_threads_moving);
	return run_case("table_threads", tc);
}
