/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/ahead_internal.h"

#include <errno.h>
#include <string.h>

#include "util/clock.h"

/* How long a file that somebody may write is left alone before the next look. */
#define REFUSED_NS 10000000ull
/* Of the backend's depth (64); the rest is for requests that programs wait for. */
#define IN_FLIGHT_MAX 48u

static unsigned load(const _Atomic unsigned *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

/* With the lock held; neither in flight nor lent. */
static void let_go(struct piece *p)
{
	struct ahead *a = p->ahead;

	pool_return(engine_pool(a->set->engine), &p->request.buffer);
	p->state = PIECE_FREE;
	atomic_fetch_sub_explicit(&a->set->held, 1, memory_order_relaxed);
	if (--a->held == 0)
		atomic_fetch_sub_explicit(&a->set->active, 1, memory_order_relaxed);
}

/* With the lock held: nobody is given it from here on. */
static void drop(struct piece *p)
{
	p->stale = true;
	if (p->state == PIECE_READY && !p->users)
		let_go(p);
}

/* Drops what `cursor` has, or with -1 all there is. */
static void drop_of(struct ahead *a, int cursor)
{
	unsigned wasted = 0;

	for (unsigned i = 0; i < PIECES; i++) {
		struct piece *p = &a->piece[i];

		if (p->state == PIECE_FREE || p->stale || (cursor >= 0 && p->cursor != cursor))
			continue;
		wasted += !p->touched;
		drop(p);
	}
	if (wasted && cursor >= 0) /* else it is not the guess that was wrong */
		pattern_wasted(&a->pattern);
	ahead_count(&a->set->wasted, wasted);
}

void ahead_drop_all(struct ahead *a)
{
	drop_of(a, -1);
	pattern_restart(&a->pattern);
}

/* The backend's callback: the piece is ours again. */
static void arrived(struct io_request *request, ssize_t result)
{
	struct piece *p = request->argument;
	struct ahead *a = p->ahead;

	atomic_fetch_sub_explicit(&a->set->in_flight, 1, memory_order_relaxed);
	pthread_mutex_lock(&a->lock);
	p->result = result;
	p->state = PIECE_READY;
	/* An error, or an end where none was: whoever wants it finds out by himself. */
	if (p->stale || result < 0 || (uint64_t)result < p->end - request->offset)
		drop(p);
	pthread_cond_broadcast(&a->arrived);
	pthread_mutex_unlock(&a->lock);
	ahead_unref(a);
}

static struct piece *find(struct ahead *a, uint64_t offset)
{
	for (unsigned i = 0; i < PIECES; i++) {
		struct piece *p = &a->piece[i];

		if (p->state != PIECE_FREE && !p->stale && offset >= p->request.offset &&
		    offset < p->end)
			return p;
	}
	return NULL;
}

/* A place for one more, if the shares allow it. */
static struct piece *room(struct ahead *a)
{
	struct ahead_set *set = a->set;

	if (a->held >= ahead_share(set) || load(&set->held) >= set->limit ||
	    load(&set->in_flight) >= IN_FLIGHT_MAX)
		return NULL;
	for (unsigned i = 0; i < PIECES; i++)
		if (a->piece[i].state == PIECE_FREE)
			return &a->piece[i];
	return NULL;
}

static bool prepare(struct ahead *a, struct piece *p, unsigned cursor, const struct still *still,
		    const struct extent *want)
{
	uint32_t length = (uint32_t)((want->length + a->align - 1) & ~(uint64_t)(a->align - 1));
	struct pool_buffer buffer;

	if (pool_try(engine_pool(a->set->engine), length, &buffer) != 0)
		return false;
	memset(p, 0, sizeof(*p));
	p->request = (struct io_request){
		.kind = IO_READ,
		.fd = a->fd,
		.offset = want->offset,
		.length = length,
		.buffer = buffer,
		.done = arrived,
		.argument = p,
	};
	p->ahead = a;
	p->still = *still;
	p->end = want->offset + want->length;
	p->cursor = (uint8_t)cursor;
	p->state = PIECE_FLIGHT;
	if (a->held++ == 0)
		atomic_fetch_add_explicit(&a->set->active, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&a->set->held, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&a->set->in_flight, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	ahead_count(&a->set->bytes, want->length);
	return true;
}

/* Whether the file may be read ahead now, and how it is. Asked anew for each batch. */
static bool begin(struct ahead *a, struct still *still)
{
	uint64_t now = clock_ns();
	int err;

	if (now < a->refused_until)
		return false;
	err = still_begin(a->fd, still);
	if (!err)
		return true;
	a->refused_until = err == -EAGAIN ? now + REFUSED_NS : UINT64_MAX;
	ahead_drop_all(a);
	return false;
}

/* With the lock held: what a cursor wants next, ready to be submitted. Returns how many. */
static unsigned plan(struct ahead *a, unsigned cursor, struct io_request *batch[SUBMIT_AT_ONCE])
{
	struct still still;
	struct extent want;
	struct piece *p;
	unsigned n = 0;

	if (!pattern_next(&a->pattern, cursor, UINT64_MAX / 2, &want) || !begin(a, &still))
		return 0;
	while (n < SUBMIT_AT_ONCE && pattern_next(&a->pattern, cursor, still.size, &want)) {
		if (!find(a, want.offset)) {
			p = room(a);
			if (!p || !prepare(a, p, cursor, &still, &want))
				break;
			batch[n++] = &p->request;
		}
		pattern_fetched(&a->pattern, cursor, &want);
	}
	return n;
}

void ahead_note(struct ahead *a, uint64_t offset, uint64_t length)
{
	struct io_request *batch[SUBMIT_AT_ONCE];
	unsigned cursor, n;
	int gone;

	pthread_mutex_lock(&a->lock);
	a->used_at = clock_ns();
	cursor = pattern_read(&a->pattern, offset, length, &gone);
	if (gone >= 0)
		drop_of(a, gone);
	n = plan(a, cursor, batch);
	pthread_mutex_unlock(&a->lock);
	if (n)
		engine_submit(a->set->engine, true, batch, n);
}

/* The reader has come to it. late: before it was there. */
static void touch(struct ahead *a, struct piece *p, bool late)
{
	if (p->touched)
		return;
	p->touched = true;
	pattern_used(&a->pattern, p->cursor, late,
		     (uint64_t)ahead_share(a->set) * PATTERN_MAX_PIECE);
	ahead_count(late ? &a->set->late : &a->set->used, 1);
}

/* Collects the parts. 1: all are there; 0: one is missing; -EAGAIN: *awaited is on its way. */
static int collect(struct ahead *a, uint64_t offset, uint64_t length, struct ahead_loan *loan,
		   struct piece **awaited)
{
	uint64_t at = offset, end = offset + length;

	loan->count = 0;
	loan->bytes = 0;
	while (at < end) {
		struct piece *p = find(a, at);
		uint64_t to;

		if (!p) /* unless the last part ended with the file */
			return loan->count &&
			       at == a->piece[loan->piece[loan->count - 1]].still.size;
		if (loan->count == AHEAD_PARTS)
			return 0;
		if (p->state == PIECE_FLIGHT) {
			*awaited = p;
			return -EAGAIN;
		}
		to = end < p->end ? end : p->end;
		loan->iov[loan->count].iov_base =
			(char *)p->request.buffer.data + (at - p->request.offset);
		loan->iov[loan->count].iov_len = to - at;
		loan->piece[loan->count++] = (uint8_t)(p - a->piece);
		loan->bytes += to - at;
		at = to;
	}
	return 1;
}

/* One look suffices for all parts, as each knows how the file was before it was read. */
static bool all_still(struct ahead *a, const struct ahead_loan *loan)
{
	const struct still *first = &a->piece[loan->piece[0]].still;

	for (unsigned i = 1; i < loan->count; i++) {
		const struct still *s = &a->piece[loan->piece[i]].still;

		if (s->size != first->size || s->ctime_ns != first->ctime_ns)
			return false;
	}
	return still_same(a->fd, first);
}

static void lend(struct ahead *a, const struct ahead_loan *loan, uint64_t end)
{
	/* The program may close the file as soon as it is answered, before the loan is back. */
	atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	for (unsigned i = 0; i < loan->count; i++) {
		struct piece *p = &a->piece[loan->piece[i]];

		touch(a, p, false);
		p->users++;
		if (end >= p->end) /* read to its end: done with, when it is back */
			p->stale = true;
	}
}

int ahead_lend(struct ahead *a, uint64_t offset, uint64_t length, bool wait,
	       struct ahead_loan *loan)
{
	struct piece *awaited = NULL;
	int result;

	pthread_mutex_lock(&a->lock);
	while ((result = collect(a, offset, length, loan, &awaited)) == -EAGAIN && wait) {
		touch(a, awaited, true);
		pthread_cond_wait(&a->arrived, &a->lock);
	}
	if (result == 1 && !all_still(a, loan)) {
		ahead_drop_all(a);
		ahead_count(&a->set->stale, 1);
		result = 0;
	}
	if (result == 1)
		lend(a, loan, offset + length);
	pthread_mutex_unlock(&a->lock);
	return result;
}

void ahead_return(struct ahead *a, const struct ahead_loan *loan)
{
	pthread_mutex_lock(&a->lock);
	for (unsigned i = 0; i < loan->count; i++) {
		struct piece *p = &a->piece[loan->piece[i]];

		if (--p->users == 0 && p->stale && p->state == PIECE_READY)
			let_go(p);
	}
	pthread_mutex_unlock(&a->lock);
	ahead_unref(a);
}
