/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl stats: asks mounts for their counters and prints them. */
#include "ctl/stats.h"

#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "stats/counters.h"

enum { JSON, PROMETHEUS };

static const struct ctl_option options[] = {
	[JSON] = { "--json", NULL, "as JSON: an object; without MOUNT, an array of them" },
	[PROMETHEUS] = { "--prometheus", NULL, "in Prometheus' text format" },
	{ NULL, NULL, NULL },
};

static void print_array(const struct ctl_mounts *m)
{
	const char *comma = "";

	putchar('[');
	for (unsigned i = 0; i < m->count; i++) {
		if (!m->mount[i].answered)
			continue;
		printf("%s", comma);
		stats_print_json(&m->mount[i]);
		comma = ",\n";
	}
	printf("]\n");
}

static void print_texts(const struct ctl_mounts *m)
{
	const char *between = "";

	if (!m->count)
		printf("Nothing is mounted by overdrive.\n");
	for (unsigned i = 0; i < m->count; i++) {
		if (!m->mount[i].answered)
			continue;
		printf("%s", between);
		stats_print_text(&m->mount[i]);
		between = "\n\n";
	}
}

static int print(const struct ctl_mounts *m, const struct ctl_args *args)
{
	if (args->option[PROMETHEUS]) {
		stats_print_prometheus(m);
	} else if (args->option[JSON] && !args->operands) {
		print_array(m);
	} else if (args->option[JSON] && m->mount[0].answered) {
		stats_print_json(&m->mount[0]);
		putchar('\n');
	} else if (!args->option[JSON]) {
		print_texts(m);
	}
	for (unsigned i = 0; i < m->count; i++)
		if (!m->mount[i].answered)
			return CTL_FAILED;
	return CTL_DONE;
}

static int stats(const struct ctl_args *args)
{
	struct ctl_mounts mounts;
	int result = CTL_FAILED, err;

	if (args->option[JSON] && args->option[PROMETHEUS]) {
		fprintf(stderr, "overdrivectl stats: --json or --prometheus, not both\n");
		return CTL_USAGE;
	}
	err = mounts_init(&mounts, args->operand[0]);
	if (err < 0) {
		fprintf(stderr, "overdrivectl: /proc/self/mountinfo: %s\n", strerror(-err));
	} else {
		for (unsigned i = 0; i < mounts.count; i++)
			mount_ask(&mounts.mount[i]);
		result = print(&mounts, args);
	}
	mounts_deinit(&mounts);
	return result;
}

const struct ctl_command ctl_stats = {
	.name = "stats",
	.help = "what a mount has done, in numbers",
	.operands = "[MOUNT]",
	.max_operands = 1,
	.options = options,
	.more = "Without MOUNT: all mounts. Only root and the user who mounted may ask. Latencies are\n"
		"the daemon's own, without the kernel's part; max and the percentiles are the upper\n"
		"edges of buckets, at most 25 % above the real ones.\n"
		"\n" STATS_NOT_WAITED_HELP,
	.run = stats,
};
