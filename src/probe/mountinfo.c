/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/sysfile.h"

#define MOUNTINFO_LIMIT (16u << 20) /* bytes: some 100,000 mounts */

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

/* "\040" and the like, in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && octal(s[1]) && octal(s[2]) && octal(s[3])) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* ID PARENT MAJ:MIN ROOT POINT OPTIONS [TAG…] - TYPE SOURCE SUPEROPTIONS */
static bool parse_line(char *line, struct mount_entry *e)
{
	char *save = NULL, *field[5] = { NULL }, *word;
	unsigned n = 0;

	for (word = strtok_r(line, " ", &save); word && strcmp(word, "-") != 0;
	     word = strtok_r(NULL, " ", &save))
		if (n < 5)
			field[n++] = word;
	if (!word || n < 5 || sscanf(field[0], "%d", &e->id) != 1 ||
	    sscanf(field[2], "%u:%u", &e->major, &e->minor) != 2)
		return false;
	e->type = strtok_r(NULL, " ", &save);
	e->source = strtok_r(NULL, " ", &save);
	e->options = strtok_r(NULL, " ", &save);
	if (!e->type || !e->source)
		return false;
	/* An empty source leaves two spaces, which strtok joins. */
	if (!e->options) {
		e->options = e->source;
		e->source = "";
	} else {
		unescape((char *)e->source);
	}
	unescape(field[3]);
	unescape(field[4]);
	e->root = field[3];
	e->mount_point = field[4];
	return e->mount_point[0] == '/';
}

int mountinfo_init(struct mountinfo *m, int at, const char *path)
{
	ssize_t size;
	size_t lines = 1;
	char *line, *next;

	*m = (struct mountinfo){ 0 };
	size = sys_slurp(at, path, MOUNTINFO_LIMIT, &m->text);
	if (size < 0)
		return (int)size;
	m->cut = size == MOUNTINFO_LIMIT || strlen(m->text) != (size_t)size;
	for (const char *c = m->text; (c = strchr(c, '\n')); c++)
		lines++;
	m->entries = calloc(lines, sizeof(*m->entries));
	if (!m->entries)
		return -ENOMEM;
	for (line = m->text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (parse_line(line, &m->entries[m->count]))
			m->count++;
		else
			m->cut = true;
	}
	return 0;
}

void mountinfo_deinit(struct mountinfo *m)
{
	free(m->entries);
	free(m->text);
	*m = (struct mountinfo){ 0 };
}

const struct mount_entry *mountinfo_by_id(const struct mountinfo *m, int id)
{
	for (size_t i = m->count; i-- > 0;)
		if (m->entries[i].id == id)
			return &m->entries[i];
	return NULL;
}

const struct mount_entry *mountinfo_by_dev(const struct mountinfo *m, unsigned major,
					   unsigned minor)
{
	for (size_t i = m->count; i-- > 0;)
		if (m->entries[i].major == major && m->entries[i].minor == minor)
			return &m->entries[i];
	return NULL;
}

static bool lies_in(const char *path, const char *dir, size_t length)
{
	if (length == 1)
		return path[0] == '/';
	return strncmp(path, dir, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

const struct mount_entry *mountinfo_by_path(const struct mountinfo *m, const char *path)
{
	const struct mount_entry *best = NULL;
	size_t best_length = 0;

	for (size_t i = 0; i < m->count; i++) {
		size_t length = strlen(m->entries[i].mount_point);

		if (length >= best_length && lies_in(path, m->entries[i].mount_point, length)) {
			best = &m->entries[i];
			best_length = length;
		}
	}
	return best;
}

/* Leading folders that two absolute paths have in common. */
static unsigned common_folders(const char *a, const char *b)
{
	unsigned n = 0;

	for (; *a && *a == *b; a++, b++)
		if (*a == '/')
			n++;
	/* The last one counts if it ends here in both. */
	return (*a == '\0' || *a == '/') && (*b == '\0' || *b == '/') ? n : n ? n - 1 : 0;
}

const struct mount_entry *mountinfo_by_neighbour(const struct mountinfo *m, const char *path)
{
	const struct mount_entry *best = NULL;
	unsigned most = 1;

	for (size_t i = 0; i < m->count; i++) {
		unsigned n = m->entries[i].major ? common_folders(m->entries[i].root, path) : 0;

		if (n > most) {
			best = &m->entries[i];
			most = n;
		}
	}
	return best;
}

/* Copies up to the end of the value. A ':' within a name has a backslash before it, which
 * mountinfo shows as \134. */
static bool copy_value(const char *from, bool list, char *value, size_t size)
{
	size_t n = 0;

	for (; *from && *from != ',' && !(list && *from == ':'); from++) {
		if (strncmp(from, "\\134:", 5) == 0)
			from += 4;
		else if (*from == '\\' && from[1] && !octal(from[1]))
			from++;
		if (n + 1 >= size)
			return false;
		value[n++] = *from;
	}
	value[n] = '\0';
	unescape(value);
	return n > 0;
}

bool mount_option(const struct mount_entry *e, const char *name, bool list, char *value,
		  size_t size)
{
	size_t length = strlen(name);
	const char *at = e->options;

	while (*at) {
		if (strncmp(at, name, length) == 0 && at[length] == '=')
			return copy_value(at + length + 1, list, value, size);
		/* To behind the next comma that is not escaped. */
		while (*at && *at != ',')
			at += *at == '\\' && at[1] ? 2 : 1;
		if (*at)
			at++;
	}
	return false;
}
