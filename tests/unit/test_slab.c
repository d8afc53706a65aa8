/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/slab.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slab_fill.h"
#include "suite.h"

#define ROWS(a) ((int)(sizeof(a) / sizeof((a)[0])))

static uint64_t new_filled(struct slab *slab, unsigned shard, size_t size)
{
	uint64_t id;
	void *object = slab_alloc(slab, shard, &id);

	ck_assert(object && zeroed(object, size));
	fill(object, size, id);
	return id;
}

START_TEST(test_one_object)
{
	struct slab *slab = slab_new(40, 1, 1000);
	uint64_t id = 0;
	void *object = slab_alloc(slab, 0, &id);

	ck_assert_ptr_nonnull(object);
	ck_assert_uint_gt(id, 1);
	ck_assert_ptr_eq(slab_get(slab, id), object);
	ck_assert_ptr_eq(slab_at(slab, slab_index(id)), object);
	ck_assert_uint_eq(slab_count(slab), 1);
	slab_release(slab, id);
	ck_assert_ptr_null(slab_get(slab, id));
	ck_assert_uint_eq(slab_count(slab), 0);
	ck_assert_ptr_null(slab_free_all(slab));
	ck_assert_ptr_null(slab_free_all(NULL));
}
END_TEST

/* Names that were never given out, from anywhere in their range. */
START_TEST(test_wrong_names)
{
	struct slab *slab = slab_new(16, 2, 1u << 20);
	uint64_t id, wrong[] = { 0, 1, 2, 255, UINT32_MAX, 1ull << 32, UINT64_MAX, 5ull << 32 | 9 };

	for (int i = 0; i < ROWS(wrong); i++)
		ck_assert_ptr_null(slab_get(slab, wrong[i]));
	ck_assert_ptr_nonnull(slab_alloc(slab, 0, &id));
	for (int i = 0; i < ROWS(wrong); i++)
		if (wrong[i] != id)
			ck_assert_ptr_null(slab_get(slab, wrong[i]));
	ck_assert_ptr_null(slab_get(slab, id ^ 1ull << 32));
	ck_assert_ptr_null(slab_get(slab, id ^ 1ull << 63));
	ck_assert_ptr_null(slab_get(slab, id + 1));
	ck_assert_ptr_null(slab_get(slab, slab_index(id)));
	slab_free_all(slab);
}
END_TEST

/* A slot that comes back has another name, and nothing of its former owner. */
START_TEST(test_reuse)
{
	struct slab *slab = slab_new(24, 1, 256);
	uint64_t first, id, last;
	char *object = slab_alloc(slab, 0, &first);

	last = first;
	for (int i = 0; i < 1000; i++) {
		ck_assert(zeroed(object, 24));
		memset(object, 0xff, 24);
		slab_release(slab, last);
		ck_assert_ptr_eq(slab_alloc(slab, 0, &id), object);
		ck_assert_uint_eq(slab_index(id), slab_index(first));
		ck_assert_uint_ne(id >> 32, last >> 32);
		ck_assert_ptr_null(slab_get(slab, last));
		ck_assert_ptr_null(slab_get(slab, first));
		last = id;
	}
	slab_free_all(slab);
}
END_TEST

static const struct {
	size_t size;
	unsigned shards;
} shapes[] = {
	{ 1, 1 }, { 7, 1 }, { 8, 2 }, { 13, 4 }, { 80, 16 }, { 100, 16 }, { 4095, 2 }, { 5000, 4 },
};

/* Objects of any size neither overlap nor lose what is in them while others come and go. */
START_TEST(test_shapes)
{
	enum { COUNT = 3000 };
	static uint64_t id[COUNT];
	size_t size = shapes[_i].size;
	struct slab *slab = slab_new(size, shapes[_i].shards, 20000);

	for (unsigned i = 0; i < COUNT; i++) {
		id[i] = new_filled(slab, i, size);
		ck_assert_uint_eq((uintptr_t)slab_get(slab, id[i]) % 8, 0);
	}
	for (int round = 0; round < 3; round++) {
		for (unsigned i = (unsigned)round; i < COUNT; i += 3) {
			ck_assert(filled(slab_get(slab, id[i]), size, id[i]));
			slab_release(slab, id[i]);
		}
		for (unsigned i = (unsigned)round; i < COUNT; i += 3)
			id[i] = new_filled(slab, i / 3, size);
	}
	for (unsigned i = 0; i < COUNT; i++)
		ck_assert(filled(slab_get(slab, id[i]), size, id[i]));
	ck_assert_uint_eq(slab_count(slab), COUNT);
	slab_free_all(slab);
}
END_TEST

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* No two objects alive share a name or a slot, whatever their shards; none is called 0 or 1. */
START_TEST(test_names_differ)
{
	enum { COUNT = 20000 };
	uint64_t *id = calloc(COUNT, sizeof(*id));
	struct slab *slab = slab_new(8, 8, COUNT + 8 * 256);

	for (unsigned i = 0; i < COUNT; i++)
		ck_assert_ptr_nonnull(slab_alloc(slab, i * 7 % 13, &id[i]));
	for (int i = 0; i < COUNT; i++) {
		ck_assert_uint_gt(id[i], 1);
		id[i] = slab_index(id[i]);
	}
	qsort(id, COUNT, sizeof(*id), compare_ids);
	for (int i = 1; i < COUNT; i++)
		ck_assert_uint_ne(id[i - 1], id[i]);
	free(id);
	slab_free_all(slab);
}
END_TEST

/* When all is used up there is NULL, and each object given back can be had again. */
START_TEST(test_exhaustion)
{
	enum { MOST = 2048 };
	static uint64_t id[MOST * 2];
	struct slab *slab = slab_new(32, 2, MOST);
	unsigned n = 0;
	uint64_t extra = 77;

	while (n < MOST * 2 && slab_alloc(slab, 0, &id[n]))
		n++;
	ck_assert_uint_eq(n, MOST);
	ck_assert_ptr_null(slab_alloc(slab, 0, &extra));
	ck_assert_ptr_null(slab_alloc(slab, 1, &extra));
	ck_assert_uint_eq(slab_count(slab), MOST);
	slab_release(slab, id[1000]);
	ck_assert_ptr_nonnull(slab_alloc(slab, 0, &id[1000]));
	ck_assert_ptr_null(slab_alloc(slab, 0, &extra));
	for (unsigned i = 0; i < MOST; i++)
		slab_release(slab, id[i]);
	ck_assert_uint_eq(slab_count(slab), 0);
	/* What one shard gave back serves another, but for the chunk that stays. */
	for (n = 0; n < MOST && slab_alloc(slab, 1, &id[n]);)
		n++;
	ck_assert_uint_ge(n, MOST - 256);
	slab_free_all(slab);
}
END_TEST

static unsigned resident_pages(const struct slab *slab, uint32_t objects, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = objects * size / page;
	unsigned char *map = malloc(pages);
	unsigned n = 0;

	ck_assert_int_eq(mincore(slab_at(slab, 0), pages * page, map), 0);
	for (size_t i = 0; i < pages; i++)
		n += map[i] & 1;
	free(map);
	return n;
}

static const size_t memory_sizes[] = { 80, 32, 104, 72, 4096 };

/* Memory is given back, whatever order the objects go in; what stays is bounded. */
START_TEST(test_memory_given_back)
{
	enum { COUNT = 64 * 1024, SHARDS = 4 };
	size_t size = memory_sizes[_i];
	uint32_t count = size > 1000 ? 4096 : COUNT;
	uint64_t *id = calloc(count, sizeof(*id));
	struct slab *slab = slab_new(size, SHARDS, count);
	unsigned full, left;

	for (unsigned i = 0; i < count; i++)
		id[i] = new_filled(slab, i, size);
	full = resident_pages(slab, count, size);
	for (unsigned i = 0; i < count; i++)
		slab_release(slab, id[i * 7919u % count]);
	left = resident_pages(slab, count, size);
	printf("size %zu: %u pages, after release %u\n", size, full, left);
	ck_assert_uint_ge(full, (unsigned)(count * size / 4096));
	/* One chunk of each shard, and pages shared by two chunks. */
	ck_assert_uint_le(left, full / 8 + SHARDS * (unsigned)(256 * size / 4096 + 2));
	/* All of it can be used again. */
	for (unsigned i = 0; i < count; i++)
		ck_assert(zeroed(slab_alloc(slab, i, &id[i]), size));
	free(id);
	slab_free_all(slab);
}
END_TEST

static unsigned seen;
static uint64_t seen_sum;

static void see(void *object)
{
	seen++;
	seen_sum += *(uint64_t *)object;
}

START_TEST(test_each)
{
	enum { COUNT = 5000 };
	static uint64_t id[COUNT];
	struct slab *slab = slab_new(16, 4, 2 * COUNT);
	uint64_t sum = 0;

	slab_each(slab, see);
	ck_assert_uint_eq(seen, 0);
	for (unsigned i = 0; i < COUNT; i++)
		*(uint64_t *)slab_alloc(slab, i, &id[i]) = i;
	for (unsigned i = 0; i < COUNT; i++)
		if (i % 3)
			slab_release(slab, id[i]);
		else
			sum += i;
	slab_each(slab, see);
	ck_assert_uint_eq(seen, (COUNT + 2) / 3);
	ck_assert_uint_eq(seen_sum, sum);
	ck_assert_uint_eq(slab_count(slab), seen);
	slab_free_all(slab);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("slab");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_one_object);
	tcase_add_test(tc, test_wrong_names);
	tcase_add_test(tc, test_reuse);
	tcase_add_loop_test(tc, test_shapes, 0, ROWS(shapes));
	tcase_add_test(tc, test_names_differ);
	tcase_add_test(tc, test_exhaustion);
	tcase_add_loop_test(tc, test_memory_given_back, 0, ROWS(memory_sizes));
	tcase_add_test(tc, test_each);
	return run_case("slab", tc);
}
