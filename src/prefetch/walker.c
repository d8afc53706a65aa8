/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/walker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "prefetch/visit.h"
#include "probe/leases.h"
#include "util/clock.h"

#define QUEUE	    4096u /* guesses */
#define STACK_BYTES (128u << 10)
#define LEASES_NS   (NSEC_PER_SEC / 4) /* for so long, what was seen of leases is believed */
#define IDLE	    (3 * NSEC_PER_SEC) /* a directory that nobody touches is let go */

struct walker {
	pthread_mutex_t lock; /* guards plan, queue, idle and stop */
	pthread_cond_t work;
	struct plan *plan;
	pthread_mutex_t leases_lock; /* guards leases and leases_at; taken alone */
	struct leases leases;
	uint64_t leases_at;
	struct guess *queue;
	unsigned head, count, idle;
	bool stop;
	_Atomic bool asleep;
	atomic_flag large; /* somebody lists a large directory */
	struct walker_config config;
	unsigned threads;
	pthread_t *thread;
};

/* Called with the lock held, after the plan has had an event. Returns how many were queued. */
static unsigned enqueue(struct walker *w, const struct guesses *g)
{
	unsigned n = 0;

	while (n < g->n && w->count < QUEUE && !w->stop)
		w->queue[(w->head + w->count++) % QUEUE] = g->guess[n++];
	/* One is woken; who takes a guess and sees more wakes the next. */
	if (n && w->idle)
		pthread_cond_signal(&w->work);
	atomic_store_explicit(&w->asleep, plan_asleep(w->plan), memory_order_relaxed);
	return n;
}

static void let_go(struct walker *w, struct folder *dead)
{
	while (dead) {
		struct folder *next = dead->next;

		visit_let_go(w->config.tree, dead);
		dead = next;
	}
}

/* A guess that comes to nothing. */
static void give_up(struct walker *w, const struct guess *g)
{
	struct tree *t = w->config.tree;
	struct guesses none;
	struct folder *dead;

	pthread_mutex_lock(&w->lock);
	none.n = PLAN_GUESSES; /* no room: nothing new */
	if (g->kind == GUESS_LIST)
		plan_listed(w->plan, g->slot, g->gen, NULL, false, 0, &none);
	else if (g->kind == GUESS_CONTENT || g->kind == GUESS_RECALL)
		plan_fetched(w->plan, g, 0, false);
	dead = plan_dead(w->plan);
	pthread_mutex_unlock(&w->lock);
	let_go(w, dead);
	if (g->node)
		node_forget(t->nodes, node_get(t->nodes, g->node), 1);
	visit_let_go(t, g->folder);
}

/* After an event: the lock is held, and is not afterwards. */
static void finish(struct walker *w, struct guesses *g)
{
	struct folder *dead = plan_dead(w->plan);
	unsigned queued;

	if (w->config.by_inode && g->n > 1)
		guesses_by_inode(g);
	queued = enqueue(w, g);

	pthread_mutex_unlock(&w->lock);
	let_go(w, dead);
	for (; queued < g->n; queued++)
		give_up(w, &g->guess[queued]);
}

/* Somebody has the file to himself, and would be asked to give it up. */
static bool is_leased(struct walker *w, const struct guess *g)
{
	uint64_t ino = g->folder ? g->folder->entries[g->index].ino : g->file.ino;
	bool leased;

	/* Whoever comes meanwhile waits: what was read before a pause says nothing. */
	pthread_mutex_lock(&w->leases_lock);
	if (clock_ns() - w->leases_at > LEASES_NS) {
		leases_read(w->config.tree->source.proc, &w->leases);
		w->leases_at = clock_ns();
	}
	leased = leases_has(&w->leases, ino);
	pthread_mutex_unlock(&w->leases_lock);
	return leased;
}

static void act(struct walker *w, const struct guess *g, struct guesses *out)
{
	struct tree *t = w->config.tree;
	struct folder *folder;
	uint32_t n;
	bool hot;

	switch (g->kind) {
	case GUESS_LIST:
		folder = visit_list(t, g, &w->large, &hot);
		pthread_mutex_lock(&w->lock);
		plan_listed(w->plan, g->slot, g->gen, folder, hot, clock_ns(), out);
		break;
	case GUESS_META:
		n = visit_inodes(t, g);
		pthread_mutex_lock(&w->lock);
		plan_inodes(w->plan, g->count, n);
		break;
	case GUESS_CONTENT:
	case GUESS_RECALL:
		n = 0;
		hot = false;
		if (!is_leased(w, g))
			n = visit_content(t, g, &hot);
		pthread_mutex_lock(&w->lock);
		plan_fetched(w->plan, g, n, hot);
		break;
	}
	finish(w, out);
	visit_let_go(t, g->folder);
}

/* False: to end. */
static bool take(struct walker *w, struct guess *g, bool *wanted)
{
	pthread_mutex_lock(&w->lock);
	w->idle++;
	while (!w->count && !w->stop)
		pthread_cond_wait(&w->work, &w->lock);
	w->idle--;
	if (w->stop) {
		pthread_mutex_unlock(&w->lock);
		return false;
	}
	*g = w->queue[w->head];
	w->head = (w->head + 1) % QUEUE;
	w->count--;
	*wanted = plan_wants(w->plan, g);
	if (w->count && w->idle)
		pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	return true;
}

static void *thread_main(void *argument)
{
	struct walker *w = argument;
	struct guesses out;
	struct guess g;
	bool wanted;

	w->config.prepare(w->config.argument);
	while (take(w, &g, &wanted)) {
		out.n = 0;
		if (wanted)
			act(w, &g, &out);
		else
			give_up(w, &g);
	}
	return NULL;
}

static void start_threads(struct walker *w)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	while (w->threads < w->config.threads &&
	       pthread_create(&w->thread[w->threads], &attr, thread_main, w) == 0)
		w->threads++;
	pthread_attr_destroy(&attr);
}

struct walker *walker_new(const struct walker_config *config)
{
	struct walker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->config = *config;
	atomic_flag_clear(&w->large);
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->leases_lock, NULL);
	pthread_cond_init(&w->work, NULL);
	w->plan = plan_new(config->bytes, config->always);
	if (w->plan && config->no_contents)
		plan_leave_contents(w->plan);
	w->queue = calloc(QUEUE, sizeof(*w->queue));
	w->thread = calloc(config->threads, sizeof(*w->thread));
	if (w->plan && w->queue && w->thread)
		start_threads(w);
	return w->threads ? w : walker_free(w);
}

struct walker *walker_free(struct walker *w)
{
	if (!w)
		return NULL;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->threads; i++)
		pthread_join(w->thread[i], NULL);
	for (; w->count; w->count--, w->head = (w->head + 1) % QUEUE)
		give_up(w, &w->queue[w->head]);
	if (w->plan) {
		plan_forget(w->plan, UINT64_MAX);
		let_go(w, plan_dead(w->plan));
	}
	plan_free(w->plan);
	free(w->queue);
	free(w->thread);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->leases_lock);
	free(w);
	return NULL;
}

bool walker_asleep(const struct walker *w)
{
	return atomic_load_explicit(&w->asleep, memory_order_relaxed);
}

void walker_opendir(struct walker *w, const struct who *who, uint64_t ino, struct node *node)
{
	struct guesses out;
	bool taken;

	node_hold(w->config.tree->nodes, node);
	pthread_mutex_lock(&w->lock);
	out.n = 0; /* it is large: not cleared */
	taken = plan_opendir(w->plan, who, ino, node->id, clock_ns(), &out);
	finish(w, &out);
	if (!taken)
		node_forget(w->config.tree->nodes, node, 1);
}

void walker_lookup(struct walker *w, const struct who *who, struct node *parent,
		   const struct looked_up *what)
{
	struct guesses out;
	bool taken;

	node_hold(w->config.tree->nodes, parent);
	pthread_mutex_lock(&w->lock);
	out.n = 0;
	taken = plan_lookup(w->plan, who, what, clock_ns(), &out);
	finish(w, &out);
	if (!taken)
		node_forget(w->config.tree->nodes, parent, 1);
}

/* False: it can't be reached again without a name. */
static bool describe(struct walker *w, const struct node *node, const struct who *who, uint64_t ino,
		     struct recall_file *file)
{
	struct identity id;

	node_identity(w->config.tree->nodes, node, &id);
	if (id.type == IDENTITY_BY_NUMBER || id.length > sizeof(file->handle))
		return false;
	*file = (struct recall_file){
		.ino = ino,
		.when = clock_ns(),
		.uid = who->uid,
		.handle_type = id.type,
		.handle_length = id.length,
	};
	memcpy(file->handle, id.bytes, id.length);
	return true;
}

bool walker_open(struct walker *w, const struct who *who, const struct node *node, uint64_t ino,
		 uint64_t size)
{
	struct guesses out;
	struct recall_file file;
	bool sample, recall = describe(w, node, who, ino, &file);
	uint64_t now = clock_ns();

	pthread_mutex_lock(&w->lock);
	out.n = 0;
	sample = plan_open(w->plan, who, ino, size, now, &out);
	if (recall)
		plan_recall(w->plan, who, &file, now, &out);
	finish(w, &out);
	return sample;
}

void walker_sampled(struct walker *w, uint32_t pid, uint64_t resident, uint64_t size)
{
	pthread_mutex_lock(&w->lock);
	plan_sampled(w->plan, pid, resident, size);
	pthread_mutex_unlock(&w->lock);
}

void walker_by_inode(struct walker *w, bool by_inode)
{
	pthread_mutex_lock(&w->lock);
	w->config.by_inode = by_inode;
	pthread_mutex_unlock(&w->lock);
}

void walker_wake(struct walker *w)
{
	pthread_mutex_lock(&w->lock);
	plan_wake(w->plan);
	atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
	pthread_mutex_unlock(&w->lock);
}

void walker_weather(struct walker *w, uint64_t bytes, bool pressed)
{
	pthread_mutex_lock(&w->lock);
	plan_weather(w->plan, bytes, pressed);
	pthread_mutex_unlock(&w->lock);
}

bool walker_tick(struct walker *w)
{
	uint64_t now = clock_ns();
	struct guesses none;
	bool left;

	pthread_mutex_lock(&w->lock);
	none.n = 0;
	left = plan_forget(w->plan, now > IDLE ? now - IDLE : 0);
	finish(w, &none);
	return left;
}

void walker_see(struct walker *w, uint64_t ino, struct plan_view *view)
{
	pthread_mutex_lock(&w->lock);
	plan_see(w->plan, ino, view);
	pthread_mutex_unlock(&w->lock);
}

void walker_read_counters(struct walker *w, struct plan_counters *c)
{
	pthread_mutex_lock(&w->lock);
	plan_read_counters(w->plan, c);
	pthread_mutex_unlock(&w->lock);
}
