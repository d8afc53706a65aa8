/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/wake.h"

#include <string.h>

#define SCORE_MAX    8u
#define SCORE_PAYS   2u
#define MISSES_MAX   4u
#define MISSES_PAUSE 5000000ull /* ns */
/* A look after a longer time says nothing about now. */
#define LOOK_STALE (4 * WAKE_BACK_OFF)

void wake_init(struct wake *w, enum option_wake mode, unsigned cpus)
{
	memset(w, 0, sizeof(*w));
	if (cpus < 2 || mode == OPTION_WAKE_SLEEP)
		return;
	w->spin = mode == OPTION_WAKE_SPIN ? WAKE_SPIN_LONG : WAKE_SPIN_AUTO;
}

static bool would_spin(const struct wake *w, uint64_t now)
{
	return w->spin && w->score >= SCORE_PAYS && now >= w->paused_until;
}

bool wake_wants_times(const struct wake *w, const struct wake_look *look, uint64_t now)
{
	return would_spin(w, now) && now - look->at >= WAKE_LOOK_EVERY;
}

void wake_times(struct wake *w, struct wake_look *look, uint64_t now, bool known, uint64_t delayed)
{
	uint64_t elapsed = now - look->at;

	if (!known || (look->at && elapsed < LOOK_STALE && delayed > look->delayed &&
		       (delayed - look->delayed) * 100 > elapsed * WAKE_DELAY_PERCENT))
		w->paused_until = now + WAKE_BACK_OFF;
	*look = (struct wake_look){ .at = now, .delayed = delayed };
}

uint64_t wake_budget(const struct wake *w, uint64_t now)
{
	return would_spin(w, now) ? w->spin : 0;
}

static bool count_burst(struct wake *w, uint64_t gap)
{
	if (gap >= WAKE_BURST_GAP)
		w->close = 0;
	if (w->close < WAKE_BURST_REQUESTS)
		w->close++;
	return w->close == WAKE_BURST_REQUESTS;
}

bool wake_arrived(struct wake *w, enum wake_came came, uint64_t now, uint64_t gap)
{
	bool pays = came == WAKE_CAUGHT || (came == WAKE_SLEPT && gap < w->spin + WAKE_SLEEP_COST);

	if (pays && w->score < SCORE_MAX)
		w->score++;
	if (!pays)
		w->score /= 2;
	w->missed = came == WAKE_MISSED ? w->missed + 1 : came == WAKE_CAUGHT ? 0 : w->missed;
	/* Requests that come just too late look promising while we sleep: not every time. */
	if (w->missed >= MISSES_MAX) {
		w->missed = 0;
		w->paused_until = now + MISSES_PAUSE;
	}
	return count_burst(w, gap);
}
