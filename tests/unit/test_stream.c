/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The patterns of reading, without a disk: how often readers wait, and what is fetched in vain. */
#include "stream_model.h"
#include "suite.h"

START_TEST(test_forward)
{
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t at = 0; at < SIZE; at += PAGE)
		model_read(&m, at, PAGE);
	/* One wait for each window: 2, 4, 8, 16, 32, 32 … MiB; the plain kernel waits 2,048 times. */
	ck_assert_uint_le(m.waits, 16);
	ck_assert_uint_ge(m.fetched, SIZE - 16 * STREAM_TRIP - READAHEAD);
	model_deinit(&m);
}
END_TEST

START_TEST(test_forward_from_the_middle)
{
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t at = 100 * MIB; at < SIZE; at += PAGE)
		model_read(&m, at, PAGE);
	ck_assert_uint_le(m.waits, 16);
	model_deinit(&m);
}
END_TEST

START_TEST(test_window_is_a_bound)
{
	struct model m;
	uint64_t window = 8 * MIB;

	model_init(&m, window);
	for (uint64_t at = 0; at < SIZE; at += PAGE) {
		model_read(&m, at, PAGE);
		if (m.s.cursor[0].step)
			ck_assert_uint_le(m.s.cursor[0].end, at + 2 * window + READAHEAD);
	}
	model_deinit(&m);
}
END_TEST

START_TEST(test_stops_early)
{
	struct model m;

	model_init(&m, 64 * MIB);
	model_read(&m, 0, 64 * KIB);
	/* Who reads only the head costs no more than the first window. */
	ck_assert_uint_le(m.fetched, STREAM_FIRST_WINDOW);
	model_deinit(&m);
}
END_TEST

START_TEST(test_backward)
{
	static const uint64_t pieces[] = { PAGE, 64 * KIB, 128 * KIB, MIB };
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t at = SIZE; at; at -= pieces[_i])
		model_read(&m, at - pieces[_i], pieces[_i]);
	ck_assert_uint_le(m.waits, 64);
	model_deinit(&m);
}
END_TEST

/* Pieces of each step, read at once or in several reads, upwards and downwards. */
static const struct {
	uint64_t first, piece, read, step;
} strides[] = {
	{ 0, 256 * KIB, 256 * KIB, MIB }, /* tests/bench/stream */
	{ 5 * MIB, 128 * KIB, 128 * KIB, MIB },
	{ 0, 4 * KIB, 4 * KIB, 256 * KIB },
	{ MIB / 2, 256 * KIB, 64 * KIB, MIB },
	{ 0, 512 * KIB, 128 * KIB, 2 * MIB },
	{ 12 * KIB, 20 * KIB, 20 * KIB, 700 * KIB },
	{ 0, MIB, MIB, 4 * MIB },
};

static void check_strided(const struct model *m, uint64_t count, unsigned i)
{
	uint64_t wanted = count * (strides[i].piece > READAHEAD ? strides[i].piece : READAHEAD);

	bool at_once = strides[i].read == strides[i].piece;

	/*
	 * Pieces of several reads look like the beginning of something else for a while, or always,
	 * where the next one happens to begin at the tripwire.
	 */
	ck_assert_msg(m->waits <= (at_once ? 12 + count / 4 : 2 * count),
		      "%u: %u waits of %u pieces", i, m->waits, (unsigned)count);
	/* The windows of those who were taken for others, and the last one. */
	ck_assert_msg(in_vain(m) <= 3 * STREAM_FIRST_WINDOW + (at_once ? wanted / 8 : 2 * wanted),
		      "%u: %u KiB in vain of %u", i, (unsigned)(in_vain(m) >> 10),
		      (unsigned)(wanted >> 10));
}

START_TEST(test_strided)
{
	uint64_t count = 0;
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t at = strides[_i].first; at + strides[_i].piece <= SIZE;
	     at += strides[_i].step)
		for (uint64_t in = 0; in < strides[_i].piece; in += strides[_i].read, count++)
			model_read(&m, at + in, strides[_i].read);
	check_strided(&m, count / (strides[_i].piece / strides[_i].read), (unsigned)_i);
	model_deinit(&m);
}
END_TEST

START_TEST(test_strided_downwards)
{
	uint64_t count = 0;
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t at = SIZE; at >= strides[_i].step; count++) {
		at -= strides[_i].step;
		model_read(&m, at, strides[_i].piece);
	}
	check_strided(&m, count, (unsigned)_i);
	model_deinit(&m);
}
END_TEST

static const struct {
	unsigned streams;
	uint64_t read;
} turns[] = { { 2, PAGE },	{ 3, 64 * KIB },  { 4, 128 * KIB }, { 4, MIB },
	      { 5, 128 * KIB }, { 7, 10 * PAGE }, { 8, 128 * KIB } };

/* Several streams in one file, by turns, each in a part of its own: equal parts, or some bytes off. */
static void run_interleaved(struct model *m, unsigned i, uint64_t off)
{
	unsigned streams = turns[i].streams;
	uint64_t part = SIZE / streams & ~(MIB - 1);

	for (uint64_t at = 0; at + turns[i].read <= part - streams * off; at += turns[i].read)
		for (unsigned k = 0; k < streams; k++)
			model_read(m, k * (part - off * k) + at, turns[i].read);
}

START_TEST(test_interleaved)
{
	for (unsigned odd = 0; odd < 2; odd++) {
		unsigned streams = turns[_i].streams;
		struct model m;

		model_init(&m, 32 * MIB);
		run_interleaved(&m, (unsigned)_i, odd * 84 * KIB);
		/* The plain kernel waits at least 200 times. */
		ck_assert_msg(
			m.waits <= streams * (12 + SIZE / streams / (32 * MIB / streams) * 3 / 2),
			"%u streams: %u waits", streams, m.waits);
		ck_assert_uint_le(in_vain(&m), 40 * MIB);
		ck_assert_uint_le(m.asked, SIZE / 16 * 17); /* hardly anything twice */
		ck_assert(!m.given_up);
		model_deinit(&m);
	}
}
END_TEST

/* One follows the other at a distance: they must not drive each other on to the file's end. */
START_TEST(test_behind_each_other)
{
	struct model m;

	model_init(&m, 16 * MIB);
	for (uint64_t at = 0; at < 60 * MIB; at += 128 * KIB) {
		model_read(&m, at, 128 * KIB);
		model_read(&m, 20 * MIB + at, 128 * KIB);
	}
	for (uint64_t p = 112 * MIB / PAGE; p < SIZE / PAGE; p++)
		ck_assert(!m.there[p]);
	ck_assert_uint_le(m.waits, 40);
	model_deinit(&m);
}
END_TEST

/* All readers' windows together stay within the bound, but for what was given to fewer of them. */
START_TEST(test_memory_is_shared)
{
	uint64_t bound = 16 * MIB;
	struct model m;

	model_init(&m, bound);
	for (uint64_t at = 0; at < 60 * MIB; at += 128 * KIB) {
		uint64_t windows = 0, most = 0, least = bound;

		for (unsigned k = 0; k < 4; k++)
			model_read(&m, k * 64 * MIB + at, 128 * KIB);
		if (at < 40 * MIB)
			continue;
		for (unsigned i = 0; i < STREAM_CURSORS; i++) {
			uint64_t window = m.s.cursor[i].window;

			if (!m.s.cursor[i].step)
				continue;
			windows += window;
			most = window > most ? window : most;
			least = window < least ? window : least;
		}
		ck_assert_uint_le(windows, bound);
		ck_assert_uint_eq(most, least);
	}
	model_deinit(&m);
}
END_TEST

/* One forward, one backward, one in strides, and a second program that reads at random. */
START_TEST(test_all_at_once)
{
	uint64_t x = 88172645463325252ull + (uint64_t)_i * 997;
	struct model m;

	model_init(&m, 32 * MIB);
	for (uint64_t i = 0; i < 60 * 8; i++) {
		model_read(&m, i * 128 * KIB, 128 * KIB);
		model_read(&m, 124 * MIB - (i + 1) * 128 * KIB, 128 * KIB);
		if (i % 8 == 0)
			model_read(&m, 125 * MIB + i / 8 * MIB, 256 * KIB);
		if (i % 16 == 0)
			model_read(&m, 190 * MIB + xorshift(&x) % (60 * MIB / PAGE) * PAGE, PAGE);
	}
	/* Of 1,050 reads 30 were at random. */
	ck_assert_uint_le(m.waits, 160);
	ck_assert_uint_le(in_vain(&m), 24 * MIB);
	ck_assert(!m.given_up);
	model_deinit(&m);
}
END_TEST

/* Random reads: recognised soon, and nothing, or next to nothing, is fetched for them. */
START_TEST(test_random)
{
	static const uint64_t sizes[] = { 8 * MIB, 16 * MIB, 64 * MIB, SIZE };
	uint64_t fetched = 0, waits = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		uint64_t x = 88172645463325252ull * seed;
		struct model m;

		model_init(&m, 64 * MIB);
		for (unsigned i = 0; i < 1000 && !m.given_up; i++)
			model_read(&m, xorshift(&x) % (sizes[_i] / PAGE) * PAGE, PAGE);
		fetched += m.fetched;
		waits += m.waits;
		ck_assert(m.given_up);
		model_deinit(&m);
	}
	ck_assert_uint_le(waits / 200, 16);
	ck_assert_uint_le(fetched / 200, sizes[_i] / 16);
}
END_TEST

/* Who jumps and reads a little in order each time costs a window now and then, not at each place. */
START_TEST(test_short_runs)
{
	uint64_t x = 0x2545f4914f6cdd1dull + (uint64_t)_i;
	struct model m;

	model_init(&m, 64 * MIB);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t at = xorshift(&x) % (SIZE / MIB) * MIB;

		for (unsigned k = 0; k < 2; k++)
			model_read(&m, at + k * 128 * KIB, 128 * KIB);
	}
	ck_assert_uint_le(m.fetched, 16 * MIB);
	model_deinit(&m);
}
END_TEST

/* Plain conditions: Check writes down each of its own, and there are millions. */
static bool gaps_are_right(const struct stream *s)
{
	struct extent gap[STREAM_GAPS];
	unsigned n = stream_unknown(s, gap);
	bool right = n <= STREAM_GAPS;

	for (unsigned i = 0; i < n; i++) {
		uint64_t before = i ? gap[i - 1].offset + gap[i - 1].length : 0;

		right &= gap[i].length > 0 && (i == 0 || gap[i].offset > before) &&
			 gap[i].offset + gap[i].length <= s->size;
	}
	for (unsigned i = 0; i < STREAM_CURSORS; i++) {
		const struct stream_cursor *c = &s->cursor[i];

		for (unsigned k = 0; k < n && c->used_at && c->end > c->start; k++)
			right &= gap[k].offset >= c->end ||
				 gap[k].offset + gap[k].length <= c->start;
		right &= !c->step || c->window <= s->max_window;
	}
	return right;
}

/* Nothing outside the file, and never the tripwire of him for whom it is fetched. */
static bool fetch_is_right(const struct stream *s, const struct extent *fetch, unsigned n)
{
	const struct stream_cursor *c = s->cursor;
	bool right = n <= STREAM_MAX_FETCH;

	while (c < s->cursor + STREAM_CURSORS && c->used_at != s->count)
		c++;
	for (unsigned k = 0; k < n; k++) {
		uint64_t end = fetch[k].offset + fetch[k].length;

		right &= fetch[k].length > 0 && fetch[k].length <= s->size && end <= s->size;
		if (c < s->cursor + STREAM_CURSORS && c->trip.length)
			right &= fetch[k].offset >= c->trip.offset + c->trip.length ||
				 end <= c->trip.offset;
	}
	return right;
}

/* Where the next event of a made-up history is: anywhere, or close to where a cursor is. */
static uint64_t somewhere(const struct stream *s, uint64_t *x)
{
	const struct stream_cursor *c = &s->cursor[xorshift(x) % STREAM_CURSORS];
	uint64_t at;

	switch (xorshift(x) % 4) {
	case 0:
		at = c->end;
		break;
	case 1:
		at = c->start - 128 * KIB;
		break;
	case 2:
		at = c->next;
		break;
	default:
		at = xorshift(x);
		break;
	}
	return at % s->size & ~(PAGE - 1);
}

/* Whatever is said to it, also with little memory and in small files. */
START_TEST(test_any_history)
{
	static const uint64_t sizes[] = { SIZE - 12345, MIB, 5 * MIB + 1, 1ull << 42, INT64_MAX };
	static const uint64_t windows[] = { 16 * MIB, 256 * KIB, 1ull << 40, 3 * MIB, 0 };
	uint64_t x = 0x9e3779b97f4a7c15ull + (uint64_t)_i * 77;
	struct extent fetch[STREAM_MAX_FETCH];
	struct stream s;

	stream_init(&s, sizes[_i / 5], windows[_i % 5]);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = (unsigned)(xorshift(&x) % STREAM_CURSORS), n;

		if (xorshift(&x) % 3 && s.cursor[k].trip.length)
			n = stream_tripped(&s, k, xorshift(&x) % MIB + 1, fetch);
		else
			n = stream_miss(&s, somewhere(&s, &x), xorshift(&x) % MIB + 1, fetch);
		if (i % 100 == 0)
			stream_known(&s, somewhere(&s, &x), PAGE);
		ck_assert(fetch_is_right(&s, fetch, n) && gaps_are_right(&s));
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
	tcase_add_loop_test(tc, test_backward, 0, 4);
	tcase_add_loop_test(tc, test_strided, 0, (int)(sizeof(strides) / sizeof(strides[0])));
	tcase_add_loop_test(tc, test_strided_downwards, 0,
			    (int)(sizeof(strides) / sizeof(strides[0])));
	tcase_add_loop_test(tc, test_interleaved, 0, (int)(sizeof(turns) / sizeof(turns[0])));
	tcase_add_test(tc, test_memory_is_shared);
	tcase_add_test(tc, test_behind_each_other);
	tcase_add_loop_test(tc, test_all_at_once, 0, 5);
	tcase_add_loop_test(tc, test_random, 0, 4);
	tcase_add_loop_test(tc, test_short_runs, 0, 5);
	tcase_add_loop_test(tc, test_any_history, 0, 25);
	return run_case("stream", tc);
}
