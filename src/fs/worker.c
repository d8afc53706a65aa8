/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/worker.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "stats/opname.h"
#include "util/log.h"

/* What stands before a WRITE's data (uapi fuse.h). */
#define WRITE_HEADER (sizeof(struct request_header) + 40)
#define PAGE	     4096u
#define IN_BYTES     (WORKER_IN_ROOM + 2 * PAGE)

/* A thread's own worker: libfuse's handlers get no argument of ours but the file system. */
static _Thread_local struct worker *self;

struct worker *worker_self(void)
{
	return self;
}

void worker_is(struct worker *w)
{
	self = w;
}

static char *map_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct worker *worker_new(struct session *session, struct stats *stats)
{
	struct worker *w = calloc(1, sizeof(*w));
	char *in = map_pages(IN_BYTES), *out = map_pages(WORKER_MAX_DATA);

	if (w)
		w->stats = stats_block_new(stats);
	if (!w || !in || !out || !w->stats) {
		if (in)
			munmap(in, IN_BYTES);
		if (out)
			munmap(out, WORKER_MAX_DATA);
		free(w);
		return NULL;
	}
	w->session = session;
	w->out = out;
	w->in = in + PAGE - WRITE_HEADER; /* a WRITE's data begins at a page */
	return w;
}

void worker_free(struct worker *w)
{
	munmap(w->in - (PAGE - WRITE_HEADER), IN_BYTES);
	munmap(w->out, WORKER_MAX_DATA);
	free(w);
}

void worker_begins(struct worker *w, const struct request_header *h, uint64_t now)
{
	w->err = 0;
	atomic_store_explicit(&w->unique, h->unique, memory_order_relaxed);
	atomic_store_explicit(&w->nodeid, h->nodeid, memory_order_relaxed);
	atomic_store_explicit(&w->opcode, h->opcode, memory_order_relaxed);
	atomic_store_explicit(&w->pid, h->pid, memory_order_relaxed);
	atomic_store_explicit(&w->started_ns, now, memory_order_release);
}

unsigned worker_log_in_flight(struct worker *w, uint64_t now)
{
	uint64_t start = atomic_load_explicit(&w->started_ns, memory_order_acquire);

	if (!start)
		return 0;
	log_line(LOG_NOTICE, "in flight for %llu ms: %s node %llx pid %u unique %llu",
		 (unsigned long long)(now > start ? now - start : 0) / 1000000,
		 opname(atomic_load(&w->opcode)), (unsigned long long)atomic_load(&w->nodeid),
		 atomic_load(&w->pid), (unsigned long long)atomic_load(&w->unique));
	return 1;
}
