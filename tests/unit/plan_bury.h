/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a plan's owner does with the folders that nobody wants any more. */
#pragma once

#include "prefetch/plan.h"

static inline void let_go(struct folder *f)
{
	if (f && folder_unref(f))
		folder_free(f);
}

static inline void plan_bury(struct plan *p)
{
	struct folder *dead = plan_dead(p);

	while (dead) {
		struct folder *next = dead->next;

		let_go(dead);
		dead = next;
	}
}
