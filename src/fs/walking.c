/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/walking.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "fs/disk.h"
#include "io/engine.h"
#include "prefetch/fetch.h"
#include "prefetch/walker.h"
#include "probe/pressure.h"
#include "util/cleanup.h"
#include "util/log.h"

/* 32 readers at once got from a 1 ms disk what it gives (DESIGN.md: 0.44 s with 32 or 64). */
#define THREADS		       32u
#define DESCRIPTORS_PER_THREAD 64u /* of the process's, so that requests have enough */
/* While all is in memory, one open in so many is looked at. */
#define LOOK_EVERY 64u
#define SAMPLES	   8u

struct walking {
	struct walker *walker;
	_Atomic bool paused; /* memory is short */
	_Atomic bool idle;   /* nothing is to be gained on this disk, it has turned out */
	_Atomic unsigned opens;
	/* Open files of which the end will tell how much was read. */
	struct reading {
		_Atomic uint64_t node; /* 0: free */
		uint32_t pid;
	} sample[SAMPLES];
	_Atomic unsigned samples;
};

static void prepare(void *argument)
{
	struct fs *fs = argument;
	struct creds creds;

	if (creds_init(&creds, fs->tree.source.proc) != 0)
		log_line(LOG_WARNING, "a thread that walks trees ahead runs as root");
	/* Behind what programs wait for, where the disk has an order: best effort, last. */
	syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 7);
}

static unsigned threads(void)
{
	struct rlimit limit;
	unsigned n = THREADS;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / DESCRIPTORS_PER_THREAD < n)
		n = (unsigned)(limit.rlim_cur / DESCRIPTORS_PER_THREAD);
	return n ? n : 1;
}

static bool past_the_page_cache(const struct fs *fs)
{
	return fs->engine && engine_ops(fs->engine) != &io_buffered_ops;
}

void walking_start(struct fs *fs)
{
	enum option_prefetch said = fs->options->prefetch;
	const struct policy_tree *policy = &disk_facts(fs)->tree;
	struct walker_config config = {
		.tree = &fs->tree,
		.bytes = policy->bytes,
		.threads = threads(),
		.always = said == OPTION_PREFETCH_TREE,
		.by_inode = policy->by_inode,
		.no_contents = past_the_page_cache(fs),
		.prepare = prepare,
		.argument = fs,
	};

	if (said != OPTION_PREFETCH_TREE &&
	    (said != OPTION_PREFETCH_AUTO || fs->tree.source.in_memory || !policy->gain))
		return;
	fs->walking = calloc(1, sizeof(*fs->walking));
	if (fs->walking)
		fs->walking->walker = walker_new(&config);
	if (fs->walking && !fs->walking->walker)
		walking_stop(fs);
}

void walking_decided(struct fs *fs)
{
	const struct policy_tree *policy = &disk_facts(fs)->tree;
	struct walking *w = fs->walking;

	if (!w)
		return;
	walker_by_inode(w->walker, policy->by_inode);
	atomic_store_explicit(&w->idle, !policy->gain, memory_order_relaxed);
}

void walking_stop(struct fs *fs)
{
	if (fs->walking)
		walker_free(fs->walking->walker);
	free(fs->walking);
	fs->walking = NULL;
}

/* NULL: there is nothing to tell anybody. */
static struct walking *walking_of(struct fs *fs)
{
	struct walking *w = fs->walking;

	if (!w || atomic_load_explicit(&w->paused, memory_order_relaxed) ||
	    atomic_load_explicit(&w->idle, memory_order_relaxed))
		return NULL;
	return w;
}

static struct who who_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct who){ .pid = (uint32_t)ctx->pid, .uid = ctx->uid, .gid = ctx->gid };
}

void walking_listed(fuse_req_t req, struct fs *fs, struct node *node, int fd)
{
	struct walking *w = walking_of(fs);
	struct who who = who_of(req);
	struct stat st;

	if (w && !walker_asleep(w->walker) && fstat(fd, &st) == 0)
		walker_opendir(w->walker, &who, st.st_ino, node);
}

void walking_looked_up(fuse_req_t req, struct fs *fs, struct node *parent, int directory,
		       const struct child *child)
{
	struct walking *w = walking_of(fs);
	struct who who = who_of(req);
	struct stat st;

	/* Those answered from memory say little, and there are many of them. */
	if (w && child->waited && fstat(directory, &st) == 0)
		walker_lookup(w->walker, &who, parent,
			      &(struct looked_up){
				      .parent_ino = st.st_ino,
				      .parent_node = parent->id,
				      .ino = child->stx.stx_ino,
				      .directory = S_ISDIR(child->stx.stx_mode),
			      });
}

/* What is in memory of the file that fd names; its size for one that can't be looked at. */
static uint64_t resident(int fd, uint64_t size)
{
	autoclose int real = fs_reopen(fd, O_RDONLY | O_NOATIME | O_NONBLOCK);
	int64_t n = real < 0 ? -1 : fetch_resident(real, 0, size);

	return n < 0 ? size : (uint64_t)n;
}

static void sample_later(struct walking *w, uint64_t node, uint32_t pid)
{
	for (unsigned i = 0; i < SAMPLES; i++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(&w->sample[i].node, &none, node)) {
			w->sample[i].pid = pid;
			atomic_fetch_add(&w->samples, 1);
			return;
		}
	}
}

void walking_opened(fuse_req_t req, struct fs *fs, struct node *node)
{
	struct walking *w = walking_of(fs);
	struct who who = who_of(req);
	struct fd_lease lease;
	struct stat st;
	bool asleep;

	if (!w)
		return;
	asleep = walker_asleep(w->walker);
	if (asleep && atomic_fetch_add_explicit(&w->opens, 1, memory_order_relaxed) % LOOK_EVERY)
		return;
	if (tree_reach(&fs->tree, node, false, &lease) != 0)
		return;
	if (fstat(lease.fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		if (asleep && resident(lease.fd, 1) == 0)
			walker_wake(w->walker);
		else if (!asleep &&
			 walker_open(w->walker, &who, node, st.st_ino, (uint64_t)st.st_size))
			sample_later(w, node->id, who.pid);
	}
	tree_return(&fs->tree, &lease);
}

void walking_closed(struct fs *fs, struct node *node)
{
	struct walking *w = fs->walking;
	struct fd_lease lease;
	struct stat st;

	if (!w || !atomic_load_explicit(&w->samples, memory_order_relaxed))
		return;
	for (unsigned i = 0; i < SAMPLES; i++) {
		uint32_t pid = w->sample[i].pid;
		uint64_t id = node->id;

		if (!atomic_compare_exchange_strong(&w->sample[i].node, &id, 0))
			continue;
		atomic_fetch_sub(&w->samples, 1);
		if (tree_reach(&fs->tree, node, false, &lease) != 0)
			return;
		if (fstat(lease.fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
			walker_sampled(w->walker, pid, resident(lease.fd, (uint64_t)st.st_size),
				       (uint64_t)st.st_size);
		tree_return(&fs->tree, &lease);
		return;
	}
}

bool walking_tick(struct fs *fs)
{
	struct walking *w = fs->walking;
	struct pressure pressure;

	if (!w)
		return false;
	pressure_read(fs->tree.source.proc, &pressure);
	atomic_store_explicit(&w->paused, pressure.memory, memory_order_relaxed);
	walker_weather(w->walker, policy_tree_bytes(&disk_facts(fs)->tree, pressure.available),
		       pressure.disk);
	return walker_tick(w->walker);
}

static void say_pattern(FILE *out, const struct plan_view *v)
{
	static const char *const order[ORDERS] = { "as listed", "by name", "by inode" };

	if (v->banned)
		fprintf(out, "pattern  none: guesses were wrong, nothing is guessed for %u opens\n",
			v->banned);
	else if (v->confident)
		fprintf(out, "pattern  contents, %s\n", order[v->order]);
	else if (v->scattered)
		fprintf(out, "pattern  contents, in no order\n");
	else if (v->inodes)
		fprintf(out, "pattern  names and attributes\n");
	else
		fprintf(out, "pattern  %s\n", v->dirs_window ? "names" : "none yet");
}

void walking_explain(FILE *out, struct fs *fs, int fd)
{
	struct walking *w = fs->walking;
	struct plan_view v;
	struct stat st;

	if (!w || atomic_load_explicit(&w->idle, memory_order_relaxed) || fstat(fd, &st) < 0) {
		fprintf(out, "trees    are not walked ahead here\n");
		return;
	}
	walker_see(w->walker, st.st_ino, &v);
	if (atomic_load_explicit(&w->paused, memory_order_relaxed))
		fprintf(out, "trees    nothing is guessed while memory is short\n");
	else if (v.asleep)
		fprintf(out, "trees    asleep: what was asked for lately was all in memory\n");
	else if (!v.known)
		fprintf(out, "trees    nobody was seen here lately\n");
	if (!v.known)
		return;
	say_pattern(out, &v);
	fprintf(out, "entries  %u, %u of them opened\n", v.entries, v.opened);
	fprintf(out,
		"ahead    %u files fetched and not opened yet; up to %u files, %u directories\n",
		v.ahead, v.window, v.dirs_window);
	if (v.right + v.wrong)
		fprintf(out, "guesses  %u of the last %u were right\n", v.right, v.right + v.wrong);
}

void walking_count(const struct fs *fs, struct stats_snapshot *s)
{
	struct plan_counters c;

	if (!fs->walking)
		return;
	walker_read_counters(fs->walking->walker, &c);
	s->events[STATS_DIRS_LISTED] = c.listed;
	s->events[STATS_INODES_FETCHED] = c.inodes;
	s->events[STATS_FILES_FETCHED] = c.files;
	s->events[STATS_GUESSES_USED] = c.used;
	s->events[STATS_GUESSES_LATE] = c.late;
	s->events[STATS_GUESSES_WASTED] = c.wasted;
	s->bytes[STATS_TREE_FETCHED] = c.pages * 4096;
	s->bytes[STATS_TREE_WASTED] = c.wasted_pages * 4096;
}
