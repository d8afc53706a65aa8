/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the command line by the tables in options_help.c. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "options_parse.h"
#include "util/nearest.h"

#define USAGE "overdrive [-o OPT[,OPT...]] SOURCE [MOUNTPOINT]"

void options_init(struct options *o)
{
	*o = (struct options){
		.ro = OPTION_AUTO,
		.nosuid = OPTION_AUTO,
		.nodev = OPTION_AUTO,
		.noexec = OPTION_AUTO,
		.atime = OPTION_ATIME_AUTO,
		.nodiratime = OPTION_AUTO,
		.sync = OPTION_AUTO,
		.dirsync = OPTION_AUTO,
		.allow_other = OPTION_AUTO,
		.allow_root = OPTION_AUTO,
		.default_permissions = OPTION_AUTO,
		.attr_timeout = OPTIONS_TIMEOUT_AUTO,
		.entry_timeout = OPTIONS_TIMEOUT_AUTO,
		.negative_timeout = OPTIONS_TIMEOUT_AUTO,
		.exclusive = OPTION_OFF,
		.detach_on_death = OPTION_OFF,
		.passthrough = OPTION_PASSTHROUGH_AUTO,
		.prefetch = OPTION_PREFETCH_AUTO,
		.backend = OPTION_BACKEND_AUTO,
		.memory = OPTIONS_MEMORY_AUTO,
		.wake = OPTION_WAKE_AUTO,
	};
}

void options_deinit(struct options *o)
{
	free(o->source);
	free(o->mountpoint);
	free(o->fsname);
	free(o->subtype);
	free(o->said);
	options_init(o);
}

/*
 * Takes the first word off a list, in place; a backslash makes the next character ordinary, as
 * for mount.fuse. Returns what follows the comma, or NULL after the last.
 */
static char *cut_word(char *list)
{
	char *to = list;

	for (; *list && *list != ','; list++) {
		if (*list == '\\' && list[1])
			list++;
		*to++ = *list;
	}
	if (!*list)
		list = NULL;
	*to = '\0';
	return list ? list + 1 : NULL;
}

static int parse_list(struct parse *p, const char *list)
{
	char *copy, *word, *next;
	int ret = 0;

	if (!*list)
		return parse_fail(p, "-o: the list is empty; expected -o OPT[,OPT...], e.g. -o ro");
	copy = strdup(list);
	if (!copy)
		return parse_fail_memory(p);
	for (word = copy; word && !ret; word = next) {
		next = cut_word(word);
		/* Scripts make "ro,,exec" and "ro,"; mount(8) doesn't mind either. */
		if (*word)
			ret = option_word_apply(p, word);
	}
	free(copy);
	return ret;
}

static void set_flag(struct parse *p, const struct option_flag *f)
{
	if (f->target)
		*((bool *)((char *)p->o + f->target)) = true;
	p->done = p->o->show_help || p->o->show_version;
}

/* An option given by itself that is none; it may be one for -o, or near to --@near. */
static int fail_argument(struct parse *p, const char *arg, const char *near)
{
	const char *name = arg + 1 + (arg[1] == '-');
	const struct option_word w = option_word_split(name);
	const struct option_def *def = option_word_find(&w);

	if (def && def->type != OPTION_REFUSED)
		return parse_fail(p, "%s: unknown option; did you mean -o %s?", QUOTE(arg),
				  QUOTE(name));
	if (near)
		return parse_fail(p, "%s: unknown option; did you mean --%s?", QUOTE(arg), near);
	return parse_fail(p, "%s: unknown option; see overdrive --help", QUOTE(arg));
}

/* --WORD */
static int parse_long(struct parse *p, const char *arg)
{
	const struct option_word w = option_word_split(arg + 2);
	unsigned int limit = nearest_limit(w.name_len);
	const char *near = NULL;
	size_t n;
	const struct option_flag *flags = options_flags(&n);

	for (size_t i = 0; i < n; i++) {
		const char *word = flags[i].word;

		if (!word)
			continue;
		if (strlen(word) == w.name_len && !memcmp(word, w.text, w.name_len)) {
			if (w.value)
				return parse_fail(p, "%s: takes no value; expected --%s",
						  QUOTE(arg), word);
			set_flag(p, &flags[i]);
			return 0;
		}
		if (nearest_distance(w.text, w.name_len, word) <= limit)
			near = word;
	}
	return fail_argument(p, arg, near);
}

static const struct option_flag *find_letter(char letter)
{
	size_t n;
	const struct option_flag *flags = options_flags(&n);

	for (size_t i = 0; i < n; i++)
		if (flags[i].letter == letter)
			return &flags[i];
	return NULL;
}

/* -LETTERS; @next is the argument after it, or NULL, and *@used whether it was taken. */
static int parse_short(struct parse *p, const char *arg, const char *next, bool *used)
{
	for (const char *s = arg + 1; *s && !p->done; s++) {
		const struct option_flag *f = find_letter(*s);

		if (!f)
			return fail_argument(p, arg, NULL);
		if (!f->arg) {
			set_flag(p, f);
			continue;
		}
		*used = !s[1];
		if (*used && !next)
			return parse_fail(p, "-%c: needs a value; expected -%c %s", *s, *s, f->arg);
		return f->letter == 'o' ? parse_list(p, *used ? next : s + 1) : 0;
	}
	return 0;
}

static int parse_positional(struct parse *p, const char *arg)
{
	if (p->o->mountpoint)
		return parse_fail(p, "%s: too many arguments; expected " USAGE, QUOTE(arg));
	if (!*arg)
		return parse_fail(p, "%s is empty; expected a directory",
				  p->o->source ? "MOUNTPOINT" : "SOURCE");
	return parse_set_string(p, p->o->source ? &p->o->mountpoint : &p->o->source, arg);
}

static int check(struct parse *p)
{
	if (!p->o->source)
		return parse_fail(p, "SOURCE is missing; expected " USAGE);
	if (p->o->allow_other == OPTION_ON && p->o->allow_root == OPTION_ON)
		return parse_fail(p, "allow_other,allow_root: only one of them can be");
	return 0;
}

int options_parse(struct options *o, int argc, char *const *argv, char *err, size_t err_len)
{
	struct parse p = { .o = o, .err = err, .err_len = err_len };
	bool positional_only = false;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		bool used = false;
		int ret;

		if (!positional_only && !strcmp(arg, "--")) {
			positional_only = true;
			continue;
		}
		if (positional_only || arg[0] != '-' || !arg[1])
			ret = parse_positional(&p, arg);
		else if (arg[1] == '-')
			ret = parse_long(&p, arg);
		else
			ret = parse_short(&p, arg, i + 1 < argc ? argv[i + 1] : NULL, &used);
		if (ret || p.done)
			return ret;
		i += used;
	}
	if (o->debug)
		o->foreground = true;
	return check(&p);
}
