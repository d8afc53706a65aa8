/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl stats: asks a mount for its counters and prints them. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ctl/ctl.h"
#include "stats/abi.h"
#include "stats/opname.h"
#include "util/cleanup.h"

static const char *const byte_names[STATS_BYTES] = {
	[STATS_READ_CACHED] = "read_cached",
	[STATS_WRITE_CACHED] = "write_cached",
	[STATS_COPIED] = "copied",
	[STATS_FETCHED] = "fetched_ahead",
	[STATS_TREE_FETCHED] = "tree_fetched",
	[STATS_TREE_WASTED] = "tree_wasted",
	[STATS_READ_RING] = "read_ring",
	[STATS_WRITE_RING] = "write_ring",
	[STATS_READ_DIRECT] = "read_direct",
	[STATS_WRITE_DIRECT] = "write_direct",
	[STATS_READ_BUFFERED] = "read_buffered",
	[STATS_WRITE_BUFFERED] = "write_buffered",
};

static const char *const event_names[STATS_EVENTS] = {
	[STATS_OPEN_KERNEL] = "opens_kernel",
	[STATS_OPEN_CACHED] = "opens_cached",
	[STATS_HANDED_OVER] = "handed_over",
	[STATS_WATCHED] = "files_watched",
	[STATS_GIVEN_UP] = "files_without_pattern",
	[STATS_DIRS_LISTED] = "tree_dirs",
	[STATS_INODES_FETCHED] = "tree_inodes",
	[STATS_FILES_FETCHED] = "tree_files",
	[STATS_GUESSES_USED] = "tree_used",
	[STATS_GUESSES_LATE] = "tree_late",
	[STATS_GUESSES_WASTED] = "tree_unused",
	[STATS_OPEN_DIRECT] = "opens_direct",
	[STATS_FILES_REFUSED] = "files_without_direct",
	[STATS_BACKENDS_REFUSED] = "backends_refused",
};

static void json_names(const char *title, const char *const *names, const uint64_t *values,
		       unsigned n)
{
	const char *comma = "";

	printf("\"%s\":{", title);
	for (unsigned i = 0; i < n; i++)
		if (names[i]) {
			printf("%s\"%s\":%llu", comma, names[i], (unsigned long long)values[i]);
			comma = ",";
		}
	printf("}");
}

static void json_requests(const struct stats_snapshot *s)
{
	const char *comma = "";

	printf("\"requests\":{");
	for (unsigned i = 0; i < STATS_OPS; i++) {
		const struct stats_op *op = &s->op[i];

		if (!op->count)
			continue;
		printf("%s\"%s\":{\"count\":%llu,\"errors\":%llu,\"p50_us\":%.3f,\"p90_us\":%.3f,"
		       "\"p99_us\":%.3f,\"max_us\":%.3f,\"total_us\":%.3f}",
		       comma, opname(i), (unsigned long long)op->count,
		       (unsigned long long)op->failed, op->p50_ns / 1e3, op->p90_ns / 1e3,
		       op->p99_ns / 1e3, op->max_ns / 1e3, (double)op->total_ns / 1e3);
		comma = ",";
	}
	printf("}");
}

static void json_errors(const struct stats_snapshot *s)
{
	const char *comma = "";

	printf("\"errors\":{");
	for (int i = 0; i < STATS_ERRNOS; i++)
		if (s->errors[i]) {
			const char *name = strerrorname_np(i);

			printf("%s\"%s\":%llu", comma, name ? name : "other",
			       (unsigned long long)s->errors[i]);
			comma = ",";
		}
	printf("}");
}

static void print_json(const struct stats_snapshot *s)
{
	printf("{\"uptime_s\":%.3f,\"nodes\":%llu,\"open_files\":%llu,\"fds\":%llu,"
	       "\"fds_cached\":%llu,\"threads\":%llu,",
	       (double)s->uptime_ns / 1e9, (unsigned long long)s->nodes,
	       (unsigned long long)s->open_files, (unsigned long long)s->fds,
	       (unsigned long long)s->fds_cached, (unsigned long long)s->threads);
	json_requests(s);
	printf(",");
	json_names("bytes", byte_names, s->bytes, STATS_BYTES);
	printf(",");
	json_names("events", event_names, s->events, STATS_EVENTS);
	printf(",");
	json_errors(s);
	printf("}\n");
}

static void print_text(const struct stats_snapshot *s)
{
	printf("up %.0f s   nodes %llu   open files %llu   descriptors %llu (%llu cached)   "
	       "threads %llu\n\n",
	       (double)s->uptime_ns / 1e9, (unsigned long long)s->nodes,
	       (unsigned long long)s->open_files, (unsigned long long)s->fds,
	       (unsigned long long)s->fds_cached, (unsigned long long)s->threads);
	printf("%-18s %10s %8s %9s %9s %9s\n", "request", "count", "errors", "p50 us", "p99 us",
	       "max us");
	for (unsigned i = 0; i < STATS_OPS; i++)
		if (s->op[i].count)
			printf("%-18s %10llu %8llu %9.1f %9.1f %9.1f\n", opname(i),
			       (unsigned long long)s->op[i].count,
			       (unsigned long long)s->op[i].failed, s->op[i].p50_ns / 1e3,
			       s->op[i].p99_ns / 1e3, s->op[i].max_ns / 1e3);
	printf("\n");
	for (unsigned i = 0; i < STATS_EVENTS; i++)
		if (event_names[i])
			printf("%-18s %10llu\n", event_names[i], (unsigned long long)s->events[i]);
	for (unsigned i = 0; i < STATS_BYTES; i++)
		if (byte_names[i])
			printf("%-18s %10llu bytes\n", byte_names[i],
			       (unsigned long long)s->bytes[i]);
	for (int i = 0; i < STATS_ERRNOS; i++)
		if (s->errors[i])
			printf("%-18s %10llu errors\n", strerrorname_np(i) ? strerrorname_np(i) : "?",
			       (unsigned long long)s->errors[i]);
}

static int ask(const char *mount, struct stats_snapshot *s)
{
	autoclose int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "overdrivectl: %s: %s\n", mount, strerror(errno));
		return CTL_FAILED;
	}
	if (ioctl(fd, OVERDRIVE_IOC_STATS, s) == 0)
		return CTL_DONE;
	if (errno == EPERM)
		fprintf(stderr, "overdrivectl: %s: only root and the user who mounted it may ask\n",
			mount);
	else
		fprintf(stderr, "overdrivectl: %s: not the root directory of an overdrive mount "
			"(or one of another version): %s\n", mount, strerror(errno));
	return CTL_FAILED;
}

enum { JSON };

static const struct ctl_option options[] = {
	[JSON] = {"--json", NULL, "as JSON"},
	{NULL, NULL, NULL},
};

static int stats(const struct ctl_args *args)
{
	autofree struct stats_snapshot *s = calloc(1, sizeof(*s));
	int result = s ? ask(args->operand[0], s) : CTL_FAILED;

	if (result == CTL_DONE && args->option[JSON])
		print_json(s);
	else if (result == CTL_DONE)
		print_text(s);
	return result;
}

const struct ctl_command ctl_stats = {
	.name = "stats",
	.help = "what a mount has done, in numbers",
	.operands = "MOUNT",
	.min_operands = 1,
	.max_operands = 1,
	.options = options,
	.run = stats,
};
