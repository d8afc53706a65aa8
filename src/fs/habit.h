/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a big directory's listings are for. `find -size` and `ls -l` ask for the attributes of each
 * entry after it: they want them with the listing, which keeps them from asking one by one. `ls`,
 * `find -name` and a program that looks for new files don't: they want it bare, so that the kernel
 * can keep it (a listing that it keeps brings no attributes).
 *
 * Attributes that came with a listing are used without our knowing. So one entry in HABIT_SAMPLE
 * always goes bare, chosen by its name: if attributes are wanted, the kernel has to ask for those.
 *
 * Pure: times come in, decisions go out. Guarded by its owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HABIT_BIG    256u /* entries: what is smaller always comes with attributes */
#define HABIT_SAMPLE 64u
/* Part of the sample that must be asked for. A look-up costs about three times what an entry's
 * attributes cost in a listing, so a quarter would do; it is easier to see a bit less. */
#define HABIT_FEW 8u
/* ns: what the kernel was told earlier (1 s) must have expired before a listing, or silence after it
 * says nothing. */
#define HABIT_WAIT     1250000000ull
#define HABIT_PATIENCE 64u

struct habit {
	uint64_t
		told; /* the kernel may have been told of the sample until then; 0: not yet listed */
	uint64_t begun;	   /* the last listing */
	uint64_t listed;   /* the same once it was read to its end; else 0 */
	uint32_t entries;  /* at least */
	uint32_t silent;   /* listings that nobody asked anything after, or bare ones in a row */
	uint32_t patience; /* of them before the next is bare */
	bool bare;
};

void habit_init(struct habit *habit, uint32_t entries);
/* Before a listing: asked = entries of the sample that were looked up since the one before. True:
 * nobody wants attributes. */
bool habit_next(struct habit *habit, uint64_t now, uint32_t asked);
/* The listing has come to its end: what is asked from here on is asked after it. */
void habit_listed(struct habit *habit);
/* Whether this name is of the sample. */
bool habit_samples(const char *name);
