/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * overdrivectl: a file for each command, which ends in one `const struct ctl_command`. main.c lists
 * them; args.c reads the words of the command line by the command's own table and prints its --help.
 */
#pragma once

#include <limits.h>
#include <stdio.h>

/* What overdrivectl exits with. */
enum ctl_exit {
	CTL_DONE = 0,
	CTL_USAGE = 1,	/* wrong usage; args.c has said so */
	CTL_FAILED = 2, /* could not be done; the command has said why, in one line on stderr */
	CTL_INTERRUPTED = 130,
};

#define CTL_OPTIONS 16
#define CTL_MANY    UINT_MAX /* as many operands as there are words */

struct ctl_option {
	const char *name;     /* "--json" */
	const char *argument; /* "FILE", or NULL for a switch */
	const char *help;
};

struct ctl_args {
	const char *option[CTL_OPTIONS]; /* by the place in the command's table; NULL: not given */
	const char **operand;		 /* those that are missing are NULL */
	unsigned operands;
};

struct ctl_command {
	const char *name;
	const char *help;     /* one line, begins with a small letter */
	const char *operands; /* as usage shows them, "[MOUNT]" */
	unsigned min_operands, max_operands;
	const struct ctl_option *options; /* ends with a NULL name; --help is understood by all */
	const char *more;		  /* the rest of --help, or NULL */
	int (*run)(const struct ctl_args *args); /* returns an enum ctl_exit */
};

/* Runs the command with the words behind its name. */
int ctl_run(const struct ctl_command *command, int words, char **word);
/* "; did you mean NAME?", or nothing when none of the names is near. */
struct ctl_hint {
	char text[64];
};
struct ctl_hint ctl_hint(const char *word, const char *(*name)(const void *from, unsigned i),
			 const void *from);

extern const struct ctl_command ctl_bench;
extern const struct ctl_command ctl_detach;
extern const struct ctl_command ctl_explain;
extern const struct ctl_command ctl_options;
extern const struct ctl_command ctl_probe;
extern const struct ctl_command ctl_stats;
extern const struct ctl_command ctl_top;
extern const struct ctl_command ctl_warm;
