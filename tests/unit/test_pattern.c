/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>

#include "prefetch/pattern.h"
#include "suite.h"

#define KIB  1024u
#define MIB  (1024u * KIB)
#define SIZE (1024ull * MIB)

static struct pattern p;
static uint64_t fetched, lowest, highest, size = SIZE;
static int gone;

static void begin(void)
{
	pattern_init(&p, 4096);
	fetched = highest = 0;
	lowest = UINT64_MAX;
}

/* A read and all that is fetched for it. */
static void read_at(uint64_t offset, uint64_t length)
{
	unsigned cursor = pattern_read(&p, offset, length, &gone);
	struct extent e;

	while (pattern_next(&p, cursor, size, &e)) {
		ck_assert_uint_gt(e.length, 0);
		ck_assert_uint_le(e.length, PATTERN_MAX_PIECE);
		ck_assert_uint_eq(e.offset % 4096, 0);
		ck_assert_uint_le(e.offset + e.length, size);
		pattern_fetched(&p, cursor, &e);
		fetched += e.length;
		lowest = e.offset < lowest ? e.offset : lowest;
		highest = e.offset + e.length > highest ? e.offset + e.length : highest;
		pattern_used(&p, cursor, true, 16 * MIB);
	}
}

START_TEST(in_order)
{
	begin();
	read_at(0, 128 * KIB);
	ck_assert_uint_eq(fetched, 0);
	for (uint64_t at = 128 * KIB; at < 64 * MIB; at += 128 * KIB) {
		read_at(at, 128 * KIB);
		ck_assert_uint_ge(highest, at + 128 * KIB);
		ck_assert_uint_le(highest, at + 17 * MIB);
	}
	ck_assert_uint_le(lowest, 128 * KIB);
	ck_assert_uint_eq(fetched, highest - lowest); /* nothing twice */
}
END_TEST

/* Few small reads in a row fetch little. */
START_TEST(small_reads)
{
	begin();
	read_at(100 * MIB, 4096);
	read_at(100 * MIB + 4096, 4096);
	ck_assert_uint_gt(fetched, 0);
	ck_assert_uint_le(highest, 100 * MIB + 17 * MIB);
	begin();
	pattern_read(&p, 100 * MIB, 4096, &gone);
	ck_assert_uint_le(p.cursor[pattern_read(&p, 100 * MIB + 4096, 4096, &gone)].window,
			  128 * KIB);
}
END_TEST

START_TEST(backwards)
{
	begin();
	for (uint64_t at = 64 * MIB; at > 32 * MIB; at -= 128 * KIB)
		read_at(at, 128 * KIB);
	ck_assert_uint_ge(fetched, 31 * MIB);
	ck_assert_uint_le(lowest, 32 * MIB);
	ck_assert_uint_le(highest, 64 * MIB);
	for (uint64_t at = 32 * MIB; at > 0; at -= 128 * KIB)
		read_at(at, 128 * KIB);
	read_at(0, 128 * KIB);
	ck_assert_uint_eq(lowest, 0);
}
END_TEST

START_TEST(steps)
{
	unsigned reads = 0;

	begin();
	for (uint64_t at = 0; at < 256 * MIB; at += MIB, reads++)
		read_at(at, 256 * KIB);
	/* Only what is asked for, but for what is ahead at the end. */
	ck_assert_uint_ge(fetched, (reads - 4) * 256ull * KIB);
	ck_assert_uint_le(fetched, (reads + 40) * 256ull * KIB);
}
END_TEST

START_TEST(several_at_once)
{
	begin();
	for (unsigned i = 0; i < 64; i++)
		for (uint64_t stream = 0; stream < 4; stream++)
			read_at(stream * 200 * MIB + i * 128ull * KIB, 128 * KIB);
	ck_assert_uint_ge(fetched, 4 * 60 * 128ull * KIB);
	for (unsigned i = 0, streams = 0; i < PATTERN_CURSORS; i++) {
		streams += p.cursor[i].window > 0 && !p.cursor[i].step;
		ck_assert(i < PATTERN_CURSORS - 1 || streams == 4);
	}
}
END_TEST

START_TEST(at_random)
{
	begin();
	srandom(1);
	for (unsigned i = 0; i < 10000; i++)
		read_at((uint64_t)random() % (SIZE / 4096 - 1) * 4096, 4096);
	ck_assert_uint_le(fetched, 1 * MIB);
}
END_TEST

/* Who is disappointed waits longer the next time. */
START_TEST(waste_makes_patient)
{
	begin();
	pattern_wasted(&p);
	read_at(0, 4096);
	read_at(4096, 4096);
	ck_assert_uint_eq(fetched, 0);
	read_at(8192, 4096);
	read_at(12288, 4096);
	ck_assert_uint_gt(fetched, 0);
}
END_TEST

START_TEST(ends_with_the_file)
{
	begin();
	size = SIZE - 100; /* not aligned */
	for (uint64_t at = SIZE - 4 * MIB; at < SIZE; at += MIB)
		read_at(at, MIB);
	ck_assert_uint_eq(highest, size);
	size = SIZE;
	read_at(SIZE, MIB);
	read_at(UINT64_MAX / 2, MIB);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("pattern");

	tcase_add_test(t, in_order);
	tcase_add_test(t, small_reads);
	tcase_add_test(t, backwards);
	tcase_add_test(t, steps);
	tcase_add_test(t, several_at_once);
	tcase_add_test(t, at_random);
	tcase_add_test(t, waste_makes_patient);
	tcase_add_test(t, ends_with_the_file);
	return run_case("pattern", t);
}
