/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks trees ahead of programs: takes events from request handlers, has the plan make guesses of
 * them, and threads that act on these, many at once. A handler holds the plan's lock for a moment
 * and never waits for the disk; nobody makes a system call with it held.
 */
#pragma once

#include "node/tree.h"
#include "prefetch/plan.h"

struct walker;

struct walker_config {
	struct tree *tree;
	uint64_t bytes; /* that guesses may hold in memory until they are used */
	unsigned threads;
	bool always;	  /* also where all is in memory already: for tests */
	bool by_inode;	  /* files are fetched in the order of their inodes, where it is free */
	bool no_contents; /* nobody reads through SOURCE's page cache */
	void (*prepare)(void *); /* run in each thread before it works: identity */
	void *argument;
};

/* NULL without memory. */
struct walker *walker_new(const struct walker_config *config);
/* Lets go what is queued, and waits for what is under way. Returns NULL. */
struct walker *walker_free(struct walker *walker);

/* Everything is in memory: only look-ups that waited are worth telling. No lock. */
bool walker_asleep(const struct walker *walker);

/* node: the directory's, known to the kernel during this call. */
void walker_opendir(struct walker *walker, const struct who *who, uint64_t ino, struct node *node);
/* A look-up that waited. */
void walker_lookup(struct walker *walker, const struct who *who, struct node *parent,
		   const struct looked_up *what);
/* True: tell how much of it is in memory at its end, by walker_sampled(). */
bool walker_open(struct walker *walker, const struct who *who, const struct node *node,
		 uint64_t ino, uint64_t size);
void walker_sampled(struct walker *walker, uint32_t pid, uint64_t resident, uint64_t size);
/* From now on; as in the configuration. */
void walker_by_inode(struct walker *walker, bool by_inode);
/* Something was not in memory after all. */
void walker_wake(struct walker *walker);

/* As plan_weather(). */
void walker_weather(struct walker *walker, uint64_t bytes, bool pressed);
/* Every second or so: lets go what is not used any more. True: something is left. */
bool walker_tick(struct walker *walker);

void walker_see(struct walker *walker, uint64_t ino, struct plan_view *view);
void walker_read_counters(struct walker *walker, struct plan_counters *counters);
