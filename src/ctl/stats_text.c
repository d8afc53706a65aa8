/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/stats.h"
#include "policy.h"
#include "stats/counters.h"
#include "stats/opname.h"

static void print_requests(const struct stats_snapshot *s)
{
	printf("\n%-20s %12s %8s %10s %10s %10s %10s\n", "request", "count", "errors", "p50", "p90",
	       "p99", "max");
	for (unsigned i = 0; i < STATS_OPS; i++) {
		const struct stats_op *op = &s->op[i];

		/* The µ takes two bytes of the field's width in some, so the unit is fixed. */
		if (op->count)
			printf("%-20s %12" PRIu64 " %8" PRIu64
			       " %7.1f us %7.1f us %7.1f us %7.1f us\n",
			       opname(i), op->count, op->failed, op->p50_ns / 1e3, op->p90_ns / 1e3,
			       op->p99_ns / 1e3, op->max_ns / 1e3);
	}
}

static void print_group(const struct stats_snapshot *s, const struct stats_group *g)
{
	const char *before = "\n";

	for (unsigned i = 0; i < g->count; i++) {
		uint64_t value = g->counter[i].name ? stats_value(s, g, i) : 0;
		char text[32];

		if (!value)
			continue;
		if (g->unit == STATS_UNIT_BYTES)
			snprintf(text, sizeof(text), "%s", policy_bytes(value).text);
		else if (g->unit == STATS_UNIT_NS)
			snprintf(text, sizeof(text), "%.3f s", (double)value / 1e9);
		else
			snprintf(text, sizeof(text), "%" PRIu64, value);
		printf("%s%-20s %12s  %s\n", before, g->counter[i].name, text,
		       g->counter[i].meaning);
		before = "";
	}
}

static void print_errors(const struct stats_snapshot *s)
{
	const char *before = "\n";

	for (int i = 0; i < STATS_ERRNOS; i++) {
		const char *name = strerrorname_np(i);

		if (!s->errors[i])
			continue;
		printf("%s%-20s %12" PRIu64 "  %s\n", before, i && name ? name : "other errors",
		       s->errors[i], i ? strerror(i) : "");
		before = "";
	}
}

void stats_print_text(const struct ctl_mount *m)
{
	const struct stats_snapshot *s = &m->stats;
	struct stats_guesses g = stats_guesses(s);

	printf("%s, of %s, up %.0f s\n", m->shown, m->source, (double)s->uptime_ns / 1e9);
	print_requests(s);
	for (unsigned i = 0; i < STATS_GROUPS; i++)
		print_group(s, &stats_groups[i]);
	print_errors(s);
	if (stats_hit_rate(&g) >= 0)
		printf("\n%-20s %10.0f %%  of the guesses whose outcome is known\n", "hit rate",
		       100 * stats_hit_rate(&g));
	if (stats_not_waited(s) > 0)
		printf("%-20s %10.3f s  about; the formula is in overdrivectl stats --help\n",
		       "not waited", stats_not_waited(s) / 1e9);
}
