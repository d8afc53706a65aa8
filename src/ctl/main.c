/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "ctl/ctl.h"
#include "util/stdio.h"

static const struct ctl_command *const commands[] = {
	&ctl_bench, &ctl_detach, &ctl_explain, &ctl_options,
	&ctl_probe, &ctl_stats,	 &ctl_top,     &ctl_warm,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fprintf(to, "Usage: overdrivectl COMMAND [OPTION…]\n\nCommands:\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s %-12s %s\n", commands[i]->name, commands[i]->operands,
			commands[i]->help);
	fprintf(to,
		"\nOptions:\n"
		"  -h, --help            show this help; overdrivectl COMMAND --help: a command's\n"
		"  -V, --version         show the version\n"
		"\nExit status: 0 done, 1 wrong usage, 2 it could not be done, 130 interrupted.\n");
}

static const char *command_name(const void *from, unsigned i)
{
	(void)from;
	return i < COMMANDS ? commands[i]->name : NULL;
}

static const struct ctl_command *find(const char *word)
{
	for (unsigned i = 0; i < COMMANDS; i++)
		if (strcmp(word, commands[i]->name) == 0)
			return commands[i];
	return NULL;
}

static int run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	const struct ctl_command *command = find(word);
	char help[] = "--help", *help_word = help;

	if (command)
		return ctl_run(command, argc - 2, argv + 2);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		printf("overdrivectl %s\n", OVERDRIVE_VERSION);
		return CTL_DONE;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		command = argc > 2 ? find(argv[2]) : NULL;
		if (command)
			return ctl_run(command, 1, &help_word);
		usage(stdout);
		return CTL_DONE;
	}
	if (*word)
		fprintf(stderr, "overdrivectl: %s: no such %s%s (see overdrivectl --help)\n", word,
			*word == '-' ? "option" : "command",
			ctl_hint(word, command_name, NULL).text);
	else
		usage(stderr);
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	int result;

	hold_stdio();
	result = run(argc, argv);
	/* A full disk behind `> file` is a failure, too. */
	if (fflush(stdout) != 0 && result == CTL_DONE) {
		perror("overdrivectl: stdout");
		return CTL_FAILED;
	}
	return result;
}
