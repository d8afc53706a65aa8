/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/listed.h"

#include <pthread.h>
#include <sys/statvfs.h>

#include "fs/habit.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define SLOTS 1024u /* a directory has one place; the later one gets it */
/* A change in the same tick of SOURCE's clock as the one before leaves the times as they are. */
#define SETTLED 2 /* s */
/* relatime: a read sets an access time that is older. */
#define ATIME_OLD (24 * 60 * 60) /* s */

struct slot {
	_Atomic uint64_t nodeid; /* 0: free; changed with the lock held */
	_Atomic uint32_t asked;	 /* look-ups of the sample since the last opendir */
	uint32_t open;		 /* handles that read what the kernel keeps; it stays meanwhile */
	struct habit habit;
	struct timespec mtime, ctime; /* SOURCE's, when the keeping began */
	bool keeps;
};

struct listed {
	pthread_mutex_t lock;
	_Atomic uint32_t open;
	struct slot slot[SLOTS];
};

struct listed *listed_new(void)
{
	struct listed *l = calloc(1, sizeof(*l));

	if (l)
		pthread_mutex_init(&l->lock, NULL);
	return l;
}

struct listed *listed_free(struct listed *l)
{
	if (!l)
		return NULL;
	pthread_mutex_destroy(&l->lock);
	free(l);
	return NULL;
}

unsigned listed_count(const struct listed *l)
{
	return atomic_load(&l->open);
}

static struct slot *place(struct listed *l, uint64_t nodeid)
{
	uint64_t mixed = nodeid * 0x9e3779b97f4a7c15ull;

	return &l->slot[mixed >> 32 & (SLOTS - 1)];
}

/* NULL: not one of these. Without the lock this may be outdated at once. */
static struct slot *find(struct listed *l, uint64_t nodeid)
{
	struct slot *s = place(l, nodeid);

	return atomic_load_explicit(&s->nodeid, memory_order_relaxed) == nodeid ? s : NULL;
}

enum atime { ATIME_NEVER, ATIME_SELDOM, ATIME_ALWAYS };

static enum atime atime_of(const struct fs *fs)
{
	unsigned long flags = fs->tree.source.flags;

	switch (fs->options->atime) {
	case OPTION_ATIME_NOATIME:
		return ATIME_NEVER;
	case OPTION_ATIME_STRICTATIME:
		return ATIME_ALWAYS;
	case OPTION_ATIME_RELATIME:
		return ATIME_SELDOM;
	default:
		if (flags & (ST_RDONLY | ST_NOATIME | ST_NODIRATIME))
			return ATIME_NEVER;
		return flags & ST_RELATIME ? ATIME_SELDOM : ATIME_ALWAYS;
	}
}

/* Whether a listing that is read now may be kept, and `*use`: the kept one used instead. */
static bool may_keep(const struct fs *fs, const struct stat *st, bool *use)
{
	enum atime atime = atime_of(fs);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*use = atime == ATIME_NEVER || now.tv_sec - st->st_atim.tv_sec < ATIME_OLD;
	return atime != ATIME_ALWAYS && st->st_mtim.tv_sec < now.tv_sec - SETTLED &&
	       st->st_ctim.tv_sec < now.tv_sec - SETTLED;
}

static bool same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool as_it_was(const struct slot *s, const struct stat *st)
{
	return s->keeps && same(&s->mtime, &st->st_mtim) && same(&s->ctime, &st->st_ctim);
}

static void note(struct slot *s, const struct stat *st, bool keeps)
{
	s->mtime = st->st_mtim;
	s->ctime = st->st_ctim;
	s->keeps = keeps;
}

/* With the lock held. */
static void open_slot(struct fs *fs, struct slot *s, struct openfile *of, const struct stat *st,
		      struct fuse_file_info *fi)
{
	bool use, keeps = may_keep(fs, st, &use);

	of->dir->sampled = true;
	of->dir->bare = habit_next(&s->habit, clock_ns(), atomic_exchange(&s->asked, 0));
	fi->keep_cache = use && as_it_was(s, st);
	/* With attributes nothing is kept, but what is there stays good. */
	if (!fi->keep_cache)
		note(s, st, keeps);
	fi->cache_readdir = of->dir->bare && keeps;
	of->dir->kept = fi->cache_readdir;
	s->open += of->dir->kept;
	atomic_fetch_add(&fs->listed->open, of->dir->kept);
}

void listed_open(struct fs *fs, struct openfile *of, struct fuse_file_info *fi)
{
	struct listed *l = fs->listed;
	struct stat st;
	struct slot *s;

	if (!find(l, of->nodeid) || fstat(of->fd, &st) < 0)
		return;
	pthread_mutex_lock(&l->lock);
	s = find(l, of->nodeid);
	if (s)
		open_slot(fs, s, of, &st, fi);
	pthread_mutex_unlock(&l->lock);
}

void listed_close(struct fs *fs, const struct openfile *of)
{
	struct listed *l = fs->listed;

	if (!of->dir || !of->dir->kept)
		return;
	pthread_mutex_lock(&l->lock);
	place(l, of->nodeid)->open--;
	atomic_fetch_sub(&l->open, 1);
	pthread_mutex_unlock(&l->lock);
}

void listed_entries(struct fs *fs, const struct openfile *of, uint32_t entries)
{
	struct listed *l = fs->listed;
	struct slot *s;

	if (entries < HABIT_BIG || !fs->tree.source.ordinary)
		return;
	pthread_mutex_lock(&l->lock);
	s = place(l, of->nodeid);
	if (atomic_load(&s->nodeid) == of->nodeid) {
		if (s->habit.entries < entries)
			s->habit.entries = entries;
		habit_listed(&s->habit);
	} else if (!s->open) {
		habit_init(&s->habit, entries);
		s->keeps = false;
		atomic_store(&s->asked, 0);
		atomic_store(&s->nodeid, of->nodeid);
	}
	pthread_mutex_unlock(&l->lock);
}

void listed_looked_up(struct fs *fs, uint64_t directory, const char *name)
{
	struct slot *s = find(fs->listed, directory);

	if (s && habit_samples(name))
		atomic_fetch_add_explicit(&s->asked, 1, memory_order_relaxed);
}

/* The i-th directory, held, if it is open and kept. A handle that is open keeps its node alive. */
static struct node *hold(struct fs *fs, unsigned i)
{
	struct slot *s = &fs->listed->slot[i];
	struct node *node = NULL;

	pthread_mutex_lock(&fs->listed->lock);
	if (s->open)
		node = fs_node(fs, atomic_load(&s->nodeid));
	if (node)
		node_hold(fs->tree.nodes, node);
	pthread_mutex_unlock(&fs->listed->lock);
	return node;
}

static bool changed(struct fs *fs, struct slot *s, struct node *node)
{
	struct fd_lease lease;
	struct stat st;
	bool news = false;

	if (tree_reach(&fs->tree, node, true, &lease) != 0)
		return true;
	if (fstat(lease.fd, &st) == 0) {
		pthread_mutex_lock(&fs->listed->lock);
		news = s->open && !as_it_was(s, &st);
		if (news) /* what is read anew at once may still be as before: see SETTLED */
			s->keeps = false;
		pthread_mutex_unlock(&fs->listed->lock);
	}
	tree_return(&fs->tree, &lease);
	return news;
}

bool listed_tick(struct fs *fs)
{
	struct listed *l = fs->listed;

	if (!listed_count(l))
		return false;
	for (unsigned i = 0; i < SLOTS; i++) {
		struct node *node = hold(fs, i);

		if (!node)
			continue;
		if (changed(fs, &l->slot[i], node))
			fuse_lowlevel_notify_inval_inode(fs->fuse, node->id, 0, 0);
		node_forget(fs->tree.nodes, node, 1);
	}
	return true;
}
