/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slow path of a lease, and the queue.
 *
 * Why no wake-up is lost. (The pool that this one replaces lost them: its returner put the buffer
 * back without the lock under which its waiter looked for one, between that look and the sleep.)
 *
 *   returner, no lock                          waiter, under `lock`
 *   R1  push the buffer into a magazine        W1  raise `attention`
 *   R2  look at `attention`                    W2  empty all magazines into the depot, look there
 *   R3  raised: take `lock`, empty that        W3  nothing: into the queue, and sleep: this lets
 *       magazine into the depot, and serve         go of `lock`, atomically
 *       the queue
 *
 * R1, R2, W1 and W2 are sequentially consistent, so there is one order of all four. If R2 comes
 * after W1, the returner sees it and takes `lock`, which it gets after W3 at the earliest, when the
 * waiter can be found and woken. If R2 comes before W1, then R1 comes before W2, and the waiter
 * finds the buffer. Acquire and release would not do: a store and a later load of something else
 * (R1, R2; W1, W2) may change places under them, and then both miss.
 *
 * While anybody waits, magazines get nothing but by returners between R1 and R3, and leases are
 * served from the depot, in turn: a newcomer takes a buffer from a magazine only if it looked at
 * `attention` before it was raised, so at most once for each thread and wait. Who is served, or
 * gives up, lets the next in the queue try.
 *
 * Only the first in the queue is served, even if a later one needs less. Buffers come back, so the
 * first one's turn always comes; with the others it would not.
 */
#include "pool/internal.h"

#include <errno.h>
#include <time.h>

#include "pool/magazine.h"
#include "util/clock.h"

static void queue_append(struct pool *pool, struct request *r)
{
	r->prev = pool->last;
	r->next = NULL;
	if (pool->last)
		pool->last->next = r;
	else
		pool->first = r;
	pool->last = r;
}

/* Relaxed: who sees the old value takes the slow path for nothing. */
static void attention_lower(struct pool *pool)
{
	atomic_fetch_sub_explicit(&pool->attention, 1, memory_order_relaxed);
}

static void queue_remove(struct pool *pool, struct request *r, int result)
{
	if (r->prev)
		r->prev->next = r->next;
	else
		pool->first = r->next;
	if (r->next)
		r->next->prev = r->prev;
	else
		pool->last = r->prev;
	attention_lower(pool);
	r->done = true;
	r->result = result;
	pthread_cond_signal(&r->turn);
}

void queue_serve(struct pool *pool)
{
	while (pool->first && depot_grant(pool, pool->first))
		queue_remove(pool, pool->first, 0);
}

void queue_end(struct pool *pool, const struct pool_cancel *cancel, int result)
{
	struct request *next;

	for (struct request *r = pool->first; r; r = next) {
		next = r->next;
		if (cancel && r->cancel != cancel)
			continue;
		queue_remove(pool, r, result);
		pool->cancelled += cancel != NULL;
	}
}

void guest_leave(struct pool *pool)
{
	/* Relaxed: written under the lock. */
	bool closed = atomic_load_explicit(&pool->attention, memory_order_relaxed) & POOL_CLOSED;

	pool->guests--;
	pthread_mutex_unlock(&pool->lock);
	if (closed)
		pool_drop(pool, 1);
}

/* When the wait ends; false: never. */
static bool deadline(uint64_t timeout_ns, struct timespec *until)
{
	uint64_t now = clock_ns();

	if (timeout_ns > INT64_MAX - now)
		return false;
	until->tv_sec = (time_t)((now + timeout_ns) / NSEC_PER_SEC);
	until->tv_nsec = (long)((now + timeout_ns) % NSEC_PER_SEC);
	return true;
}

static int queue_wait(struct pool *pool, struct request *r, uint64_t timeout_ns)
{
	struct timespec until;
	bool ends = deadline(timeout_ns, &until);
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->turn, &attr);
	pthread_condattr_destroy(&attr);
	queue_append(pool, r);
	pool->waits++;
	while (!r->done) {
		int err = ends ? pthread_cond_timedwait(&r->turn, &pool->lock, &until)
			       : pthread_cond_wait(&r->turn, &pool->lock);

		if (err && !r->done) {
			queue_remove(pool, r, -ETIMEDOUT);
			pool->timeouts++;
		}
	}
	pthread_cond_destroy(&r->turn);
	return r->result;
}

/*
 * Commits the chunks that the request was granted: no lock meanwhile, they are in no list. One
 * attempt: what fails ends the request, and the chunk is free for others to try.
 */
static int commit_claims(struct pool *pool, struct request *r)
{
	uint32_t ready = POOL_NONE, number, next;
	int err = 0;

	pthread_mutex_unlock(&pool->lock);
	for (number = r->claims; number != POOL_NONE; number = next) {
		err = depot_commit(pool, number);
		if (err)
			break;
		next = pool->chunk[number].next;
		pool->chunk[number].next = ready;
		ready = number;
	}
	pthread_mutex_lock(&pool->lock);
	for (; number != POOL_NONE; number = next) {
		next = pool->chunk[number].next;
		depot_add_spare(pool, number);
	}
	for (number = ready; number != POOL_NONE; number = next) {
		next = pool->chunk[number].next;
		depot_add(pool, number, r->class);
	}
	if (err)
		pool->failures++;
	return err;
}

/* A few buffers for this CPU's magazine, so that the next leases need no lock. */
static void refill(struct pool *pool, struct magazine *magazine, uint32_t class)
{
	/* Half of what is there at most: other CPUs want some too. */
	uint32_t count = pool->depot.free[class] / 2, top, bottom;

	if (count > MAGAZINE_BATCH)
		count = MAGAZINE_BATCH;
	if (!count || pool->first)
		return;
	top = bottom = depot_take(pool, class);
	for (uint32_t i = 1; i < count; i++) {
		uint32_t unit = depot_take(pool, class);

		link_set(pool, bottom, unit + 1);
		bottom = unit;
	}
	if (!magazine_push(pool, magazine, top, bottom, count)) {
		link_set(pool, bottom, 0);
		depot_put_chain(pool, top + 1);
	}
}

/* Counts the lease, or puts back what it got. Unlocks. */
static int finish(struct pool *pool, struct request *r, int err)
{
	struct magazine *magazine = magazine_here(pool, r->class);

	/* Relaxed: written under the lock. */
	if (!err && atomic_load_explicit(&pool->attention, memory_order_relaxed) & POOL_CLOSED)
		err = -ESHUTDOWN;
	if (err) {
		while (r->taken)
			depot_put(pool, buffer_unit(pool, &r->buffers[--r->taken]));
	} else {
		for (; r->taken < r->count; r->taken++)
			buffer_set(pool, &r->buffers[r->taken], depot_take(pool, r->class),
				   r->class);
		/* Relaxed: under the lock, as the shutdown's count is. */
		atomic_fetch_add_explicit(&magazine->leases, r->count, memory_order_relaxed);
	}
	queue_serve(pool); /* also after giving up: the next one may need less */
	if (!err)
		refill(pool, magazine, r->class);
	guest_leave(pool);
	return err;
}

/* The first look, for this class and at whole chunks; the magazines of other classes stay. */
static bool grant_at_once(struct pool *pool, struct request *r)
{
	if (pool->first)
		return false;
	if (pool->depot.free[r->class] < r->count)
		depot_drain_class(pool, r->class);
	return depot_grant(pool, r);
}

/* The second one, after which the request may sleep: W1 to W3 above. */
static int grant_or_wait(struct pool *pool, struct request *r, uint64_t timeout_ns)
{
	int err = -EAGAIN;

	atomic_fetch_add_explicit(&pool->attention, 1, memory_order_seq_cst); /* W1 */
	if (!pool->first) {
		depot_drain_all(pool); /* W2 */
		if (depot_grant(pool, r))
			err = 0;
	}
	if (err && timeout_ns) {
		/* Relaxed: pool_cancel() sets it and then takes the lock. */
		if (!r->cancel ||
		    !atomic_load_explicit(&r->cancel->cancelled, memory_order_relaxed))
			return queue_wait(pool, r, timeout_ns); /* W3; lowers `attention` */
		pool->cancelled++;
		err = -ECANCELED;
	}
	attention_lower(pool);
	return err;
}

int lease_slow(struct pool *pool, struct request *r, uint64_t timeout_ns)
{
	int err = 0;

	pthread_mutex_lock(&pool->lock);
	if (atomic_load_explicit(&pool->attention, memory_order_relaxed) & POOL_CLOSED) {
		/* The caller has a lease out, or could not be here: the pool is still there. */
		pthread_mutex_unlock(&pool->lock);
		return -ESHUTDOWN;
	}
	pool->guests++;
	if (!grant_at_once(pool, r))
		err = grant_or_wait(pool, r, timeout_ns);
	if (!err && r->claims != POOL_NONE)
		err = commit_claims(pool, r);
	return finish(pool, r, err);
}
