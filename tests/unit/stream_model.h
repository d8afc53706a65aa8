/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readers of a file, its page cache and the watcher, without a disk. A reader waits where nothing is in
 * memory, and the kernel then brings in what he asks for; its readahead, if that is more, where the
 * page before is in memory. The watcher sees what watch.c would: pages of the tripwires, and pages
 * where nothing is known.
 */
#pragma once

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "prefetch/stream.h"

#define MIB	  (1ull << 20)
#define KIB	  (1ull << 10)
#define SIZE	  (256 * MIB)
#define PAGE	  4096ull
#define READAHEAD (128 * KIB)

enum { ABSENT, MISSED, FETCHED }; /* how a page came in */

struct model {
	struct stream s;
	unsigned char *there, *read; /* by page */
	uint64_t fetched, asked;
	unsigned waits;
	bool given_up;
};

static inline void model_init(struct model *m, uint64_t max_window)
{
	memset(m, 0, sizeof(*m));
	stream_init(&m->s, SIZE, max_window);
	m->there = calloc(SIZE / PAGE, 1);
	m->read = calloc(SIZE / PAGE, 1);
}

static inline void model_deinit(struct model *m)
{
	free(m->there);
	free(m->read);
}

static inline void bring(struct model *m, uint64_t offset, uint64_t length, unsigned char how)
{
	for (uint64_t p = offset / PAGE; p < (offset + length + PAGE - 1) / PAGE; p++) {
		if (p >= SIZE / PAGE || m->there[p])
			continue;
		m->there[p] = how;
		m->fetched += how == FETCHED ? PAGE : 0;
	}
}

/* Bytes that were fetched and that nobody has read. */
static inline uint64_t in_vain(const struct model *m)
{
	uint64_t pages = 0;

	for (uint64_t p = 0; p < SIZE / PAGE; p++)
		pages += m->there[p] == FETCHED && !m->read[p];
	return pages * PAGE;
}

static inline void apply(struct model *m, const struct extent *fetch, unsigned n)
{
	ck_assert_uint_le(n, STREAM_MAX_FETCH);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_gt(fetch[i].length, 0);
		ck_assert_uint_le(fetch[i].offset + fetch[i].length, SIZE);
		bring(m, fetch[i].offset, fetch[i].length, FETCHED);
		m->asked += fetch[i].length;
	}
}

static inline bool holds(const struct extent *e, uint64_t offset)
{
	return e->length && offset >= e->offset && offset < e->offset + e->length;
}

static inline bool unknown(const struct stream *s, uint64_t offset)
{
	struct extent gap[STREAM_GAPS];
	unsigned n = stream_unknown(s, gap);

	for (unsigned i = 0; i < n; i++)
		if (holds(&gap[i], offset))
			return true;
	return false;
}

/* What the watcher does about a wait, done at once. */
static inline void watcher(struct model *m, uint64_t offset, uint64_t length)
{
	struct extent fetch[STREAM_MAX_FETCH];

	for (unsigned i = 0; i < STREAM_CURSORS; i++) {
		struct stream_cursor *c = &m->s.cursor[i];

		if (!c->used_at || !holds(&c->trip, offset))
			continue;
		apply(m, fetch, stream_tripped(&m->s, i, length, fetch));
		return;
	}
	if (unknown(&m->s, offset))
		apply(m, fetch, stream_miss(&m->s, offset, length, fetch));
	m->given_up = stream_random(&m->s);
}

/* A program's read(). */
static inline void model_read(struct model *m, uint64_t offset, uint64_t length)
{
	for (uint64_t at = offset & ~(PAGE - 1); at < offset + length; at += PAGE) {
		uint64_t kernel = offset + length - at;
		bool in_order = !at || m->there[at / PAGE - 1];

		m->read[at / PAGE] = 1;
		if (m->there[at / PAGE])
			continue;
		m->waits++;
		if (in_order && kernel < READAHEAD)
			kernel = READAHEAD;
		if (at + kernel > SIZE)
			kernel = SIZE - at;
		bring(m, at, kernel, MISSED);
		if (!m->given_up)
			watcher(m, at, kernel);
	}
}

static inline uint64_t xorshift(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}
