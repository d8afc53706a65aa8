/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/top.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "stats/counters.h"
#include "stats/opname.h"
#include "stats/stats.h"

struct frame {
	const struct top_view *v;
	FILE *out;
	unsigned rows; /* written */
	double seconds;
};

enum style { PLAIN, BOLD, REVERSE };

/* The bytes of text that fit into so many columns; each character is taken to be one wide. */
static int fitting(const char *text, unsigned columns)
{
	int n = 0;

	for (unsigned used = 0; text[n]; n++)
		if (((unsigned char)text[n] & 0xc0) != 0x80 && used++ == columns)
			break;
	return n;
}

static void line(struct frame *f, enum style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void line(struct frame *f, enum style style, const char *format, ...)
{
	static const char *const begin[] = { "", "\033[1m", "\033[7m" };
	bool styled = style != PLAIN && f->v->colour;
	char text[1024];
	va_list ap;

	if (f->rows == f->v->rows)
		return;
	f->rows++;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fprintf(f->out, "%s%.*s%s\n", styled ? begin[style] : "", fitting(text, f->v->columns),
		text, styled ? "\033[0m" : "");
}

static double rate(const struct frame *f, uint64_t before, uint64_t now)
{
	return now > before ? (double)(now - before) / f->seconds : 0;
}

static double event_rate(const struct frame *f, unsigned event)
{
	return rate(f, f->v->before->events[event], f->v->now->events[event]);
}

/* "12.3 MB/s", 10 columns wide. */
static struct policy_text byte_rate(const struct frame *f, unsigned which)
{
	return policy_rate((uint64_t)rate(f, f->v->before->bytes[which], f->v->now->bytes[which]));
}

static void latency_between(const struct stats_snapshot *before, const struct stats_snapshot *now,
			    uint64_t histogram[STATS_BUCKETS])
{
	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		histogram[i] = now->latency[i] > before->latency[i]
				       ? now->latency[i] - before->latency[i]
				       : 0;
}

void top_remember(struct top_history *h, const struct stats_snapshot *before,
		  const struct stats_snapshot *now)
{
	uint64_t histogram[STATS_BUCKETS];

	latency_between(before, now, histogram);
	if (h->count == TOP_HISTORY)
		memmove(h->p50_ns, h->p50_ns + 1, sizeof(h->p50_ns) - sizeof(h->p50_ns[0]));
	else
		h->count++;
	h->p50_ns[h->count - 1] = stats_percentile(histogram, 50);
}

static void requests(struct frame *f)
{
	uint64_t histogram[STATS_BUCKETS], count = 0, before = 0, failed = 0, failed_before = 0;

	for (unsigned i = 0; i < STATS_OPS; i++) {
		count += f->v->now->op[i].count;
		before += f->v->before->op[i].count;
		failed += f->v->now->op[i].failed;
		failed_before += f->v->before->op[i].failed;
	}
	latency_between(f->v->before, f->v->now, histogram);
	line(f, PLAIN, "requests %10.0f/s   errors %8.0f/s   p50 %8.1f us   p99 %8.1f us",
	     rate(f, before, count), rate(f, failed_before, failed),
	     (double)stats_percentile(histogram, 50) / 1e3,
	     (double)stats_percentile(histogram, 99) / 1e3);
}

/* Heights grow with the logarithm: a step is a doubling, from 2 us on. */
static void sparkline(struct frame *f)
{
	static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const ascii[] = { ".", ":", "-", "=", "+", "*", "#", "@" };
	const struct top_history *h = f->v->history;
	char text[4 * TOP_HISTORY + 1] = "";
	uint64_t largest = 0;

	for (unsigned i = 0; i < h->count; i++) {
		uint64_t ns = h->p50_ns[i];
		unsigned height = 0;

		while (height < 7 && ns >> (height + 12))
			height++;
		strcat(text, !ns ? " " : f->v->utf8 ? blocks[height] : ascii[height]);
		if (ns > largest)
			largest = ns;
	}
	line(f, PLAIN, "p50 over time, up to %.1f us", (double)largest / 1e3);
	line(f, PLAIN, "  %s", text);
}

static void ways(struct frame *f)
{
	line(f, BOLD, "%-22s %10s %14s %14s", "way of the data", "opens/s", "read", "written");
	line(f, PLAIN, "%-22s %10.0f %14s %14s", "kernel (passthrough)",
	     event_rate(f, STATS_OPEN_KERNEL), "not seen", "not seen");
	line(f, PLAIN, "%-22s %10.0f %14s %14s", "FUSE's page cache",
	     event_rate(f, STATS_OPEN_CACHED), byte_rate(f, STATS_READ_CACHED).text,
	     byte_rate(f, STATS_WRITE_CACHED).text);
	line(f, PLAIN, "%-22s %10.0f %14s %14s", "io_uring, Direct IO",
	     event_rate(f, STATS_OPEN_DIRECT), byte_rate(f, STATS_READ_RING).text,
	     byte_rate(f, STATS_WRITE_RING).text);
	line(f, PLAIN, "%-22s %10s %14s %14s", "threads, Direct IO", "",
	     byte_rate(f, STATS_READ_DIRECT).text, byte_rate(f, STATS_WRITE_DIRECT).text);
	line(f, PLAIN, "%-22s %10s %14s %14s", "SOURCE's page cache", "",
	     byte_rate(f, STATS_READ_BUFFERED).text, byte_rate(f, STATS_WRITE_BUFFERED).text);
}

static void ahead(struct frame *f)
{
	struct stats_guesses g = stats_guesses(f->v->now);
	double hits = stats_hit_rate(&g), not_waited = stats_not_waited(f->v->now);
	char text[32] = "none yet";

	if (hits >= 0)
		snprintf(text, sizeof(text), "%.0f %%", 100 * hits);
	line(f, BOLD, "ahead of programs");
	line(f, PLAIN, "within files %s   in trees %s   hit rate %s",
	     byte_rate(f, STATS_FETCHED).text, byte_rate(f, STATS_TREE_FETCHED).text, text);
	line(f, PLAIN,
	     "used %" PRIu64 "   late %" PRIu64 "   wasted %" PRIu64 "   not waited, about %.1f s",
	     g.used, g.late, g.wasted, not_waited > 0 ? not_waited / 1e9 : 0);
}

/* The most frequent of this interval, then of all time. */
static void table(struct frame *f)
{
	bool shown[STATS_OPS] = { false };
	unsigned last = f->v->rows - (f->v->live ? 1 : 0);

	line(f, BOLD, "%-20s %10s %14s %14s", "request", "per s", "mean", "in all");
	while (f->rows < last) {
		int best = -1;
		const struct stats_op *now = f->v->now->op, *before = f->v->before->op;

		for (int i = 0; i < STATS_OPS; i++) {
			uint64_t d = now[i].count - before[i].count;
			uint64_t most = best < 0 ? 0 : now[best].count - before[best].count;

			if (!shown[i] && now[i].count &&
			    (best < 0 || d > most || (d == most && now[i].count > now[best].count)))
				best = i;
		}
		if (best < 0)
			return;
		shown[best] = true;
		now += best;
		before += best;
		line(f, PLAIN, "%-20s %10.0f %11.1f us %14" PRIu64, opname((unsigned)best),
		     rate(f, before->count, now->count),
		     now->count > before->count ? (double)(now->total_ns - before->total_ns) / 1e3 /
							  (double)(now->count - before->count)
						: 0,
		     now->count);
	}
}

char *top_frame(const struct top_view *v)
{
	uint64_t ns = v->now->uptime_ns - v->before->uptime_ns;
	char *text = NULL;
	size_t size = 0;
	struct frame f = { .v = v, .out = open_memstream(&text, &size) };

	if (!f.out)
		return NULL;
	f.seconds = ns ? (double)ns / 1e9 : 1;
	line(&f, REVERSE,
	     "overdrive  %s, of %s   up %.0f s   nodes %" PRIu64 "   descriptors %" PRIu64,
	     v->mount, v->source, (double)v->now->uptime_ns / 1e9, v->now->gauges[STATS_NODES],
	     v->now->gauges[STATS_FDS]);
	requests(&f);
	sparkline(&f);
	ways(&f);
	ahead(&f);
	table(&f);
	while (v->live && f.rows + 1 < v->rows)
		line(&f, PLAIN, "%s", "");
	if (v->live)
		line(&f, PLAIN, "q quit   n next mount");
	if (fclose(f.out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
