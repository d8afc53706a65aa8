// SPDX-License-Identifier: GPL-2.0-only
/* Names and paths: lookup, negative entries, odd bytes, lengths, deep trees. */
#include "ops.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void lookup(struct ops *o)
{
	struct stat st, other;

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	ops_mk(o, "d/inner", "y");
	TRY(o, stat("missing", &st));
	TRY(o, stat("missing/x", &st));
	TRY(o, stat("f/x", &st));
	TRY(o, stat("f/", &st));
	TRY(o, stat("f/.", &st));
	TRY(o, stat("f/..", &st));
	TRY(o, stat("d/", &st));
	TRY(o, stat("d/.", &st));
	TRY(o, stat("d/inner/", &st));
	TRY(o, stat("", &st));
	TRY(o, stat("d//inner", &st));
	TRY(o, stat("d/../f", &other));
	TRY(o, stat("f", &st));
	ops_say(o, "d/../f is f", "%d", ops_same_file(&st, &other));
	stat(".", &st);
	stat("d/..", &other);
	ops_say(o, "d/.. is .", "%d", ops_same_file(&st, &other));
	SHOW(o, "f");
	SHOW(o, "d");
	TRY(o, access("d/inner/..", F_OK));
	TRY(o, chdir("f"));
	TRY(o, chdir("missing"));
}

static void negative_entries(struct ops *o)
{
	struct stat st;

	TRY(o, stat("a", &st));
	TRY(o, stat("a", &st));
	ops_mk(o, "a", "1");
	TRY(o, stat("a", &st));
	TRY(o, stat("b", &st));
	TRY(o, rename("a", "b"));
	TRY(o, stat("a", &st));
	TRY(o, stat("b", &st));
	TRY(o, stat("c", &st));
	TRY(o, link("b", "c"));
	TRY(o, stat("c", &st));
	TRY(o, unlink("b"));
	TRY(o, stat("b", &st));
	TRY(o, mkdir("b", 0755));
	TRY(o, stat("b", &st));
	TRY(o, stat("b/in", &st));
	ops_mk(o, "b/in", "2");
	TRY(o, stat("b/in", &st));
	TRY(o, rename("b", "moved"));
	TRY(o, stat("b/in", &st));
	TRY(o, stat("moved/in", &st));
	TRY(o, stat("s", &st));
	TRY(o, symlink("moved/in", "s"));
	TRY(o, stat("s", &st));
	TRY(o, rmdir("b"));
	TRY(o, unlink("gone"));
}

static void make_it(struct ops *o, void *arg)
{
	ops_mk(o, arg, "made by another process");
}

static void remove_it(struct ops *o, void *arg)
{
	TRY(o, unlink(arg));
}

static void other_process(struct ops *o)
{
	char name[] = "it";
	struct stat st;

	TRY(o, stat(name, &st));
	ops_reap(o, "maker", ops_spawn(o, make_it, name));
	TRY(o, stat(name, &st));
	ops_content_path(o, "content", name);
	ops_reap(o, "remover", ops_spawn(o, remove_it, name));
	TRY(o, stat(name, &st));
	TRY(o, open(name, O_RDONLY));
}

/* The same name, over and over: no stale entry, size or inode. */
static void recreate(struct ops *o)
{
	struct stat st;
	int i, bad = 0;

	for (i = 0; i < 1000; i++) {
		int fd = open("same", O_RDWR | O_CREAT | O_EXCL, 0600 + (i & 077));

		bad += fd < 0;
		bad += write(fd, "0123456789", (size_t)(i % 10)) != i % 10;
		bad += stat("same", &st) < 0 || st.st_size != i % 10;
		bad += (st.st_mode & 0777) != (0600u + ((unsigned int)i & 077 & ~022u));
		bad += close(fd) < 0;
		bad += unlink("same") < 0;
		bad += !stat("same", &st) || errno != ENOENT;
	}
	ops_say(o, "1000 times: wrong", "%d", bad);
	for (i = 0, bad = 0; i < 200; i++) {
		bad += mkdir("same", 0755) < 0;
		bad += stat("same", &st) < 0 || !S_ISDIR(st.st_mode);
		bad += rmdir("same") < 0;
		bad += symlink("x", "same") < 0;
		bad += lstat("same", &st) < 0 || !S_ISLNK(st.st_mode);
		bad += unlink("same") < 0;
	}
	ops_say(o, "200 times another type: wrong", "%d", bad);
	ops_ls(o, "left", ".");
}

static void name_bytes(struct ops *o)
{
	unsigned char name[4] = "a?z";
	struct dirent **list;
	unsigned char seen[8192];
	size_t at = 0;
	int c, n, i, bad = 0;

	ops_mkdir(o, "d", 0755);
	for (c = 1; c < 256; c++) {
		char path[8];

		name[1] = (unsigned char)c;
		snprintf(path, sizeof(path), "d/%s", (char *)name);
		if (c != '/' && mknod(path, S_IFREG | 0644, 0) < 0)
			bad++;
	}
	ops_say(o, "names not made", "%d", bad);
	n = scandir("d", &list, NULL, alphasort);
	for (i = 0; i < n; i++) {
		size_t len = strlen(list[i]->d_name);

		if (at + len < sizeof(seen))
			memcpy(seen + at, list[i]->d_name, len);
		at += len;
		free(list[i]);
	}
	free(list);
	ops_say(o, "names listed", "%d", n);
	ops_bytes(o, "all names", seen, at);
	TRY(o, mkdir("\xff\xfe\n\t \\", 0755));
	TRY(o, rmdir("\xff\xfe\n\t \\"));
	TRY(o, mkdir("...", 0755));
	TRY(o, mkdir(" ", 0755));
	FD(o, open("a\\b", O_CREAT | O_RDWR, 0644));
	ops_ls(o, "odd names", ".");
}

static void name_length(struct ops *o)
{
	char n255[256], n256[257], u255[256];
	struct stat st;

	memset(n255, 'n', 255);
	memset(n256, 'n', 256);
	memset(u255, 0xe9, 255);
	n255[255] = n256[256] = u255[255] = '\0';
	TRY(o, stat(n255, &st));
	TRY(o, stat(n256, &st));
	TRY(o, mkdir(n256, 0755));
	TRY(o, open(n256, O_RDWR | O_CREAT, 0644));
	TRY(o, open(n256, O_RDONLY));
	TRY(o, symlink("x", n256));
	TRY(o, mknod(n256, S_IFIFO | 0644, 0));
	TRY(o, unlink(n256));
	TRY(o, rmdir(n256));
	TRY(o, rename(n256, "x"));
	ops_mk(o, "f", "x");
	TRY(o, rename("f", n256));
	TRY(o, link("f", n256));
	TRY(o, rename("f", n255));
	SHOW(o, n255);
	TRY(o, link(n255, u255));
	SHOW(o, u255);
	TRY(o, unlink(n255));
	TRY(o, mkdir(n255, 0755));
	TRY(o, access(n255, F_OK));
	TRY(o, rmdir(n255));
	TRY(o, unlink(u255));
}

static void path_length(struct ops *o)
{
	char path[5001];
	struct stat st;
	int i;

	for (i = 0; i < 5000; i++)
		path[i] = i & 1 ? '/' : '.';
	ops_mk(o, "f", "x");
	path[4094] = 'f';
	path[4095] = '\0';
	TRY(o, stat(path, &st));
	FD(o, open(path, O_RDONLY));
	memmove(path + 2, path, 4096);
	path[0] = '.';
	TRY(o, stat(path, &st));
	TRY(o, open(path, O_RDONLY));
	TRY(o, mkdir(path, 0755));
	TRY(o, unlink(path));
	TRY(o, rename(path, "x"));
	TRY(o, symlink(path, "x"));
}

/* 40 levels of 150 bytes: no path reaches the bottom, relative steps do. */
static void deep_tree(struct ops *o)
{
	char name[151], cwd[8192];
	int i, made = 0, up = 0, start = open(".", O_RDONLY | O_DIRECTORY);

	memset(name, 'd', 150);
	name[150] = '\0';
	for (i = 0; i < 40; i++)
		made += !mkdir(name, 0755) && !chdir(name);
	ops_say(o, "levels", "%d", made);
	ops_mk(o, "bottom", "deep down");
	ops_content_path(o, "bottom", "bottom");
	SHOW(o, "bottom");
	TRY(o, syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0);
	TRY(o, syscall(SYS_getcwd, cwd, (size_t)4096) > 0);
	TRY(o, rename("bottom", "../bottom"));
	TRY(o, unlink("../bottom"));
	for (i = 0; i < 40; i++)
		up += !chdir("..") && !rmdir(name);
	ops_say(o, "levels removed", "%d", up);
	ops_ls(o, "left", ".");
	TRY(o, fchdir(start));
}

static void cwd_deleted(struct ops *o)
{
	char buf[4096];
	struct stat st;

	ops_mkdir(o, "here", 0755);
	TRY(o, chdir("here"));
	TRY(o, rmdir("../here"));
	TRY(o, syscall(SYS_getcwd, buf, sizeof(buf)));
	TRY(o, stat(".", &st));
	ops_show(o, "stat .", AT_FDCWD, ".");
	TRY(o, stat("x", &st));
	TRY(o, open("x", O_CREAT | O_RDWR, 0644));
	TRY(o, mkdir("x", 0755));
	TRY(o, symlink("x", "y"));
	TRY(o, mknod("x", S_IFIFO | 0644, 0));
	ops_say(o, "entries", "%d", ops_ls_count("."));
	TRY(o, rmdir("."));
	TRY(o, chmod(".", 0700));
	ops_show(o, "stat . again", AT_FDCWD, ".");
	TRY(o, access(".", W_OK));
	TRY(o, open(".", O_TMPFILE | O_RDWR, 0600));
	TRY(o, chdir(".."));
	ops_ls(o, "left", ".");
}

const struct scenario names_scenarios[] = {
	{ "lookup", lookup, OPS_BOTH },
	{ "negative_entries", negative_entries, OPS_BOTH },
	{ "other_process", other_process, OPS_BOTH },
	{ "recreate", recreate, OPS_BOTH },
	{ "name_bytes", name_bytes, OPS_BOTH },
	{ "name_length", name_length, OPS_BOTH },
	{ "path_length", path_length, OPS_BOTH },
	{ "deep_tree", deep_tree, OPS_BOTH },
	{ "cwd_deleted", cwd_deleted, OPS_BOTH },
	{ 0 },
};
