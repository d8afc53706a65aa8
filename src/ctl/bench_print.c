/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/bench.h"

#include <inttypes.h>
#include <stdio.h>

#include "ctl/json.h"
#include "policy.h"

static const char *const state_names[BENCH_STATES] = { "cold", "hot" };
static const char *const side_names[BENCH_SIDES] = { "native", "mounted" };

static void print_row(const struct bench_result *r, enum bench_row row, enum bench_state state)
{
	const struct bench_cell *cell = r->cell[row][state];

	if (!cell[BENCH_NATIVE].count || !cell[BENCH_MOUNTED].count)
		return;
	printf("%-8s %-5s %9.1f ms (±%6.1f) %9.1f ms (±%6.1f) %8.2f x\n", bench_row_names[row],
	       state_names[state], 1e3 * bench_median(&cell[BENCH_NATIVE]),
	       500 * bench_spread(&cell[BENCH_NATIVE]), 1e3 * bench_median(&cell[BENCH_MOUNTED]),
	       500 * bench_spread(&cell[BENCH_MOUNTED]), bench_gain(r, row, state));
}

void bench_print_text(const struct bench_result *r)
{
	double even = bench_break_even(r);

	printf("%s: %" PRIu64 " files in %" PRIu64 " directories, %s", r->directory, r->files,
	       r->directories, policy_bytes(r->bytes).text);
	if (r->stream_bytes)
		printf("; %s of the largest file", policy_bytes(r->stream_bytes).text);
	printf("\n\n%-14s %22s  %22s  %10s\n", "", "native", "mounted", "gain");
	for (unsigned row = 0; row < BENCH_ROWS; row++)
		for (unsigned state = 0; state < BENCH_STATES; state++)
			print_row(r, row, state);
	putchar('\n');
	for (unsigned row = 0; row < BENCH_ROWS; row++)
		printf("%-8s %s\n", bench_row_names[row], bench_row_meanings[row]);
	printf("Medians; ± is half of what lies between the fastest and the slowest round.\n");
	if (even > 1)
		printf("\nReading the tree through the mount doesn't pay, however cold it is.\n");
	else if (even >= 0)
		printf("\nPays when more than %.0f %% of opens are cold", 100 * even);
	if (even >= 0 && even <= 1 && r->cold_share >= 0)
		printf("; yours: %.0f %%", 100 * r->cold_share);
	if (even >= 0 && even <= 1)
		printf(".\n");
	printf("\nVerdict: %s.\n", bench_verdict(r).text);
}

static void json_cell(const struct bench_cell *c)
{
	printf("{\"median_s\":%.6f,\"spread_s\":%.6f,\"rounds_s\":[", bench_median(c),
	       bench_spread(c));
	for (unsigned i = 0; i < c->count; i++)
		printf("%s%.6f", i ? "," : "", c->seconds[i]);
	printf("]}");
}

static void json_row(const struct bench_result *r, enum bench_row row)
{
	const char *comma = "";

	printf("\"%s\":{", bench_row_names[row]);
	for (unsigned state = 0; state < BENCH_STATES; state++) {
		const struct bench_cell *cell = r->cell[row][state];

		if (!cell[BENCH_NATIVE].count)
			continue;
		printf("%s\"%s\":{", comma, state_names[state]);
		for (unsigned side = 0; side < BENCH_SIDES; side++) {
			printf("\"%s\":", side_names[side]);
			json_cell(&cell[side]);
			printf(",");
		}
		printf("\"gain\":%.3f}", bench_gain(r, row, state));
		comma = ",";
	}
	printf("}");
}

void bench_print_json(const struct bench_result *r)
{
	double even = bench_break_even(r);
	struct bench_verdict v = bench_verdict(r);

	printf("{\"directory\":");
	json_text(r->directory);
	printf(",\"files\":%" PRIu64 ",\"directories\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"stream_bytes\":%" PRIu64 ",\"rows\":{",
	       r->files, r->directories, r->bytes, r->stream_bytes);
	for (unsigned row = 0; row < (r->stream_bytes ? BENCH_ROWS : BENCH_STREAM); row++) {
		printf("%s", row ? "," : "");
		json_row(r, row);
	}
	printf("},\"break_even\":");
	if (even < 0 || even > 1)
		printf("null");
	else
		printf("%.4f", even);
	if (r->cold_share < 0)
		printf(",\"cold_share\":null");
	else
		printf(",\"cold_share\":%.4f", r->cold_share);
	printf(",\"mount\":%s,\"verdict\":", !r->cold ? "null" : v.mount ? "true" : "false");
	json_text(v.text);
	printf("}\n");
}
