/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What recall.c expects becomes guesses, and each of them ends in the ledger. */
#include <string.h>

#include "prefetch/plan_internal.h"

#define RECALL_BYTES (128u << 10) /* of one file: what the kernel reads ahead at most */
#define ROOM	     32u	  /* files guessed for one open */

static struct pending *pending_at(struct plan *p, uint32_t id)
{
	return &p->pending[id % PLAN_PENDING];
}

static void settle(struct plan *p, struct pending *a, uint64_t *counter)
{
	if (counter == &p->counters.wasted)
		p->counters.wasted_pages += a->pages;
	(*counter)++;
	p->unused -= a->pages;
	a->settled = true;
}

static void drop_first(struct plan *p)
{
	struct pending *a = pending_at(p, p->pending_first++);

	if (!a->settled)
		settle(p, a, &p->counters.wasted);
}

/* What is expected of this file and was not opened yet; NULL: nothing. */
static struct pending *expected(struct plan *p, uint64_t ino)
{
	for (uint32_t id = p->pending_first; id != p->pending_end; id++) {
		struct pending *a = pending_at(p, id);

		if (a->ino == ino && !a->settled)
			return a;
	}
	return NULL;
}

bool plan_recalls(struct plan *p, uint64_t ino)
{
	return expected(p, ino);
}

static void note_used(struct plan *p, uint64_t ino)
{
	struct pending *a;

	while ((a = expected(p, ino)))
		settle(p, a, a->done ? &p->counters.used : &p->counters.late);
}

void plan_recall_expire(struct plan *p, uint64_t before)
{
	while (p->pending_first != p->pending_end &&
	       pending_at(p, p->pending_first)->asked < before)
		drop_first(p);
}

void plan_recall_done(struct plan *p, uint32_t id, uint32_t pages)
{
	struct pending *a = pending_at(p, id);

	p->counters.pages += pages;
	if (id - p->pending_first >= p->pending_end - p->pending_first) {
		p->counters.wasted_pages += pages; /* counted as wasted when it fell out */
		return;
	}
	a->done = true;
	if (a->settled)
		return;
	a->pages = pages;
	p->unused += pages;
}

static bool ask(struct plan *p, const struct who *who, const struct recall_file *file, uint64_t now,
		struct guesses *out)
{
	struct guess *g;

	if (p->unused >= p->limit)
		return false;
	g = plan_guess(out, GUESS_RECALL, NONE, 0, NULL);
	if (!g)
		return false;
	if (p->pending_end - p->pending_first == PLAN_PENDING)
		drop_first(p);
	*pending_at(p, p->pending_end) = (struct pending){ .ino = file->ino, .asked = now };
	g->index = p->pending_end++;
	g->file = *file;
	g->bytes = RECALL_BYTES;
	g->who = *who;
	p->counters.files++;
	return true;
}

void plan_recall(struct plan *p, const struct who *who, const struct recall_file *file,
		 uint64_t now, struct guesses *out)
{
	const struct recall_file *next[ROOM];
	unsigned n;

	note_used(p, file->ino);
	if (plan_asleep(p) || p->no_contents)
		return;
	if (!p->recall)
		p->recall = recall_new();
	if (!p->recall)
		return;
	n = recall_open(p->recall, file, next, p->strained ? 0 : ROOM);
	for (unsigned i = 0; i < n; i++) {
		struct spot at = plan_find_entry(p, next[i]->ino);

		if (at.slot == NONE) {
			if (!ask(p, who, next[i], now, out))
				return;
		} else if (!(spot_entry(p, at)->state & (ENTRY_ASKED | ENTRY_OPENED))) {
			if (!plan_ask_content(p, walk_of(p, who, now), at, out))
				return;
		}
	}
}
