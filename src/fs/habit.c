/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/habit.h"

void habit_init(struct habit *h, uint32_t entries)
{
	*h = (struct habit){ .entries = entries, .patience = 1 };
}

static bool next_after_bare(struct habit *h, uint64_t now, bool followed)
{
	h->silent++;
	if (followed) {
		/* Each entry had to be asked for: not so soon again. */
		h->bare = false;
		h->patience = h->patience < HABIT_PATIENCE ? h->patience * 2 : HABIT_PATIENCE;
		h->told = now;
		h->silent = 0;
	} else if (h->silent >= h->patience && h->patience > 1) {
		h->patience /= 2;
		h->silent = 0;
	}
	return h->bare;
}

static bool next_after_full(struct habit *h, uint64_t now, bool followed)
{
	if (followed || !h->told) {
		h->told = now;
		h->silent = 0;
		return false;
	}
	/* Only if the kernel would have had to ask. */
	h->silent += h->listed >= h->told + HABIT_WAIT;
	if (h->silent >= h->patience) {
		h->bare = true;
		h->silent = 0;
	}
	return h->bare;
}

bool habit_next(struct habit *h, uint64_t now, uint32_t asked)
{
	bool followed = asked && (uint64_t)asked * HABIT_SAMPLE * HABIT_FEW >= h->entries;
	bool bare = h->bare ? next_after_bare(h, now, followed) : next_after_full(h, now, followed);

	h->begun = now;
	h->listed = 0;
	return bare;
}

void habit_listed(struct habit *h)
{
	h->listed = h->begun;
}

bool habit_samples(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return (hash ^ hash >> 16) % HABIT_SAMPLE == 0;
}
