/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is fetched for a reader whose pattern is known, and where the tripwire is left. */
#include "prefetch/stream.h"

#define CHUNK (1u << 20) /* of a backward window: its reader wants the end first */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t trip_aligned(uint64_t offset)
{
	return offset & ~(uint64_t)(STREAM_TRIP - 1);
}

/* Adds an extent, less the tripwire's part. */
static unsigned add(const struct stream_cursor *c, struct extent *fetch, unsigned n, uint64_t from,
		    uint64_t to)
{
	uint64_t trip = c->trip.offset, trip_end = trip + c->trip.length;

	if (n + 2 > STREAM_MAX_WINDOW_FETCH || from >= to)
		return n;
	if (!c->trip.length || trip >= to || trip_end <= from) {
		fetch[n++] = (struct extent){ from, to - from };
		return n;
	}
	if (from < trip)
		fetch[n++] = (struct extent){ from, trip - from };
	if (trip_end < to)
		fetch[n++] = (struct extent){ trip_end, to - trip_end };
	return n;
}

static bool forward(struct stream_cursor *c, uint64_t most, struct extent *fetch, unsigned *n)
{
	uint64_t from = c->end, to = most - from > c->window ? from + c->window : most;

	if (to < most) /* else there is nothing more to fetch, and nothing to watch for */
		c->trip = (struct extent){ trip_aligned(from + (to - from) / 4 * 3), STREAM_TRIP };
	c->end = to;
	*n = add(c, fetch, 0, from, to);
	return to < most;
}

static bool backward(struct stream_cursor *c, uint64_t least, struct extent *fetch, unsigned *n)
{
	uint64_t to = c->start, from = to - least > c->window ? to - c->window : least;

	/* What does not fit into `fetch` is the next window's. */
	if (to - from > (STREAM_MAX_WINDOW_FETCH - 2) * (uint64_t)CHUNK)
		from = to - (STREAM_MAX_WINDOW_FETCH - 2) * (uint64_t)CHUNK;
	if (from > least)
		c->trip = (struct extent){ trip_aligned(from + (to - from) / 4), STREAM_TRIP };
	c->start = from;
	for (*n = 0; to > from;) {
		uint64_t at = to - from > CHUNK ? to - CHUNK : from;

		*n = add(c, fetch, *n, at, to);
		to = at;
	}
	return from > least;
}

/* How many more pieces begin within the room, up to `most`. */
static uint64_t pieces_left(const struct stream_cursor *c, const struct extent *room, uint64_t most)
{
	uint64_t last = room->offset + room->length, n;

	if (c->next < room->offset || c->next >= last)
		return 0;
	n = c->step > 0 ? (last - 1 - c->next) / (uint64_t)c->step
			: (c->next - room->offset) / -(uint64_t)c->step;
	return min_u64(n + 1, most);
}

/* Pieces at a fixed distance; the beginning of the last but some is left out as the tripwire. */
static bool strided(struct stream_cursor *c, const struct extent *room, struct extent *fetch,
		    unsigned *n)
{
	uint64_t pieces = c->window / c->piece, most = room->offset + room->length, left;

	if (pieces > STREAM_MAX_WINDOW_FETCH - 2)
		pieces = STREAM_MAX_WINDOW_FETCH - 2;
	if (pieces < 2)
		pieces = 2;
	left = pieces_left(c, room, pieces + 1);
	if (left > pieces)
		c->trip = (struct extent){ c->next + (pieces * 3 / 4) * (uint64_t)c->step,
					   min_u64(STREAM_TRIP, c->piece) };
	else
		pieces = left;
	*n = 0;
	for (uint64_t i = 0; i < pieces; i++, c->next += (uint64_t)c->step)
		*n = add(c, fetch, *n, c->next, min_u64(most, c->next + c->piece));
	if (left <= pieces)
		return false;
	if (c->step > 0)
		c->end = c->next;
	else
		c->start = c->next + c->piece;
	return true;
}

bool stream_window(struct stream_cursor *c, const struct extent *room, struct extent *fetch,
		   unsigned *n)
{
	c->trip = (struct extent){ 0 };
	if (c->step == 1)
		return forward(c, room->offset + room->length, fetch, n);
	return c->step == -1 ? backward(c, room->offset, fetch, n) : strided(c, room, fetch, n);
}
