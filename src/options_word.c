/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One option of a -o list: finds it in the table, checks its value and stores it. */
#include "options_parse.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/nearest.h"

/* Flags and choices are stored through an int. */
static_assert(sizeof(enum option_tristate) == sizeof(int), "enum is not an int");
static_assert(sizeof(enum option_atime) == sizeof(int), "enum is not an int");
static_assert(sizeof(enum option_passthrough) == sizeof(int), "enum is not an int");
static_assert(sizeof(enum option_prefetch) == sizeof(int), "enum is not an int");
static_assert(sizeof(enum option_backend) == sizeof(int), "enum is not an int");
static_assert(sizeof(enum option_wake) == sizeof(int), "enum is not an int");

int parse_fail(struct parse *p, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(p->err, p->err_len, format, ap);
	va_end(ap);
	return EXIT_USAGE;
}

int parse_fail_memory(struct parse *p)
{
	parse_fail(p, "out of memory");
	return EXIT_SYSTEM;
}

const char *quote_into(struct quoted *q, const char *s)
{
	static const char dots[] = "...";
	size_t len = strlen(s), n = len < sizeof(q->text) ? len : sizeof(q->text) - sizeof(dots);

	/* Don't cut a UTF-8 character in two. */
	while (n < len && n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++)
		q->text[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i];
	strcpy(q->text + n, n < len ? dots : "");
	return q->text;
}

static bool is_pattern(const struct option_def *def)
{
	return def->name[strlen(def->name) - 1] == '*';
}

static bool matches(const struct option_def *def, const struct option_word *w)
{
	size_t len = strlen(def->name);

	if (is_pattern(def))
		return w->name_len >= len - 1 && !memcmp(def->name, w->text, len - 1);
	return w->name_len == len && !memcmp(def->name, w->text, len);
}

struct option_word option_word_split(const char *text)
{
	const char *equals = strchrnul(text, '=');

	return (struct option_word){
		.text = text,
		.name_len = (size_t)(equals - text),
		.value = *equals ? equals + 1 : NULL,
	};
}

const struct option_def *option_word_find(const struct option_word *w)
{
	size_t n;
	const struct option_def *table = options_table(&n);

	for (size_t i = 0; i < n; i++)
		if (matches(&table[i], w))
			return &table[i];
	return NULL;
}

static bool takes_value(const struct option_def *def)
{
	return def->arg || def->choices;
}

/* The known option that was probably meant, or NULL. The first of equals: ours come first. */
static const struct option_def *nearest_option(const struct option_word *w)
{
	const struct option_def *best = NULL;
	unsigned int best_distance = nearest_limit(w->name_len) + 1;
	size_t n;
	const struct option_def *table = options_table(&n);

	for (size_t i = 0; i < n; i++) {
		unsigned int distance;

		if (is_pattern(&table[i]) || table[i].type == OPTION_REFUSED)
			continue;
		distance = nearest_distance(w->text, w->name_len, table[i].name);
		/* uid=0, which other filesystems know, is no slip for suid. */
		if (distance != NEAREST_FAR && w->value && !takes_value(&table[i]))
			distance++;
		if (distance < best_distance) {
			best_distance = distance;
			best = &table[i];
		}
	}
	return best;
}

/* Takes the option's earlier word out of the list, in place. */
static void forget(char *list, const struct option_word *w)
{
	char *word = list, *end;

	for (; *word; word = end) {
		end = word + strcspn(word, ",");
		end += *end == ',';
		if (!strncmp(word, w->text, w->name_len) &&
		    strchr("=,", word[w->name_len]) /* or the end */) {
			memmove(word, end, strlen(end) + 1);
			break;
		}
	}
	end = list + strlen(list);
	if (end > list && end[-1] == ',')
		end[-1] = '\0';
}

/* Notes the word for who asks later which options are in force. */
static int remember(struct parse *p, const struct option_def *def, const struct option_word *w)
{
	char *list;

	if (def->group != OPTION_GROUP_OWN && def->group != OPTION_GROUP_FUSE)
		return 0;
	if (def->type == OPTION_STRING)
		return 0;
	if (p->o->said)
		forget(p->o->said, w);
	if (asprintf(&list, "%s%s%s", p->o->said ? p->o->said : "",
		     p->o->said && *p->o->said ? "," : "", w->text) < 0)
		return parse_fail_memory(p);
	free(p->o->said);
	p->o->said = list;
	return 0;
}

static int fail_unknown(struct parse *p, const struct option_word *w)
{
	const struct option_def *near = nearest_option(w);

	if (near)
		return parse_fail(p, "%s: unknown option; did you mean %s%s?", QUOTE(w->text),
				  near->name,
				  takes_value(near) && near->type != OPTION_IGNORED ? "=" : "");
	return parse_fail(p, "%s: unknown option; see overdrive --help", QUOTE(w->text));
}

/* "passthrough=auto or passthrough=off" */
static const char *expected_choices(const struct option_def *def, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; def->choices[i] && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s=%s", i ? " or " : "",
					def->name, def->choices[i]);
	return buf;
}

static int fail_no_value(struct parse *p, const struct option_def *def, const struct option_word *w)
{
	const char *what = w->value ? "the value is empty" : "needs a value";
	char buf[128];

	if (def->choices)
		return parse_fail(p, "%s: %s; expected %s", QUOTE(w->text), what,
				  expected_choices(def, buf, sizeof(buf)));
	return parse_fail(p, "%s: %s; expected %s=%s", QUOTE(w->text), what, def->name,
			  def->example ? def->example : def->arg);
}

enum number {
	NUMBER_NONE,
	NUMBER_NEGATIVE,
	NUMBER_OK,
};

/*
 * Digits with at most one point. Not strtod(3): it follows the locale, and takes "inf", "nan",
 * "0x1p4" and leading blanks.
 */
static enum number read_decimal(const char *s, double *out)
{
	bool negative = *s == '-', digits = false, point = false;
	double value = 0, unit = 1;

	for (s += negative; *s; s++) {
		if (*s == '.' && !point) {
			point = true;
			continue;
		}
		if (*s < '0' || *s > '9')
			return NUMBER_NONE;
		digits = true;
		if (!point) {
			value = value * 10 + (*s - '0');
		} else if (unit < 1e9) { /* FUSE counts nanoseconds; finer is dropped */
			value = value * 10 + (*s - '0');
			unit *= 10;
		}
	}
	*out = value / unit;
	if (!digits)
		return NUMBER_NONE;
	return negative && *out > 0 ? NUMBER_NEGATIVE : NUMBER_OK;
}

static int set_seconds(struct parse *p, const struct option_def *def, const struct option_word *w)
{
	double value;
	const char *wrong = NULL;

	switch (read_decimal(w->value, &value)) {
	case NUMBER_NONE:
		wrong = "not a number of seconds";
		break;
	case NUMBER_NEGATIVE:
		wrong = "too small";
		break;
	case NUMBER_OK:
		if (value < def->min)
			wrong = "too small";
		else if (!(value <= def->max))
			wrong = "too large";
		break;
	}
	if (wrong)
		return parse_fail(p, "%s: %s; expected %.0f to %.0f, e.g. %s=%s", QUOTE(w->text),
				  wrong, def->min, def->max, def->name, def->example);
	*(double *)((char *)p->o + def->target) = value;
	return 0;
}

/* Digits and at most one letter. False for anything else; too large a number saturates. */
static bool read_size(const char *s, uint64_t *out)
{
	static const char letters[] = "kKmMgG";
	const char *letter, *digits = s;
	uint64_t value = 0;
	unsigned shift = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			value = UINT64_MAX / 10;
	if (s == digits)
		return false;
	letter = *s ? strchr(letters, *s) : NULL;
	if (letter) {
		shift = (unsigned)((letter - letters) / 2 + 1) * 10;
		s++;
	}
	*out = value > UINT64_MAX >> shift ? UINT64_MAX : value << shift;
	return !*s;
}

/* "64M": whole units only, as they stand in the table. */
static const char *write_size(double bytes, char *buf, size_t size)
{
	const char *unit = "\0kMG";
	uint64_t n = (uint64_t)bytes;

	for (; n && n % 1024 == 0 && unit[1]; unit++)
		n /= 1024;
	snprintf(buf, size, "%llu%.1s", (unsigned long long)n, *unit ? unit : "");
	return buf;
}

static int set_size(struct parse *p, const struct option_def *def, const struct option_word *w)
{
	const char *wrong = NULL;
	char least[32], most[32];
	uint64_t value;

	if (!read_size(w->value, &value))
		wrong = "not a size";
	else if (value < (uint64_t)def->min)
		wrong = "too small";
	else if (value > (uint64_t)def->max)
		wrong = "too large";
	if (wrong)
		return parse_fail(p, "%s: %s; expected %s to %s, e.g. %s=%s", QUOTE(w->text), wrong,
				  write_size(def->min, least, sizeof(least)),
				  write_size(def->max, most, sizeof(most)), def->name,
				  def->example);
	*(uint64_t *)(void *)((char *)p->o + def->target) = value;
	return 0;
}

int parse_set_string(struct parse *p, char **target, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return parse_fail_memory(p);
	free(*target);
	*target = copy;
	return 0;
}

static int set_choice(struct parse *p, const struct option_def *def, const struct option_word *w)
{
	char buf[128];

	for (int i = 0; def->choices[i]; i++) {
		if (strcmp(def->choices[i], w->value))
			continue;
		*(int *)((char *)p->o + def->target) = i;
		return 0;
	}
	return parse_fail(p, "%s: no such value; expected %s", QUOTE(w->text),
			  expected_choices(def, buf, sizeof(buf)));
}

static int store(struct parse *p, const struct option_def *def, const struct option_word *w)
{
	switch (def->type) {
	case OPTION_FLAG:
		*(int *)((char *)p->o + def->target) = def->set;
		return 0;
	case OPTION_SECONDS:
		return set_seconds(p, def, w);
	case OPTION_SIZE:
		return set_size(p, def, w);
	case OPTION_STRING:
		return parse_set_string(p, (char **)((char *)p->o + def->target), w->value);
	case OPTION_CHOICE:
		return set_choice(p, def, w);
	case OPTION_IGNORED:
	case OPTION_REFUSED:
		break;
	}
	return 0;
}

int option_word_apply(struct parse *p, const char *text)
{
	int ret;
	const struct option_word w = option_word_split(text);
	const struct option_def *def = option_word_find(&w);

	if (!def)
		return p->o->sloppy ? 0 : fail_unknown(p, &w);
	if (def->type == OPTION_REFUSED)
		return parse_fail(p, "%s: %s", QUOTE(text), def->help);
	if (w.value && !takes_value(def))
		return parse_fail(p, "%s: takes no value; expected %s", QUOTE(text), def->name);
	if (def->type == OPTION_IGNORED)
		return 0;
	if (takes_value(def) && (!w.value || !*w.value))
		return fail_no_value(p, def, &w);
	ret = store(p, def, &w);
	return ret ? ret : remember(p, def, &w);
}
