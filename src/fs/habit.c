/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/habit.h"

void habit_init(struct habit *h, uint32_t entries)
{
	*h = (struct habit){.entries = entries, .patience = 1};
}

static bool next_after_bare(struct habit *h, uint64_t now, bool followed)
{
	h->silent++;
	if (followed) {
		/* Each entry had to be asked for: not so soon again. */
		h->bare = false;
		h->patience = h->patience < HABIT_PATIENCE ? h->patience * 2 : HABIT_PATIENCE;
		h->silent_since = now;
		h->silent = 0;
	} else if (h->silent >= h->patience && h->patience > 1) {
		h->patience /= 2;
		h->silent = 0;
	}
	return h->bare;
}

bool habit_next(struct habit *h, uint64_t now, uint32_t asked)
{
	bool followed = asked && (uint64_t)asked * HABIT_SAMPLE * HABIT_FEW >= h->entries;

	if (h->bare)
		return next_after_bare(h, now, followed);
	if (followed || !h->silent_since) {
		h->silent_since = now;
		h->silent = 0;
		return false;
	}
	h->silent++;
	if (h->silent >= h->patience && now - h->silent_since >= HABIT_WAIT) {
		h->bare = true;
		h->silent = 0;
	}
	return h->bare;
}

bool habit_samples(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return (hash ^ hash >> 16) % HABIT_SAMPLE == 0;
}
