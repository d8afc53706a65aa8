/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl top: what a mount is doing, as it does it. */
#include "ctl/top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/mounts.h"
#include "ctl/term.h"
#include "util/cleanup.h"

enum { ONCE, INTERVAL };

static const struct ctl_option options[] = {
	[ONCE] = { "--once", NULL,
		   "one frame of plain text after one interval; needs no terminal" },
	[INTERVAL] = { "--interval", "SECONDS", "from frame to frame, 0.1 to 60 (1)" },
	{ NULL, NULL, NULL },
};

struct top {
	struct ctl_mounts mounts;
	unsigned chosen;
	struct stats_snapshot before;
	struct top_history history;
	int interval_ms;
	bool utf8, colour;
};

/* 0 or -errno, after a line on stderr. */
static int sample(struct top *t)
{
	struct ctl_mount *m = &t->mounts.mount[t->chosen];
	int err;

	t->before = m->stats;
	err = mount_ask(m);
	if (!err && t->before.version)
		top_remember(&t->history, &t->before, &m->stats);
	return err;
}

static char *frame(const struct top *t, bool live, unsigned rows, unsigned columns)
{
	const struct ctl_mount *m = &t->mounts.mount[t->chosen];
	struct top_view view = {
		.mount = m->shown,
		.source = m->source,
		.before = t->before.version ? &t->before : &m->stats,
		.now = &m->stats,
		.history = &t->history,
		.rows = rows,
		.columns = columns,
		.utf8 = t->utf8,
		.colour = live && t->colour,
		.live = live,
	};

	return top_frame(&view);
}

static void show(struct top *t, struct term *term)
{
	unsigned rows, columns;
	autofree char *text = NULL;

	term_size(&rows, &columns);
	text = frame(t, true, rows, columns);
	if (text)
		term_show(term, text);
}

static void next_mount(struct top *t)
{
	t->chosen = (t->chosen + 1) % t->mounts.count;
	memset(&t->history, 0, sizeof(t->history));
	memset(&t->mounts.mount[t->chosen].stats, 0, sizeof(t->before));
}

/* Of the chosen mount, or of the next one whose daemon lives. */
static int sample_living(struct top *t)
{
	int err = sample(t);

	for (unsigned tried = 1; err && tried < t->mounts.count; tried++) {
		next_mount(t);
		err = sample(t);
	}
	return err;
}

static int live(struct top *t)
{
	struct term term;
	bool on = true;
	int err = term_open(&term);

	if (err < 0) {
		fprintf(stderr, "overdrivectl top: the terminal: %s\n", strerror(-err));
		return CTL_FAILED;
	}
	while (on && !err) {
		enum term_event event;
		char key = 0;

		show(t, &term);
		event = term_wait(&term, t->interval_ms, &key);
		if (event == TERM_END || (event == TERM_KEY && (key == 'q' || key == 'Q')))
			on = false;
		else if (event == TERM_KEY && key == 'n')
			next_mount(t);
		if (on && (event == TERM_TIME || (event == TERM_KEY && key == 'n')))
			err = sample_living(t);
	}
	term_close(&term);
	/* What it said went to the screen that is gone. */
	if (err)
		mount_ask(&t->mounts.mount[t->chosen]);
	return err ? CTL_FAILED : CTL_DONE;
}

static int once(struct top *t)
{
	struct timespec pause = {
		.tv_sec = t->interval_ms / 1000,
		.tv_nsec = (long)(t->interval_ms % 1000) * 1000000,
	};
	autofree char *text = NULL;

	nanosleep(&pause, NULL);
	if (sample(t) < 0)
		return CTL_FAILED;
	text = frame(t, false, 24, 80);
	if (!text)
		return CTL_FAILED;
	fputs(text, stdout);
	return CTL_DONE;
}

static int run(struct top *t, const struct ctl_args *args)
{
	int err = mounts_init(&t->mounts, args->operand[0]);

	if (err < 0) {
		fprintf(stderr, "overdrivectl top: /proc/self/mountinfo: %s\n", strerror(-err));
		return CTL_FAILED;
	}
	if (!t->mounts.count) {
		fprintf(stderr, "overdrivectl top: nothing is mounted by overdrive\n");
		return CTL_FAILED;
	}
	if (sample_living(t) < 0)
		return CTL_FAILED;
	t->utf8 = term_utf8();
	t->colour = term_colour();
	return args->option[ONCE] ? once(t) : live(t);
}

static int top(const struct ctl_args *args)
{
	autofree struct top *t = calloc(1, sizeof(*t));
	double seconds = 1;
	char *end = NULL;
	int result;

	if (args->option[INTERVAL]) {
		seconds = strtod(args->option[INTERVAL], &end);
		if (*end || end == args->option[INTERVAL] || !(seconds >= 0.1 && seconds <= 60)) {
			fprintf(stderr, "overdrivectl top: --interval takes seconds, 0.1 to 60\n");
			return CTL_USAGE;
		}
	}
	if (!args->option[ONCE] && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
		fprintf(stderr, "overdrivectl top: this is no terminal; --once prints one frame\n");
		return CTL_FAILED;
	}
	if (!t)
		return CTL_FAILED;
	t->interval_ms = (int)(seconds * 1000);
	result = run(t, args);
	mounts_deinit(&t->mounts);
	return result;
}

const struct ctl_command ctl_top = {
	.name = "top",
	.help = "what a mount is doing, live",
	.operands = "[MOUNT]",
	.max_operands = 1,
	.options = options,
	.more = "Without MOUNT: the first mount; n goes to the next. Latencies are the daemon's own; what\n"
		"the kernel moves by passthrough the daemon doesn't see. Set NO_COLOR for no colours.\n",
	.run = top,
};
