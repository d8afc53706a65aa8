/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stack below the pool's fast path, by itself: so few buffers that ABA would show. */
#include "pool_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "pool/internal.h"
#include "pool/magazine.h"

#define UNITS 4

struct stack {
	struct pool pool;
	struct magazine magazine;
	_Atomic uint32_t link[64];
	_Atomic unsigned owner[UNITS], number, bad;
};

static void stack_init(struct stack *s)
{
	memset(s, 0, sizeof(*s));
	s->pool.link = s->link;
	for (uint32_t unit = 0; unit < UNITS; unit++)
		ck_assert(magazine_push(&s->pool, &s->magazine, unit, unit, 1));
}

START_TEST(test_order)
{
	static struct stack s; /* ASan aligns locals to 32 bytes at most */
	uint32_t unit[UNITS + 1];

	stack_init(&s);
	ck_assert(!magazine_pop(&s.pool, &s.magazine, unit, UNITS + 1));
	ck_assert(magazine_pop(&s.pool, &s.magazine, unit, 1));
	ck_assert_uint_eq(unit[0], 3);
	ck_assert(magazine_pop(&s.pool, &s.magazine, unit, 2));
	ck_assert_uint_eq(unit[0], 2);
	ck_assert_uint_eq(unit[1], 1);
	ck_assert_uint_eq(magazine_take_all(&s.magazine), 0 + 1);
	ck_assert_uint_eq(link_get(&s.pool, 0), 0);
	ck_assert_uint_eq(magazine_take_all(&s.magazine), 0);
	ck_assert(!magazine_pop(&s.pool, &s.magazine, unit, 1));
}
END_TEST

START_TEST(test_room)
{
	static struct stack s; /* ASan aligns locals to 32 bytes at most */

	stack_init(&s);
	for (uint32_t unit = UNITS; unit < MAGAZINE_ROOM; unit++)
		ck_assert(magazine_push(&s.pool, &s.magazine, unit, unit, 1));
	ck_assert(!magazine_push(&s.pool, &s.magazine, MAGAZINE_ROOM, MAGAZINE_ROOM, 1));
	ck_assert_uint_eq(head_count(s.magazine.head), MAGAZINE_ROOM);
	ck_assert_uint_eq(head_top(s.magazine.head), MAGAZINE_ROOM);
}
END_TEST

/* The same on top, another below: the word must not be the same, nor after everything was taken. */
START_TEST(test_tag)
{
	static struct stack s; /* ASan aligns locals to 32 bytes at most */
	uint32_t unit[1] = { 0 };
	uint64_t before;

	stack_init(&s);
	before = s.magazine.head;
	ck_assert(magazine_pop(&s.pool, &s.magazine, unit, 1));
	ck_assert(magazine_push(&s.pool, &s.magazine, unit[0], unit[0], 1));
	ck_assert_uint_ne(s.magazine.head, before);
	before = s.magazine.head;
	ck_assert_uint_eq(magazine_take_all(&s.magazine), 3 + 1);
	ck_assert(magazine_push(&s.pool, &s.magazine, 3, 0, 4));
	ck_assert_uint_ne(s.magazine.head, before);
	ck_assert_uint_eq(s.magazine.head & UINT32_MAX, before & UINT32_MAX);
}
END_TEST

static void *stack_thread(void *argument)
{
	struct stack *s = argument;
	unsigned self = atomic_fetch_add(&s->number, 1) + 1;

	for (unsigned round = 0; round < 1000000; round++) {
		uint32_t unit[2], count = 1 + round % 2;

		if (!magazine_pop(&s->pool, &s->magazine, unit, count))
			continue;
		for (uint32_t i = 0; i < count; i++)
			if (atomic_exchange(&s->owner[unit[i]], self))
				atomic_fetch_add(&s->bad, 1);
		/* The first taken is the first put back: the order changes. */
		for (uint32_t i = 0; i < count; i++) {
			atomic_store(&s->owner[unit[i]], 0);
			if (!magazine_push(&s->pool, &s->magazine, unit[i], unit[i], 1))
				atomic_fetch_add(&s->bad, 1);
		}
	}
	return NULL;
}

START_TEST(test_threads)
{
	static struct stack s;
	pthread_t thread[3];

	stack_init(&s);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, stack_thread, &s), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(s.bad, 0);
	ck_assert_uint_eq(head_count(s.magazine.head), UNITS);
}
END_TEST

RUN_CASES("pool_magazine", test_order, test_room, test_tag, test_threads)
