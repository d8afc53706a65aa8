/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/stream.h"

#include <stdlib.h>
#include <string.h>

/* A cursor that rests while so much happens elsewhere has no reader any more. */
#define RESTS_AT_MOST 64
/* Each place may be a stream's beginning until there are more of them than cursors. */
#define RANDOM_MISSES (STREAM_CURSORS + 2)
#define MOST_DOUBT    7

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

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ------------------------------------------------------------------ what is known */

void stream_known(struct stream *s, uint64_t offset, uint64_t length)
{
	uint64_t end = min_u64(offset + length, s->size);

	for (unsigned i = 0; i < s->past_count; i++) {
		struct extent *p = &s->past[i];
		uint64_t p_end = p->offset + p->length;

		if (offset > p_end || end < p->offset)
			continue;
		p->offset = min_u64(p->offset, offset);
		p->length = max_u64(p_end, end) - p->offset;
		return;
	}
	if (s->past_count == STREAM_PAST) {
		memmove(s->past, s->past + 1, sizeof(s->past) - sizeof(s->past[0]));
		s->past_count--;
		s->forgot = true;
	}
	s->past[s->past_count++] = (struct extent){ offset, end - offset };
}

/* Keeps a list in order of its offsets. */
static void insert(struct extent *list, unsigned n, uint64_t from, uint64_t to)
{
	for (; n && list[n - 1].offset > from; n--)
		list[n] = list[n - 1];
	list[n] = (struct extent){ from, to - from };
}

unsigned stream_unknown(const struct stream *s, struct extent gaps[STREAM_GAPS])
{
	struct extent known[STREAM_CURSORS + STREAM_PAST];
	unsigned n = 0, found = 0;
	uint64_t at = 0;

	for (unsigned i = 0; i < s->past_count; i++)
		insert(known, n++, s->past[i].offset, s->past[i].offset + s->past[i].length);
	for (const struct stream_cursor *c = s->cursor; c < s->cursor + STREAM_CURSORS; c++)
		if (c->used_at && c->end > c->start)
			insert(known, n++, c->start, c->end);
	for (unsigned i = 0; i < n; i++) {
		if (known[i].offset > at)
			gaps[found++] = (struct extent){ at, known[i].offset - at };
		at = max_u64(at, known[i].offset + known[i].length);
	}
	if (at < s->size)
		gaps[found++] = (struct extent){ at, s->size - at };
	return found;
}

/* ------------------------------------------------------------------ cursors */

/* The pieces of a stride are known, but what lies between them is not. */
static void end_cursor(struct stream *s, struct stream_cursor *c)
{
	if (c->step == 0 || c->step == 1 || c->step == -1)
		stream_known(s, c->start, c->end - c->start);
	else
		s->forgot = true;
	if (c->trip.length)
		s->wasted++;
	memset(c, 0, sizeof(*c));
}

static void end_resting(struct stream *s)
{
	for (struct stream_cursor *c = s->cursor; c < s->cursor + STREAM_CURSORS; c++)
		if (c->used_at && c->step && s->count - c->used_at > RESTS_AT_MOST)
			end_cursor(s, c);
}

/* A free one, or that of those without a step, or of all, which rested longest. */
static struct stream_cursor *take_cursor(struct stream *s)
{
	struct stream_cursor *oldest = NULL;

	for (struct stream_cursor *c = s->cursor; c < s->cursor + STREAM_CURSORS; c++) {
		if (!c->used_at)
			return c;
		if (!oldest || (oldest->step && !c->step) ||
		    (!oldest->step == !c->step && c->used_at < oldest->used_at))
			oldest = c;
	}
	end_cursor(s, oldest);
	return oldest;
}

/* Readers who share the memory. */
static unsigned readers(const struct stream *s)
{
	unsigned n = 0;

	for (const struct stream_cursor *c = s->cursor; c < s->cursor + STREAM_CURSORS; c++)
		n += c->used_at && c->step;
	return n;
}

/*
 * How far a cursor may go: up to where another goes the same way. Two that ran into each other would
 * fetch each other's tripwires, and so drive each other on.
 */
static struct extent room_of(const struct stream *s, const struct stream_cursor *c)
{
	uint64_t from = 0, to = s->size;

	for (const struct stream_cursor *o = s->cursor; o < s->cursor + STREAM_CURSORS; o++) {
		if (o == c || !o->used_at || !o->step || (o->step > 0) != (c->step > 0))
			continue;
		if (c->step > 0 && o->end >= c->end)
			to = min_u64(to, max_u64(o->start, c->end));
		if (c->step < 0 && o->start <= c->start)
			from = max_u64(from, min_u64(o->end, c->start));
	}
	return (struct extent){ from, to - from };
}

static unsigned go_on(struct stream *s, struct stream_cursor *c, struct extent *fetch)
{
	uint64_t share = s->max_window / readers(s);
	struct extent room = room_of(s, c);
	unsigned n;

	c->window = min_u64(c->window, share);
	c->piece = min_u64(c->piece, share / 2);
	if (!stream_window(c, &room, fetch, &n))
		end_cursor(s, c);
	return n;
}

/* Each reader gets a window, or he gets none. */
static unsigned begin(struct stream *s, struct stream_cursor *c, int64_t step, struct extent *fetch)
{
	if (s->max_window / (readers(s) + 1) < STREAM_LEAST_WINDOW)
		return 0;
	s->lost /= 2;
	if (s->doubt < MOST_DOUBT)
		s->doubt++;
	c->step = step;
	c->window = STREAM_FIRST_WINDOW;
	c->next = c->start + (uint64_t)step;
	return go_on(s, c, fetch);
}

/* ------------------------------------------------------------------ patterns */

/* The cursor without a step yet that this miss continues; it is told. */
static struct stream_cursor *continued(struct stream *s, uint64_t offset, uint64_t length)
{
	for (struct stream_cursor *c = s->cursor; c < s->cursor + STREAM_CURSORS; c++) {
		if (!c->used_at || c->step)
			continue;
		if (offset == c->end) {
			c->ups++;
			c->end = offset + length;
		} else if (offset < c->start && offset + length >= c->start) {
			c->downs++;
			c->start = offset;
		} else {
			continue;
		}
		c->used_at = s->count;
		return c;
	}
	return NULL;
}

/*
 * Two earlier places at the same distance from each other as this one from the later of them: the
 * distance, or 0. There must be something to gain by it: two more places at least.
 */
static int64_t stride(const struct stream *s, uint64_t offset, uint64_t length, uint64_t *piece)
{
	const struct stream_cursor *end = s->cursor + STREAM_CURSORS;
	uint64_t seen = 0;
	int64_t found = 0;

	for (const struct stream_cursor *b = s->cursor; b < end; b++) {
		int64_t step = (int64_t)(offset - b->start);
		uint64_t room = step < 0 ? offset : s->size - 1 - offset;

		if (b->used_at <= seen || b->step || (uint64_t)llabs(step) > room / 2)
			continue;
		for (const struct stream_cursor *a = s->cursor; a < end; a++) {
			if (!a->used_at || a->step || a->used_at >= b->used_at ||
			    (int64_t)(b->start - a->start) != step)
				continue;
			*piece = max_u64(length, max_u64(a->end - a->start, b->end - b->start));
			if (*piece > (uint64_t)llabs(step))
				continue;
			seen = b->used_at;
			found = step;
		}
	}
	return found;
}

unsigned stream_miss(struct stream *s, uint64_t offset, uint64_t length,
		     struct extent fetch[STREAM_MAX_FETCH])
{
	bool first = s->count++ == 0;
	struct stream_cursor *c;
	uint64_t piece = 0;
	int64_t step;

	length = min_u64(length, s->size - offset);
	end_resting(s);
	c = continued(s, offset, length);
	if (c) {
		if (c->ups > s->doubt)
			return begin(s, c, 1, fetch);
		return c->downs > s->doubt + 1 ? begin(s, c, -1, fetch) : 0;
	}
	step = stride(s, offset, length, &piece);
	if (!step && first && offset == 0)
		step = 1; /* from the beginning: most who do that go on */
	c = take_cursor(s);
	*c = (struct stream_cursor){
		.used_at = s->count, .start = offset, .end = offset + length, .piece = piece
	};
	if (step)
		return begin(s, c, step, fetch);
	s->lost++;
	return 0;
}

unsigned stream_tripped(struct stream *s, unsigned cursor, uint64_t length,
			struct extent fetch[STREAM_MAX_FETCH])
{
	struct stream_cursor *c = &s->cursor[cursor];

	s->count++;
	s->lost = 0;
	if (!c->reached)
		s->doubt /= 2;
	c->reached = true;
	c->used_at = s->count;
	c->window *= 2;
	/* The kernel has read there what the reader wanted: perhaps he wants more than was seen. */
	if (c->step != 1 && c->step != -1)
		c->piece = min_u64(max_u64(c->piece, length), (uint64_t)llabs(c->step));
	/* The rest of it, for those who read less than that at a time. */
	fetch[0] = c->trip;
	c->trip.length = 0;
	end_resting(s);
	return 1 + go_on(s, c, fetch + 1);
}

uint64_t stream_frontier(const struct stream_cursor *c)
{
	if (c->step == 1)
		return c->end;
	return c->step == -1 ? c->start - 4096 : c->next;
}

bool stream_random(const struct stream *s)
{
	return s->lost >= RANDOM_MISSES;
}
