/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/range.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "suite.h"

#define CASES  30000 /* of each property */
#define WINDOW 512   /* bytes that the model looks at one by one */

/* A generator of our own: the cases are the same everywhere. */
static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Where a model's window of bytes begins: anywhere, with the ends of what there is more often. */
static uint64_t draw_base(uint64_t *seed)
{
	switch (draw(seed) % 4) {
	case 0:
		return 0;
	case 1:
		return (uint64_t)INT64_MAX - WINDOW;
	case 2:
		return (1ull << 32) - WINDOW / 2;
	default:
		return draw(seed) >> (1 + draw(seed) % 62);
	}
}

/* A range within the window, and an alignment of 1 … 128 bytes that the window shows whole. */
static struct range draw_range(uint64_t *seed, uint32_t *alignment)
{
	uint64_t base = draw_base(seed), at = draw(seed) % WINDOW;

	if (base > (uint64_t)INT64_MAX - WINDOW)
		base = (uint64_t)INT64_MAX - WINDOW;
	*alignment = 1u << draw(seed) % 8;
	return (struct range){ base + at, draw(seed) % (WINDOW - at + 1) };
}

static bool holds(struct range range, uint64_t byte)
{
	return byte >= range.offset && byte - range.offset < range.length;
}

/* A byte is of the body if all of its block is wanted. */
static bool block_wanted(struct range whole, uint64_t byte, uint32_t alignment)
{
	uint64_t block = byte - byte % alignment;

	return holds(whole, block) && holds(whole, block + alignment - 1);
}

START_TEST(test_split_agrees_with_the_model)
{
	uint64_t seed = 88172645463325252;

	for (int i = 0; i < CASES; i++) {
		uint32_t alignment;
		struct range whole = draw_range(&seed, &alignment);
		struct range_parts p;
		bool body_seen = false;

		ck_assert_int_eq(range_split(whole, alignment, &p), 0);
		ck_assert_uint_eq(p.head.offset, whole.offset);
		ck_assert_uint_eq(p.head.offset + p.head.length, p.body.offset);
		ck_assert_uint_eq(p.body.offset + p.body.length, p.tail.offset);
		ck_assert_uint_eq(p.head.length + p.body.length + p.tail.length, whole.length);
		ck_assert(p.head.length < alignment && p.tail.length < alignment);
		for (uint64_t n = 0; n < whole.length; n++) {
			uint64_t byte = whole.offset + n;
			bool body = block_wanted(whole, byte, alignment);

			body_seen |= body;
			if (holds(p.body, byte) != body)
				ck_abort_msg("case %d: byte %lu", i, byte);
			if (holds(p.tail, byte) && byte - byte % alignment < p.tail.offset)
				ck_abort_msg("case %d: tail crosses a block", i);
			if (holds(p.head, byte) &&
			    (byte / alignment != whole.offset / alignment || body_seen))
				ck_abort_msg("case %d: head crosses a block", i);
		}
	}
}
END_TEST

/* The blocks of a file of size bytes that hold a wanted byte, and no other. */
static void check_widened(struct range wanted, uint32_t alignment, uint64_t size, struct range wide)
{
	uint64_t from = wanted.offset > 2 * WINDOW ? wanted.offset - WINDOW : 0;
	uint64_t to = wanted.offset + wanted.length + WINDOW;

	ck_assert_uint_eq(wide.offset % alignment, 0);
	ck_assert_uint_eq(wide.length % alignment, 0);
	ck_assert(!wide.length || wide.offset + wide.length <= 1ull << 63);
	from -= from % alignment;
	for (uint64_t block = from; block < to; block += alignment) {
		bool needed = false;

		for (uint64_t byte = block; byte < block + alignment; byte++)
			needed |= holds(wanted, byte) && byte < size;
		if (holds(wide, block) != needed || holds(wide, block + alignment - 1) != needed)
			ck_abort_msg("block %lu of %u bytes", block, alignment);
	}
}

START_TEST(test_widen_agrees_with_the_model)
{
	uint64_t seed = 362436069362436069;

	for (int i = 0; i < CASES; i++) {
		uint32_t alignment;
		struct range wide, wanted = draw_range(&seed, &alignment);
		uint64_t size = UINT64_MAX;

		if (draw(&seed) % 4)
			size = wanted.offset + draw(&seed) % (2 * WINDOW);
		if (draw(&seed) % 8 == 0)
			size = draw(&seed) % (wanted.offset + 1);
		ck_assert_int_eq(range_widen(wanted, alignment, size, &wide), 0);
		check_widened(wanted, alignment, size, wide);
	}
}
END_TEST

START_TEST(test_pieces_join_to_the_whole)
{
	uint64_t seed = 521288629;

	for (int i = 0; i < CASES; i++) {
		uint32_t alignment, max = draw(&seed) % 600;
		struct range whole = draw_range(&seed, &alignment), rest = whole, piece;
		uint64_t next = whole.offset;

		while (range_next(&rest, alignment, max, &piece)) {
			ck_assert(piece.offset == next && piece.length);
			ck_assert(piece.length <= max || piece.length <= alignment);
			next += piece.length;
			/* Only the last may be no multiple, and only if the whole is none. */
			ck_assert(!rest.length || piece.length % alignment == 0);
		}
		ck_assert_uint_eq(next, whole.offset + whole.length);
		ck_assert_uint_eq(rest.length, 0);
	}
}
END_TEST

START_TEST(test_overlap_agrees_with_the_model)
{
	uint64_t seed = 3141592653589793;

	for (int i = 0; i < CASES; i++) {
		uint32_t alignment;
		struct range a = draw_range(&seed, &alignment), both;
		struct range b = { a.offset - a.offset % WINDOW + draw(&seed) % WINDOW,
				   draw(&seed) % WINDOW };
		uint64_t count = 0;

		both = range_overlap(a, b);
		for (uint64_t n = 0; n < a.length; n++) {
			bool in = holds(b, a.offset + n);

			count += in;
			if (in != holds(both, a.offset + n))
				ck_abort_msg("case %d", i);
		}
		ck_assert_uint_eq(both.length, count);
	}
}
END_TEST

START_TEST(test_large_alignments)
{
	struct range_parts p;
	struct range wide;

	ck_assert_int_eq(range_split((struct range){ 1, INT64_MAX - 1 }, 1u << 31, &p), 0);
	ck_assert_uint_eq(p.head.length, (1ull << 31) - 1);
	ck_assert_uint_eq(p.body.length, (1ull << 63) - (1ull << 32));
	ck_assert_uint_eq(p.tail.length, (1ull << 31) - 1);
	ck_assert_int_eq(
		range_widen((struct range){ 1, INT64_MAX - 1 }, 1u << 31, UINT64_MAX, &wide), 0);
	ck_assert_uint_eq(wide.offset, 0);
	ck_assert_uint_eq(wide.length, 1ull << 63);
}
END_TEST

START_TEST(test_refused)
{
	const struct range ok = { 4096, 4096 };
	const struct range over[] = { { INT64_MAX, 1 },
				      { 1, INT64_MAX },
				      { UINT64_MAX, 0 },
				      { (uint64_t)INT64_MAX + 1, 0 },
				      { 4096, UINT64_MAX - 100 } };
	const uint32_t odd[] = { 0, 3, 513, 4097, UINT32_MAX };
	struct range_parts p;
	struct range wide;

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		ck_assert_int_eq(range_split(ok, odd[i], &p), -EINVAL);
		ck_assert_int_eq(range_widen(ok, odd[i], 1 << 20, &wide), -EINVAL);
	}
	for (size_t i = 0; i < sizeof(over) / sizeof(*over); i++) {
		ck_assert_int_eq(range_split(over[i], 4096, &p), -EOVERFLOW);
		ck_assert_int_eq(range_widen(over[i], 4096, 1 << 20, &wide), -EOVERFLOW);
	}
	ck_assert_int_eq(range_split((struct range){ INT64_MAX, 0 }, 4096, &p), 0);
	ck_assert_int_eq(range_split((struct range){ 0, INT64_MAX }, 4096, &p), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("range");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_split_agrees_with_the_model);
	tcase_add_test(tc, test_widen_agrees_with_the_model);
	tcase_add_test(tc, test_pieces_join_to_the_whole);
	tcase_add_test(tc, test_overlap_agrees_with_the_model);
	tcase_add_test(tc, test_large_alignments);
	tcase_add_test(tc, test_refused);
	return run_case("range", tc);
}
