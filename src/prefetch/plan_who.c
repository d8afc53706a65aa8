/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose way an open belongs to. A way is known by where it leads, not by the process: several that
 * go through one directory together are one, and one that takes turns in two trees is two.
 */
#include <string.h>

#include "prefetch/plan_internal.h"

static struct walk *oldest_walk(struct plan *p)
{
	struct walk *oldest = &p->walk[0];

	for (unsigned i = 0; i < PLAN_WALKS; i++) {
		struct walk *w = &p->walk[i];

		if (!w->used)
			return w;
		if (w->touched < oldest->touched)
			oldest = w;
	}
	return oldest;
}

/* One directory lies in the other, or both in a third. */
static bool are_kin(const struct plan *p, const struct walk *w, uint32_t slot)
{
	uint32_t parent;

	if (slot == NONE || w->slot == NONE || p->slot[w->slot].gen != w->gen)
		return false;
	parent = plan_parent(p, slot);
	return w->slot == slot || w->slot == parent || plan_parent(p, w->slot) == slot ||
	       (parent != NONE && plan_parent(p, w->slot) == parent);
}

/* A program may go several ways at once: the one that is nearest, else the one it took last. */
static struct walk *walk_to(struct plan *p, const struct who *who, uint32_t slot, uint64_t now)
{
	struct walk *best = NULL, *newest = NULL, *w;
	bool kin = false;

	for (unsigned i = 0; i < PLAN_WALKS; i++) {
		w = &p->walk[i];
		if (!w->used)
			continue;
		if (!newest || w->touched > newest->touched)
			newest = w;
		if (w->who.pid != who->pid)
			continue;
		if (!best || are_kin(p, w, slot) > kin ||
		    (are_kin(p, w, slot) == kin && w->touched > best->touched)) {
			best = w;
			kin = are_kin(p, w, slot);
		}
	}
	if (!best) {
		/* One program after another on the same files (find -exec): what the last one did. */
		bool heir = newest && newest->who.uid == who->uid;
		uint8_t whole = heir ? newest->whole : 0, part = heir ? newest->part : 0;

		best = oldest_walk(p);
		*best = (struct walk){ .used = true, .whole = whole, .part = part };
	}
	best->who = *who;
	best->touched = now;
	return best;
}

struct walk *walk_of(struct plan *p, const struct who *who, uint64_t now)
{
	return walk_to(p, who, NONE, now);
}

/* An open here would be the next one of a walk that is at that place. */
static bool near(struct plan *p, const struct walk *w, const struct place *place, struct spot at)
{
	const struct folder *f;

	if (place->slot != at.slot || place->gen != p->slot[at.slot].gen ||
	    p->slot[at.slot].state != SLOT_LISTED)
		return false;
	f = p->slot[at.slot].folder;
	for (unsigned o = 0; o < ORDERS; o++) {
		int n = w->confident && o != w->order ? -1
						      : walk_gap(w, f, o, place->index, at.index);

		if (n >= 0 && n <= (w->confident ? GAP : GAP_NEW))
			return true;
	}
	return false;
}

static bool is_near(struct plan *p, const struct walk *w, struct spot at)
{
	struct place place = { w->slot, w->gen, w->index };

	return w->used && near(p, w, &place, at);
}

/*
 * Somebody goes on where this walk was before: there are two that take turns, and each gets its
 * own. Who comes back up from a subdirectory is no such case.
 */
static struct walk *split(struct plan *p, struct walk *w, struct spot at)
{
	for (unsigned i = 0; w->used && i < PLACES; i++) {
		struct place *left = &w->left[i];
		struct walk *other;

		if (left->slot == w->slot || !near(p, w, left, at) ||
		    plan_entry_towards(p, left->slot, w->slot) != UINT32_MAX)
			continue;
		other = oldest_walk(p);
		if (other == w)
			return NULL;
		*other = *w;
		other->slot = left->slot;
		other->gen = left->gen;
		other->index = left->index;
		memset(other->left, 0, sizeof(other->left));
		memset(other->score, 0, sizeof(other->score));
		other->confident = false;
		*left = (struct place){ 0 };
		return other;
	}
	return NULL;
}

/* Whose open this is. */
struct walk *walk_find(struct plan *p, const struct who *who, struct spot at, uint64_t now)
{
	const struct entry *e = spot_entry(p, at);
	struct walk *w = NULL;

	if ((e->state & ENTRY_ASKED) && p->walk[e->walk].used)
		return &p->walk[e->walk];
	for (unsigned i = 0; i < PLAN_WALKS; i++)
		if (is_near(p, &p->walk[i], at))
			return &p->walk[i];
	for (unsigned i = 0; i < PLAN_WALKS && !w; i++)
		w = split(p, &p->walk[i], at);
	return w ? w : walk_to(p, who, at.slot, now);
}

void walk_go_on(struct plan *p, const struct walk *by, uint32_t slot, uint64_t now,
		struct guesses *out)
{
	for (unsigned i = 0; i < PLAN_WALKS; i++) {
		struct walk *w = &p->walk[i];

		if (!w->used || !w->confident || (w != by && !are_kin(p, w, slot)))
			continue;
		w->credit = 0;
		walk_contents(p, w, now, out);
	}
}
