/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report: one file, nothing loaded from elsewhere, charts drawn as SVG. */
#include "ctl/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "policy.h"

static const char head[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	"<title>overdrive: what it gains here</title>\n<style>\n"
	":root { color-scheme: light dark; --back: #fff; --text: #1c2024; --soft: #60666d;\n"
	"  --line: #d9dde1; --native: #8b929a; --mounted: #0b7a75; --box: #f4f6f8; }\n"
	"@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e7eaed;\n"
	"  --soft: #a0a7ae; --line: #343a40; --native: #7d858d; --mounted: #3cc4bb; --box: #1d2125; } }\n"
	"* { box-sizing: border-box; }\n"
	"body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 46rem; background: var(--back);\n"
	"  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }\n"
	"h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; }\n"
	"h2 { font-size: 1.05rem; margin: 2rem 0 .3rem; }\n"
	"p { margin: .3rem 0; } .soft { color: var(--soft); }\n"
	".verdict { background: var(--box); border-left: 4px solid var(--mounted);\n"
	"  padding: .8rem 1rem; margin: 1.2rem 0; font-size: 1.1rem; }\n"
	".verdict.no { border-color: var(--native); } .verdict::first-letter { text-transform: uppercase; }\n"
	"svg { display: block; width: 100%; max-width: 30rem; height: auto; }\n"
	"svg text { fill: var(--text); font: 13px system-ui, sans-serif; }\n"
	"svg .soft { fill: var(--soft); } .native { fill: var(--native); }\n"
	".mounted { fill: var(--mounted); } .track { fill: var(--line); }\n"
	".spread { stroke: var(--text); stroke-width: 1.5; }\n"
	"div.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }\n"
	"td .soft { display: block; font-size: .8em; line-height: 1.2; }\n"
	"th, td { text-align: right; padding: .3rem .4rem; border-bottom: 1px solid var(--line);\n"
	"  font-variant-numeric: tabular-nums; white-space: nowrap; }\n"
	"th:first-child, td:first-child { text-align: left; }\n"
	"@media (max-width: 30rem) { table { font-size: .8rem; } th, td { padding: .3rem .2rem; } }\n"
	"</style>\n</head>\n<body>\n";

static void escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else
			fputc(*text, out);
	}
}

static const char *const state_names[BENCH_STATES] = { "cold", "hot" };
static const char *const side_names[BENCH_SIDES] = { "native", "mounted" };

/* Bars are 200 of 360 units long, so that the text stays readable on a telephone. */
#define BAR_LEFT   70
#define BAR_LENGTH 200

static void bar(FILE *out, const struct bench_cell *c, unsigned side, unsigned y, double longest)
{
	double median = bench_median(c), half = bench_spread(c) / 2;
	double to = BAR_LEFT + median / longest * BAR_LENGTH;
	double low = BAR_LEFT + (median > half ? median - half : 0) / longest * BAR_LENGTH;
	double high = BAR_LEFT + (median + half) / longest * BAR_LENGTH;

	fprintf(out, "<text x=\"0\" y=\"%u\" class=\"soft\">%s</text>\n", y + 14, side_names[side]);
	fprintf(out,
		"<rect x=\"%d\" y=\"%u\" width=\"%.1f\" height=\"18\" rx=\"2\" class=\"%s\"/>\n",
		BAR_LEFT, y, to - BAR_LEFT > 1 ? to - BAR_LEFT : 1, side_names[side]);
	fprintf(out, "<line x1=\"%.1f\" y1=\"%u\" x2=\"%.1f\" y2=\"%u\" class=\"spread\"/>\n", low,
		y + 9, high, y + 9);
	fprintf(out, "<text x=\"%.1f\" y=\"%u\">%s</text>\n", (high > to ? high : to) + 6, y + 14,
		policy_time((uint64_t)(median * 1e9)).text);
}

static void chart(FILE *out, const struct bench_result *r, enum bench_row row)
{
	double longest = 0;
	unsigned y = 0, states = 0;

	for (unsigned state = 0; state < BENCH_STATES; state++) {
		const struct bench_cell *c = r->cell[row][state];

		states += c->count ? 1 : 0;
		for (unsigned side = 0; side < BENCH_SIDES; side++) {
			double end = bench_median(&c[side]) + bench_spread(&c[side]) / 2;

			longest = end > longest ? end : longest;
		}
	}
	if (!states || longest <= 0)
		return;
	fprintf(out, "<h2>%s</h2>\n<p class=\"soft\">%s</p>\n", bench_row_names[row],
		bench_row_meanings[row]);
	fprintf(out, "<svg viewBox=\"0 0 360 %u\" role=\"img\" aria-label=\"%s: times\">\n",
		states * 72, bench_row_names[row]);
	for (unsigned state = 0; state < BENCH_STATES; state++) {
		const struct bench_cell *c = r->cell[row][state];

		if (!c->count)
			continue;
		fprintf(out, "<text x=\"%d\" y=\"%u\">%s: %.2f × as fast</text>\n", BAR_LEFT,
			y + 16, state_names[state], bench_gain(r, row, state));
		bar(out, &c[BENCH_NATIVE], BENCH_NATIVE, y + 22, longest);
		bar(out, &c[BENCH_MOUNTED], BENCH_MOUNTED, y + 44, longest);
		y += 72;
	}
	fprintf(out, "</svg>\n");
}

/* Where the break-even lies, and where this directory was. */
static void break_even(FILE *out, const struct bench_result *r)
{
	double even = bench_break_even(r), yours = r->cold_share;

	if (even < 0)
		return;
	fprintf(out, "<h2>break-even</h2>\n");
	if (even > 1) {
		fprintf(out,
			"<p>Reading the tree through the mount doesn't pay, however cold it is.</p>\n");
		return;
	}
	fprintf(out, "<p>Pays when more than %.0f&#160;%% of opens are cold", 100 * even);
	if (yours < 0) {
		fprintf(out, ".</p>\n");
		return;
	}
	fprintf(out, "; yours: %.0f&#160;%%.</p>\n", 100 * yours);
	fprintf(out,
		"<svg viewBox=\"0 0 360 44\" role=\"img\" aria-label=\"break-even\">\n"
		"<rect x=\"5\" y=\"8\" width=\"350\" height=\"10\" class=\"track\"/>\n"
		"<rect x=\"%.1f\" y=\"8\" width=\"%.1f\" height=\"10\" class=\"mounted\"/>\n"
		"<circle cx=\"%.1f\" cy=\"13\" r=\"5\" style=\"fill: var(--text)\"/>\n"
		"<text x=\"5\" y=\"38\" class=\"soft\">all hot</text>\n"
		"<text x=\"355\" y=\"38\" class=\"soft\" text-anchor=\"end\">all cold</text>\n</svg>\n"
		"<p class=\"soft\">Coloured: where the mount pays. Dot: the share of the files that "
		"were not in memory when this began.</p>\n",
		5 + 350 * even, 350 * (1 - even), 5 + 350 * yours);
}

static void table(FILE *out, const struct bench_result *r)
{
	fprintf(out, "<h2>in numbers</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>work</th>"
		     "<th>native</th><th>mounted</th><th>gain</th></tr></thead>\n<tbody>\n");
	for (unsigned row = 0; row < BENCH_ROWS; row++)
		for (unsigned state = 0; state < BENCH_STATES; state++) {
			const struct bench_cell *c = r->cell[row][state];

			if (!c->count)
				continue;
			fprintf(out, "<tr><td>%s, %s</td>", bench_row_names[row],
				state_names[state]);
			for (unsigned side = 0; side < BENCH_SIDES; side++)
				fprintf(out, "<td>%.1f ms <span class=\"soft\">±%.1f</span></td>",
					1e3 * bench_median(&c[side]), 500 * bench_spread(&c[side]));
			fprintf(out, "<td>%.2f ×</td></tr>\n", bench_gain(r, row, state));
		}
	fprintf(out,
		"</tbody></table></div>\n<p class=\"soft\">Medians of %u rounds in turns; ± and the "
		"thin lines: half of what lies between the fastest and the slowest.</p>\n",
		r->cell[BENCH_TREE][BENCH_HOT][BENCH_NATIVE].count);
}

int bench_write_html(const struct bench_result *r, const char *path)
{
	FILE *out = fopen(path, "we");
	struct bench_verdict v = bench_verdict(r);

	if (!out)
		return -errno;
	fprintf(out, "%s<h1>%s", head, "");
	escaped(out, r->directory);
	fprintf(out,
		"</h1>\n<p class=\"soft\">%" PRIu64 " files in %" PRIu64 " directories, %s, "
		"natively and mounted by overdrive</p>\n",
		r->files, r->directories, policy_bytes(r->bytes).text);
	fprintf(out, "<p class=\"verdict%s\">", v.mount ? "" : " no");
	escaped(out, v.text);
	fprintf(out, ".</p>\n");
	for (unsigned row = 0; row < BENCH_ROWS; row++)
		chart(out, r, row);
	break_even(out, r);
	table(out, r);
	fprintf(out, "</body>\n</html>\n");
	if (fflush(out) != 0 || ferror(out)) {
		int err = -errno;

		fclose(out);
		return err;
	}
	return fclose(out) == 0 ? 0 : -errno;
}
