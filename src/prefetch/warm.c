/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/warm.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prefetch/fetch.h"
#include "prefetch/stream.h"
#include "util/clock.h"

#define MAX_WATCHED 64u
#define SEGMENTS 32u

#define MSEC 1000000ull
#define POLL_FIRST (MSEC / 4)	/* just opened: the first miss decides how soon it gets fast */
#define POLL_ACTIVE (MSEC / 2)
#define POLL_SLOWEST (50 * MSEC)
#define PATIENCE (3000 * MSEC)	/* nobody reads on: the descriptor must not pin a deleted file */
#define RANDOM_MISSES 4		/* without a pattern: left alone */

struct watched {
	uint64_t nodeid; /* 0: free */
	struct fetch_file *file;
	struct stream stream;
	uint64_t next_poll, interval, last_event;
	uint64_t baseline[SEGMENTS]; /* bytes in memory, by segment, when last looked at */
	uint64_t total;		     /* their sum */
	unsigned opens, lost;
	bool fresh; /* not looked at yet */
};

struct warm {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;
	_Atomic unsigned active; /* changed with the lock held */
	struct watched watched[MAX_WATCHED];
	struct fetcher *fetcher;
	struct warm_config config;
	pthread_t thread;
	_Atomic uint64_t total_watched, given_up, used, late, wasted; /* the last three: windows */
};

static struct watched *find(struct warm *w, uint64_t nodeid)
{
	for (unsigned i = 0; i < MAX_WATCHED; i++)
		if (w->watched[i].nodeid == nodeid)
			return &w->watched[i];
	return NULL;
}

static void drop(struct warm *w, struct watched *f)
{
	fetch_file_unref(f->file);
	f->file = NULL;
	f->nodeid = 0;
	w->active--;
}

static uint64_t segment_size(const struct watched *f)
{
	uint64_t size = (f->stream.size + SEGMENTS - 1) / SEGMENTS;

	return (size + (1u << 20) - 1) & ~(uint64_t)((1u << 20) - 1);
}

static int64_t resident(const struct watched *f, uint64_t offset, uint64_t length)
{
	/* For cachestat a length of 0 means up to the end. */
	if (!length || offset >= f->stream.size)
		return 0;
	return fetch_resident(fetch_file_fd(f->file), offset, length);
}

/* Nobody reads on: what became of the window that was fetched last? */
static void settle(struct warm *w, const struct watched *f)
{
	const struct extent *trip = &f->stream.trip;

	if (trip->length)
		atomic_fetch_add(resident(f, trip->offset, trip->length) > 0 ? &w->used
									      : &w->wasted, 1);
}

/* Hot files are the common case: eight looks at single pages tell them without counting pages. */
static bool looks_hot(const struct watched *f)
{
	for (uint64_t i = 0; i < 8; i++)
		if (resident(f, (f->stream.size / 8 * i) & ~4095ull, 4096) <= 0)
			return false;
	return true;
}

static void take_baseline(struct watched *f)
{
	uint64_t size = segment_size(f);

	f->total = 0;
	for (unsigned i = 0; i < SEGMENTS; i++) {
		int64_t n = resident(f, i * size, size);

		f->baseline[i] = n > 0 ? (uint64_t)n : 0;
		f->total += f->baseline[i];
	}
}

/* The first byte in memory of a range that has some. */
static uint64_t first_resident(const struct watched *f, uint64_t offset, uint64_t length)
{
	while (length > 16384) {
		uint64_t half = (length / 2 + 4095) & ~4095ull;

		if (resident(f, offset, half) > 0) {
			length = half;
		} else {
			offset += half;
			length -= half;
		}
	}
	for (; length > 4096; offset += 4096, length -= 4096)
		if (resident(f, offset, 4096) > 0)
			break;
	return offset;
}

/* How much is in memory from there on without a gap, as far as one read of the kernel's goes. */
static uint64_t resident_run(const struct watched *f, uint64_t offset)
{
	uint64_t run = 0, step = 4096;

	while (run < (4u << 20) && resident(f, offset + run, step) == (int64_t)step) {
		run += step;
		if (step < (256u << 10))
			step *= 2;
	}
	while (step > 4096) {
		step /= 2;
		if (resident(f, offset + run, step) == (int64_t)step)
			run += step;
	}
	return run ? run : 4096;
}

static void queue(struct warm *w, struct watched *f, const struct extent *fetch, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fetcher_queue(w->fetcher, f->file, fetch[i].offset, fetch[i].length);
}

/*
 * Where the reader has missed, if he has: a segment beyond what we fetched holds more than before.
 * Backward streams are looked for from below the frontier.
 */
static bool find_miss(struct watched *f, uint64_t *offset)
{
	const struct stream *s = &f->stream;
	uint64_t size = segment_size(f), from = 0, to = s->size;
	unsigned found = SEGMENTS;

	if (s->window && s->step > 0)
		from = s->frontier;
	if (s->window && s->step < 0)
		to = s->frontier;
	for (unsigned i = (unsigned)(from / size); i < SEGMENTS && i * size < to; i++) {
		uint64_t start = i * size < from ? from : i * size;
		uint64_t end = (i + 1) * size < to ? (i + 1) * size : to;
		int64_t now = resident(f, start, end - start);
		uint64_t before = start == i * size && end == (i + 1) * size ? f->baseline[i] : 0;

		if (now > (int64_t)before) {
			found = i;
			*offset = first_resident(f, start, end - start);
			break;
		}
	}
	return found < SEGMENTS;
}

static bool on_miss(struct warm *w, struct watched *f, uint64_t offset)
{
	struct extent fetch[STREAM_MAX_FETCH];
	bool window = f->stream.trip.length;
	unsigned n = stream_miss(&f->stream, offset, resident_run(f, offset), fetch);

	if (window)
		atomic_fetch_add(f->stream.overtaken ? &w->late : &w->wasted, 1);
	queue(w, f, fetch, n);
	if (f->stream.step) {
		f->lost = 0;
	} else {
		take_baseline(f);
		if (++f->lost >= RANDOM_MISSES) {
			atomic_fetch_add(&w->given_up, 1);
			return false;
		}
	}
	return f->stream.frontier < f->stream.size || !f->stream.step;
}

/* One look at a file. False: nothing more to do for it. Sets *event if the reader was seen. */
static bool look(struct warm *w, struct watched *f, bool *event)
{
	struct stream *s = &f->stream;
	struct extent fetch[STREAM_MAX_FETCH];
	uint64_t offset;

	*event = false;
	if (f->fresh) {
		f->fresh = false;
		if (looks_hot(f))
			return false;
		take_baseline(f);
		if (f->total >= s->size / 4 * 3)
			return false; /* hot */
		if (!f->baseline[0])
			return true;
		/* Perhaps he was faster than we: from the beginning, if that is where the bytes are. */
		if (f->total == f->baseline[0] && f->total <= (1u << 20) &&
		    resident(f, 0, 4096) > 0) {
			*event = true;
			return on_miss(w, f, 0);
		}
		return true;
	}
	if (s->trip.length && resident(f, s->trip.offset, s->trip.length) > 0) {
		*event = true;
		atomic_fetch_add(&w->used, 1);
		queue(w, f, fetch, stream_tripped(s, fetch));
		return s->step > 0 ? s->frontier < s->size : s->frontier > 0;
	}
	if (find_miss(f, &offset)) {
		*event = true;
		return on_miss(w, f, offset);
	}
	return true;
}

static void poll_file(struct warm *w, struct watched *f, uint64_t now)
{
	bool event, go_on = look(w, f, &event);

	if (event) {
		f->last_event = now;
		f->interval = POLL_ACTIVE;
	} else if (f->interval < POLL_SLOWEST) {
		f->interval += f->interval / 4;
	}
	f->next_poll = now + f->interval;
	if (go_on && now - f->last_event > PATIENCE) {
		settle(w, f);
		go_on = false;
	}
	if (!go_on)
		drop(w, f);
}

/* Waits until something is to be done: for a new file, or until the next look. */
static void wait_for_work(struct warm *w, uint64_t until)
{
	struct timespec ts = {.tv_sec = (time_t)(until / NSEC_PER_SEC),
			      .tv_nsec = (long)(until % NSEC_PER_SEC)};

	if (!w->active)
		pthread_cond_wait(&w->changed, &w->lock);
	else
		pthread_cond_timedwait(&w->changed, &w->lock, &ts);
}

static void *thread_main(void *argument)
{
	struct warm *w = argument;

	w->config.prepare(w->config.argument);
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		uint64_t now = clock_ns(), next = UINT64_MAX;

		for (unsigned i = 0; i < MAX_WATCHED; i++) {
			struct watched *f = &w->watched[i];

			if (f->nodeid && f->next_poll <= now)
				poll_file(w, f, now);
			if (f->nodeid && f->next_poll < next)
				next = f->next_poll;
		}
		wait_for_work(w, next);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct warm *warm_new(const struct warm_config *config)
{
	struct warm *w;
	pthread_condattr_t attr;

	if (fetch_resident(0, 0, 0) == -ENOSYS)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->config = *config;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	w->fetcher = fetcher_new(config->threads, config->prepare, config->argument);
	if (w->fetcher && pthread_create(&w->thread, NULL, thread_main, w) == 0)
		return w;
	fetcher_free(w->fetcher);
	free(w);
	return NULL;
}

struct warm *warm_free(struct warm *w)
{
	if (!w)
		return NULL;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	for (unsigned i = 0; i < MAX_WATCHED; i++)
		if (w->watched[i].nodeid)
			drop(w, &w->watched[i]);
	fetcher_free(w->fetcher);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

bool warm_watches(struct warm *w, uint64_t nodeid)
{
	bool found;

	pthread_mutex_lock(&w->lock);
	found = find(w, nodeid);
	pthread_mutex_unlock(&w->lock);
	return found;
}

void warm_open(struct warm *w, uint64_t nodeid, int fd, uint64_t size)
{
	struct fetch_file *file = fetch_file_new(fd);
	struct watched *f;

	if (!file)
		return;
	pthread_mutex_lock(&w->lock);
	f = find(w, nodeid) ? NULL : find(w, 0);
	if (f) {
		memset(f, 0, sizeof(*f));
		f->nodeid = nodeid;
		f->file = file;
		f->fresh = true;
		f->opens = 1;
		f->interval = POLL_FIRST;
		f->last_event = clock_ns();
		stream_init(&f->stream, size, w->config.max_window);
		w->active++;
		pthread_cond_signal(&w->changed);
		atomic_fetch_add(&w->total_watched, 1);
		file = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	fetch_file_unref(file);
}

void warm_release(struct warm *w, uint64_t nodeid)
{
	struct watched *f;

	/* Nearly always nothing is watched, and releases are frequent. */
	if (!atomic_load_explicit(&w->active, memory_order_relaxed))
		return;
	pthread_mutex_lock(&w->lock);
	f = find(w, nodeid);
	if (f) {
		settle(w, f);
		drop(w, f);
	}
	pthread_mutex_unlock(&w->lock);
}

void warm_read_counters(const struct warm *w, struct warm_counters *c)
{
	c->watched = atomic_load(&w->total_watched);
	c->given_up = atomic_load(&w->given_up);
	c->used = atomic_load(&w->used);
	c->late = atomic_load(&w->late);
	c->wasted = atomic_load(&w->wasted);
	c->bytes = fetcher_bytes(w->fetcher);
}
