/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/plan.h"

#include <dirent.h>
#include <stdlib.h>

#include "prefetch/plan_internal.h"

#define STALE	 1000000000ull /* ns: a directory that is read again after so long is listed again */
#define TOGETHER 250000000ull  /* ns: two who wait for one file have come by then */
#define OUTCOMES 16u	       /* guesses settled, before they are judged */
#define HOT	 16u	       /* guesses in a row that gained nothing */
#define LOOKED	 2u	       /* look-ups that waited, before all inodes are asked for */
#define UNLOOKED 64u	       /* directories that are read without a look-up that waited */

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

/* Cold reading by itself is pressure on a disk; that of guesses which come to nothing is ours. */
void plan_weather(struct plan *p, uint64_t bytes, bool pressed)
{
	uint64_t good = p->counters.used + p->counters.late - p->good;
	uint64_t bad = p->counters.wasted - p->bad;

	if (good + bad >= OUTCOMES) {
		p->wasteful = bad * 2 > good;
		p->good += good;
		p->bad += bad;
	}
	p->limit = bytes / 4096;
	p->strained = pressed && p->wasteful;
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
		slot = plan_ask_node(p, who, ino, node, now, out);
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

/*
 * What was in memory is not any more, and what was guessed has to be guessed again: for this
 * directory, and when it comes twice within a second, for all that are as old.
 */
static void forget_dropped(struct plan *p, uint32_t slot, uint64_t now)
{
	plan_drop_slot(p, slot);
	if (now - p->dropped > STALE) {
		p->dropped = now;
		return;
	}
	for (uint32_t i = 1; i <= PLAN_DIRS; i++)
		if (p->slot[i].state == SLOT_LISTED && p->slot[i].listed + TOGETHER < p->dropped)
			plan_drop_slot(p, i);
}

static bool was_dropped(struct plan *p, uint32_t slot, uint64_t ino, uint64_t now)
{
	const struct slot *s = &p->slot[slot];
	uint64_t age = now - s->listed;
	struct spot at;

	if (s->state != SLOT_LISTED || age <= TOGETHER)
		return false;
	at = plan_find_entry(p, ino);
	if (at.slot != slot) /* new, or beyond what is kept of a large directory */
		return false;
	if (age > STALE && folder_rank(s->folder, ORDER_INODE, at.index) < s->inodes)
		return true;
	return spot_entry(p, at)->state & (ENTRY_OPENED | ENTRY_DONE);
}

/*
 * Programs that name their files never list a directory: from the second subdirectory on that one
 * looks up, its listing tells where such a program goes next.
 */
static uint32_t passed_through(struct plan *p, const struct who *who, const struct looked_up *l,
			       uint64_t now, struct guesses *out)
{
	for (unsigned i = 0; i < PASSED; i++)
		if (p->passed[i] == l->parent_ino) {
			p->passed[i] = 0;
			return plan_ask_node(p, who, l->parent_ino, l->parent_node, now, out);
		}
	p->passed[p->passes++ % PASSED] = l->parent_ino;
	return NONE;
}

bool plan_lookup(struct plan *p, const struct who *who, const struct looked_up *l, uint64_t now,
		 struct guesses *out)
{
	uint32_t slot = plan_find_dir(p, l->parent_ino);
	struct walk *w = walk_of(p, who, now);
	bool taken = false;

	plan_wake(p);
	if (slot != NONE && !l->directory && was_dropped(p, slot, l->ino, now)) {
		forget_dropped(p, slot, now);
		slot = NONE;
	}
	if (slot == NONE) {
		slot = l->directory
			       ? passed_through(p, who, l, now, out)
			       : plan_ask_node(p, who, l->parent_ino, l->parent_node, now, out);
		if (slot == NONE)
			return false;
		p->slot[slot].walk = walk_number(p, w);
		taken = true;
	}
	plan_touch(p, slot, now);
	if (l->directory)
		return taken;
	w->unlooked = 0;
	if (++p->slot[slot].looked >= LOOKED) {
		w->wants_inodes = true;
		plan_ask_inodes(p, slot, out);
	}
	return taken;
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
	plan_note_open(p, at, e->state & ENTRY_ASKED);
	w = walk_step(p, who, at, now);
	e->state |= ENTRY_OPENED;
	walk_contents(p, w, now, out);
	plan_scatter(p, w, at.slot, out);
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
		plan_link(p, i);
	for (uint32_t e = 0; f->dirs && e < f->n; e++) {
		uint32_t child =
			f->entries[e].type == DT_DIR ? plan_find_dir(p, f->entries[e].ino) : NONE;

		if (child != NONE && p->slot[child].parent == NONE && child != i)
			plan_link(p, child);
	}
	w = &p->walk[s->walk];
	if (plan_asleep(p) || !w->used)
		return;
	if (s->looked >= LOOKED || w->wants_inodes)
		plan_ask_inodes(p, i, out);
	if (s->opened)
		walk_dirs(p, w, i, now, out);
	walk_go_on(p, w, i, now, out);
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
