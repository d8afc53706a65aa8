/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "ctl/ctl.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"probe", ctl_probe, "probe [DIR] [--json] [--no-calibrate]\n"
			     "                         what is under a directory, and what is made of it"},
	{"stats", ctl_stats, "stats MOUNT [--json]   what a mount has done, in numbers"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fprintf(to, "Usage: overdrivectl COMMAND …\n\nCommands:\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		fprintf(to, "  %s\n", commands[i].help);
	fprintf(to, "\n  --help, --version\n");
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	for (unsigned i = 0; i < COMMANDS; i++)
		if (strcmp(word, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		printf("overdrivectl %s\n", OVERDRIVE_VERSION);
		return 0;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (*word)
		fprintf(stderr, "overdrivectl: %s: no such command\n", word);
	usage(stderr);
	return 1;
}
