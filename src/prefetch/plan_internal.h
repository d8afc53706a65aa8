/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What plan.c (events), plan_table.c (directories) and plan_walk.c (one program's way) share. */
#pragma once

#include "prefetch/plan.h"

#define NONE 0u /* slots are counted from 1 */
#define ENTRY_BUCKETS (1u << 15)
#define DIR_BUCKETS 1024u
#define SUFFIXES 8u

enum slot_state {
	SLOT_FREE,
	SLOT_ASKED,  /* its listing is on its way */
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
	bool inodes;	       /* have been asked for */
	uint32_t looked;       /* look-ups of entries that had to wait */
	uint32_t opens, last, back[ORDERS]; /* opens, the last one's entry, steps backward in each order */
	uint32_t scattered, hits, tried, chance; /* files fetched because opens come in no order */
	uint64_t touched, listed;
	struct who who;
};

/* Of the files with this suffix that a walk came by: opened, and passed over. */
struct suffix {
	uint16_t hash;
	uint8_t opened, passed;
};

struct walk {
	bool used;
	struct who who;
	uint32_t slot, gen, index; /* the cursor: the file opened last */
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

struct plan {
	uint64_t limit; /* pages */
	uint64_t unused; /* pages fetched and not opened yet */
	bool always, asleep;
	uint32_t hot; /* guesses in a row that found all in memory */
	uint32_t entries, dirs, free, gens;
	struct slot slot[PLAN_DIRS + 1];
	struct walk walk[PLAN_WALKS];
	uint32_t dir_bucket[DIR_BUCKETS];
	uint32_t entry_bucket[ENTRY_BUCKETS];
	struct folder *dead;
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

uint32_t plan_find_dir(struct plan *p, uint64_t ino);
/* A slot for a directory whose listing is to be asked for; the oldest one goes if need be. */
uint32_t plan_take_slot(struct plan *p, uint64_t ino, uint64_t now);
void plan_drop_slot(struct plan *p, uint32_t slot);
void plan_drop_oldest(struct plan *p);
/* The entries of a slot's folder can be found from here on. */
void plan_chain(struct plan *p, uint32_t slot);
/* Slot NONE: not known. */
struct spot plan_find_entry(struct plan *p, uint64_t ino);
/* Adds a guess; NULL when there is no room. The folder, if any, gets another reference. */
struct guess *plan_guess(struct guesses *out, enum guess_kind kind, uint32_t slot, uint32_t gen,
			 struct folder *folder);
bool plan_ask_content(struct plan *p, struct walk *w, struct spot at, struct guesses *out);
uint32_t plan_ask_child(struct plan *p, struct walk *w, uint32_t slot, uint32_t index,
			uint64_t now, struct guesses *out);
/* A content guess ends in the ledger. */
void plan_count_used(struct plan *p, struct entry *e);
void plan_count_wasted(struct plan *p, struct entry *e);

struct walk *walk_of(struct plan *p, const struct who *who, uint64_t now);
uint8_t walk_number(const struct plan *p, const struct walk *w);
/* A file was opened: which walk it belongs to, and how that one stands now. */
struct walk *walk_step(struct plan *p, const struct who *who, struct spot at, uint64_t now);
/* Asks for what comes after the walk's cursor. */
void walk_contents(struct plan *p, struct walk *w, uint64_t now, struct guesses *out);
/* Lists the directories that come after this one. */
void walk_dirs(struct plan *p, struct walk *w, uint32_t slot, uint64_t now, struct guesses *out);
