/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guesses, as they are written down. */
#include <stdlib.h>

#include "prefetch/plan_internal.h"

#define INODES	      16u	   /* entries in one guess: about a block of the disk's */
#define INODE_GUESSES 64u	   /* of one directory */
#define INODES_A_PAGE 4u	   /* an inode takes the kernel about 1 KiB */
#define WHOLE	      (8ull << 20) /* bytes: beyond that a file is a stream's affair */

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
	struct entry *e = spot_entry(p, at);
	struct guess *g;

	/* Once more would find it in memory, as if the tree were hot, and all would be asleep. */
	if (plan_recalls(p, e->ino)) {
		e->state |= ENTRY_ASKED | ENTRY_COUNTED;
		e->walk = walk_number(p, w);
		return true;
	}
	if (p->unused >= p->limit || p->no_contents)
		return false;
	g = plan_guess(out, GUESS_CONTENT, at.slot, s->gen, s->folder);
	if (!g)
		return false;
	g->index = at.index;
	g->who = w->who;
	g->bytes = content_limit(p, w);
	e->state |= ENTRY_ASKED;
	e->walk = walk_number(p, w);
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

void plan_ask_inodes(struct plan *p, uint32_t slot, struct guesses *out)
{
	struct slot *s = &p->slot[slot];
	uint64_t room = p->limit * INODES_A_PAGE;
	uint32_t each, n;

	if (s->inodes || s->state != SLOT_LISTED || PLAN_GUESSES - out->n < INODE_GUESSES)
		return;
	n = s->inodes = s->folder->n < room ? s->folder->n : (uint32_t)room;
	each = (n + INODE_GUESSES - 1) / INODE_GUESSES;
	each = each < INODES ? INODES : each;
	for (uint32_t i = 0; i < n; i += each) {
		struct guess *g = plan_guess(out, GUESS_META, slot, s->gen, s->folder);

		if (!g)
			return;
		g->index = i;
		g->count = n - i < each ? n - i : each;
		g->who = s->who;
		p->counters.inodes += g->count;
	}
}

void plan_link(struct plan *p, uint32_t slot)
{
	struct slot *s = &p->slot[slot];
	struct spot at = plan_find_entry(p, s->ino);

	if (at.slot == NONE || at.slot == slot || p->slot[at.slot].gen == s->gen)
		return;
	s->parent = at.slot;
	s->parent_gen = p->slot[at.slot].gen;
	s->parent_index = at.index;
}

uint32_t plan_ask_node(struct plan *p, const struct who *who, uint64_t ino, uint64_t node,
		       uint64_t now, struct guesses *out)
{
	uint32_t slot = plan_take_slot(p, ino, now);
	struct guess *g = plan_guess(out, GUESS_LIST, slot, p->slot[slot].gen, NULL);

	g->node = node;
	g->who = p->slot[slot].who = *who;
	plan_link(p, slot);
	p->counters.listed++;
	return slot;
}

static uint64_t place_on_disk(const struct guess *g)
{
	if (g->kind == GUESS_CONTENT)
		return g->folder->entries[g->index].ino;
	return g->kind == GUESS_RECALL ? g->file.ino : 0;
}

static int by_place(const void *a, const void *b)
{
	uint64_t x = place_on_disk(a), y = place_on_disk(b);

	return x < y ? -1 : x > y;
}

void guesses_by_inode(struct guesses *out)
{
	qsort(out->guess, out->n, sizeof(out->guess[0]), by_place);
}
