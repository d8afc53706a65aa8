/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What programs are about to ask of a tree, from what they have listed, looked up and opened so
 * far. Pure: events in, guesses out; no system calls, no clock, no lock. Whoever calls sees to it
 * that one thread at a time does.
 *
 * A `walk` is one program's way through the tree: in which order it takes entries, whether it wants
 * names, attributes or contents, how far ahead of it guesses go. It begins to guess contents after
 * three opens in one order and doubles with each window that was right. What it guessed and nobody
 * opened is counted, and a walk that is wrong too often stops for a while.
 */
#pragma once

#include "prefetch/folder.h"
#include "prefetch/recall.h"

#define PLAN_DIRS	 2048u	      /* directories known at a time */
#define PLAN_ENTRIES	 (192u << 10) /* and entries: about 10 MiB */
#define PLAN_WALKS	 48u	      /* of all programs; bounded by an entry's `walk` */
#define PLAN_AHEAD	 128u	      /* files fetched ahead of one walk at most */
#define PLAN_DIRS_AHEAD	 64u	      /* directories listed ahead of one walk at most */
#define PLAN_GUESSES	 128u
#define PLAN_FIRST_BLOCK (16u << 10) /* bytes: what the kernel reads for a program's first byte */

struct plan;

struct who {
	uint32_t pid, uid, gid;
};

struct looked_up {
	uint64_t parent_ino, parent_node;
	uint64_t ino;
	bool directory;
};

enum guess_kind {
	GUESS_LIST, /* read a directory: the entry `index` of folder, or, without folder, `node` */
	GUESS_META, /* bring in the inodes of `count` entries from `index` on, in inode order */
	GUESS_CONTENT, /* bring in the beginning of the file `index` */
	GUESS_RECALL,  /* the same of `file`, of which no directory is known */
};

struct guess {
	enum guess_kind kind;
	uint32_t slot, gen; /* to be given back with what came of it */
	uint32_t index, count;
	uint64_t node;
	uint64_t bytes;
	struct folder *folder; /* counted: whoever gets the guess lets it go */
	struct recall_file file;
	struct who who; /* on whose account */
};

/* Room for what one event may lead to. */
struct guesses {
	unsigned n;
	struct guess guess[PLAN_GUESSES];
};

/* Contents in the order of their inodes, behind all else: for disks with heads. */
void guesses_by_inode(struct guesses *guesses);

struct plan_counters {
	uint64_t listed, inodes; /* directories and inodes asked for */
	uint64_t files, pages;	 /* contents asked for; 4 KiB pages that came of it */
	uint64_t used, late,
		wasted; /* files: opened in time, opened before they were there, not opened */
	uint64_t wasted_pages;
};

/* bytes: guesses not yet used may hold so much memory. always: also where all is cached already.
 * NULL without memory. */
struct plan *plan_new(uint64_t bytes, bool always);
struct plan *plan_free(struct plan *plan);
/* How it stands with the machine, every second or so: bytes as above; pressed: programs wait for
 * disks. While guesses come to nothing then, only who has been right himself goes on. */
void plan_weather(struct plan *plan, uint64_t bytes, bool pressed);
/* Nobody reads through SOURCE's page cache: no contents are guessed. */
void plan_leave_contents(struct plan *plan);

/* A program opened a directory. True: `node` is part of a guess (or of the plan) from here on. */
bool plan_opendir(struct plan *plan, const struct who *who, uint64_t ino, uint64_t node,
		  uint64_t now, struct guesses *out);
/* A program looked something up and had to wait for the disk. As above, of the parent's node. */
bool plan_lookup(struct plan *plan, const struct who *who, const struct looked_up *what,
		 uint64_t now, struct guesses *out);
/* A program opened a file to read it. True: how much of it is read is worth knowing. */
bool plan_open(struct plan *plan, const struct who *who, uint64_t ino, uint64_t size, uint64_t now,
	       struct guesses *out);

/* The same open once more, after plan_open(), for those who can reach a file without its name. */
void plan_recall(struct plan *plan, const struct who *who, const struct recall_file *file,
		 uint64_t now, struct guesses *out);

/* A listing has come; NULL: it failed. Takes the folder over. hot: nobody had to wait for it. */
void plan_listed(struct plan *plan, uint32_t slot, uint32_t gen, struct folder *folder, bool hot,
		 uint64_t now, struct guesses *out);
/* Whether a guess is still worth the trouble. */
bool plan_wants(struct plan *plan, const struct guess *guess);
/* A content guess has ended: pages brought in; hot: all was there already. */
void plan_fetched(struct plan *plan, const struct guess *guess, uint32_t pages, bool hot);
/* Inodes were brought in, so many of them had been in memory. */
void plan_inodes(struct plan *plan, uint32_t count, uint32_t hot);
/* How much of a file is in memory after a program has read it and nobody else. */
void plan_sampled(struct plan *plan, uint32_t pid, uint64_t resident, uint64_t size);

/* All that is guessed would be in memory already: until plan_wake() nothing is guessed. */
bool plan_asleep(const struct plan *plan);
void plan_wake(struct plan *plan);
/* Lets directories go that nobody has touched since then. False: none is left. */
bool plan_forget(struct plan *plan, uint64_t before);
/* Folders that the plan has let go, in a list; the caller lets their references go. */
struct folder *plan_dead(struct plan *plan);

/* What is thought of a directory. */
struct plan_view {
	bool asleep, known;
	uint32_t entries, opened, ahead; /* files fetched and not opened yet */
	bool inodes;			 /* have been brought in */
	uint32_t scattered;		 /* files fetched as opens come in no order */
	/* Of the program that was seen there last. */
	bool confident;
	enum order order;
	uint32_t window, dirs_window, right, wrong, banned;
};
void plan_see(struct plan *plan, uint64_t ino, struct plan_view *view);

void plan_read_counters(const struct plan *plan, struct plan_counters *counters);
