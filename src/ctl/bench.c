/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl bench: what a mount would gain for this very directory. */
#include "ctl/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/ctl.h"
#include "prefetch/fetch.h"
#include "probe/device.h"
#include "probe/mountinfo.h"
#include "probe/sysfile.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/why.h"

enum { QUICK, HOT, REPORT, JSON, YES };

static const struct ctl_option options[] = {
	[QUICK] = { "--quick", NULL, "less of it, and three rounds instead of five" },
	[HOT] = { "--hot", NULL, "only what is in memory; needs no root" },
	[REPORT] = { "--report", "FILE", "write a page with charts (HTML, all in one file)" },
	[JSON] = { "--json", NULL, "as JSON" },
	[YES] = { "--yes", NULL, "don't ask before caches are dropped" },
	{ NULL, NULL, NULL },
};

struct bench {
	struct bench_result result;
	struct bench_sample sample;
	struct bench_mount mount;
	int native;
	unsigned rounds, done, steps;
	bool bar; /* a progress bar is wanted */
	uint64_t start_ns;
	sigset_t signals, old_mask;
};

static int drop_caches(int dir)
{
	autoclose int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	/* What has not reached the disk yet can't be dropped, and would be measured hot. */
	syncfs(dir);
	return fd < 0 || write(fd, "3", 1) != 1 ? -errno : 0;
}

static void progress(const struct bench *b, const char *what)
{
	double taken = (double)(clock_ns() - b->start_ns) / 1e9;
	char bar[31] = "..............................";

	if (!b->bar)
		return;
	memset(bar, '#', 30 * b->done / b->steps);
	fprintf(stderr, "\r[%s] %3u %%  %-8s", bar, 100 * b->done / b->steps, what);
	if (b->done)
		fprintf(stderr, "%5.0f s left ", taken / b->done * (b->steps - b->done));
	if (b->done == b->steps)
		fprintf(stderr, "\r%*s\r", 70, "");
	fflush(stderr);
}

static int measure(struct bench *b, enum bench_row row, enum bench_state state,
		   enum bench_side side, bool counts)
{
	struct bench_cell *cell = &b->result.cell[row][state][side];
	double seconds;
	int err = state == BENCH_COLD ? drop_caches(b->native) : 0;

	progress(b, bench_row_names[row]);
	if (!err)
		err = bench_work(&b->sample, side == BENCH_NATIVE ? b->native : b->mount.root, row,
				 &seconds);
	if (!err && counts)
		cell->seconds[cell->count++] = seconds;
	b->done++;
	return err;
}

/* The sides take turns, and who begins changes from round to round. */
static int measure_rounds(struct bench *b, enum bench_row row, enum bench_state state)
{
	int err = 0;

	/* What is hot has been read before, by both ways. */
	for (unsigned i = 0; i < 2 && !err && state == BENCH_HOT; i++)
		err = measure(b, row, state, i, false);
	for (unsigned i = 0; i < 2 * b->rounds && !err; i++)
		err = measure(b, row, state, (i + i / 2) % 2, true);
	return err;
}

static int measure_all(struct bench *b)
{
	unsigned rows = b->sample.largest_size ? BENCH_ROWS : BENCH_STREAM;
	int err = 0;

	b->steps = rows * (2 * b->rounds * (b->result.cold ? 2 : 1) + 2);
	b->start_ns = clock_ns();
	for (unsigned row = 0; row < rows && !err; row++) {
		if (b->result.cold)
			err = measure_rounds(b, row, BENCH_COLD);
		if (!err)
			err = measure_rounds(b, row, BENCH_HOT);
	}
	progress(b, "");
	if (b->bar && err)
		fprintf(stderr, "\n");
	return err;
}

static bool agreed(const struct bench *b)
{
	char answer[16];

	fprintf(stderr,
		"This drops what the kernel has cached, of all disks, %u times; other programs are "
		"slower meanwhile.\nGo on? [y/N] ",
		4 * b->rounds + (b->sample.largest_size ? 2 * b->rounds : 0));
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

/* Whether cold may be measured; an enum ctl_exit. */
static int permitted(const struct bench *b, const struct ctl_args *args)
{
	const char *why = NULL;

	if (!b->result.cold || (args->option[YES] && geteuid() == 0))
		return CTL_DONE;
	if (geteuid() != 0)
		why = "to measure cold it has to drop caches, as root; --hot measures the rest";
	else if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		why = "it drops the kernel's caches, of all disks: say --yes, or --hot";
	else if (!agreed(b))
		why = "nothing was measured";
	if (why)
		fprintf(stderr, "overdrivectl bench: %s\n", why);
	return why ? CTL_FAILED : CTL_DONE;
}

static int say(const char *what, int err)
{
	fprintf(stderr, "overdrivectl bench: %s: %s\n", what, why(-err));
	return CTL_FAILED;
}

/* Through overdrive already: there would be nothing to compare with. */
static bool mounted_already(const char *dir)
{
	struct mountinfo info;
	bool ours = false;

	if (mountinfo_init(&info, AT_FDCWD, "/" PROBE_MOUNTINFO) == 0) {
		const struct mount_entry *e = mountinfo_by_path(&info, dir);

		ours = e && strcmp(e->type, "fuse.overdrive") == 0;
	}
	mountinfo_deinit(&info);
	if (ours)
		fprintf(stderr,
			"overdrivectl bench: %s: is mounted by overdrive; name the directory "
			"that it shows\n",
			dir);
	return ours;
}

static int survey(struct bench *b, const char *dir)
{
	int err;

	b->native = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->native < 0)
		return say(dir, -errno);
	if (mounted_already(dir))
		return CTL_FAILED;
	err = bench_survey(&b->sample, b->native);
	if (err == -EINTR)
		return CTL_INTERRUPTED;
	if (err)
		return say(dir, err);
	if (!b->sample.files) {
		fprintf(stderr, "overdrivectl bench: %s: no files in it\n", dir);
		return CTL_FAILED;
	}
	b->result.files = b->sample.files;
	b->result.directories = b->sample.directories;
	b->result.bytes = b->sample.bytes;
	b->result.stream_bytes = b->sample.largest_size;
	/* Without cachestat (before Linux 6.5) nobody knows. */
	b->result.cold_share =
		fetch_resident(b->native, 0, 0) == -ENOSYS
			? -1
			: 1 - (double)b->sample.resident_files / (double)b->sample.files;
	return CTL_DONE;
}

/* Before anything is measured: whether the report can be written. What is there stays. */
static int try_report(const char *path)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	return fd < 0 ? say(path, -errno) : CTL_DONE;
}

/* No report came of it: what try_report() made goes. */
static void forget_report(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		unlink(path);
}

static int print(const struct bench *b, const struct ctl_args *args)
{
	int err = args->option[REPORT] ? bench_write_html(&b->result, args->option[REPORT]) : 0;

	if (args->option[JSON])
		bench_print_json(&b->result);
	else
		bench_print_text(&b->result);
	return err < 0 ? say(args->option[REPORT], err) : CTL_DONE;
}

static int run(struct bench *b, const struct ctl_args *args, const char *dir)
{
	int result = survey(b, dir), err;

	if (result == CTL_DONE)
		result = permitted(b, args);
	if (result == CTL_DONE && args->option[REPORT])
		result = try_report(args->option[REPORT]);
	if (result != CTL_DONE)
		return result;
	err = bench_mount_open(&b->mount, dir, &b->old_mask);
	if (!err) {
		err = measure_all(b);
		if (err && err != -EINTR)
			say("measuring", err);
	}
	/* In any case, and before anything is printed. */
	if (bench_mount_close(&b->mount) < 0 && !err)
		err = -EIO;
	if (!err)
		return print(b, args);
	if (args->option[REPORT])
		forget_report(args->option[REPORT]);
	return err == -EINTR ? CTL_INTERRUPTED : CTL_FAILED;
}

static int bench(const struct ctl_args *args)
{
	autofree struct bench *b = calloc(1, sizeof(*b));
	autofree char *dir = realpath(args->operand[0], NULL);
	bool quick = args->option[QUICK];
	int result;

	if (!dir)
		return say(args->operand[0], -errno);
	if (!b)
		return CTL_FAILED;
	b->native = -1;
	b->rounds = quick ? 3 : BENCH_ROUNDS;
	b->bar = isatty(STDERR_FILENO);
	b->result.cold = !args->option[HOT];
	b->sample.max_files = quick ? 1000 : 10000;
	b->sample.max_bytes = (quick ? 128ull : 1024ull) << 20;
	b->sample.signals = &b->signals;
	snprintf(b->result.directory, sizeof(b->result.directory), "%s", dir);
	sys_clean(b->result.directory);
	/* Looked for between files: the mount must be undone, whatever happens. */
	sigemptyset(&b->signals);
	sigaddset(&b->signals, SIGINT);
	sigaddset(&b->signals, SIGTERM);
	sigaddset(&b->signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &b->signals, &b->old_mask);
	result = run(b, args, dir);
	if (b->native >= 0)
		close(b->native);
	free(b->sample.largest);
	return result;
}

const struct ctl_command ctl_bench = {
	.name = "bench",
	.help = "what a mount would gain for this very directory",
	.operands = "DIR",
	.min_operands = 1,
	.max_operands = 1,
	.options = options,
	.more = "Lists and reads some of DIR natively and through a read-only mount that it makes at a place\n"
		"of its own and takes away again, in turns: cold (it syncs DIR's filesystem and drops the\n"
		"kernel's caches before each time, which needs root) and hot. Nothing is written to DIR.\n"
		"\n"
		"The break-even is the share of cold opens from which on the mount pays. Reading the tree\n"
		"cold saves c, reading it hot costs h: it is h / (h + c). Yours is the share of the files\n"
		"that were not in memory when it began.\n",
	.run = bench,
};
