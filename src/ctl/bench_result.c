/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/bench.h"

#include <stdio.h>
#include <string.h>

const char *const bench_row_names[BENCH_ROWS] = { "list", "tree", "stream" };
const char *const bench_row_meanings[BENCH_ROWS] = {
	"all names and attributes (find -size)",
	"all files read (tar, grep -r)",
	"the largest file read in order (dd)",
};

/* Less than this is noise. */
#define MATTERS 1.1
/* Below this the mount is slower. */
#define LEVEL 0.9

double bench_median(const struct bench_cell *c)
{
	double sorted[BENCH_ROUNDS];

	if (!c->count)
		return -1;
	for (unsigned i = 0; i < c->count; i++) {
		unsigned at = i;

		for (; at && sorted[at - 1] > c->seconds[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = c->seconds[i];
	}
	return (sorted[(c->count - 1) / 2] + sorted[c->count / 2]) / 2;
}

double bench_spread(const struct bench_cell *c)
{
	double least = c->seconds[0], most = c->seconds[0];

	if (!c->count)
		return -1;
	for (unsigned i = 1; i < c->count; i++) {
		least = c->seconds[i] < least ? c->seconds[i] : least;
		most = c->seconds[i] > most ? c->seconds[i] : most;
	}
	return most - least;
}

double bench_gain(const struct bench_result *r, enum bench_row row, enum bench_state state)
{
	double native = bench_median(&r->cell[row][state][BENCH_NATIVE]);
	double mounted = bench_median(&r->cell[row][state][BENCH_MOUNTED]);

	return native > 0 && mounted > 0 ? native / mounted : -1;
}

static double difference(const struct bench_result *r, enum bench_state state)
{
	return bench_median(&r->cell[BENCH_TREE][state][BENCH_MOUNTED]) -
	       bench_median(&r->cell[BENCH_TREE][state][BENCH_NATIVE]);
}

double bench_break_even(const struct bench_result *r)
{
	double saved = -difference(r, BENCH_COLD), cost = difference(r, BENCH_HOT);

	if (bench_gain(r, BENCH_TREE, BENCH_COLD) < 0 || bench_gain(r, BENCH_TREE, BENCH_HOT) < 0)
		return -1;
	if (cost <= 0)
		return saved >= 0 ? 0 : 2;
	return saved > 0 ? cost / (cost + saved) : 2;
}

struct bench_verdict bench_verdict(const struct bench_result *r)
{
	struct bench_verdict v = { false, "" };
	double tree = bench_gain(r, BENCH_TREE, BENCH_COLD);
	double stream = bench_gain(r, BENCH_STREAM, BENCH_COLD);
	double best = tree > stream ? tree : stream, even = bench_break_even(r);

	if (!r->cold) {
		snprintf(v.text, sizeof(v.text),
			 "no verdict: what a mount gains, it gains cold, and "
			 "only hot was measured");
	} else if (best < MATTERS) {
		snprintf(v.text, sizeof(v.text),
			 "gains nothing here, because cold reads are %s without it: this disk "
			 "answers soon enough",
			 best < LEVEL ? "faster" : "as fast");
	} else if (stream >= MATTERS && tree < MATTERS) {
		v.mount = true;
		snprintf(v.text, sizeof(v.text),
			 "mount this for its large files: read cold %.1f times as fast; small ones "
			 "gain nothing",
			 stream);
	} else if (r->cold_share >= 0 && r->cold_share <= even) {
		snprintf(
			v.text, sizeof(v.text),
			"gains nothing here, because too much is in memory already: it pays when more "
			"than %.0f %% of opens are cold; yours: %.0f %%",
			100 * even, 100 * r->cold_share);
	} else {
		v.mount = true;
		snprintf(v.text, sizeof(v.text), "mount this: cold work is %.1f times as fast",
			 best);
	}
	return v;
}
