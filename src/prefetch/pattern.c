/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/pattern.h"

#include <string.h>

/* Reads of one stream that several threads make overtake each other by about so much. */
#define NEAR	     (1u << 20)
#define FIRST_WINDOW (128u << 10)
#define PATIENCE     2u
#define PATIENCE_MAX 64u
/* Equal distances that make a stride. */
#define STRIDES 2u
/* Steps are fetched ahead one by one: as many as keep a disk busy. */
#define STEPS_MIN 4u
#define STEPS_MAX 32u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t clamp(uint64_t n, uint64_t least, uint64_t most)
{
	return n < least ? least : min_u64(n, most);
}

void pattern_init(struct pattern *p, uint64_t align)
{
	memset(p, 0, sizeof(*p));
	p->align = align;
	p->patience = PATIENCE;
}

static bool continues(const struct cursor *c, uint64_t offset, uint64_t length)
{
	if (!c->reads)
		return false;
	if (c->step)
		return offset == c->at && length == c->length;
	if (offset == c->at)
		return true;
	if (!c->window) /* not believed yet: exactly there only */
		return false;
	return offset < c->frontier && offset + NEAR >= c->at;
}

static unsigned find(const struct pattern *p, uint64_t offset, uint64_t length)
{
	unsigned i = 0;

	while (i < PATTERN_CURSORS && !continues(&p->cursor[i], offset, length))
		i++;
	return i;
}

/* A stream that went on lately is worth more than one that may not be one. */
#define LATELY (4 * PATTERN_CURSORS)

static uint64_t worth(const struct pattern *p, const struct cursor *c)
{
	bool alive = c->window && p->count - c->used_at < LATELY;

	return c->reads ? 1 + c->used_at + (alive ? LATELY : 0) : 0;
}

static unsigned least(const struct pattern *p)
{
	unsigned best = 0;

	for (unsigned i = 1; i < PATTERN_CURSORS; i++)
		if (worth(p, &p->cursor[i]) < worth(p, &p->cursor[best]))
			best = i;
	return best;
}

/* Reads that go on in order are no steps, though the streams may be at equal distances. */
static void note(struct pattern *p, uint64_t offset, uint64_t length, bool in_order)
{
	int64_t delta = (int64_t)(offset - p->last);

	if (in_order)
		p->strides = 0;
	else if (p->count && delta == p->last_delta && length == p->last_length)
		p->strides++;
	else
		p->strides = 1;
	p->last_delta = delta;
	p->last = offset;
	p->last_length = length;
	p->count++;
}

/* A stride that has just become one; what comes in order is none. */
static bool is_stride(const struct pattern *p)
{
	return p->count > STRIDES && p->strides >= STRIDES && p->strides >= p->patience &&
	       p->last_delta && p->last_delta != (int64_t)p->last_length;
}

static void begin(struct pattern *p, struct cursor *c)
{
	*c = (struct cursor){
		.at = p->last + p->last_length,
		.length = p->last_length,
		.reads = 1,
		.run = p->last_length,
	};
	if (!is_stride(p))
		return;
	c->step = p->last_delta;
	c->at = c->frontier = p->last + (uint64_t)c->step;
	c->window = STEPS_MIN * c->length;
}

static void go_on(struct pattern *p, struct cursor *c, uint64_t offset, uint64_t length)
{
	c->reads++;
	c->run += length;
	c->length = length;
	if (c->step) {
		c->at = offset + (uint64_t)c->step;
		if ((int64_t)(c->frontier - c->at) / c->step < 0) /* the reader was faster */
			c->frontier = c->at;
		return;
	}
	if (offset + length > c->at)
		c->at = offset + length;
	if (!c->window && c->reads >= p->patience) {
		c->window = clamp(4 * c->run, FIRST_WINDOW, PATTERN_EASY_WINDOW);
		c->frontier = offset; /* this read too: what follows it comes with it */
	}
}

unsigned pattern_read(struct pattern *p, uint64_t offset, uint64_t length, int *gone)
{
	unsigned i = find(p, offset, length);
	struct cursor *c;

	*gone = -1;
	note(p, offset, length, i < PATTERN_CURSORS && !p->cursor[i].step);
	if (i == PATTERN_CURSORS) {
		i = least(p);
		c = &p->cursor[i];
		if (c->reads)
			*gone = (int)i;
		begin(p, c);
	} else {
		c = &p->cursor[i];
		go_on(p, c, offset, length);
	}
	c->used_at = p->count;
	return i;
}

static uint64_t piece_size(const struct cursor *c)
{
	uint64_t half = clamp(c->window / 2, PATTERN_MIN_PIECE, PATTERN_MAX_PIECE);

	return 1ull << (63 - __builtin_clzll(half));
}

/* From where the reader is, or goes on being fetched, to the next multiple of the piece's size. */
static bool next_in_order(const struct pattern *p, const struct cursor *c, uint64_t size,
			  struct extent *piece)
{
	uint64_t begin = c->at - min_u64(c->at, c->length);
	uint64_t from = c->frontier > begin ? c->frontier : begin;
	uint64_t unit = piece_size(c), end;

	/* Before it is aligned: the frontier may be the end, which need not be. */
	if (from >= size || from >= c->at + c->window)
		return false;
	from &= ~(p->align - 1);
	end = min_u64(size, (from / unit + 1) * unit);
	*piece = (struct extent){ from, end - from };
	return true;
}

static bool next_step(const struct pattern *p, const struct cursor *c, uint64_t size,
		      struct extent *piece)
{
	uint64_t steps = clamp(c->window / c->length, STEPS_MIN, STEPS_MAX), from, end;
	int64_t ahead = (int64_t)(c->frontier - c->at) / c->step;

	if (ahead >= (int64_t)steps || (int64_t)c->frontier < 0 || c->frontier >= size ||
	    c->length > PATTERN_MAX_PIECE - p->align)
		return false;
	from = c->frontier & ~(p->align - 1);
	end = min_u64(size, c->frontier + c->length);
	*piece = (struct extent){ from, end - from };
	return true;
}

bool pattern_next(const struct pattern *p, unsigned cursor, uint64_t size, struct extent *piece)
{
	const struct cursor *c = &p->cursor[cursor];

	if (!c->window || !c->length)
		return false;
	return c->step ? next_step(p, c, size, piece) : next_in_order(p, c, size, piece);
}

void pattern_fetched(struct pattern *p, unsigned cursor, const struct extent *piece)
{
	struct cursor *c = &p->cursor[cursor];

	c->frontier = c->step ? c->frontier + (uint64_t)c->step : piece->offset + piece->length;
}

void pattern_used(struct pattern *p, unsigned cursor, bool late, uint64_t max_window)
{
	struct cursor *c = &p->cursor[cursor];

	p->patience = PATIENCE;
	if (late || c->window < PATTERN_EASY_WINDOW)
		c->window *= 2;
	c->window = min_u64(c->window, max_window);
}

void pattern_wasted(struct pattern *p)
{
	if (p->patience < PATIENCE_MAX)
		p->patience *= 2;
}

void pattern_restart(struct pattern *p)
{
	for (unsigned i = 0; i < PATTERN_CURSORS; i++)
		p->cursor[i].frontier = p->cursor[i].step ? p->cursor[i].at : 0;
}
