/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What plan.c (events), plan_table.c (directories) and plan_walk.c (one program's way) share. */
#pragma once

#include <dirent.h>

#include "prefetch/plan.h"

#define NONE	      0u /* slots are counted from 1 */
#define ENTRY_BUCKETS (1u << 15)
#define DIR_BUCKETS   1024u
#define SUFFIXES      16u
#define PLACES	      4u  /* that a walk left, to which somebody may come back */
#define PLAN_LEVELS   16u /* that a walk goes down between two files */
#define NEAR	      64  /* ranks that an open may lie ahead of the cursor */
#define GAP_NEW	      2	  /* files passed over, at most, for opens to be in an order */
#define GAP	      8	  /* the same once the order is known */
#define PASSED	      16u /* directories of which a subdirectory was looked up */

enum slot_state {
	SLOT_FREE,
	SLOT_ASKED, /* its listing is on its way */
	SLOT_LISTED,
	SLOT_FAILED,
};

struct slot {
	uint64_t ino;
	enum slot_state state;
	uint32_t gen;
	uint32_t next; /* chain of equal hashes, or of the free */
	uint32_t parent, parent_gen, parent_index;
	struct folder *folder; /* with SLOT_LISTED */
	uint8_t walk;	       /* who came here, or made us come here */
	bool opened;	       /* by a program */
	uint32_t inodes;       /* so many, in their order, have been asked for */
	uint32_t looked;       /* look-ups of entries that had to wait */
	uint32_t opens, last,
		back[ORDERS]; /* opens, the last one's entry, steps backward in each order */
	uint32_t scattered, hits, tried, chance; /* files fetched because opens come in no order */
	uint64_t touched, listed;
	struct who who;
};

/* Of the files with this suffix that a walk came by: opened, and passed over. */
struct suffix {
	uint16_t hash;
	uint8_t opened, passed;
};

/* A file's place, and whether it is still that one. */
struct place {
	uint32_t slot, gen, index;
};

struct walk {
	bool used;
	struct who who;
	uint32_t slot, gen, index; /* the cursor: the file opened last */
	struct place left[PLACES];
	unsigned leaves;
	enum order order;
	uint8_t score[ORDERS]; /* opens in a row that follow this order */
	bool confident;
	bool files_first; /* a directory's files come before its subdirectories */
	bool wants_inodes;
	uint32_t window, dirs_window, credit;
	uint32_t right, wrong; /* contents opened, and passed over, lately */
	uint32_t banned;       /* opens during which it guesses nothing */
	uint32_t unlooked;     /* directories read since the last look-up that waited */
	uint8_t whole, part;   /* samples: larger files read to the end, and not */
	struct suffix suffix[SUFFIXES];
	uint64_t touched;
};

#define PLAN_PENDING 256u

/* A file that was guessed from memory of earlier runs. */
struct pending {
	uint64_t ino, asked;
	uint32_t pages;
	bool done, settled; /* settled: it stands in the ledger */
};

struct plan {
	uint64_t limit;	 /* pages */
	uint64_t unused; /* pages fetched and not opened yet */
	bool always, asleep, no_contents, strained, wasteful;
	uint64_t good, bad; /* of the ledger, when guesses were judged last */
	uint32_t hot;	    /* guesses in a row that found all in memory */
	uint32_t entries, dirs, free, gens, hand;
	struct slot slot[PLAN_DIRS + 1];
	struct walk walk[PLAN_WALKS];
	uint32_t dir_bucket[DIR_BUCKETS];
	uint32_t entry_bucket[ENTRY_BUCKETS];
	struct folder *dead;
	uint64_t dropped;	 /* when it was seen last that memory was taken back */
	uint64_t passed[PASSED]; /* the last ones; one that comes again is listed */
	unsigned passes;
	struct recall *recall;		      /* NULL until it is needed */
	struct pending pending[PLAN_PENDING]; /* from pending_first to pending_end, by number */
	uint32_t pending_first, pending_end;
	struct plan_counters counters;
};

/* A file's place. */
struct spot {
	uint32_t slot, index;
};

static inline struct entry *spot_entry(struct plan *p, struct spot s)
{
	return &p->slot[s.slot].folder->entries[s.index];
}

static inline bool entry_is_file(const struct entry *e)
{
	return e->type == DT_REG || e->type == DT_UNKNOWN;
}

uint32_t plan_find_dir(struct plan *p, uint64_t ino);
/* A slot for a directory whose listing is to be asked for; the oldest one goes if need be. */
uint32_t plan_take_slot(struct plan *p, uint64_t ino, uint64_t now);
void plan_drop_slot(struct plan *p, uint32_t slot);
/* Lets a directory go that was not touched for long, but not `keep`. False: not now. */
bool plan_make_room(struct plan *p, uint32_t keep);
/* Used by a program just now, and with it those above. */
void plan_touch(struct plan *p, uint32_t slot, uint64_t now);
/* Slot NONE: not known. */
uint32_t plan_parent(const struct plan *p, uint32_t slot);
/* The entry of `from` below which `to` lies; UINT32_MAX: it does not. */
uint32_t plan_entry_towards(const struct plan *p, uint32_t from, uint32_t to);
/* The entries of a slot's folder can be found from here on. */
void plan_chain(struct plan *p, uint32_t slot);
/* Slot NONE: not known. */
struct spot plan_find_entry(struct plan *p, uint64_t ino);
/* Adds a guess; NULL when there is no room. The folder, if any, gets another reference. */
struct guess *plan_guess(struct guesses *out, enum guess_kind kind, uint32_t slot, uint32_t gen,
			 struct folder *folder);
bool plan_ask_content(struct plan *p, struct walk *w, struct spot at, struct guesses *out);
uint32_t plan_ask_child(struct plan *p, struct walk *w, uint32_t slot, uint32_t index, uint64_t now,
			struct guesses *out);
/* The inodes of a directory's entries, of as many as memory allows. */
void plan_ask_inodes(struct plan *p, uint32_t slot, struct guesses *out);
/* The listing of a directory that a program has reached by itself. */
uint32_t plan_ask_node(struct plan *p, const struct who *who, uint64_t ino, uint64_t node,
		       uint64_t now, struct guesses *out);
/* Finds out which directory this one is an entry of. */
void plan_link(struct plan *p, uint32_t slot);
/* A file was opened for the first time; asked: its content had been guessed. */
void plan_note_open(struct plan *p, struct spot at, bool asked);
/* Asks for more of a directory whose files are opened in no order. */
void plan_scatter(struct plan *p, struct walk *w, uint32_t slot, struct guesses *out);
/* A content guess ends in the ledger. */
void plan_count_used(struct plan *p, struct entry *e);
void plan_count_wasted(struct plan *p, struct entry *e);

void plan_recall_done(struct plan *p, uint32_t id, uint32_t pages);
/* This file has been asked for from memory of earlier runs, and was not opened since. */
bool plan_recalls(struct plan *p, uint64_t ino);
/* Those asked for before then, and not opened, are wasted. */
void plan_recall_expire(struct plan *p, uint64_t before);

/* While the disk has too much to do: it has been right, and nearly always. */
static inline bool walk_is_trusted(const struct walk *w)
{
	return w->right >= 16 && w->wrong * 8 <= w->right;
}

struct walk *walk_of(struct plan *p, const struct who *who, uint64_t now);
uint8_t walk_number(const struct plan *p, const struct walk *w);
/* Whose open this is. */
struct walk *walk_find(struct plan *p, const struct who *who, struct spot at, uint64_t now);
/* Files between two entries that this walk might have opened; -1: not a little way ahead. */
int walk_gap(const struct walk *w, const struct folder *f, enum order order, uint32_t from,
	     uint32_t to);
/* A file was opened: which walk it belongs to, and how that one stands now. */
struct walk *walk_step(struct plan *p, const struct who *who, struct spot at, uint64_t now);
/* Its cursor is in this directory, of which the listing is known. */
bool walk_is_at(const struct plan *p, const struct walk *w, uint32_t slot);
/* Files of this kind are passed over by this walk. */
bool walk_unwanted(const struct walk *w, uint16_t suffix);
/* It has opened some of this kind. */
bool walk_has_opened(const struct walk *w, uint16_t suffix);
/* Asks for what comes after the walk's cursor. */
void walk_contents(struct plan *p, struct walk *w, uint64_t now, struct guesses *out);
/* A listing has come that `by` or who is near it may have been short of. */
void walk_go_on(struct plan *p, const struct walk *by, uint32_t slot, uint64_t now,
		struct guesses *out);
/* Lists the directories that come after this one. */
void walk_dirs(struct plan *p, struct walk *w, uint32_t slot, uint64_t now, struct guesses *out);
