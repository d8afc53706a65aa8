/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What options.c (arguments) and options_word.c (one option of a -o list) share; not for others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

/* mount(8)'s exit codes. */
#define EXIT_USAGE  1
#define EXIT_SYSTEM 2

struct parse {
	struct options *o;
	char *err;
	size_t err_len;
	bool done; /* -h or -V: nothing after it matters */
};

/* One option of a -o list: NAME or NAME=VALUE. */
struct option_word {
	const char *text;
	size_t name_len;
	const char *value; /* NULL: no '=' */
};

/* NAME[=VALUE]; points into @text. */
struct option_word option_word_split(const char *text);

/* The table's entry for the word's name, or NULL. */
const struct option_def *option_word_find(const struct option_word *w);

/* Carries out one option of a -o list. 0, or an exit code and p->err. */
int option_word_apply(struct parse *p, const char *text);

/* Writes the error text; returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int parse_fail(struct parse *p, const char *format, ...);

/* Returns EXIT_SYSTEM. */
int parse_fail_memory(struct parse *p);

/* Replaces an owned string. */
int parse_set_string(struct parse *p, char **target, const char *value);

struct quoted {
	char text[64];
};

/*
 * What the user wrote, fit for one line: no control characters, and short enough that the part
 * which says what would be right is never cut off.
 */
const char *quote_into(struct quoted *q, const char *s);

/* Lives until the end of the calling block. */
#define QUOTE(s) quote_into(&(struct quoted){ 0 }, (s))
