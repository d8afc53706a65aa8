/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What overdrivectl top shows. Pure: snapshots in, text out. */
#pragma once

#include <stdbool.h>

#include "stats/abi.h"

#define TOP_HISTORY 64

struct top_history {
	uint64_t p50_ns[TOP_HISTORY]; /* of each interval, the latest last; 0: no request */
	unsigned count;
};

struct top_view {
	const char *mount, *source;
	const struct stats_snapshot *before, *now;
	const struct top_history *history;
	unsigned rows, columns;
	bool utf8, colour, live; /* live: say which keys there are */
};

void top_remember(struct top_history *history, const struct stats_snapshot *before,
		  const struct stats_snapshot *now);
/* The frame, at most rows lines of at most columns columns; the caller frees. NULL without memory. */
char *top_frame(const struct top_view *view);
