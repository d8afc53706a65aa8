/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens that follow no order, in a directory that fits: all of it, the more the longer it lasts. */
#include "prefetch/plan_internal.h"

#define SCATTER_MIN    8u  /* opens in no order */
#define SCATTER_SHARE  64u /* and one in so many of the directory's files */
#define SCATTER_GROWTH 4u  /* files fetched for each of them, at first */

void plan_note_open(struct plan *p, struct spot at, bool asked)
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

void plan_scatter(struct plan *p, struct walk *w, uint32_t slot, struct guesses *out)
{
	struct slot *s = &p->slot[slot];
	struct folder *f = s->folder;
	/* The more of it has been opened, the likelier the rest: all, once a sixteenth was. */
	uint64_t allowed = s->opens * (SCATTER_GROWTH + (uint64_t)s->opens * 192 / (f ? f->n : 1));
	uint64_t pages = p->counters.files > 64 ? p->counters.pages / p->counters.files + 1 : 8;

	if (s->state != SLOT_LISTED) /* let go meanwhile, to make room */
		return;
	if (w->confident || w->banned || p->strained ||
	    s->opens < SCATTER_MIN + f->n / SCATTER_SHARE)
		return;
	for (unsigned o = 0; o < ORDERS; o++)
		if (s->back[o] * 4 < s->opens)
			return; /* few of many, in an order */
	if (s->chance >= 16 * 16 && s->hits * 16 < s->chance / 2)
		return;
	if (p->unused + (f->n - s->tried) * pages > p->limit)
		return;
	while (s->tried < f->n && s->scattered < allowed) {
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
