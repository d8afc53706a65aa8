/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prometheus' text exposition format: base units, all values of a name together. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/stats.h"
#include "stats/counters.h"
#include "stats/opname.h"
#include "stats/stats.h"

static void head(const char *name, const char *type, const char *help)
{
	printf("# HELP overdrive_%s %s\n# TYPE overdrive_%s %s\n", name, help, name, type);
}

/* overdrive_NAME{mount="…" and what else the caller prints before the brace that closes. */
static void begin(const struct ctl_mount *m, const char *name)
{
	printf("overdrive_%s{mount=\"", name);
	for (const char *c = m->shown; *c; c++)
		printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	putchar('"');
}

#define EACH(m, all)                                                                         \
	for (const struct ctl_mount *m = (all)->mount; m < (all)->mount + (all)->count; m++) \
		if (m->answered)

static void print_counter(const struct ctl_mounts *all, const struct stats_group *g, unsigned i)
{
	const char *name = g->counter[i].name, *suffix = "_total";
	size_t length = strlen(name);
	bool ns = g->unit == STATS_UNIT_NS;
	char full[96];

	if (g->unit == STATS_UNIT_BYTES) {
		suffix = "_bytes_total";
	} else if (ns) {
		suffix = "_seconds_total";
	} else if (g->unit == STATS_UNIT_GAUGE) {
		suffix = "";
		ns = length > 3 && strcmp(name + length - 3, "_ns") == 0;
		if (ns) {
			length -= 3;
			suffix = "_seconds";
		}
	}
	snprintf(full, sizeof(full), "%.*s%s", (int)length, name, suffix);
	head(full, g->unit == STATS_UNIT_GAUGE ? "gauge" : "counter", g->counter[i].meaning);
	EACH(m, all)
	{
		uint64_t value = stats_value(&m->stats, g, i);

		begin(m, full);
		if (ns)
			printf("} %.9f\n", (double)value / 1e9);
		else
			printf("} %" PRIu64 "\n", value);
	}
}

static void print_op(const struct ctl_mount *m, unsigned i)
{
	const struct stats_op *op = &m->stats.op[i];
	const struct {
		const char *quantile;
		uint32_t ns;
	} rows[] = { { "0.5", op->p50_ns },
		     { "0.9", op->p90_ns },
		     { "0.99", op->p99_ns },
		     { "1", op->max_ns } };

	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		begin(m, "request_seconds");
		printf(",op=\"%s\",quantile=\"%s\"} %.9f\n", opname(i), rows[r].quantile,
		       rows[r].ns / 1e9);
	}
	begin(m, "request_seconds_sum");
	printf(",op=\"%s\"} %.9f\n", opname(i), (double)op->total_ns / 1e9);
	begin(m, "request_seconds_count");
	printf(",op=\"%s\"} %" PRIu64 "\n", opname(i), op->count);
}

static void print_requests(const struct ctl_mounts *all)
{
	head("request_seconds", "summary", "requests from the kernel: how long the daemon took");
	EACH(m, all)
	for (unsigned i = 0; i < STATS_OPS; i++)
		if (m->stats.op[i].count)
			print_op(m, i);
	head("request_errors_total", "counter", "of those, answered by an error");
	EACH(m, all)
	for (unsigned i = 0; i < STATS_OPS; i++)
		if (m->stats.op[i].count) {
			begin(m, "request_errors_total");
			printf(",op=\"%s\"} %" PRIu64 "\n", opname(i), m->stats.op[i].failed);
		}
	head("errors_total", "counter", "requests answered by an error, by its name");
	EACH(m, all)
	for (int i = 0; i < STATS_ERRNOS; i++)
		if (m->stats.errors[i]) {
			const char *name = strerrorname_np(i);

			begin(m, "errors_total");
			printf(",errno=\"%s\"} %" PRIu64 "\n", i && name ? name : "other",
			       m->stats.errors[i]);
		}
}

/* One bucket for each power of two is enough here. */
static void print_latency(const struct ctl_mounts *all)
{
	head("latency_of_requests_seconds", "histogram", "requests that a program waits for");
	EACH(m, all)
	{
		const struct stats_snapshot *s = &m->stats;
		uint64_t count = 0, ns = 0;

		for (unsigned i = 0; i < STATS_BUCKETS; i++) {
			count += s->latency[i];
			if (i % 4 != 3)
				continue;
			begin(m, "latency_of_requests_seconds_bucket");
			printf(",le=\"%.9g\"} %" PRIu64 "\n", (double)stats_bucket_edge(i) / 1e9,
			       count);
		}
		for (unsigned i = 0; i < STATS_OPS; i++)
			ns += stats_is_waited_for(i) ? s->op[i].total_ns : 0;
		begin(m, "latency_of_requests_seconds_bucket");
		printf(",le=\"+Inf\"} %" PRIu64 "\n", count);
		begin(m, "latency_of_requests_seconds_sum");
		printf("} %.9f\n", (double)ns / 1e9);
		begin(m, "latency_of_requests_seconds_count");
		printf("} %" PRIu64 "\n", count);
	}
}

static void print_estimates(const struct ctl_mounts *all)
{
	head("uptime_seconds", "gauge", "since the mount was made");
	EACH(m, all)
	{
		begin(m, "uptime_seconds");
		printf("} %.3f\n", (double)m->stats.uptime_ns / 1e9);
	}
	head("not_waited_seconds", "gauge", "about how long programs did not wait for the disk");
	EACH(m, all)
	{
		double ns = stats_not_waited(&m->stats);

		begin(m, "not_waited_seconds");
		printf("} %.6f\n", ns > 0 ? ns / 1e9 : 0);
	}
}

void stats_print_prometheus(const struct ctl_mounts *all)
{
	print_requests(all);
	print_latency(all);
	for (unsigned g = 0; g < STATS_GROUPS; g++)
		for (unsigned i = 0; i < stats_groups[g].count; i++)
			if (stats_groups[g].counter[i].name)
				print_counter(all, &stats_groups[g], i);
	print_estimates(all);
}
