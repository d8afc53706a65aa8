/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/session.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include "fs/kept.h"
#include "fs/listed.h"
#include "fs/lookout.h"
#include "fs/receive.h"
#include "stats/opname.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/futex.h"
#include "util/log.h"
#include "util/task.h"

/*
 * Each program that waits for a stalled disk holds one worker; the bound is there to notice a leak,
 * not to limit work. Stacks are touched only as far as they are used.
 */
#define MAX_WORKERS 1024u
#define FIRST_WORKERS 2u
#define IDLE_WORKERS 8u /* kept ready; more go away when they find nothing to do */
#define STACK_BYTES (256u << 10)

#define OPCODE_INIT 26

struct session {
	struct fs *fs;
	_Atomic uint32_t lead; /* futex: 1 while somebody leads */
	_Atomic uint32_t idle; /* workers that wait for the lead, or are about to */
	_Atomic uint32_t threads;
	_Atomic int leader; /* its thread's id, for the lookout */
	_Atomic bool ended;
	_Atomic int error;
	_Atomic bool dozing; /* the housekeeper wants to hear of the next request */
	struct lookout lookout;
	struct receive receive; /* the leader's */
	int done, ready, wake; /* eventfds */
	pthread_mutex_t lock; /* guards `workers` and `spare` */
	struct worker *workers; /* all there ever were; those not running are spare */
	struct worker *spare[MAX_WORKERS];
	unsigned spares;
};

static bool try_lead(struct session *s)
{
	uint32_t free = 0;

	return atomic_compare_exchange_strong(&s->lead, &free, 1);
}

/*
 * Waits for the lead. False: the worker is not needed any more. It is counted as idle already.
 *
 * No wake-up is lost: who lets the lead go stores 0 before he wakes, and who waits looks at the
 * word after he is counted. A worker leaves only after a wait that nobody ended, while others are
 * idle, and takes the lead if it was let go meanwhile.
 */
static bool wait_for_lead(struct session *s)
{
	static const struct timespec patience = {.tv_sec = 10};
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

static bool take_lead(struct session *s)
{
	if (try_lead(s))
		return true;
	atomic_fetch_add(&s->idle, 1);
	return wait_for_lead(s);
}

static int worker_spawn(struct session *s);

/* The lead, which nobody but the caller has, goes to somebody who is not busy. */
static void hand_over(void *argument)
{
	struct session *s = argument;

	atomic_store(&s->lead, 0);
	if (atomic_load(&s->idle))
		futex_wake(&s->lead, 1);
	else
		worker_spawn(s); /* if that fails, whoever finishes first takes the lead */
}

/* Whether the worker still leads after a section, if it was in one. */
static bool leave_section(struct worker *w)
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
	if (!leave_section(w))
		return;
	w->leading = false;
	stats_add(&w->stats->events[STATS_HANDED_OVER], 1);
	hand_over(w->session);
}

void worker_might_block(struct worker *w)
{
	if (!w->leading || w->section)
		return;
	w->section = lookout_open(&w->session->lookout,
				  atomic_load_explicit(&w->opcode, memory_order_relaxed),
				  atomic_load_explicit(&w->started_ns, memory_order_relaxed));
	if (!w->section)
		worker_may_block(w);
}

/* A leader that was preempted is running, for the kernel, and no other would get a CPU sooner. */
static bool leader_waits(void *argument)
{
	struct session *s = argument;

	return task_state(s->fs->tree.source.proc, atomic_load(&s->leader)) != 'R';
}

static void end(struct session *s, int error)
{
	int none = 0;

	if (error)
		atomic_compare_exchange_strong(&s->error, &none, error);
	fuse_session_exit(s->fs->fuse);
	atomic_store(&s->ended, true);
	atomic_store(&s->lead, 0);
	futex_wake(&s->lead, MAX_WORKERS);
}

static void post(int eventfd)
{
	uint64_t one = 1;

	if (write(eventfd, &one, sizeof(one)) < 0)
		log_line(LOG_ERR, "eventfd: %s", strerror(errno));
}

static void debug_line(const struct worker *w, const struct request_header *h, uint64_t ns)
{
	log_line(LOG_DEBUG, "%llu %s node %llx uid %u pid %u: %s, %llu us%s",
		 (unsigned long long)h->unique, opname(h->opcode), (unsigned long long)h->nodeid,
		 h->uid, h->pid, w->err ? strerror(w->err) : "ok", (unsigned long long)ns / 1000,
		 w->leading ? "" : ", handed over");
}

/* Returns when it was done. */
static uint64_t process(struct session *s, struct worker *w, size_t size, uint64_t start)
{
	/* A copy: the buffer is the handler's. */
	struct request_header h = *(struct request_header *)(void *)w->in;
	struct fuse_buf buf = {.mem = w->in, .size = size};
	uint64_t elapsed;

	worker_begins(w, &h, start);
	fuse_session_process_buf(s->fs->fuse, &buf);
	creds_rest(&w->creds);
	elapsed = clock_ns() - start;
	if (!leave_section(w) && elapsed >= LOOKOUT_PATIENCE)
		lookout_waited(&s->lookout, h.opcode, start + elapsed);
	atomic_store_explicit(&w->started_ns, 0, memory_order_relaxed);
	stats_request(w->stats, h.opcode, w->err, elapsed);
	if (!w->leading)
		stats_add(&w->stats->times[STATS_WAITED], elapsed);
	if (s->fs->options->debug)
		debug_line(w, &h, elapsed);
	if (h.opcode == OPCODE_INIT)
		post(s->ready);
	/* In one order with what the request has left to look after (session_doze). */
	if (atomic_load(&s->dozing) && atomic_exchange(&s->dozing, false))
		post(s->wake);
	return start + elapsed;
}

/* Receives and answers until the worker is not needed any more. */
static void serve(struct session *s, struct worker *w)
{
	/* Who started the worker has counted it as idle, so that nobody starts another meanwhile. */
	for (w->leading = wait_for_lead(s); w->leading; w->leading = w->leading || take_lead(s)) {
		uint64_t time;
		ssize_t n;

		atomic_store_explicit(&s->leader, w->tid, memory_order_relaxed);
		n = receive_request(&s->receive, w->tid, w->in, WORKER_IN_ROOM,
				    sizeof(struct request_header), &time);
		if (n <= 0) {
			end(s, (int)n);
			return;
		}
		time = process(s, w, (size_t)n, time);
		if (w->leading)
			s->receive.done = time;
		if (fuse_session_exited(s->fs->fuse)) {
			end(s, 0);
			return;
		}
	}
}

static void worker_retire(struct worker *w)
{
	struct session *s = w->session;

	pthread_mutex_lock(&s->lock);
	s->spare[s->spares++] = w;
	pthread_mutex_unlock(&s->lock);
	if (atomic_fetch_sub(&s->threads, 1) == 1)
		post(s->done);
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
			end(s, err); /* nobody is left to serve */
	} else {
		serve(s, w);
	}
	worker_retire(w);
	return NULL;
}

/* Starts a thread with a spare worker, or a new one. 0 or -errno. */
static int worker_spawn(struct session *s)
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

struct session *session_new(struct fs *fs)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fs = fs;
	pthread_mutex_init(&s->lock, NULL);
	s->done = eventfd(0, EFD_CLOEXEC);
	s->ready = eventfd(0, EFD_CLOEXEC);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->done < 0 || s->ready < 0 || s->wake < 0)
		return session_free(s);
	return s;
}

struct session *session_free(struct session *s)
{
	if (!s)
		return NULL;
	lookout_stop(&s->lookout);
	while (s->workers) {
		struct worker *w = s->workers;

		s->workers = w->next;
		worker_free(w);
	}
	if (s->done >= 0)
		close(s->done);
	if (s->ready >= 0)
		close(s->ready);
	if (s->wake >= 0)
		close(s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

int session_start(struct session *s)
{
	static const struct lookout_calls calls = {leader_waits, hand_over};
	cpu_set_t cpus;
	int err = lookout_start(&s->lookout, &calls, s);

	s->receive = (struct receive){
		.fd = fuse_session_fd(s->fs->fuse),
		.proc = s->fs->tree.source.proc,
		.latency = s->fs->latency,
	};
	wake_init(&s->receive.wake, s->fs->options->wake,
		  sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 1);
	if (err) {
		log_line(LOG_WARNING, "requests are handed over at once: %s", strerror(-err));
		err = 0;
	}
	for (unsigned i = 0; i < FIRST_WORKERS && !err; i++)
		err = worker_spawn(s);
	return err;
}

int session_done_fd(const struct session *s)
{
	return s->done;
}

int session_ready_fd(const struct session *s)
{
	return s->ready;
}

int session_wake_fd(const struct session *s)
{
	return s->wake;
}

bool session_doze(struct session *s)
{
	atomic_store(&s->dozing, true);
	/* A request may have come between the last look and the wish to be told. */
	if (fdcache_count(s->fs->tree.fdcache) == 0 && kept_count(s->fs->kept) == 0 &&
	    listed_count(s->fs->listed) == 0)
		return true;
	atomic_store(&s->dozing, false);
	return false;
}

int session_join(struct session *s)
{
	uint64_t count;

	lookout_stop(&s->lookout); /* it might start another worker */
	/* Posted by the last worker; the read is also what orders its work before ours. */
	do
		if (read(s->done, &count, sizeof(count)) < 0 && errno != EINTR)
			break;
	while (atomic_load(&s->threads));
	return atomic_load(&s->error);
}

unsigned session_threads(const struct session *s)
{
	return atomic_load(&s->threads);
}

void session_log_in_flight(struct session *s)
{
	uint64_t now = clock_ns();
	unsigned count = 0;

	pthread_mutex_lock(&s->lock);
	for (struct worker *w = s->workers; w; w = w->next)
		count += worker_log_in_flight(w, now);
	pthread_mutex_unlock(&s->lock);
	log_line(LOG_NOTICE, "%u requests in flight, %u threads", count, session_threads(s));
}
