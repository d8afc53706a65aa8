/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lies ahead of a walk, in its own order, and is asked for. */

#include "prefetch/plan_internal.h"

#define FIRST_WINDOW 8u
#define UNTRIED	     2u	  /* files of a kind that this walk has never opened */
#define STEPS	     2048 /* entries looked at for one event */
#define ASKS	     16u  /* directories asked for while looking for files */

/* A way through the tree, depth first. */
struct path {
	uint32_t slot, into;
	int64_t rank;
	bool dirs_now; /* with files_first: the directory's files are done */
	bool only_dirs;
	int steps;
};

static bool leave(const struct plan *p, const struct walk *w, struct path *at)
{
	const struct slot *s = &p->slot[at->slot], *parent = &p->slot[s->parent];

	if (w->files_first && !at->dirs_now && !at->only_dirs) {
		at->dirs_now = true;
		at->rank = -1;
		return true;
	}
	if (s->parent == NONE || parent->gen != s->parent_gen || parent->state != SLOT_LISTED)
		return false;
	at->slot = s->parent;
	at->rank = folder_rank(parent->folder, w->order, s->parent_index);
	at->dirs_now = true;
	return true;
}

static bool next(struct plan *p, const struct walk *w, struct path *at, struct spot *found)
{
	while (at->steps-- > 0) {
		const struct folder *f;
		const struct entry *e;

		if (at->into != NONE && p->slot[at->into].state == SLOT_LISTED) {
			at->slot = at->into;
			at->rank = -1;
			at->dirs_now = false;
		}
		at->into = NONE;
		if (p->slot[at->slot].state != SLOT_LISTED)
			return false; /* let go meanwhile, to make room */
		f = p->slot[at->slot].folder;
		if (at->only_dirs && !f->dirs)
			at->rank = f->n;
		if (++at->rank >= f->n) {
			if (!leave(p, w, at))
				return false;
			continue;
		}
		*found = (struct spot){ at->slot, folder_at(f, w->order, (uint32_t)at->rank) };
		e = &f->entries[found->index];
		if (e->type == DT_DIR && (!w->files_first || at->dirs_now || at->only_dirs)) {
			uint32_t child = plan_find_dir(p, e->ino);

			if (child != NONE && p->slot[child].parent == at->slot &&
			    p->slot[child].parent_gen == p->slot[at->slot].gen)
				at->into = child;
			return true;
		}
		if (entry_is_file(e) && !at->only_dirs && (!w->files_first || !at->dirs_now))
			return true;
	}
	return false;
}

/* Files of kinds that the walk has not opened yet, among those ahead of it: a few of each. */
struct kinds {
	unsigned n;
	uint16_t suffix[SUFFIXES];
	uint8_t files[SUFFIXES];
};

static bool is_tried(const struct walk *w, struct kinds *k, uint16_t suffix)
{
	unsigned i = 0;

	if (walk_has_opened(w, suffix))
		return true;
	while (i < k->n && k->suffix[i] != suffix)
		i++;
	if (i == SUFFIXES)
		return true;
	if (i == k->n) {
		k->suffix[k->n] = suffix;
		k->files[k->n++] = 0;
	}
	return k->files[i]++ < UNTRIED;
}

void walk_contents(struct plan *p, struct walk *w, uint64_t now, struct guesses *out)
{
	struct path at = { .slot = w->slot, .steps = STEPS };
	uint32_t ahead = 0, asked = 0;
	struct kinds kinds = { 0 };
	struct spot s;

	if (!w->confident || w->banned || !walk_is_at(p, w, w->slot) ||
	    (p->strained && !walk_is_trusted(w)))
		return;
	if (w->credit) {
		w->credit--;
		return;
	}
	if (!w->window)
		w->window = FIRST_WINDOW;
	w->credit = w->window / 8;
	at.rank = folder_rank(p->slot[w->slot].folder, w->order, w->index);
	while (ahead < w->window && next(p, w, &at, &s)) {
		const struct entry *e = spot_entry(p, s);

		if (e->type == DT_DIR) {
			if (plan_find_dir(p, e->ino) == NONE && asked++ < ASKS &&
			    !plan_ask_child(p, w, s.slot, s.index, now, out))
				return;
			continue;
		}
		if ((e->state & ENTRY_OPENED) || walk_unwanted(w, e->suffix) ||
		    !is_tried(w, &kinds, e->suffix))
			continue;
		ahead++;
		if (!(e->state & ENTRY_ASKED) && !plan_ask_content(p, w, s, out))
			return;
	}
}

void walk_dirs(struct plan *p, struct walk *w, uint32_t slot, uint64_t now, struct guesses *out)
{
	struct path at = { .slot = slot, .rank = -1, .only_dirs = true, .steps = STEPS };
	const struct slot *from = &p->slot[slot];
	uint32_t ahead = 0, window = p->strained ? w->dirs_window / 4 : w->dirs_window;
	struct spot s;

	if (!w->dirs_window)
		return;
	if (from->state != SLOT_LISTED && !leave(p, w, &at))
		return;
	while (ahead < window && next(p, w, &at, &s)) {
		uint32_t child = plan_find_dir(p, spot_entry(p, s)->ino);

		if (child != NONE && p->slot[child].opened)
			continue;
		ahead++;
		if (child == NONE && !plan_ask_child(p, w, s.slot, s.index, now, out))
			return;
	}
}
