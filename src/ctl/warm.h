/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `overdrivectl warm` is made of: the command (warm.c), the line of things to do
 * (warm_queue.c), and the threads that do them (warm_work.c).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A directory whose entries are still to be done: its descriptor is closed with the last of them. */
struct warm_dir {
	_Atomic unsigned refs;
	int fd;
	dev_t dev;
};

/* A file that is read in pieces, by several threads. */
struct warm_file {
	_Atomic unsigned refs;
	int fd;
	uint64_t size,
		next; /* next: the first byte that nobody has taken; under the queue's lock */
	_Atomic bool missed; /* a piece could not be read */
	struct warm_file *after;
};

struct warm_item {
	struct warm_item *next;
	struct warm_dir *parent; /* a reference, or NULL: the name is a path that was listed */
	bool follow;		 /* a symlink: the user has named it himself */
	char name[];
};

struct warm_list {
	struct warm_item *first, *last;
	size_t count;
};

/*
 * Four lines, in this order: a large file's pieces, a tree's files, its directories, what was named.
 * Directories come first while there are too few files for all threads to be at work. The files'
 * line is bounded (who lists a directory then does a file himself), and so is the named ones' (who
 * reads the list waits); the directories' line is last in, first out.
 */
struct warm_queue {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work, room;
	struct warm_file *large, *large_last;
	struct warm_list files, dirs, named;
	unsigned threads, busy;
	bool complete; /* nothing more will be named */
	bool stop;
	uint64_t *seen; /* directories listed, by a hash of device and inode; 0: free */
	size_t seen_room, seen_count;
};

/* What take() gives: a piece of a file, or an item. */
struct warm_task {
	struct warm_item *item; /* owned */
	bool is_dir;		/* known to be a directory */
	struct warm_file *file; /* a reference */
	uint64_t offset, length;
};

struct warm_counts {
	_Atomic uint64_t found, files, dirs, bytes, cached, skipped, errors;
};

struct warm_job {
	struct warm_queue queue;
	struct warm_counts counts;
	uint64_t memory; /* bytes that may be fetched */
	_Atomic uint64_t taken;
	_Atomic bool memory_reached;
	_Atomic unsigned alive; /* threads */
	pthread_t main;		/* told by SIGUSR1 that there is one less */
};

int warm_queue_init(struct warm_queue *q, unsigned threads);
void warm_queue_deinit(struct warm_queue *q);
/* False at the end. The caller says done when he is done with it. */
bool warm_queue_take(struct warm_queue *q, struct warm_task *task);
void warm_queue_done(struct warm_queue *q);
/* Named things wait for room; false when all is to stop. Takes the item over. */
bool warm_queue_name(struct warm_queue *q, struct warm_item *item);
void warm_queue_complete(struct warm_queue *q);
/* A file of a tree; false when there is no room: it stays the caller's. */
bool warm_queue_file(struct warm_queue *q, struct warm_item *item);
/* Takes over a list of directories, which come before all others. */
void warm_queue_dirs(struct warm_queue *q, struct warm_list *dirs);
/* The file's pieces; takes over a reference. */
void warm_queue_large(struct warm_queue *q, struct warm_file *file);
void warm_queue_stop(struct warm_queue *q);
bool warm_queue_stopped(struct warm_queue *q);
/* True the first time. */
bool warm_queue_first_visit(struct warm_queue *q, dev_t dev, ino_t ino);

struct warm_item *warm_item_new(const char *name, size_t length, struct warm_dir *parent);
struct warm_item *warm_item_free(struct warm_item *item);
void warm_list_add(struct warm_list *list, struct warm_item *item);
void warm_dir_unref(struct warm_dir *dir);
void warm_file_unref(struct warm_file *file);

/* A thread's work; the argument is the job. */
void *warm_worker(void *job);
