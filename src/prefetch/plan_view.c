/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the plan thinks of a directory, for people. */
#include "prefetch/plan_internal.h"

static void view_entries(const struct folder *f, struct plan_view *v)
{
	v->entries = f->n;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct entry *e = &f->entries[i];

		v->opened += (e->state & ENTRY_OPENED) != 0;
		v->ahead += (e->state & (ENTRY_ASKED | ENTRY_OPENED)) == ENTRY_ASKED;
	}
}

/* The one that was last seen to open files there; otherwise who came there last. */
static const struct walk *walk_in(const struct plan *p, uint32_t slot)
{
	const struct walk *found = NULL, *w;

	for (unsigned i = 0; i < PLAN_WALKS; i++) {
		w = &p->walk[i];
		if (w->used && w->slot == slot && w->gen == p->slot[slot].gen &&
		    (!found || w->touched > found->touched))
			found = w;
	}
	w = &p->walk[p->slot[slot].walk];
	return found || !w->used ? found : w;
}

void plan_see(struct plan *p, uint64_t ino, struct plan_view *v)
{
	uint32_t slot = plan_find_dir(p, ino);
	const struct walk *w;

	*v = (struct plan_view){ .asleep = p->asleep };
	if (slot == NONE)
		return;
	v->known = true;
	v->inodes = p->slot[slot].inodes;
	v->scattered = p->slot[slot].scattered;
	if (p->slot[slot].state == SLOT_LISTED)
		view_entries(p->slot[slot].folder, v);
	w = walk_in(p, slot);
	if (!w)
		return;
	v->confident = w->confident;
	v->order = w->order;
	v->window = w->window;
	v->dirs_window = w->dirs_window;
	v->right = w->right;
	v->wrong = w->wrong;
	v->banned = w->banned;
}
