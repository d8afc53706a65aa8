// SPDX-License-Identifier: GPL-2.0-only
/* rename(2) and renameat2(2) with its flags. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int rename2(const char *from, const char *to, unsigned int flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void rename_files(struct ops *o)
{
	struct stat before, after;

	ops_mk(o, "a", "A");
	ops_mk(o, "b", "BB");
	ops_mkdir(o, "d", 0755);
	before = ops_lstat("a");
	TIMES(o, ".", rename("a", "c"));
	after = ops_lstat("c");
	ops_say(o, "same inode", "%d", ops_same_file(&before, &after));
	TRY(o, access("a", F_OK));
	TRY(o, rename("c", "b"));
	ops_content_path(o, "b", "b");
	SHOW(o, "b");
	TIMES(o, "d", rename("b", "d/e"));
	TRY(o, rename("d/e", "f"));
	TRY(o, rename("f", "f"));
	TRY(o, rename("f", "d"));
	TRY(o, rename("missing", "f"));
	TRY(o, rename("f", "missing/f"));
	TRY(o, rename("f/x", "g"));
	TRY(o, rename("f", "f/x"));
	TRY(o, rename("f", "g/"));
	TRY(o, rename("f/", "g"));
	TRY(o, rename("", "g"));
	TRY(o, rename("f", ""));
	TRY(o, rename("f", "/proc/self/g"));
	TRY(o, link("f", "h"));
	/* two names of one inode: nothing happens, both stay */
	TRY(o, rename("f", "h"));
	ops_ls(o, "left", ".");
	SHOW(o, "h");
}

static void rename_dirs(struct ops *o)
{
	struct stat st;

	ops_mkdir(o, "a", 0755);
	ops_mkdir(o, "a/b", 0755);
	ops_mkdir(o, "empty", 0755);
	ops_mkdir(o, "full", 0755);
	ops_mk(o, "full/x", "x");
	ops_mk(o, "f", "f");
	TRY(o, rename("a", "a/b/c"));
	TRY(o, rename("a", "a/c"));
	TRY(o, rename("a", "full"));
	TRY(o, rename("a", "f"));
	TRY(o, rename("f", "empty"));
	TRY(o, rename("a/b", "a"));
	TRY(o, rename("a", "empty"));
	SHOW(o, "empty");
	TRY(o, stat("a", &st));
	TRY(o, access("empty/b", F_OK));
	TRY(o, rename(".", "x"));
	TRY(o, rename("full/.", "x"));
	TRY(o, rename("full", "."));
	TRY(o, rename("full", ".."));
	TRY(o, rename("full", "empty/b/"));
	TRY(o, access("empty/b/x", F_OK));
	SHOW(o, "empty");
	SHOW(o, "empty/b");
	TRY(o, rename("empty/b", "top"));
	SHOW(o, "empty");
	TRY(o, stat("top/..", &st));
	struct stat here = ops_lstat(".");
	ops_say(o, "top/.. is .", "%d", ops_same_file(&st, &here));
	TRY(o, symlink("top", "s"));
	TRY(o, rename("s", "empty"));
	TRY(o, rename("s", "s2"));
	ops_ls(o, "left", ".");
}

static void rename_noreplace(struct ops *o)
{
	ops_mk(o, "a", "A");
	ops_mk(o, "b", "B");
	ops_mkdir(o, "d", 0755);
	TRY(o, rename2("a", "b", RENAME_NOREPLACE));
	TRY(o, rename2("a", "d", RENAME_NOREPLACE));
	TRY(o, rename2("a", "a", RENAME_NOREPLACE));
	TRY(o, rename2("d", "a", RENAME_NOREPLACE));
	TRY(o, rename2("missing", "n", RENAME_NOREPLACE));
	TRY(o, rename2("a", "n", RENAME_NOREPLACE));
	TRY(o, rename2("d", "n2", RENAME_NOREPLACE));
	TRY(o, rename2("b", "n2/b", RENAME_NOREPLACE));
	TRY(o, rename2("n", "n3", RENAME_NOREPLACE | RENAME_EXCHANGE));
	TRY(o, rename2("n", "n3", 1u << 20));
	ops_ls(o, "left", ".");
}

static void rename_exchange(struct ops *o)
{
	struct stat a = { 0 }, d = { 0 }, a2, d2;

	ops_mk(o, "a", "A");
	ops_mkdir(o, "d", 0755);
	ops_mkdir(o, "e", 0755);
	ops_mk(o, "d/in", "in");
	ops_mkdir(o, "e/sub", 0755);
	a = ops_lstat("a");
	d = ops_lstat("d");
	TRY(o, rename2("a", "missing", RENAME_EXCHANGE));
	TRY(o, rename2("missing", "a", RENAME_EXCHANGE));
	TRY(o, rename2("a", "d", RENAME_EXCHANGE));
	a2 = ops_lstat("a");
	d2 = ops_lstat("d");
	ops_say(o, "exchanged", "%d %d", ops_same_file(&a, &d2), ops_same_file(&d, &a2));
	ops_content_path(o, "d is the file", "d");
	TRY(o, access("a/in", F_OK));
	TRY(o, rename2("a", "e/sub", RENAME_EXCHANGE));
	TRY(o, access("e/sub/in", F_OK));
	SHOW(o, "e");
	TRY(o, rename2("e", "e/sub", RENAME_EXCHANGE));
	TRY(o, rename2("d", "e/sub", RENAME_EXCHANGE));
	ops_content_path(o, "e/sub", "e/sub");
	SHOW(o, "e");
	SHOW(o, ".");
	TRY(o, symlink("x", "s"));
	TRY(o, rename2("s", "e/sub", RENAME_EXCHANGE));
	SHOW(o, "e/sub");
	ops_ls(o, "left", ".");
}

static void rename_whiteout(struct ops *o)
{
	ops_mk(o, "a", "A");
	ops_mk(o, "b", "B");
	ops_mkdir(o, "d", 0755);
	TRY(o, rename2("a", "w", RENAME_WHITEOUT));
	SHOW(o, "a");
	SHOW(o, "w");
	TRY(o, rename2("b", "w", RENAME_WHITEOUT));
	SHOW(o, "b");
	ops_content_path(o, "w", "w");
	TRY(o, rename2("d", "d2", RENAME_WHITEOUT));
	SHOW(o, "d");
	TRY(o, rename2("w", "d2", RENAME_WHITEOUT | RENAME_NOREPLACE));
	TRY(o, rename2("w", "x", RENAME_WHITEOUT | RENAME_NOREPLACE));
	TRY(o, rename2("w", "x", RENAME_WHITEOUT | RENAME_EXCHANGE));
	TRY(o, rename2("missing", "x", RENAME_WHITEOUT));
	ops_ls(o, "left", ".");
}

/* What is open stays what it was. */
static void rename_open(struct ops *o)
{
	int a, b, d;
	struct stat st;

	ops_mk(o, "a", "content of a");
	ops_mk(o, "b", "content of b");
	ops_mkdir(o, "d", 0755);
	ops_mk(o, "d/f", "in d");
	a = ops_open(o, "a", O_RDWR);
	b = ops_open(o, "b", O_RDWR);
	d = ops_open(o, "d", O_RDONLY | O_DIRECTORY);
	TRY(o, rename("a", "b"));
	ops_content(o, "a", a);
	ops_content(o, "b, replaced", b);
	SHOWFD(o, a);
	SHOWFD(o, b);
	TRY(o, pwrite(b, "CONTENT", 7, 0));
	TRY(o, ftruncate(b, 9));
	ops_content(o, "b, written", b);
	ops_content_path(o, "path b", "b");
	TRY(o, rename("d", "e"));
	TRY(o, fstatat(d, "f", &st, 0));
	FD(o, openat(d, "new", O_CREAT | O_RDWR, 0644));
	ops_ls(o, "e", "e");
	TRY(o, renameat(d, "new", AT_FDCWD, "out"));
	TRY(o, rename("out", "e/f"));
	ops_ls(o, "e", "e");
	ops_mkdir(o, "x", 0755);
	TRY(o, unlinkat(d, "f", 0));
	TRY(o, rename("x", "e"));
	SHOWFD(o, d);
	TRY(o, fstatat(d, "f", &st, 0));
	TRY(o, openat(d, "new", O_CREAT | O_RDWR, 0644));
	ops_ls(o, "left", ".");
}

/* A save by an editor, 200 times: never a missing or an empty file. */
static void rename_save(struct ops *o)
{
	int i, bad = 0;

	ops_mk(o, "doc", "start");
	for (i = 0; i < 200; i++) {
		char text[32], got[32] = "";
		int fd;

		snprintf(text, sizeof(text), "version %d", i);
		ops_mk(o, "doc.tmp", text);
		bad += rename("doc.tmp", "doc") < 0;
		fd = open("doc", O_RDONLY);
		bad += read(fd, got, sizeof(got) - 1) != (ssize_t)strlen(text);
		bad += !!strcmp(text, got);
		bad += ops_lstat("doc").st_size != (off_t)strlen(text);
		close(fd);
	}
	ops_say(o, "wrong", "%d", bad);
	ops_ls(o, "left", ".");
}

const struct scenario rename_scenarios[] = {
	{ "rename_files", rename_files, OPS_BOTH },
	{ "rename_dirs", rename_dirs, OPS_BOTH },
	{ "rename_noreplace", rename_noreplace, OPS_BOTH },
	{ "rename_exchange", rename_exchange, OPS_BOTH },
	{ "rename_whiteout", rename_whiteout, OPS_BOTH },
	{ "rename_open", rename_open, OPS_BOTH },
	{ "rename_save", rename_save, OPS_BOTH },
	{ 0 },
};
