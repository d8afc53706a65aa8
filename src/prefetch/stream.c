/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/stream.h"

#include <stdlib.h>
#include <string.h>

/* A reader that goes on within this distance of where it stopped is sequential. */
#define NEAR (2u << 20)
/* A stride is believed when it has come twice. */
#define STRIDES_NEEDED 2

void stream_init(struct stream *s, uint64_t size, uint64_t max_window)
{
	memset(s, 0, sizeof(*s));
	s->size = size;
	s->max_window = max_window;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Adds an extent, less the tripwire's part. */
static unsigned add(const struct stream *s, struct extent *fetch, unsigned n, uint64_t from,
		    uint64_t to)
{
	uint64_t trip = s->trip.offset, trip_end = trip + s->trip.length;

	if (n + 2 > STREAM_MAX_FETCH || from >= to)
		return n;
	if (!s->trip.length || trip >= to || trip_end <= from) {
		fetch[n++] = (struct extent){from, to - from};
		return n;
	}
	if (from < trip)
		fetch[n++] = (struct extent){from, trip - from};
	if (trip_end < to)
		fetch[n++] = (struct extent){trip_end, to - trip_end};
	return n;
}

static unsigned forward(struct stream *s, struct extent *fetch)
{
	uint64_t from = s->frontier, to = min_u64(s->size, from + s->window);

	s->trip = (struct extent){0};
	if (to < s->size) /* else there is nothing more to fetch, and nothing to watch for */
		s->trip = (struct extent){(from + (to - from) / 4 * 3) & ~(uint64_t)(STREAM_TRIP - 1),
					  STREAM_TRIP};
	s->frontier = to;
	return add(s, fetch, 0, from, to);
}

static unsigned backward(struct stream *s, struct extent *fetch)
{
	uint64_t to = s->frontier, from = to > s->window ? to - s->window : 0;

	s->trip = (struct extent){0};
	if (from > 0)
		s->trip = (struct extent){(from + (to - from) / 4) & ~(uint64_t)(STREAM_TRIP - 1),
					  STREAM_TRIP};
	s->frontier = from;
	/* The reader wants the end first. */
	for (unsigned n = 0;;) {
		uint64_t start = to > from + (1u << 20) ? to - (1u << 20) : from;

		n = add(s, fetch, n, start, to);
		to = start;
		if (to <= from || n + 2 > STREAM_MAX_FETCH) {
			s->frontier = to;
			return n;
		}
	}
}

/* Pieces at a fixed distance; the last but some is left out as the tripwire. */
static unsigned strided(struct stream *s, struct extent *fetch)
{
	uint64_t pieces = s->window / s->piece, at = s->frontier;
	unsigned n = 0;

	if (pieces > STREAM_MAX_FETCH - 2)
		pieces = STREAM_MAX_FETCH - 2;
	if (pieces < 4)
		pieces = 4;
	s->trip = (struct extent){0};
	for (uint64_t i = 0; i < pieces && at < s->size; i++, at += (uint64_t)s->step) {
		if (i == pieces * 3 / 4)
			s->trip = (struct extent){at, min_u64(STREAM_TRIP, s->piece)};
		n = add(s, fetch, n, at, min_u64(s->size, at + s->piece));
		if (s->step < 0 && at < (uint64_t)-s->step) {
			at = s->size;
			break;
		}
	}
	s->frontier = at;
	return n;
}

static unsigned go_on(struct stream *s, struct extent *fetch)
{
	if (s->window > s->max_window)
		s->window = s->max_window;
	if (s->step == 1)
		return forward(s, fetch);
	return s->step == -1 ? backward(s, fetch) : strided(s, fetch);
}

/* The reader was faster than the fetching: he misses where the window ends. */
static bool overtaken(const struct stream *s, uint64_t offset)
{
	if (!s->step || !s->window)
		return false;
	return offset + NEAR >= s->frontier && offset <= s->frontier + NEAR;
}

/* The pattern that this miss continues: 1 forward, -1 backward, a stride, or 0. */
static int64_t pattern(const struct stream *s, uint64_t offset)
{
	int64_t delta = (int64_t)(offset - s->last);

	if (overtaken(s, offset))
		return s->step;
	if (!s->misses)
		return offset == 0 ? 1 : 0; /* from the beginning: most who do that go on */
	if (delta > 0 && (uint64_t)delta <= s->run + STREAM_TRIP)
		return 1;
	if (delta < 0 && (uint64_t)-delta <= NEAR && s->last_delta <= 0 && s->misses > 1)
		return -1;
	if (delta == s->last_delta && s->misses >= STRIDES_NEEDED)
		return delta;
	return 0;
}

unsigned stream_miss(struct stream *s, uint64_t offset, uint64_t length,
		     struct extent fetch[STREAM_MAX_FETCH])
{
	int64_t step = pattern(s, offset);
	bool late = step && overtaken(s, offset);

	s->overtaken = late;
	s->last_delta = s->misses ? (int64_t)(offset - s->last) : 0;
	s->last = offset;
	s->run = length;
	s->misses++;
	s->trip = (struct extent){0};
	/* A window was fetched and the reader is somewhere else: not so far the next time. */
	if (late)
		s->window *= 2;
	else if (s->window)
		s->window /= 4;
	if (s->window < STREAM_FIRST_WINDOW)
		s->window = STREAM_FIRST_WINDOW;
	s->step = step;
	if (!step)
		return 0;
	s->piece = length ? length : STREAM_TRIP;
	if (step == 1)
		s->frontier = offset + length;
	else if (step == -1)
		s->frontier = offset;
	else
		s->frontier = offset + (uint64_t)step;
	if (s->frontier >= s->size && step > 0)
		return 0;
	return go_on(s, fetch);
}

unsigned stream_tripped(struct stream *s, struct extent fetch[STREAM_MAX_FETCH])
{
	s->last = s->trip.offset;
	s->run = s->trip.length;
	s->window *= 2;
	return go_on(s, fetch);
}
