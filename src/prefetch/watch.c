/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/watch.h"

#include <string.h>

#define PAGE	 4096u
#define LOOKS	 8		     /* misses that one look takes in */
#define FARTHEST (4u << 20)	     /* as far as one read of the kernel's goes */
#define MISSING	 STREAM_LEAST_WINDOW /* bytes: for fewer nobody is watched */

void watch_init(struct watch *w, struct fetch_file *file, uint64_t size, uint64_t max_window)
{
	memset(w, 0, sizeof(*w));
	w->file = file;
	w->fresh = true;
	stream_init(&w->stream, size, max_window);
}

void watch_deinit(struct watch *w)
{
	fetch_file_unref(w->file);
	w->file = NULL;
}

/* ------------------------------------------------------------------ what is in memory */

static uint64_t resident(const struct watch *w, uint64_t offset, uint64_t length)
{
	int64_t n;

	/* For cachestat a length of 0 means up to the end. */
	if (!length || offset >= w->stream.size)
		return 0;
	n = fetch_resident(fetch_file_fd(w->file), offset, length);
	return n > 0 ? (uint64_t)n : 0;
}

/* The first byte in memory of a range that has some. */
static uint64_t first_resident(const struct watch *w, uint64_t offset, uint64_t length)
{
	while (length > 4 * PAGE) {
		uint64_t half = (length / 2 + PAGE - 1) & ~(uint64_t)(PAGE - 1);

		if (resident(w, offset, half)) {
			length = half;
		} else {
			offset += half;
			length -= half;
		}
	}
	for (; length > PAGE; offset += PAGE, length -= PAGE)
		if (resident(w, offset, PAGE))
			break;
	return offset;
}

/* How much is in memory from there on without a gap. */
static uint64_t resident_run(const struct watch *w, uint64_t offset)
{
	uint64_t run = 0, step = PAGE;

	while (run < FARTHEST && resident(w, offset + run, step) == step) {
		run += step;
		if (step < (256u << 10))
			step *= 2;
	}
	while (step > PAGE) {
		step /= 2;
		if (resident(w, offset + run, step) == step)
			run += step;
	}
	return run ? run : PAGE;
}

/*
 * Hot files are the common case: looks at single pages tell them without counting pages. The last page
 * is one of them, as the beginning may be all that a walk has brought in.
 */
static bool looks_hot(const struct watch *w)
{
	for (uint64_t i = 0; i < 8; i++)
		if (!resident(w, (w->stream.size / 8 * i) & ~(uint64_t)(PAGE - 1), PAGE))
			return false;
	return resident(w, (w->stream.size - 1) & ~(uint64_t)(PAGE - 1), PAGE);
}

/* ------------------------------------------------------------------ where nothing is known */

struct unknown {
	struct extent gap[STREAM_GAPS];
	unsigned gaps;
};

static uint64_t segment_size(const struct watch *w)
{
	uint64_t size = (w->stream.size + WATCH_SEGMENTS - 1) / WATCH_SEGMENTS;

	return (size + (1u << 20) - 1) & ~(uint64_t)((1u << 20) - 1);
}

/* The part of a gap that lies in a segment; its length may be 0. */
static struct extent part_of(const struct watch *w, const struct extent *gap, unsigned segment)
{
	uint64_t size = segment_size(w), from = segment * size, to = from + size;
	uint64_t gap_end = gap->offset + gap->length;

	if (from < gap->offset)
		from = gap->offset;
	if (to > gap_end)
		to = gap_end;
	return (struct extent){ from, to > from ? to - from : 0 };
}

/* Bytes in memory in the unknown parts of a segment; *first: the first part that has some. */
static uint64_t segment_resident(const struct watch *w, const struct unknown *u, unsigned segment,
				 struct extent *first)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < u->gaps; i++) {
		struct extent part = part_of(w, &u->gap[i], segment);
		uint64_t n = resident(w, part.offset, part.length);

		if (n && !sum)
			*first = part;
		sum += n;
	}
	return sum;
}

static uint64_t all_resident(const struct watch *w, const struct unknown *u)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < u->gaps; i++)
		sum += resident(w, u->gap[i].offset, u->gap[i].length);
	return sum;
}

/* With `lower`, only where less is in memory than before: what is new there is still a miss. */
static void take_baseline(struct watch *w, bool lower)
{
	struct unknown u;
	struct extent first;

	u.gaps = stream_unknown(&w->stream, u.gap);
	w->total = 0;
	for (unsigned i = 0; i < WATCH_SEGMENTS; i++) {
		if (!lower || w->baseline[i]) {
			uint64_t n = segment_resident(w, &u, i, &first);

			if (!lower || n < w->baseline[i])
				w->baseline[i] = n;
		}
		w->total += w->baseline[i];
	}
}

/* Where a reader has missed, if one has: a segment holds more that nobody knows of than before. */
static bool find_miss(struct watch *w, uint64_t *offset)
{
	struct unknown u;
	struct extent first;
	uint64_t now;

	u.gaps = stream_unknown(&w->stream, u.gap);
	now = all_resident(w, &u);
	if (now < w->total)
		take_baseline(w, true);
	if (now <= w->total)
		return false;
	for (unsigned i = 0; i < WATCH_SEGMENTS; i++) {
		if (segment_resident(w, &u, i, &first) <= w->baseline[i])
			continue;
		*offset = first_resident(w, first.offset, first.length);
		return true;
	}
	return false;
}

/* What is there before anybody reads must not be taken for a reader, nor hide one. */
static void know_what_is_there(struct watch *w)
{
	struct unknown u;

	for (unsigned known = 0; known < STREAM_PAST; known++) {
		uint64_t offset = 0;
		unsigned i = 0;

		u.gaps = stream_unknown(&w->stream, u.gap);
		while (i < u.gaps && !resident(w, u.gap[i].offset, u.gap[i].length))
			i++;
		if (i == u.gaps)
			break;
		offset = first_resident(w, u.gap[i].offset, u.gap[i].length);
		stream_known(&w->stream, offset, resident_run(w, offset));
	}
	take_baseline(w, false);
}

/* ------------------------------------------------------------------ looking */

static void fetch_all(struct watch *w, struct fetcher *fetcher, const struct extent *fetch,
		      unsigned n, struct watch_counts *counts)
{
	struct stream *s = &w->stream;

	for (unsigned i = 0; i < n; i++)
		fetcher_queue(fetcher, w->file, fetch[i].offset, fetch[i].length);
	counts->wasted += s->wasted;
	s->wasted = 0;
	take_baseline(w, !s->forgot);
	s->forgot = false;
}

static void on_miss(struct watch *w, struct fetcher *fetcher, uint64_t offset,
		    struct watch_counts *counts)
{
	struct extent fetch[STREAM_MAX_FETCH];
	unsigned n = stream_miss(&w->stream, offset, resident_run(w, offset), fetch);

	fetch_all(w, fetcher, fetch, n, counts);
}

static bool look_at_trips(struct watch *w, struct fetcher *fetcher, struct watch_counts *counts)
{
	struct extent fetch[STREAM_MAX_FETCH];
	bool seen = false;

	for (unsigned i = 0; i < STREAM_CURSORS; i++) {
		const struct stream_cursor *c = &w->stream.cursor[i];
		unsigned n;

		if (!c->trip.length || !resident(w, c->trip.offset, c->trip.length))
			continue;
		seen = true;
		if (resident(w, stream_frontier(c), PAGE))
			counts->late++;
		else
			counts->used++;
		n = stream_tripped(&w->stream, i, resident_run(w, c->trip.offset), fetch);
		fetch_all(w, fetcher, fetch, n, counts);
	}
	return seen;
}

static enum watch_seen first_look(struct watch *w, struct fetcher *fetcher,
				  struct watch_counts *counts)
{
	w->fresh = false;
	if (looks_hot(w))
		return WATCH_END;
	take_baseline(w, false);
	if (w->total + MISSING >= w->stream.size)
		return WATCH_END; /* hot */
	if (!w->total)
		return WATCH_NOTHING;
	/* Perhaps he was faster than we: from the beginning, if that is where the bytes are. */
	if (w->total == w->baseline[0] && w->total <= (1u << 20) && resident(w, 0, PAGE)) {
		on_miss(w, fetcher, 0, counts);
		return WATCH_READER;
	}
	know_what_is_there(w);
	return WATCH_NOTHING;
}

enum watch_seen watch_look(struct watch *w, struct fetcher *fetcher, struct watch_counts *counts)
{
	struct extent gaps[STREAM_GAPS];
	uint64_t offset;
	bool seen = false;

	if (w->fresh)
		return first_look(w, fetcher, counts);
	for (unsigned i = 0; i < LOOKS; i++) {
		bool missed = find_miss(w, &offset);

		/* In this order: see stream_tripped(). */
		if (look_at_trips(w, fetcher, counts)) {
			seen = true;
			continue;
		}
		if (!missed)
			break;
		seen = true;
		on_miss(w, fetcher, offset, counts);
		if (stream_random(&w->stream)) {
			counts->given_up++;
			return WATCH_END;
		}
	}
	if (seen && !stream_unknown(&w->stream, gaps))
		return WATCH_END;
	return seen ? WATCH_READER : WATCH_NOTHING;
}

void watch_settle(const struct watch *w, struct watch_counts *counts)
{
	for (unsigned i = 0; i < STREAM_CURSORS; i++) {
		const struct extent *trip = &w->stream.cursor[i].trip;

		if (!trip->length)
			continue;
		if (resident(w, trip->offset, trip->length))
			counts->used++;
		else
			counts->wasted++;
	}
}
