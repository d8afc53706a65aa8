/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The directories that a plan knows, and their entries by inode number. */
#include <stdlib.h>

#include "prefetch/plan_internal.h"

#define LOOK_AT 64u
#define DEPTH	64u

static uint32_t hash(uint64_t ino, uint32_t buckets)
{
	return (uint32_t)((ino * 0x9e3779b97f4a7c15ull) >> 32) % buckets;
}

uint32_t plan_find_dir(struct plan *p, uint64_t ino)
{
	uint32_t i = p->dir_bucket[hash(ino, DIR_BUCKETS)];

	while (i != NONE && p->slot[i].ino != ino)
		i = p->slot[i].next;
	return i;
}

/* An entry's name in a chain: its slot and its index in one number; 0 ends. */
static uint32_t pack(struct spot s)
{
	return s.slot * FOLDER_MAX + s.index;
}

static struct spot unpack(uint32_t ref)
{
	return (struct spot){ ref / FOLDER_MAX, ref % FOLDER_MAX };
}

void plan_chain(struct plan *p, uint32_t slot)
{
	struct folder *f = p->slot[slot].folder;

	for (uint32_t i = 0; i < f->n; i++) {
		uint32_t *bucket = &p->entry_bucket[hash(f->entries[i].ino, ENTRY_BUCKETS)];

		f->entries[i].next = *bucket;
		*bucket = pack((struct spot){ slot, i });
	}
	p->entries += f->n;
}

static void unchain_entries(struct plan *p, uint32_t slot)
{
	struct folder *f = p->slot[slot].folder;

	for (uint32_t i = 0; i < f->n; i++) {
		uint32_t *link = &p->entry_bucket[hash(f->entries[i].ino, ENTRY_BUCKETS)];

		while (*link != pack((struct spot){ slot, i }))
			link = &spot_entry(p, unpack(*link))->next;
		*link = f->entries[i].next;
	}
	p->entries -= f->n;
}

/* Slot NONE: not known. */
struct spot plan_find_entry(struct plan *p, uint64_t ino)
{
	uint32_t ref = p->entry_bucket[hash(ino, ENTRY_BUCKETS)];

	while (ref && spot_entry(p, unpack(ref))->ino != ino)
		ref = spot_entry(p, unpack(ref))->next;
	return unpack(ref);
}

void plan_count_used(struct plan *p, struct entry *e)
{
	if (!(e->state & ENTRY_ASKED) || (e->state & ENTRY_COUNTED))
		return;
	e->state |= ENTRY_COUNTED;
	if (e->state & ENTRY_DONE)
		p->counters.used++;
	else
		p->counters.late++;
	p->unused -= e->pages;
}

void plan_count_wasted(struct plan *p, struct entry *e)
{
	if ((e->state & (ENTRY_ASKED | ENTRY_DONE | ENTRY_COUNTED)) != (ENTRY_ASKED | ENTRY_DONE))
		return; /* what has not ended yet is counted when it ends */
	e->state |= ENTRY_COUNTED;
	p->counters.wasted++;
	p->counters.wasted_pages += e->pages;
	p->unused -= e->pages;
}

void plan_drop_slot(struct plan *p, uint32_t i)
{
	struct slot *s = &p->slot[i];
	uint32_t *link = &p->dir_bucket[hash(s->ino, DIR_BUCKETS)];

	while (*link != i)
		link = &p->slot[*link].next;
	*link = s->next;
	if (s->state == SLOT_LISTED) {
		unchain_entries(p, i);
		for (uint32_t e = 0; e < s->folder->n; e++)
			plan_count_wasted(p, &s->folder->entries[e]);
		s->folder->next = p->dead;
		p->dead = s->folder;
	}
	*s = (struct slot){ .next = p->free };
	p->free = i;
	p->dirs--;
}

bool plan_make_room(struct plan *p, uint32_t keep)
{
	uint32_t oldest = NONE;

	/* A hand that goes round, as looking at all of them takes too long for each. */
	for (unsigned i = 0; i < LOOK_AT; i++) {
		const struct slot *s;

		p->hand = p->hand % PLAN_DIRS + 1;
		s = &p->slot[p->hand];
		if (p->hand != keep && (s->state == SLOT_LISTED || s->state == SLOT_FAILED) &&
		    (oldest == NONE || s->touched < p->slot[oldest].touched))
			oldest = p->hand;
	}
	if (oldest == NONE)
		return false;
	plan_drop_slot(p, oldest);
	return true;
}

uint32_t plan_parent(const struct plan *p, uint32_t slot)
{
	const struct slot *s = &p->slot[slot];

	return p->slot[s->parent].gen == s->parent_gen ? s->parent : NONE;
}

uint32_t plan_entry_towards(const struct plan *p, uint32_t from, uint32_t to)
{
	for (unsigned depth = 0; depth < PLAN_LEVELS; depth++) {
		const struct slot *s = &p->slot[to];

		if (s->parent == NONE || p->slot[s->parent].gen != s->parent_gen)
			break;
		if (s->parent == from)
			return s->parent_index;
		to = s->parent;
	}
	return UINT32_MAX;
}

void plan_touch(struct plan *p, uint32_t slot, uint64_t now)
{
	/* Those above are gone back to. */
	for (unsigned depth = 0; depth < DEPTH && slot != NONE; depth++) {
		struct slot *s = &p->slot[slot];
		bool linked = s->parent != NONE && p->slot[s->parent].gen == s->parent_gen;

		s->touched = now;
		slot = linked ? s->parent : NONE;
	}
}

uint32_t plan_take_slot(struct plan *p, uint64_t ino, uint64_t now)
{
	uint32_t i, *bucket = &p->dir_bucket[hash(ino, DIR_BUCKETS)];

	for (unsigned n = 0; p->free == NONE && n < PLAN_DIRS / LOOK_AT; n++)
		plan_make_room(p, NONE);
	if (p->free == NONE) /* all are on their way; what comes of this one is not waited for */
		plan_drop_slot(p, p->hand);
	i = p->free;
	p->free = p->slot[i].next;
	p->slot[i] = (struct slot){
		.ino = ino,
		.state = SLOT_ASKED,
		.gen = ++p->gens,
		.next = *bucket,
		.touched = now,
		.listed = now,
	};
	*bucket = i;
	p->dirs++;
	return i;
}
