/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The patterns of reading, without a disk: a model reader misses where nothing was fetched. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "prefetch/stream.h"
#include "suite.h"

#define MIB (1ull << 20)
#define SIZE (256 * MIB)
#define PAGE 4096ull
#define READAHEAD (128u << 10) /* what the kernel brings in at a miss */

struct model {
	struct stream s;
	unsigned char *there; /* by page */
	uint64_t fetched;
	unsigned misses; /* waits of the reader */
};

static void model_init(struct model *m, uint64_t max_window)
{
	memset(m, 0, sizeof(*m));
	stream_init(&m->s, SIZE, max_window);
	m->there = calloc(SIZE / PAGE, 1);
}

static void bring(struct model *m, uint64_t offset, uint64_t length)
{
	for (uint64_t p = offset / PAGE; p < (offset + length + PAGE - 1) / PAGE; p++)
		if (p < SIZE / PAGE)
			m->there[p] = 1;
}

static void apply(struct model *m, const struct extent *fetch, unsigned n)
{
	ck_assert_uint_le(n, STREAM_MAX_FETCH);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_gt(fetch[i].length, 0);
		ck_assert_uint_le(fetch[i].offset + fetch[i].length, SIZE);
		bring(m, fetch[i].offset, fetch[i].length);
		m->fetched += fetch[i].length;
	}
}

static int in_trip(const struct model *m, uint64_t offset)
{
	return m->s.trip.length && offset >= m->s.trip.offset &&
	       offset < m->s.trip.offset + m->s.trip.length;
}

/* One page is read; what the watcher then does is done at once. */
static void read_page(struct model *m, uint64_t offset)
{
	struct extent fetch[STREAM_MAX_FETCH];

	if (m->there[offset / PAGE])
		return;
	m->misses++;
	if (in_trip(m, offset)) {
		bring(m, m->s.trip.offset, m->s.trip.length);
		apply(m, fetch, stream_tripped(&m->s, fetch));
	} else {
		bring(m, offset, READAHEAD);
		apply(m, fetch, stream_miss(&m->s, offset, READAHEAD, fetch));
	}
}

START_TEST(test_forward)
{
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t at = 0; at < SIZE; at += PAGE)
		read_page(&m, at);
	/* One wait for each window: 2, 4, 8, 16, 32, 32 … MiB; the plain kernel waits 2,048 times. */
	ck_assert_uint_le(m.misses, 16);
	ck_assert_uint_ge(m.fetched, SIZE - 16 * STREAM_TRIP - READAHEAD);
	free(m.there);
}
END_TEST

START_TEST(test_forward_from_the_middle)
{
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t at = 100 * MIB; at < SIZE; at += PAGE)
		read_page(&m, at);
	ck_assert_uint_le(m.misses, 16);
	free(m.there);
}
END_TEST

START_TEST(test_window_is_a_bound)
{
	struct model m;
	uint64_t window = 8 * MIB;

	model_init(&m, window);
	for (uint64_t at = 0; at < SIZE; at += PAGE) {
		read_page(&m, at);
		if (m.s.window)
			ck_assert_uint_le(m.s.frontier, at + 2 * window + READAHEAD);
	}
	free(m.there);
}
END_TEST

START_TEST(test_stops_early)
{
	struct model m;

	model_init(&m, 64 * MIB);
	for (uint64_t at = 0; at < 64 << 10; at += PAGE)
		read_page(&m, at);
	/* Who reads only the head costs no more than the first window. */
	ck_assert_uint_le(m.fetched, STREAM_FIRST_WINDOW);
	free(m.there);
}
END_TEST

START_TEST(test_backward)
{
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t at = SIZE; at; at -= PAGE)
		read_page(&m, at - PAGE);
	ck_assert_uint_le(m.misses, 64);
	free(m.there);
}
END_TEST

START_TEST(test_strided)
{
	struct model m;
	unsigned reads = 0;

	model_init(&m, 32 * MIB);
	for (uint64_t at = 5 * MIB; at + MIB <= SIZE; at += MIB, reads++)
		for (uint64_t in = 0; in < 128 << 10; in += PAGE)
			read_page(&m, at + in);
	ck_assert_uint_le(m.misses, reads / 2);
	ck_assert_uint_le(m.fetched, SIZE / 4);
	free(m.there);
}
END_TEST

/* Random reads: nothing, or next to nothing, is fetched for them. */
START_TEST(test_random)
{
	struct model m;
	uint64_t x = 88172645463325252ull + (uint64_t)_i;

	model_init(&m, 64 * MIB);
	for (unsigned i = 0; i < 1000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		read_page(&m, x % (SIZE / PAGE) * PAGE);
	}
	ck_assert_uint_le(m.fetched, 48 * MIB);
	free(m.there);
}
END_TEST

/* Whatever is said to it, it asks for nothing outside the file and never for the tripwire. */
START_TEST(test_any_history)
{
	struct extent fetch[STREAM_MAX_FETCH];
	uint64_t x = 0x9e3779b97f4a7c15ull + (uint64_t)_i * 77;
	struct stream s;

	stream_init(&s, SIZE - 12345, 16 * MIB);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned n;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (x % 3 && s.trip.length)
			n = stream_tripped(&s, fetch);
		else
			n = stream_miss(&s, x % (SIZE - 12345) & ~(PAGE - 1), x % MIB + 1, fetch);
		ck_assert_uint_le(n, STREAM_MAX_FETCH);
		for (unsigned k = 0; k < n; k++) {
			ck_assert_uint_gt(fetch[k].length, 0);
			ck_assert_uint_le(fetch[k].length, SIZE);
			ck_assert_uint_le(fetch[k].offset + fetch[k].length, SIZE - 12345);
			ck_assert(!s.trip.length ||
				  fetch[k].offset >= s.trip.offset + s.trip.length ||
				  fetch[k].offset + fetch[k].length <= s.trip.offset);
		}
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stream");

	tcase_add_test(tc, test_forward);
	tcase_add_test(tc, test_forward_from_the_middle);
	tcase_add_test(tc, test_window_is_a_bound);
	tcase_add_test(tc, test_stops_early);
	tcase_add_test(tc, test_backward);
	tcase_add_test(tc, test_strided);
	tcase_add_loop_test(tc, test_random, 0, 5);
	tcase_add_loop_test(tc, test_any_history, 0, 20);
	return run_case("stream", tc);
}
