/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/session_internal.h"

#include <linux/fuse.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fs/kept.h"
#include "fs/listed.h"
#include "stats/opname.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/futex.h"
#include "util/log.h"

#define FIRST_WORKERS 2u

void session_end(struct session *s, int error)
{
	int none = 0;

	if (error)
		atomic_compare_exchange_strong(&s->error, &none, error);
	fuse_session_exit(s->fs->fuse);
	atomic_store(&s->ended, true);
	atomic_store(&s->lead, 0);
	futex_wake(&s->lead, MAX_WORKERS);
}

void session_post(int eventfd)
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

/* Nobody waits for these: they say nothing of how many are at work. */
static bool is_waited_for(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_RELEASE &&
	       opcode != FUSE_RELEASEDIR;
}

/* Numbers a request that was just received; the leader's. */
static uint32_t count_asked(struct session *s, uint32_t opcode)
{
	uint32_t asked =
		atomic_load_explicit(&s->asked, memory_order_relaxed) + is_waited_for(opcode);

	atomic_store_explicit(&s->asked, asked, memory_order_relaxed);
	return asked;
}

/*
 * What it takes for these is all the same on a filesystem of this machine, whoever we are when it
 * comes; or they become somebody themselves.
 */
static bool is_indifferent(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_GETATTR:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_CREATE:
		return true;
	default:
		return false;
	}
}

/* Returns when it was done. */
static uint64_t process(struct session *s, struct worker *w, size_t size, uint64_t start)
{
	/* A copy: the buffer is the handler's. */
	struct request_header h = *(struct request_header *)(void *)w->in;
	struct fuse_buf buf = { .mem = w->in, .size = size };
	uint64_t elapsed;
	bool might_wait;

	worker_begins(w, &h, start);
	w->asked = count_asked(s, h.opcode);
	w->sleeps = -1;
	w->wait = LOOKOUT_UNKNOWN;
	if (w->creds.lingers && !is_indifferent(h.opcode))
		creds_rest(&w->creds);
	fuse_session_process_buf(s->fs->fuse, &buf);
	if (!w->creds.lingers)
		creds_rest(&w->creds);
	elapsed = clock_ns() - start;
	might_wait = w->section || !w->leading;
	crew_leave_section(w);
	if (might_wait)
		lookout_ended(&s->lookout, h.opcode, start + elapsed, elapsed, w->wait,
			      !w->leading);
	atomic_store_explicit(&w->started_ns, 0, memory_order_relaxed);
	stats_request(w->stats, h.opcode, w->err, elapsed);
	if (!w->leading)
		stats_add(&w->stats->times[STATS_WAITED], elapsed);
	if (s->fs->options->debug)
		debug_line(w, &h, elapsed);
	if (h.opcode == FUSE_INIT)
		session_post(s->ready);
	/* In one order with what the request has left to look after (session_doze). */
	if (atomic_load(&s->dozing) && atomic_exchange(&s->dozing, false))
		session_post(s->wake);
	return start + elapsed;
}

void session_serve(struct session *s, struct worker *w)
{
	/* Who started the worker has counted it as idle, so that nobody starts another meanwhile. */
	for (w->leading = crew_wait_for_lead(s); w->leading;
	     w->leading = w->leading || crew_take_lead(s)) {
		uint64_t time;
		ssize_t n;

		n = receive_request(&s->receive, w->tid, &w->look, w->in, WORKER_IN_ROOM,
				    sizeof(struct request_header), &time);
		if (n <= 0) {
			session_end(s, (int)n);
			return;
		}
		time = process(s, w, (size_t)n, time);
		if (w->leading)
			s->receive.done = time;
		if (fuse_session_exited(s->fs->fuse)) {
			session_end(s, 0);
			return;
		}
	}
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
	cpu_set_t cpus;
	int err = lookout_start(&s->lookout, crew_hand_over, s);

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
		err = crew_spawn(s);
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
