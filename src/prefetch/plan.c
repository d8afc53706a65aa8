/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/plan.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "prefetch/plan_internal.h"

#define STALE	       1000000000ull /* ns: a directory that is read again after so long is listed again */
#define HOT	       16u	     /* guesses in a row that gained nothing */
#define LOOKED	       2u	     /* look-ups that waited, before all inodes are asked for */
#define UNLOOKED       64u	     /* directories that are read without a look-up that waited */
#define INODES 16u	    /* entries in one guess: about a block of the disk's */
#define INODE_GUESSES 64u   /* of one directory */
#define SCATTER_MIN    8u	     /* opens in no order */
#define SCATTER_SHARE  64u	     /* and one in so many of the directory's files */
#define SCATTER_GROWTH 4u	     /* files fetched for each of them */
#define WHOLE	       (8ull << 20) /* bytes: beyond that a file is a stream's affair */

struct plan *plan_new(uint64_t bytes, bool always)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->limit = bytes / 4096;
	p->always = always;
	for (uint32_t i = 1; i <= PLAN_DIRS; i++) {
		p->slot[i].next = p->free;
		p->free = i;
	}
	return p;
}

void plan_leave_contents(struct plan *p)
{
	p->no_contents = true;
}

struct plan *plan_free(struct plan *p)
{
	if (p)
		recall_free(p->recall);
	free(p);
	return NULL;
}

struct guess *plan_guess(struct guesses *out, enum guess_kind kind, uint32_t slot, uint32_t gen,
			 struct folder *folder)
{
	struct guess *g;

	if (out->n == PLAN_GUESSES)
		return NULL;
	g = &out->guess[out->n++];
	*g = (struct guess){
		.kind = kind,
		.slot = slot,
		.gen = gen,
		.folder = folder ? folder_ref(folder) : NULL,
	};
	return g;
}

/* Larger files only in part until it is known that this walk reads them to the end. */
static uint64_t content_limit(const struct plan *p, const struct walk *w)
{
	bool whole = w->whole >= 2 && w->whole > 2 * w->part;

	return whole && p->counters.files % 32 != 31 ? WHOLE : PLAN_FIRST_BLOCK;
}

bool plan_ask_content(struct plan *p, struct walk *w, struct spot at, struct guesses *out)
{
	struct slot *s = &p->slot[at.slot];
	struct guess *g;

	if (p->unused >= p->limit || p->no_contents)
		return false;
	g = plan_guess(out, GUESS_CONTENT, at.slot, s->gen, s->folder);
	if (!g)
		return false;
	g->index = at.index;
	g->who = w->who;
	g->bytes = content_limit(p, w);
	s->folder->entries[at.index].state |= ENTRY_ASKED;
	s->folder->entries[at.index].walk = walk_number(p, w);
	p->counters.files++;
	return true;
}

uint32_t plan_ask_child(struct plan *p, struct walk *w, uint32_t slot, uint32_t index, uint64_t now,
			struct guesses *out)
{
	struct folder *f = p->slot[slot].folder;
	uint32_t gen = p->slot[slot].gen, child;
	struct guess *g;

	if (out->n == PLAN_GUESSES || (p->free == NONE && !plan_make_room(p, slot)))
		return NONE;
	child = plan_take_slot(p, f->entries[index].ino, now);
	p->slot[child].parent = slot;
	p->slot[child].parent_gen = gen;
	p->slot[child].parent_index = index;
	p->slot[child].walk = walk_number(p, w);
	p->slot[child].who = w->who;
	g = plan_guess(out, GUESS_LIST, child, p->slot[child].gen, f);
	g->index = index;
	g->who = w->who;
	p->counters.listed++;
	return child;
}

static void ask_inodes(struct plan *p, uint32_t slot, struct guesses *out)
{
	struct slot *s = &p->slot[slot];
	uint32_t each;

	if (s->inodes || s->state != SLOT_LISTED || PLAN_GUESSES - out->n < INODE_GUESSES)
		return;
	s->inodes = true;
	each = (s->folder->n + INODE_GUESSES - 1) / INODE_GUESSES;
	each = each < INODES ? INODES : each;
	for (uint32_t i = 0; i < s->folder->n; i += each) {
		struct guess *g = plan_guess(out, GUESS_META, slot, s->gen, s->folder);

		if (!g)
			return;
		g->index = i;
		g->count = s->folder->n - i < each ? s->folder->n - i : each;
		g->who = s->who;
		p->counters.inodes += g->count;
	}
}

static void link_to_parent(struct plan *p, uint32_t slot)
{
	struct slot *s = &p->slot[slot];
	struct spot at = plan_find_entry(p, s->ino);

	if (at.slot == NONE || at.slot == slot || p->slot[at.slot].gen == s->gen)
		return;
	s->parent = at.slot;
	s->parent_gen = p->slot[at.slot].gen;
	s->parent_index = at.index;
}

/* Asks for the listing of a directory that a program has reached by itself. */
static uint32_t ask_node(struct plan *p, const struct who *who, uint64_t ino, uint64_t node,
			 uint64_t now, struct guesses *out)
{
	uint32_t slot = plan_take_slot(p, ino, now);
	struct guess *g = plan_guess(out, GUESS_LIST, slot, p->slot[slot].gen, NULL);

	g->node = node;
	g->who = p->slot[slot].who = *who;
	link_to_parent(p, slot);
	p->counters.listed++;
	return slot;
}

bool plan_opendir(struct plan *p, const struct who *who, uint64_t ino, uint64_t node, uint64_t now,
		  struct guesses *out)
{
	uint32_t slot = plan_find_dir(p, ino);
	struct walk *w;
	bool taken = false;

	if (plan_asleep(p))
		return false;
	w = walk_of(p, who, now);
	if (slot != NONE && p->slot[slot].opened && now - p->slot[slot].listed > STALE) {
		plan_drop_slot(p, slot);
		slot = NONE;
	}
	if (slot == NONE) {
		slot = ask_node(p, who, ino, node, now, out);
		taken = true;
		if (p->slot[slot].parent != NONE && !w->dirs_window)
			w->dirs_window = 2;
	} else if (!p->slot[slot].opened && p->slot[slot].parent != NONE) { /* foreseen */
		w->dirs_window =
			w->dirs_window < PLAN_DIRS_AHEAD / 2 ? w->dirs_window * 2 : PLAN_DIRS_AHEAD;
	}
	if (!p->slot[slot].opened && w->wants_inodes && ++w->unlooked > UNLOOKED)
		w->wants_inodes = false;
	p->slot[slot].opened = true;
	plan_touch(p, slot, now);
	p->slot[slot].walk = walk_number(p, w);
	walk_dirs(p, w, slot, now, out);
	return taken;
}

bool plan_lookup(struct plan *p, const struct who *who, uint64_t parent_ino, uint64_t node,
		 bool cold, uint64_t now, struct guesses *out)
{
	uint32_t slot = plan_find_dir(p, parent_ino);
	bool taken = false;
	struct walk *w;

	if (cold)
		plan_wake(p);
	if (plan_asleep(p))
		return false;
	if (slot == NONE) {
		if (!cold)
			return false;
		slot = ask_node(p, who, parent_ino, node, now, out);
		taken = true;
	}
	w = walk_of(p, who, now);
	w->unlooked = 0;
	plan_touch(p, slot, now);
	if (cold && ++p->slot[slot].looked >= LOOKED) {
		w->wants_inodes = true;
		ask_inodes(p, slot, out);
	}
	return taken;
}

/* Opens that follow no order, in a directory that fits: all of it, the more the longer it lasts. */
static void scatter(struct plan *p, struct walk *w, uint32_t slot, struct guesses *out)
{
	struct slot *s = &p->slot[slot];
	struct folder *f = s->folder;
	uint64_t pages = p->counters.files > 64 ? p->counters.pages / p->counters.files + 1 : 8;

	if (s->state != SLOT_LISTED) /* let go meanwhile, to make room */
		return;
	if (w->confident || w->banned || s->opens < SCATTER_MIN + f->n / SCATTER_SHARE)
		return;
	for (unsigned o = 0; o < ORDERS; o++)
		if (s->back[o] * 4 < s->opens)
			return; /* few of many, in an order */
	if (s->chance >= 16 * 16 && s->hits * 16 < s->chance / 2)
		return;
	if (p->unused + (f->n - s->tried) * pages > p->limit)
		return;
	while (s->tried < f->n && s->scattered < s->opens * SCATTER_GROWTH) {
		struct spot at = { slot, folder_at(f, ORDER_INODE, s->tried) };
		struct entry *e = &f->entries[at.index];

		if (e->type == DT_REG && !(e->state & (ENTRY_ASKED | ENTRY_OPENED))) {
			if (!plan_ask_content(p, w, at, out))
				return;
			s->scattered++;
		}
		s->tried++;
	}
}

static void note_open(struct plan *p, struct spot at, bool asked)
{
	struct slot *s = &p->slot[at.slot];

	if (s->opens++)
		for (unsigned o = 0; o < ORDERS; o++)
			s->back[o] += folder_rank(s->folder, o, at.index) <
				      folder_rank(s->folder, o, s->last);
	s->last = at.index;
	if (s->scattered) {
		s->hits += asked;
		s->chance += (uint32_t)((uint64_t)s->scattered * 16 / s->folder->n);
	}
}

bool plan_open(struct plan *p, const struct who *who, uint64_t ino, uint64_t size, uint64_t now,
	       struct guesses *out)
{
	struct spot at = plan_find_entry(p, ino);
	struct entry *e;
	struct walk *w;
	bool again;

	if (at.slot == NONE)
		return false;
	e = spot_entry(p, at);
	again = e->state & ENTRY_OPENED;
	plan_count_used(p, e);
	if (plan_asleep(p))
		return false;
	plan_touch(p, at.slot, now);
	if (again)
		return false;
	note_open(p, at, e->state & ENTRY_ASKED);
	w = walk_step(p, who, at, now);
	e->state |= ENTRY_OPENED;
	walk_contents(p, w, now, out);
	scatter(p, w, at.slot, out);
	return size > PLAN_FIRST_BLOCK && size > (uint64_t)e->pages * 4096 &&
	       (w->whole + w->part < 8 || (p->slot[at.slot].opens & 7) == 0);
}

static void note_heat(struct plan *p, bool hot)
{
	p->hot = hot ? p->hot + 1 : 0;
	if (p->hot >= HOT && !p->always)
		p->asleep = true;
}

void plan_listed(struct plan *p, uint32_t i, uint32_t gen, struct folder *f, bool hot, uint64_t now,
		 struct guesses *out)
{
	struct slot *s = &p->slot[i];
	struct walk *w;

	note_heat(p, hot);
	if (s->state != SLOT_ASKED || s->gen != gen || !f) {
		if (s->state == SLOT_ASKED && s->gen == gen)
			s->state = SLOT_FAILED;
		if (f) {
			f->next = p->dead;
			p->dead = f;
		}
		return;
	}
	s->state = SLOT_LISTED;
	s->folder = f;
	s->listed = s->touched = now;
	plan_chain(p, i);
	for (unsigned e = 0; p->entries > PLAN_ENTRIES && e < PLAN_DIRS; e++)
		plan_make_room(p, i);
	if (s->parent == NONE)
		link_to_parent(p, i);
	for (uint32_t e = 0; f->dirs && e < f->n; e++) {
		uint32_t child =
			f->entries[e].type == DT_DIR ? plan_find_dir(p, f->entries[e].ino) : NONE;

		if (child != NONE && p->slot[child].parent == NONE && child != i)
			link_to_parent(p, child);
	}
	w = &p->walk[s->walk];
	if (plan_asleep(p) || !w->used)
		return;
	if (s->looked >= LOOKED || w->wants_inodes)
		ask_inodes(p, i, out);
	if (s->opened)
		walk_dirs(p, w, i, now, out);
	w->credit = 0;
	walk_contents(p, w, now, out);
}

bool plan_wants(struct plan *p, const struct guess *g)
{
	const struct slot *s = &p->slot[g->slot];

	if (g->kind == GUESS_RECALL)
		return true;
	if (s->gen != g->gen || s->state == SLOT_FREE)
		return false;
	return g->kind != GUESS_CONTENT || !(g->folder->entries[g->index].state & ENTRY_OPENED);
}

void plan_fetched(struct plan *p, const struct guess *g, uint32_t pages, bool hot)
{
	struct entry *e;

	if (pages || hot)
		note_heat(p, hot);
	if (g->kind == GUESS_RECALL) {
		plan_recall_done(p, g->index, pages);
		return;
	}
	e = &g->folder->entries[g->index];

	e->state |= ENTRY_DONE;
	e->pages = pages;
	p->counters.pages += pages;
	p->unused += pages;
	if (e->state & ENTRY_COUNTED) /* late */
		p->unused -= pages;
	else if (p->slot[g->slot].gen != g->gen)
		plan_count_wasted(p, e);
}

void plan_inodes(struct plan *p, uint32_t count, uint32_t hot)
{
	if (count)
		note_heat(p, hot == count);
}

void plan_sampled(struct plan *p, uint32_t pid, uint64_t resident, uint64_t size)
{
	for (unsigned i = 0; i < PLAN_WALKS; i++) {
		struct walk *w = &p->walk[i];

		if (!w->used || w->who.pid != pid)
			continue;
		if (resident >= size / 4 * 3)
			w->whole++;
		else
			w->part++;
		if (w->whole + w->part > 16) {
			w->whole /= 2;
			w->part /= 2;
		}
	}
}

bool plan_asleep(const struct plan *p)
{
	return p->asleep;
}

void plan_wake(struct plan *p)
{
	p->asleep = false;
	p->hot = 0;
}

bool plan_forget(struct plan *p, uint64_t before)
{
	plan_recall_expire(p, before);
	for (uint32_t i = 1; i <= PLAN_DIRS && p->dirs; i++)
		if (p->slot[i].state != SLOT_FREE && p->slot[i].touched < before)
			plan_drop_slot(p, i);
	return p->dirs || p->pending_first != p->pending_end;
}

struct folder *plan_dead(struct plan *p)
{
	struct folder *dead = p->dead;

	p->dead = NULL;
	return dead;
}

void plan_read_counters(const struct plan *p, struct plan_counters *c)
{
	*c = p->counters;
}
