/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/warm.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prefetch/fetch.h"
#include "prefetch/watch.h"
#include "util/clock.h"

#define MAX_WATCHED 64u

#define MSEC	     1000000ull
#define POLL_FIRST   (MSEC / 4) /* just opened: the first miss decides how soon it gets fast */
#define POLL_ACTIVE  (MSEC / 2)
#define POLL_SLOWEST (50 * MSEC)
#define LOOKS_SHARE  8		   /* at most an eighth of the time is spent looking */
#define PATIENCE     (3000 * MSEC) /* nobody reads on: the descriptor must not pin a deleted file */

struct watched {
	uint64_t nodeid; /* 0: free */
	struct watch watch;
	uint64_t next_poll, interval, last_event;
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
	watch_deinit(&f->watch);
	f->nodeid = 0;
	w->active--;
}

static void count(struct warm *w, const struct watch_counts *n)
{
	atomic_fetch_add(&w->used, n->used);
	atomic_fetch_add(&w->late, n->late);
	atomic_fetch_add(&w->wasted, n->wasted);
	atomic_fetch_add(&w->given_up, n->given_up);
}

static void settle(struct warm *w, const struct watched *f)
{
	struct watch_counts n = { 0 };

	watch_settle(&f->watch, &n);
	count(w, &n);
}

static void poll_file(struct warm *w, struct watched *f, uint64_t now)
{
	struct watch_counts n = { 0 };
	enum watch_seen seen = watch_look(&f->watch, w->fetcher, &n);
	uint64_t took;

	count(w, &n);
	if (seen == WATCH_READER) {
		f->last_event = now;
		f->interval = POLL_ACTIVE;
	} else if (f->interval < POLL_SLOWEST) {
		f->interval += f->interval / 4;
	}
	/* Before Linux 6.5 a look at a large file takes milliseconds, in which no other is opened. */
	took = clock_ns() - now;
	f->next_poll = now + (f->interval > LOOKS_SHARE * took ? f->interval : LOOKS_SHARE * took);
	if (seen == WATCH_NOTHING && now - f->last_event > PATIENCE) {
		settle(w, f);
		seen = WATCH_END;
	}
	if (seen == WATCH_END)
		drop(w, f);
}

/* Waits until something is to be done: for a new file, or until the next look. */
static void wait_for_work(struct warm *w, uint64_t until)
{
	struct timespec ts = { .tv_sec = (time_t)(until / NSEC_PER_SEC),
			       .tv_nsec = (long)(until % NSEC_PER_SEC) };

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
		f->interval = POLL_FIRST;
		f->last_event = clock_ns();
		watch_init(&f->watch, file, size, w->config.max_window);
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
