/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The workers: who leads, how the lead changes hands, and how many there are.
 */
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "fs/session_internal.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/futex.h"
#include "util/log.h"

#define IDLE_WORKERS 8u		  /* kept ready; more go away when they find nothing to do */
#define STACK_BYTES  (256u << 10) /* touched only as far as it is used */

static bool try_lead(struct session *s)
{
	uint32_t free = 0;

	return atomic_compare_exchange_strong(&s->lead, &free, 1);
}

/*
 * No wake-up is lost: who lets the lead go stores 0 before he wakes, and who waits looks at the
 * word after he is counted. A worker leaves only after a wait that nobody ended, while others are
 * idle, and takes the lead if it was let go meanwhile.
 */
bool crew_wait_for_lead(struct session *s)
{
	static const struct timespec patience = { .tv_sec = 10 };
	bool leads = false, wanted = true;

	while (wanted && !leads && !atomic_load(&s->ended)) {
		leads = try_lead(s);
		if (!leads && !futex_wait(&s->lead, 1, &patience))
			wanted = atomic_load(&s->idle) <= IDLE_WORKERS;
	}
	atomic_fetch_sub(&s->idle, 1);
	/* Several may leave at once: who let the lead go may have counted on any of them. */
	return leads || (!atomic_load(&s->ended) && try_lead(s));
}

bool crew_take_lead(struct session *s)
{
	if (try_lead(s))
		return true;
	atomic_fetch_add(&s->idle, 1);
	return crew_wait_for_lead(s);
}

void crew_hand_over(void *argument)
{
	struct session *s = argument;

	atomic_store(&s->lead, 0);
	if (atomic_load(&s->idle))
		futex_wake(&s->lead, 1);
	else
		crew_spawn(s); /* if that fails, whoever finishes first takes the lead */
}

bool crew_leave_section(struct worker *w)
{
	if (w->section && !lookout_close(&w->session->lookout, w->section)) {
		w->leading = false;
		stats_add(&w->stats->events[STATS_HANDED_OVER], 1);
	}
	w->section = 0;
	return w->leading;
}

void worker_may_block(struct worker *w)
{
	if (!crew_leave_section(w))
		return;
	w->leading = false;
	stats_add(&w->stats->events[STATS_HANDED_OVER], 1);
	crew_hand_over(w->session);
}

/* How often this thread has gone to sleep, which a thread that was preempted has not. */
static long count_sleeps(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) < 0 ? -1 : usage.ru_nvcsw;
}

void worker_might_block(struct worker *w)
{
	struct lookout *l = &w->session->lookout;
	uint64_t start = atomic_load_explicit(&w->started_ns, memory_order_relaxed);

	if (!w->leading || w->section)
		return;
	if (lookout_wants_to_know(l, start))
		w->sleeps = count_sleeps();
	w->section = lookout_open(l, atomic_load_explicit(&w->opcode, memory_order_relaxed), start);
	if (!w->section)
		worker_may_block(w);
}

void worker_replies(struct worker *w)
{
	struct session *s = w->session;
	uint64_t start = atomic_load_explicit(&w->started_ns, memory_order_relaxed);
	uint32_t busy;

	if (w->sleeps < 0 || clock_ns() - start < LOOKOUT_WAIT || count_sleeps() == w->sleeps)
		return;
	/* Besides this one and who waits for requests; not exact while they change places. */
	busy = atomic_load(&s->threads) - atomic_load(&s->idle);
	w->wait = atomic_load_explicit(&s->asked, memory_order_relaxed) != w->asked ||
				  busy > (w->leading ? 1 : 2) || receive_pending(&s->receive)
			  ? LOOKOUT_OTHERS
			  : LOOKOUT_ALONE;
}

static void worker_retire(struct worker *w)
{
	struct session *s = w->session;

	pthread_mutex_lock(&s->lock);
	s->spare[s->spares++] = w;
	pthread_mutex_unlock(&s->lock);
	if (atomic_fetch_sub(&s->threads, 1) == 1)
		session_post(s->done);
}

static void *worker_main(void *argument)
{
	struct worker *w = argument;
	struct session *s = w->session;
	int err;

	worker_is(w);
	w->leading = false;
	w->section = 0;
	w->tid = gettid();
	w->look = (struct wake_look){ 0 };
	/* The kernel must not wait for us when it needs memory to write our dirty pages back. Needs
	 * CAP_SYS_RESOURCE; without it we are as well off as other daemons. */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	err = creds_init(&w->creds, s->fs->tree.source.proc);
	/* From here a descriptor's number is the relative path of what it names. */
	if (!err && fchdir(s->fs->tree.source.proc_fds) < 0)
		err = -errno;
	if (err) {
		log_line(LOG_ERR, "a worker can't start: %s", strerror(-err));
		atomic_fetch_sub(&s->idle, 1);
		if (atomic_load(&s->threads) == 1)
			session_end(s, err); /* nobody is left to serve */
	} else {
		session_serve(s, w);
	}
	worker_retire(w);
	return NULL;
}

int crew_spawn(struct session *s)
{
	struct worker *w = NULL;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_mutex_lock(&s->lock);
	if (s->spares)
		w = s->spare[--s->spares];
	else if (atomic_load(&s->threads) < MAX_WORKERS)
		w = worker_new(s, &s->fs->stats);
	if (w && !w->listed) {
		w->listed = true;
		w->next = s->workers;
		s->workers = w;
	}
	pthread_mutex_unlock(&s->lock);
	if (!w)
		return -EAGAIN;
	atomic_fetch_add(&s->threads, 1);
	atomic_fetch_add(&s->idle, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	err = pthread_create(&thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	if (err) {
		atomic_fetch_sub(&s->idle, 1);
		worker_retire(w);
	}
	return -err;
}
