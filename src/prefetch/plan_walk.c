/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <string.h>

#include "prefetch/plan_internal.h"

#define CONFIDENT 2    /* steps in one order: three opens */
#define BAN	  256u /* opens */
#define WRONG	  8u   /* files more than were right, and it stops for a while */
#define RECENT	  64u  /* guesses that are remembered as right and wrong */

uint8_t walk_number(const struct plan *p, const struct walk *w)
{
	return (uint8_t)(w - p->walk);
}

static void note_suffix(struct walk *w, uint16_t hash, bool opened)
{
	struct suffix *s = &w->suffix[0];

	/* A kind that is new takes the place of the rarest. */
	for (unsigned i = 0; i < SUFFIXES; i++) {
		struct suffix *x = &w->suffix[i];

		if (x->hash == hash) {
			s = x;
			break;
		}
		if (x->opened + x->passed < s->opened + s->passed)
			s = x;
	}
	if (s->hash != hash)
		*s = (struct suffix){ .hash = hash };
	if (opened)
		s->opened++;
	else
		s->passed++;
	if (s->opened > 64 || s->passed > 64) {
		s->opened /= 2;
		s->passed /= 2;
	}
}

/* Files of this kind are passed over by this walk. */
bool walk_unwanted(const struct walk *w, uint16_t hash)
{
	for (unsigned i = 0; i < SUFFIXES; i++)
		if (w->suffix[i].hash == hash)
			return w->suffix[i].passed >= 4 &&
			       w->suffix[i].opened * 4 < w->suffix[i].passed;
	return false;
}

bool walk_has_opened(const struct walk *w, uint16_t hash)
{
	for (unsigned i = 0; i < SUFFIXES; i++)
		if (w->suffix[i].hash == hash && w->suffix[i].opened)
			return true;
	return false;
}

static uint32_t unopened(const struct walk *w, const struct folder *f, enum order o, uint32_t from,
			 uint32_t to)
{
	uint32_t n = 0;

	for (; from < to && from < f->n; from++) {
		const struct entry *e = &f->entries[folder_at(f, o, from)];

		n += entry_is_file(e) && !(e->state & ENTRY_OPENED) && !walk_unwanted(w, e->suffix);
	}
	return n;
}

int walk_gap(const struct walk *w, const struct folder *f, enum order order, uint32_t from,
	     uint32_t to)
{
	uint32_t a = folder_rank(f, order, from), b = folder_rank(f, order, to);

	if (b <= a || b - a > NEAR)
		return -1;
	return (int)unopened(w, f, order, a + 1, b);
}

bool walk_is_at(const struct plan *p, const struct walk *w, uint32_t slot)
{
	return w->slot == slot && w->slot != NONE && w->gen == p->slot[slot].gen &&
	       p->slot[slot].state == SLOT_LISTED;
}

static void wrong(struct walk *w)
{
	w->wrong++;
	if (w->wrong < w->right + WRONG)
		return;
	w->banned = BAN;
	w->confident = false;
	w->window = w->wrong = w->right = 0;
	memset(w->score, 0, sizeof(w->score));
}

/* What lies between an entry and the end of the way to `to` in its directory was not wanted. */
static void pass_over(struct plan *p, struct walk *w, struct spot from, uint32_t to)
{
	struct folder *f = p->slot[from.slot].folder;
	uint32_t rank = folder_rank(f, w->order, from.index) + 1;
	uint32_t end = rank + NEAR < f->n ? rank + NEAR : f->n;

	if (to < f->n && folder_rank(f, w->order, to) < end)
		end = folder_rank(f, w->order, to);
	for (; rank < end; rank++) {
		struct entry *e = &f->entries[folder_at(f, w->order, rank)];

		if (e->type == DT_DIR && to < f->n && from.slot == w->slot) {
			uint32_t child = plan_find_dir(p, e->ino);

			w->files_first = child == NONE || !p->slot[child].opened;
		}
		if (!entry_is_file(e) || (e->state & (ENTRY_OPENED | ENTRY_PASSED)))
			continue;
		note_suffix(w, e->suffix, false);
		if (e->state & ENTRY_ASKED) {
			e->state |= ENTRY_PASSED;
			if (!walk_unwanted(w, e->suffix)) /* else it was the last one of its kind */
				wrong(w);
		}
	}
}

/* The walk goes on elsewhere: so too for the directories that it leaves on its way up. */
static void pass_over_to(struct plan *p, struct walk *w, struct spot to)
{
	struct spot at = { w->slot, w->index };

	for (unsigned depth = 0; depth < PLAN_LEVELS && w->confident; depth++) {
		const struct slot *s = &p->slot[at.slot];
		uint32_t towards =
			at.slot == to.slot ? to.index : plan_entry_towards(p, at.slot, to.slot);

		if (s->state != SLOT_LISTED)
			return;
		pass_over(p, w, at, towards);
		if (towards != UINT32_MAX || !plan_parent(p, at.slot))
			return;
		at = (struct spot){ s->parent, s->parent_index };
	}
}

/*
 * Who leaves a directory with much of it unopened, or begins in the middle of one, follows no order
 * there, whatever it looked like.
 */
static void forget_orders(struct plan *p, struct walk *w, struct spot at, bool leaves)
{
	const struct folder *from = leaves ? p->slot[w->slot].folder : NULL;
	const struct folder *to = p->slot[at.slot].folder;

	for (unsigned o = 0; o < ORDERS; o++) {
		uint32_t last = from ? folder_rank(from, o, w->index) : 0;
		uint32_t first = folder_rank(to, o, at.index);

		if ((from && unopened(w, from, o, last + 1, last + NEAR) > GAP_NEW) ||
		    unopened(w, to, o, first > NEAR ? first - NEAR : 0, first) > GAP_NEW)
			w->score[o] = 0;
	}
}

/* The walk goes on in the same directory. */
static void follow(struct plan *p, struct walk *w, struct spot at)
{
	const struct folder *f = p->slot[at.slot].folder;
	enum order best = w->order;

	for (unsigned o = 0; o < ORDERS; o++) {
		int n = walk_gap(w, f, o, w->index, at.index);
		bool good = n >= 0 && n <= (w->confident && o == w->order ? GAP : GAP_NEW);

		w->score[o] = !good ? 0 : w->score[o] < 8 ? w->score[o] + 1 : 8;
	}
	if (!w->score[best] || !w->confident)
		for (unsigned o = ORDERS; o-- > 0;)
			if (w->score[o] >= w->score[best])
				best = o;
	if (w->confident && !w->score[w->order])
		w->window /= 2;
	w->order = best;
	if (w->score[best])
		pass_over(p, w, (struct spot){ w->slot, w->index }, at.index);
	w->confident = w->score[best] >= CONFIDENT || (w->confident && w->score[best]);
}

static void move(struct plan *p, struct walk *w, struct spot at, bool foreseen)
{
	bool here = walk_is_at(p, w, w->slot);

	if (here) {
		w->left[w->leaves++ % PLACES] = (struct place){ w->slot, w->gen, w->index };
		pass_over_to(p, w, at);
	}
	if (!w->confident)
		forget_orders(p, w, at,
			      here && plan_entry_towards(p, w->slot, at.slot) == UINT32_MAX);
	else if (!foreseen)
		w->window /= 2;
}

static void note_right(struct walk *w, const struct entry *e)
{
	w->right++;
	if ((e->state & ENTRY_PASSED) && w->wrong)
		w->wrong--;
	w->window += w->window < PLAN_AHEAD ? 2 : 0;
	if (w->right + w->wrong >= RECENT) {
		w->right /= 2;
		w->wrong /= 2;
	}
}

struct walk *walk_step(struct plan *p, const struct who *who, struct spot at, uint64_t now)
{
	struct entry *e = spot_entry(p, at);
	struct walk *w = walk_find(p, who, at, now);

	w->who = *who;
	w->touched = now;
	if (walk_is_at(p, w, at.slot) && w->index != at.index)
		follow(p, w, at);
	else if (w->slot != at.slot)
		move(p, w, at, e->state & ENTRY_ASKED);
	if (e->state & ENTRY_ASKED)
		note_right(w, e);
	if (w->banned)
		w->banned--;
	note_suffix(w, e->suffix, true);
	w->slot = at.slot;
	w->gen = p->slot[at.slot].gen;
	w->index = at.index;
	return w;
}
