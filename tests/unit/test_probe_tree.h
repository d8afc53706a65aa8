/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fake /proc and /sys from tests/unit/probe-trees/NAME.tree, made in a temporary directory.
 *
 *   # what machine this is
 *   target MAJ:MIN         st_dev of the directory that is asked for
 *   mount-id N             its mount's id, where st_dev isn't enough
 *   mount LINE             a line of /proc/self/mountinfo
 *   file PATH TEXT         "\n" and "\xNN" are understood
 *   link PATH TARGET
 *   fifo PATH
 *   block MAJ:MIN PATH     a device: its folder, "dev", "uevent", and the links to it; then,
 * indented: FILE TEXT           a file of its slave NAME          what it is made of
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/device.h"

#define TREE_FILES 256

struct tree {
	char dir[64];
	char block[256]; /* the device whose indented lines follow */
	struct probe_root root;
	struct device_target target;
	char *files[TREE_FILES]; /* paths below dir, for those who want to spoil them */
	char *links[TREE_FILES];
	unsigned file_count, link_count;
};

static inline void tree_parents(const struct tree *t, const char *path)
{
	char copy[512];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *c = copy; (c = strchr(c, '/')); c++) {
		*c = '\0';
		ck_assert(mkdirat(t->root.fd, copy, 0755) == 0 || errno == EEXIST);
		*c = '/';
	}
}

static inline size_t tree_unescape(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++) {
		unsigned byte;

		if (from[0] == '\\' && from[1] == 'n')
			*to++ = '\n', from++;
		else if (from[0] == '\\' && from[1] == 'x' && sscanf(from + 2, "%2x", &byte) == 1)
			*to++ = (char)byte, from += 3;
		else
			*to++ = *from;
	}
	return (size_t)(to - text);
}

static inline void tree_write(const struct tree *t, const char *path, const char *text, size_t size)
{
	int fd;

	tree_parents(t, path);
	fd = openat(t->root.fd, path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0644);
	if (fd < 0) /* garbage.tree has a folder there */
		return;
	ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
	close(fd);
}

static inline void tree_file(struct tree *t, const char *path, char *text)
{
	size_t size = tree_unescape(text);

	text[size] = '\n';
	tree_write(t, path, text, size + 1);
	ck_assert_uint_lt(t->file_count, TREE_FILES);
	t->files[t->file_count++] = strdup(path);
}

static inline void tree_link(struct tree *t, const char *path, const char *target)
{
	tree_parents(t, path);
	ck_assert_int_eq(symlinkat(target, t->root.fd, path), 0);
	ck_assert_uint_lt(t->link_count, TREE_FILES);
	t->links[t->link_count++] = strdup(path);
}

static inline void tree_block(struct tree *t, const char *number, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	char at[512], text[512];

	snprintf(t->block, sizeof(t->block), "%s", path);
	snprintf(at, sizeof(at), "%s/dev", path);
	snprintf(text, sizeof(text), "%s", number);
	tree_file(t, at, text);
	snprintf(at, sizeof(at), "%s/uevent", path);
	snprintf(text, sizeof(text), "MAJOR=0\\nDEVNAME=%s\\nDEVTYPE=disk", name);
	tree_file(t, at, text);
	snprintf(text, sizeof(text), "../../../%s", path);
	snprintf(at, sizeof(at), "sys/dev/block/%s", number);
	tree_link(t, at, text);
	snprintf(at, sizeof(at), "sys/class/block/%s", name);
	tree_link(t, at, text);
}

static inline void tree_slave(struct tree *t, const char *name)
{
	char at[512], target[512];
	size_t n = 0;

	/* Up to the top, and down again. */
	snprintf(at, sizeof(at), "%s/slaves/%s", t->block, name);
	for (const char *c = at; (c = strchr(c, '/')); c++)
		n += (size_t)snprintf(target + n, sizeof(target) - n, "../");
	snprintf(target + n, sizeof(target) - n, "sys/class/block/%s", name);
	tree_link(t, at, target);
}

/* "" where a word is missing. */
static inline char *tree_word(char **rest)
{
	char *word = strsep(rest, " ");

	if (!*rest)
		*rest = word + strlen(word);
	return word;
}

static inline void tree_line(struct tree *t, char *line)
{
	bool indented = line[0] == '\t';
	char *rest = line + indented, *word = tree_word(&rest), path[512];

	if (indented && strcmp(word, "slave") == 0) {
		tree_slave(t, rest);
	} else if (indented) {
		snprintf(path, sizeof(path), "%s/%s", t->block, word);
		tree_file(t, path, rest);
	} else if (strcmp(word, "target") == 0) {
		ck_assert_int_eq(sscanf(rest, "%u:%u", &t->target.major, &t->target.minor), 2);
	} else if (strcmp(word, "mount-id") == 0) {
		t->target.mount_id = atoi(rest);
	} else if (strcmp(word, "mount") == 0) {
		size_t n = strlen(rest);

		rest[n] = '\n';
		tree_write(t, PROBE_MOUNTINFO, rest, n + 1);
	} else if (strcmp(word, "file") == 0) {
		word = tree_word(&rest);
		tree_file(t, word, rest);
	} else if (strcmp(word, "link") == 0) {
		word = tree_word(&rest);
		tree_link(t, word, rest);
	} else if (strcmp(word, "block") == 0) {
		word = tree_word(&rest);
		tree_block(t, word, rest);
	} else if (strcmp(word, "fifo") == 0) {
		tree_parents(t, rest);
		unlinkat(t->root.fd, rest, 0);
		ck_assert_int_eq(mkfifoat(t->root.fd, rest, 0644), 0);
	} else {
		ck_assert(word[0] == '#' || word[0] == '\0');
	}
}

static inline void tree_init(struct tree *t, const char *name)
{
	char path[512], line[1024];
	const char *tmp = getenv("TMPDIR");
	FILE *in;

	*t = (struct tree){ .target = { .mount_id = -1 } };
	snprintf(t->dir, sizeof(t->dir), "%.40s/probe.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(t->dir));
	t->root.fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->root.mountinfo = PROBE_MOUNTINFO;
	ck_assert_int_ge(t->root.fd, 0);
	snprintf(path, sizeof(path), PROBE_TREES "/%s.tree", name);
	in = fopen(path, "re");
	ck_assert_msg(in != NULL, "%s", path);
	while (fgets(line, sizeof(line) - 1, in)) {
		line[strcspn(line, "\n")] = '\0';
		tree_line(t, line);
	}
	fclose(in);
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type,
				  struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline void tree_deinit(struct tree *t)
{
	close(t->root.fd);
	nftw(t->dir, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	for (unsigned i = 0; i < t->file_count; i++)
		free(t->files[i]);
	for (unsigned i = 0; i < t->link_count; i++)
		free(t->links[i]);
}
