/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/stats.h"
#include "stats/counters.h"
#include "stats/opname.h"

static void print_group(const struct stats_snapshot *s, const struct stats_group *g)
{
	const char *comma = "";

	for (unsigned i = 0; i < g->count; i++) {
		if (!g->counter[i].name)
			continue;
		printf("%s\"%s\":%" PRIu64, comma, g->counter[i].name, stats_value(s, g, i));
		comma = ",";
	}
}

static void print_requests(const struct stats_snapshot *s)
{
	const char *comma = "";

	printf("\"requests\":{");
	for (unsigned i = 0; i < STATS_OPS; i++) {
		const struct stats_op *op = &s->op[i];

		if (!op->count)
			continue;
		printf("%s\"%s\":{\"count\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"p50_us\":%.3f,"
		       "\"p90_us\":%.3f,\"p99_us\":%.3f,\"max_us\":%.3f,\"total_us\":%.3f}",
		       comma, opname(i), op->count, op->failed, op->p50_ns / 1e3, op->p90_ns / 1e3,
		       op->p99_ns / 1e3, op->max_ns / 1e3, (double)op->total_ns / 1e3);
		comma = ",";
	}
	printf("}");
}

static void print_errors(const struct stats_snapshot *s)
{
	const char *comma = "";

	printf("\"errors\":{");
	for (int i = 0; i < STATS_ERRNOS; i++) {
		const char *name = strerrorname_np(i);

		if (!s->errors[i])
			continue;
		printf("%s\"%s\":%" PRIu64, comma, i && name ? name : "other", s->errors[i]);
		comma = ",";
	}
	printf("}");
}

/* Less than 0: there is no such number. */
static void print_estimate(const char *name, double value)
{
	if (value < 0)
		printf(",\"%s\":null", name);
	else
		printf(",\"%s\":%.6f", name, value);
}

void stats_print_json(const struct ctl_mount *m)
{
	const struct stats_snapshot *s = &m->stats;
	struct stats_guesses guesses = stats_guesses(s);

	printf("{\"mount\":");
	json_text(m->shown);
	printf(",\"source\":");
	json_text(m->source);
	printf(",\"uptime_s\":%.3f,", (double)s->uptime_ns / 1e9);
	print_requests(s);
	for (unsigned i = 0; i < STATS_GROUPS; i++) {
		bool gauges = stats_groups[i].unit == STATS_UNIT_GAUGE;

		/* The gauges stand beside the groups. */
		if (gauges)
			printf(",");
		else
			printf(",\"%s\":{", stats_groups[i].title);
		print_group(s, &stats_groups[i]);
		printf(gauges ? "" : "}");
	}
	printf(",");
	print_errors(s);
	printf(",\"guesses\":{\"used\":%" PRIu64 ",\"late\":%" PRIu64 ",\"wasted\":%" PRIu64 "}",
	       guesses.used, guesses.late, guesses.wasted);
	print_estimate("hit_rate", stats_hit_rate(&guesses));
	print_estimate("not_waited_s", stats_not_waited(s) / 1e9);
	printf("}");
}
