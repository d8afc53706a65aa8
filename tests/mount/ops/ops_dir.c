// SPDX-License-Identifier: GPL-2.0-only
/* Reading directories: types, inode numbers, positions, changes meanwhile. */
#include "ops.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list_types(struct ops *o)
{
	struct dirent **list;
	struct stat st;
	int n, i;

	ops_mk(o, "file", "x");
	ops_mkdir(o, "dir", 0755);
	ops_mkdir(o, "dir/sub", 0755);
	TRY(o, symlink("file", "symlink"));
	TRY(o, mkfifo("fifo", 0644));
	TRY(o, mknod("socket", S_IFSOCK | 0644, 0));
	TRY(o, mknod("chardev", S_IFCHR, 0));
	TRY(o, link("file", "hardlink"));
	n = scandir(".", &list, NULL, by_name);
	for (i = 0; i < n; i++) {
		st = ops_lstat(list[i]->d_name);
		ops_say(o, list[i]->d_name, "type %d, d_ino %s st_ino", list[i]->d_type,
			list[i]->d_ino == st.st_ino ? "==" : "!=");
		free(list[i]);
	}
	free(list);
	/* "." and ".." of the directory below */
	n = scandir("dir", &list, NULL, by_name);
	for (i = 0; i < n; i++) {
		char path[300];

		snprintf(path, sizeof(path), "dir/%s", list[i]->d_name);
		st = ops_lstat(path);
		ops_say(o, path, "type %d, d_ino %s st_ino", list[i]->d_type,
			list[i]->d_ino == st.st_ino ? "==" : "!=");
		free(list[i]);
	}
	free(list);
}

static void fill(struct ops *o, const char *dir, int n)
{
	char path[300];
	int i;

	ops_mkdir(o, dir, 0755);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/entry-%05d-of-a-name-of-some-length", dir, i);
		if (mknod(path, S_IFREG | 0644, 0) < 0)
			ops_try(o, "fill", -1);
	}
}

static int number(const char *name)
{
	return strncmp(name, "entry-", 6) ? -1 : atoi(name + 6);
}

static void list_many(struct ops *o)
{
	unsigned char *seen = calloc(3000, 1);
	int pass, i, missed, other;
	struct dirent *e;
	DIR *dir;

	fill(o, "d", 3000);
	dir = opendir("d");
	for (pass = 0; pass < 2; pass++) {
		memset(seen, 0, 3000);
		for (other = 0; (e = readdir(dir));) {
			i = number(e->d_name);
			if (i < 0 || i >= 3000)
				other++;
			else
				seen[i]++;
		}
		for (missed = 0, i = 0; i < 3000; i++)
			missed += seen[i] != 1;
		ops_say(o, "pass", "%d not seen once, %d others", missed, other);
		rewinddir(dir);
	}
	ops_mk(o, "d/entry-00000-new", "");
	for (other = 0; (e = readdir(dir));)
		other += !strcmp(e->d_name, "entry-00000-new");
	ops_say(o, "new one after rewinddir, begun before", "%d", other >= 0);
	rewinddir(dir);
	for (other = 0; (e = readdir(dir));)
		other += !strcmp(e->d_name, "entry-00000-new");
	ops_say(o, "new one after rewinddir", "%d", other);
	closedir(dir);
	free(seen);
}

/* Removing what was just read, in small and in large steps: none is missed. */
static void list_remove(struct ops *o)
{
	static const int counts[] = { 10, 500, 3000 };
	char step[64];
	size_t c;

	for (c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		struct dirent *e;
		int removed = 0;
		DIR *dir;

		fill(o, "d", counts[c]);
		dir = opendir("d");
		while ((e = readdir(dir)))
			if (number(e->d_name) >= 0)
				removed += !unlinkat(dirfd(dir), e->d_name, 0);
		closedir(dir);
		snprintf(step, sizeof(step), "removed of %d", counts[c]);
		ops_say(o, step, "%d", removed);
		ops_try(o, "rmdir", rmdir("d"));
	}
}

static void list_seek(struct ops *o)
{
	long at[400];
	char names[400][64];
	struct dirent *e;
	int n = 0, i, bad = 0;
	DIR *dir;

	fill(o, "d", 350);
	dir = opendir("d");
	do {
		at[n] = telldir(dir);
		e = readdir(dir);
		snprintf(names[n], sizeof(names[n]), "%.60s", e ? e->d_name : "");
		n++;
	} while (e && n < 400);
	ops_say(o, "entries", "%d", n - 1);
	for (i = 0; i < n - 1; i++) {
		int k = (i * 37) % (n - 1);

		seekdir(dir, at[k]);
		bad += telldir(dir) != at[k];
		e = readdir(dir);
		bad += !e || strcmp(e->d_name, names[k]) != 0;
	}
	ops_say(o, "wrong after seekdir", "%d", bad);
	seekdir(dir, at[n - 1]);
	ops_say(o, "at the end", "%d", readdir(dir) == NULL);
	/* a position stays good when entries behind and before it are removed */
	for (i = 0; i < n - 1; i++)
		if (i != 200 && i % 3 && number(names[i]) >= 0)
			unlinkat(dirfd(dir), names[i], 0);
	seekdir(dir, at[200]);
	e = readdir(dir);
	ops_say(o, "after removals", "%d",
		e && (!strcmp(e->d_name, names[200]) || number(names[200]) < 0));
	closedir(dir);
}

static void list_small_buffer(struct ops *o)
{
	char buf[512];
	int fd, n, calls = 0, entries = 0;

	fill(o, "d", 100);
	fd = ops_open(o, "d", O_RDONLY | O_DIRECTORY);
	TRY(o, syscall(SYS_getdents64, fd, buf, 1));
	TRY(o, syscall(SYS_getdents64, fd, buf, 20));
	while ((n = (int)syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		int at;

		calls++;
		for (at = 0; at < n; entries++) {
			struct dirent64 *e = (void *)(buf + at);

			at += e->d_reclen;
		}
	}
	ops_say(o, "entries in 512 bytes each", "%d in %s calls", entries,
		calls > 5 ? "several" : "few");
	TRY(o, syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	TRY(o, lseek(fd, 0, SEEK_SET));
	TRY(o, syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0);
	TRY(o, syscall(SYS_getdents64, ops_open(o, "d/x", O_RDWR | O_CREAT), buf, sizeof(buf)));
	TRY(o, syscall(SYS_getdents64, open("d", O_PATH), buf, sizeof(buf)));
	TRY(o, rename("d", "e"));
	TRY(o, lseek(fd, 0, SEEK_SET));
	TRY(o, syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0);
}

static void list_errors(struct ops *o)
{
	DIR *a, *b;

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, opendir("missing") ? 0 : -1);
	TRY(o, opendir("f") ? 0 : -1);
	TRY(o, opendir("") ? 0 : -1);
	ops_say(o, "empty directory", "%d", ops_ls_count("d"));
	/* two readers of one directory, a change between */
	a = opendir(".");
	b = opendir(".");
	readdir(a);
	ops_mk(o, "g", "y");
	while (readdir(a))
		;
	TRY(o, unlink("f"));
	ops_ls(o, "left", ".");
	closedir(a);
	ops_say(o, "second reader reads on", "%d", readdir(b) != NULL);
	closedir(b);
	TRY(o, chmod("d", 0));
	TRY(o, opendir("d") ? 0 : -1);
	TRY(o, chmod("d", 0111));
	TRY(o, opendir("d") ? 0 : -1);
	TRY(o, chdir("d"));
}

/* What may be read and not searched shows its names and nothing else. */
static void list_unsearchable(struct ops *o)
{
	struct stat st;
	int fd;

	ops_mkdir(o, "d", 0755);
	ops_mk(o, "d/x", "x");
	ops_mkdir(o, "d/sub", 0755);
	TRY(o, chmod("d", 0644));
	ops_ls(o, "names", "d");
	TRY(o, lstat("d/x", &st));
	TRY(o, chdir("d"));
	fd = ops_open(o, "d", O_RDONLY | O_DIRECTORY);
	TRY(o, fsync(fd));
	TRY(o, fstatat(fd, "x", &st, 0));
	FD(o, openat(fd, "x", O_RDONLY));
	TRY(o, chmod("d", 0700));
	TRY(o, fstatat(fd, "x", &st, 0));
	close(fd);
	ops_ls(o, "names again", "d");
}

/* Created, renamed and removed names show in the very next listing. */
static void list_at_once(struct ops *o)
{
	char a[64], b[64];
	int i, bad = 0;

	ops_mkdir(o, "d", 0755);
	for (i = 0; i < 100; i++) {
		snprintf(a, sizeof(a), "d/a%d", i);
		snprintf(b, sizeof(b), "d/b%d", i);
		bad += mknod(a, S_IFREG | 0644, 0) < 0;
		bad += ops_ls_count("d") != i + 3;
		bad += rename(a, b) < 0;
		bad += ops_ls_count("d") != i + 3;
		bad += mkdir(a, 0755) < 0;
		bad += ops_ls_count("d") != i + 4;
		bad += rmdir(a) < 0;
		bad += ops_ls_count("d") != i + 3;
	}
	ops_say(o, "wrong", "%d", bad);
}

const struct scenario dir_scenarios[] = {
	{ "list_types", list_types, OPS_BOTH },
	{ "list_many", list_many, OPS_BOTH },
	{ "list_remove", list_remove, OPS_BOTH },
	{ "list_seek", list_seek, OPS_BOTH },
	{ "list_small_buffer", list_small_buffer, OPS_BOTH },
	{ "list_errors", list_errors, OPS_BOTH },
	{ "list_unsearchable", list_unsearchable, OPS_BOTH },
	{ "list_at_once", list_at_once, OPS_BOTH },
	{ 0 },
};
