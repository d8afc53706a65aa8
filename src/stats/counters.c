/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats/counters.h"

#define NAMED(constant, name, meaning) [STATS_##constant] = { name, meaning },

static const struct stats_counter bytes[STATS_BYTES] = { STATS_BYTES_TABLE(NAMED) };
static const struct stats_counter events[STATS_EVENTS] = { STATS_EVENTS_TABLE(NAMED) };
static const struct stats_counter times[STATS_TIMES] = { STATS_TIMES_TABLE(NAMED) };
static const struct stats_counter gauges[STATS_GAUGES] = { STATS_GAUGES_TABLE(NAMED) };

const struct stats_group stats_groups[STATS_GROUPS] = {
	{ "gauges", STATS_UNIT_GAUGE, gauges, STATS_GAUGES,
	  offsetof(struct stats_snapshot, gauges) },
	{ "bytes", STATS_UNIT_BYTES, bytes, STATS_BYTES, offsetof(struct stats_snapshot, bytes) },
	{ "events", STATS_UNIT_TIMES, events, STATS_EVENTS,
	  offsetof(struct stats_snapshot, events) },
	{ "times_ns", STATS_UNIT_NS, times, STATS_TIMES, offsetof(struct stats_snapshot, times) },
};

/* What the kernel reads at a time by itself, unless its readahead is set otherwise. */
#define KERNEL_READAHEAD (128u << 10)

struct stats_guesses stats_guesses(const struct stats_snapshot *s)
{
	return (struct stats_guesses){
		.used = s->events[STATS_STREAM_USED] + s->events[STATS_GUESSES_USED],
		.late = s->events[STATS_STREAM_LATE] + s->events[STATS_GUESSES_LATE],
		.wasted = s->events[STATS_STREAM_WASTED] + s->events[STATS_GUESSES_WASTED],
	};
}

double stats_hit_rate(const struct stats_guesses *g)
{
	double all = (double)g->used + (double)g->late + (double)g->wasted;

	return all > 0 ? (double)g->used / all : -1;
}

double stats_not_waited(const struct stats_snapshot *s)
{
	const struct stats_guesses stream = {
		.used = s->events[STATS_STREAM_USED],
		.late = s->events[STATS_STREAM_LATE],
		.wasted = s->events[STATS_STREAM_WASTED],
	};
	double latency = (double)s->gauges[STATS_LATENCY], share = stats_hit_rate(&stream);
	double waits = (double)s->events[STATS_GUESSES_USED];

	if (latency <= 0 && s->events[STATS_HANDED_OVER])
		latency = (double)s->times[STATS_WAITED] / (double)s->events[STATS_HANDED_OVER];
	if (latency <= 0)
		return -1;
	if (share > 0)
		waits += (double)s->bytes[STATS_FETCHED] * share / KERNEL_READAHEAD;
	return latency * waits;
}
