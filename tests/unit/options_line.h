/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command line, parsed: for test_options.c and test_options_refused.c. */
#pragma once

#include <check.h>
#include <string.h>

#include "options.h"

#define ARGS_MAX 16
#define ROWS(a)	 ((int)(sizeof(a) / sizeof((a)[0])))

/* Arguments without argv[0]; the first NULL ends them. */
struct line {
	const char *args[ARGS_MAX];
};

static int parse(struct options *o, const struct line *line, char *err)
{
	char *argv[ARGS_MAX + 2] = { (char *)"overdrive" };
	int argc = 1;

	for (int i = 0; i < ARGS_MAX && line->args[i]; i++)
		argv[argc++] = (char *)line->args[i];
	err[0] = '\0';
	options_init(o);
	return options_parse(o, argc, argv, err, OPTIONS_ERR_LEN);
}

/* Parses what has to be right. */
static void parse_ok(struct options *o, const struct line *line)
{
	char err[OPTIONS_ERR_LEN];
	int ret = parse(o, line, err);

	ck_assert_msg(!ret && !err[0], "%d, %s", ret, err);
}

#define PARSE_OK(o, ...) parse_ok((o), &(struct line){ { __VA_ARGS__ } })
