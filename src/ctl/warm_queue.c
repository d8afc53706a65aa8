/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/warm.h"

#define FILES_ROOM 4096
#define NAMED_ROOM 4096
/* A piece large enough to be worth a request, small enough for all threads to have one. */
#define PIECE (1u << 20)

struct warm_item *warm_item_new(const char *name, size_t length, struct warm_dir *parent)
{
	struct warm_item *item = malloc(sizeof(*item) + length + 1);

	if (!item)
		return NULL;
	*item = (struct warm_item){ .parent = parent };
	memcpy(item->name, name, length);
	item->name[length] = 0;
	if (parent)
		atomic_fetch_add(&parent->refs, 1);
	return item;
}

struct warm_item *warm_item_free(struct warm_item *item)
{
	if (!item)
		return NULL;
	warm_dir_unref(item->parent);
	free(item);
	return NULL;
}

void warm_dir_unref(struct warm_dir *dir)
{
	if (!dir || atomic_fetch_sub(&dir->refs, 1) != 1)
		return;
	close(dir->fd);
	free(dir);
}

void warm_file_unref(struct warm_file *file)
{
	if (!file || atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	close(file->fd);
	free(file);
}

void warm_list_add(struct warm_list *list, struct warm_item *item)
{
	item->next = NULL;
	if (list->last)
		list->last->next = item;
	else
		list->first = item;
	list->last = item;
	list->count++;
}

static struct warm_item *list_take(struct warm_list *list)
{
	struct warm_item *item = list->first;

	if (!item)
		return NULL;
	list->first = item->next;
	if (!list->first)
		list->last = NULL;
	list->count--;
	return item;
}

int warm_queue_init(struct warm_queue *q, unsigned threads)
{
	*q = (struct warm_queue){ .threads = threads, .seen_room = 1024 };
	q->seen = calloc(q->seen_room, sizeof(*q->seen));
	if (!q->seen)
		return -ENOMEM;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	pthread_cond_init(&q->room, NULL);
	return 0;
}

static void list_clear(struct warm_list *list)
{
	struct warm_item *item;

	while ((item = list_take(list)))
		warm_item_free(item);
}

void warm_queue_deinit(struct warm_queue *q)
{
	list_clear(&q->files);
	list_clear(&q->dirs);
	list_clear(&q->named);
	while (q->large) {
		struct warm_file *file = q->large;

		q->large = file->after;
		warm_file_unref(file);
	}
	free(q->seen);
	pthread_cond_destroy(&q->room);
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->lock);
}

/* A piece of the first large file; the last piece takes the queue's own reference along. */
static void take_piece(struct warm_queue *q, struct warm_task *task)
{
	struct warm_file *file = q->large;
	uint64_t left = file->size - file->next;

	task->file = file;
	task->offset = file->next;
	task->length = left < PIECE ? left : PIECE;
	file->next += task->length;
	if (file->next < file->size) {
		atomic_fetch_add(&file->refs, 1);
		return;
	}
	q->large = file->after;
	if (!q->large)
		q->large_last = NULL;
}

static bool take_locked(struct warm_queue *q, struct warm_task *task)
{
	*task = (struct warm_task){ .item = NULL };
	if (q->large) {
		take_piece(q, task);
		return true;
	}
	if (q->dirs.count && q->files.count < 2 * (size_t)q->threads)
		task->is_dir = (task->item = list_take(&q->dirs));
	else if (q->files.count)
		task->item = list_take(&q->files);
	else
		task->item = list_take(&q->named);
	return task->item;
}

bool warm_queue_take(struct warm_queue *q, struct warm_task *task)
{
	bool got = false;

	pthread_mutex_lock(&q->lock);
	/* What a busy thread does may bring more. */
	while (!q->stop && !(got = take_locked(q, task)) && (q->busy || !q->complete))
		pthread_cond_wait(&q->work, &q->lock);
	if (got) {
		q->busy++;
		pthread_cond_signal(&q->room);
	}
	pthread_mutex_unlock(&q->lock);
	return got;
}

void warm_queue_done(struct warm_queue *q)
{
	pthread_mutex_lock(&q->lock);
	if (--q->busy == 0)
		pthread_cond_broadcast(&q->work); /* it may be the end */
	pthread_mutex_unlock(&q->lock);
}

bool warm_queue_name(struct warm_queue *q, struct warm_item *item)
{
	bool stop;

	pthread_mutex_lock(&q->lock);
	while (q->named.count >= NAMED_ROOM && !q->stop)
		pthread_cond_wait(&q->room, &q->lock);
	stop = q->stop;
	if (!stop)
		warm_list_add(&q->named, item);
	pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
	if (stop)
		warm_item_free(item);
	return !stop;
}

void warm_queue_complete(struct warm_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->complete = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
}

bool warm_queue_file(struct warm_queue *q, struct warm_item *item)
{
	bool room;

	pthread_mutex_lock(&q->lock);
	room = q->files.count < FILES_ROOM;
	if (room) {
		warm_list_add(&q->files, item);
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
	return room;
}

void warm_queue_dirs(struct warm_queue *q, struct warm_list *dirs)
{
	if (!dirs->count)
		return;
	pthread_mutex_lock(&q->lock);
	dirs->last->next = q->dirs.first;
	if (!q->dirs.last)
		q->dirs.last = dirs->last;
	q->dirs.first = dirs->first;
	q->dirs.count += dirs->count;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	*dirs = (struct warm_list){ .count = 0 };
}

void warm_queue_large(struct warm_queue *q, struct warm_file *file)
{
	pthread_mutex_lock(&q->lock);
	if (q->large_last)
		q->large_last->after = file;
	else
		q->large = file;
	q->large_last = file;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
}

void warm_queue_stop(struct warm_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_broadcast(&q->work);
	pthread_cond_broadcast(&q->room);
	pthread_mutex_unlock(&q->lock);
}

bool warm_queue_stopped(struct warm_queue *q)
{
	bool stop;

	pthread_mutex_lock(&q->lock);
	stop = q->stop;
	pthread_mutex_unlock(&q->lock);
	return stop;
}

/* Never 0, which marks a free place. Two directories may share one: one in 10^14 of a million. */
static uint64_t hash(dev_t dev, ino_t ino)
{
	uint64_t h = (uint64_t)ino * 0x9e3779b97f4a7c15ull ^ (uint64_t)dev * 0xc2b2ae3d27d4eb4full;

	h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return h ? h : 1;
}

/* True if it is new, or if there is no memory to remember it. */
static bool insert(uint64_t *seen, size_t room, uint64_t h)
{
	size_t at = h & (room - 1);

	for (; seen[at]; at = (at + 1) & (room - 1))
		if (seen[at] == h)
			return false;
	seen[at] = h;
	return true;
}

static void make_room(struct warm_queue *q)
{
	uint64_t *larger;

	if (q->seen_count * 2 < q->seen_room)
		return;
	larger = calloc(q->seen_room * 2, sizeof(*larger));
	if (!larger)
		return;
	for (size_t i = 0; i < q->seen_room; i++)
		if (q->seen[i])
			insert(larger, q->seen_room * 2, q->seen[i]);
	free(q->seen);
	q->seen = larger;
	q->seen_room *= 2;
}

bool warm_queue_first_visit(struct warm_queue *q, dev_t dev, ino_t ino)
{
	bool first = true;

	pthread_mutex_lock(&q->lock);
	make_room(q);
	if (q->seen_count + 1 < q->seen_room) {
		first = insert(q->seen, q->seen_room, hash(dev, ino));
		q->seen_count += first;
	}
	pthread_mutex_unlock(&q->lock);
	return first;
}
