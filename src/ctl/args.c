/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <string.h>

#include "ctl/ctl.h"
#include "util/cleanup.h"
#include "util/nearest.h"

#define HELP_COLUMN 20

struct ctl_hint ctl_hint(const char *word, const char *(*name)(const void *from, unsigned i),
			 const void *from)
{
	struct ctl_hint hint = { "" };
	unsigned best = nearest_limit(strlen(word)) + 1;

	for (unsigned i = 0; name(from, i); i++) {
		unsigned distance = nearest_distance(word, strlen(word), name(from, i));

		if (distance >= best)
			continue;
		best = distance;
		snprintf(hint.text, sizeof(hint.text), "; did you mean %s?", name(from, i));
	}
	return hint;
}

static const char *option_name(const void *from, unsigned i)
{
	const struct ctl_option *options = from;

	return options[i].name;
}

static void print_help(const struct ctl_command *c)
{
	printf("Usage: overdrivectl %s%s%s [OPTION…]\n%s\n\n", c->name, *c->operands ? " " : "",
	       c->operands, c->help);
	for (const struct ctl_option *o = c->options; o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s%s", o->name, o->argument ? " " : "",
			 o->argument ? o->argument : "");
		printf("  %-*s %s\n", HELP_COLUMN, left, o->help);
	}
	printf("  %-*s %s\n", HELP_COLUMN, "-h, --help", "show this help");
	if (c->more)
		printf("\n%s", c->more);
	printf("\nExit status: 0 done, 1 wrong usage, 2 it could not be done, 130 interrupted.\n");
}

static int wrong(const struct ctl_command *c, const char *word, const char *why, const char *hint)
{
	fprintf(stderr, "overdrivectl %s: %s%s%s%s (see overdrivectl %s --help)\n", c->name, word,
		*word ? ": " : "", why, hint, c->name);
	return CTL_USAGE;
}

/* An option, and its argument, which may be the next word. */
static int read_option(const struct ctl_command *c, struct ctl_args *args, char **word, int left,
		       int *used)
{
	size_t length = strcspn(*word, "=");
	const char *value = (*word)[length] ? *word + length + 1 : NULL;
	unsigned i = 0;

	while (c->options[i].name &&
	       (strncmp(c->options[i].name, *word, length) != 0 || c->options[i].name[length]))
		i++;
	if (!c->options[i].name)
		return wrong(c, *word, "no such option",
			     ctl_hint(*word, option_name, c->options).text);
	if (!c->options[i].argument && value)
		return wrong(c, *word, "takes no value", "");
	if (c->options[i].argument && !value && left < 2)
		return wrong(c, *word, "needs a value: ", c->options[i].argument);
	if (c->options[i].argument && !value) {
		value = word[1];
		*used = 2;
	}
	args->option[i] = value ? value : "";
	return 0;
}

int ctl_run(const struct ctl_command *c, int words, char **word)
{
	autofree const char **operand = calloc((size_t)words + 2, sizeof(*operand));
	struct ctl_args args = { .operand = operand };
	bool options = true;
	int used, bad = operand ? 0 : CTL_FAILED;

	for (int i = 0; i < words && !bad; i += used) {
		used = 1;
		if (options && (strcmp(word[i], "--help") == 0 || strcmp(word[i], "-h") == 0)) {
			print_help(c);
			return CTL_DONE;
		}
		if (options && strcmp(word[i], "--") == 0)
			options = false;
		else if (options && word[i][0] == '-' && word[i][1])
			bad = read_option(c, &args, &word[i], words - i, &used);
		else if (!word[i][0])
			bad = wrong(c, "''", "an empty name", "");
		else if (args.operands == c->max_operands)
			bad = wrong(c, word[i], "not expected here", "");
		else
			args.operand[args.operands++] = word[i];
	}
	if (bad)
		return bad;
	if (args.operands < c->min_operands)
		return wrong(c, "", "something is missing: ", c->operands);
	return c->run(&args);
}
