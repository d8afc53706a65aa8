// SPDX-License-Identifier: GPL-2.0-only
/* Symbolic links and hard links. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void say_target(struct ops *o, const char *step, const char *path)
{
	char buf[8192];
	ssize_t n = readlink(path, buf, sizeof(buf));

	if (n < 0)
		ops_try(o, step, -1);
	else
		ops_bytes(o, step, buf, (size_t)n);
}

static void symlinks(struct ops *o)
{
	char buf[16] = "";

	ops_mk(o, "f", "target");
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("f", "s"));
	SHOW(o, "s");
	say_target(o, "readlink s", "s");
	ops_content_path(o, "through s", "s");
	TRY(o, symlink("f", "s"));
	TRY(o, symlink("f", "d"));
	TRY(o, symlink("f", "missing/s"));
	TRY(o, symlink("f", "f/s"));
	TRY(o, symlink("", "empty"));
	TRY(o, symlink("../f", "d/up"));
	ops_content_path(o, "through d/up", "d/up");
	TRY(o, symlink("a target of some length", "long"));
	TRY(o, readlink("long", buf, 5));
	ops_bytes(o, "cut short", buf, 5);
	TRY(o, readlink("long", buf, 0));
	TRY(o, readlink("f", buf, sizeof(buf)));
	TRY(o, readlink("d", buf, sizeof(buf)));
	TRY(o, readlink("missing", buf, sizeof(buf)));
	TRY(o, symlink("d", "sd"));
	TRY(o, rmdir("sd"));
	TRY(o, mkdir("sd", 0755));
	TRY(o, access("sd/up", F_OK));
	TRY(o, unlink("sd/"));
	TRY(o, unlink("sd"));
	TRY(o, unlink("s"));
	ops_ls(o, "left", ".");
}

static void symlink_lengths(struct ops *o)
{
	static const int lengths[] = { 1,   7,	 15,   59,   60,   61,	 255,  256,  510,
				       511, 512, 1023, 1024, 1025, 2048, 4094, 4095, 4096 };
	char target[5000], name[32], step[64];
	size_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(target, 't', sizeof(target));
		target[lengths[i]] = '\0';
		snprintf(name, sizeof(name), "s%d", lengths[i]);
		snprintf(step, sizeof(step), "symlink of %d bytes", lengths[i]);
		if (ops_try(o, step, symlink(target, name)) < 0)
			continue;
		snprintf(step, sizeof(step), "%d bytes", lengths[i]);
		ops_show(o, step, AT_FDCWD, name);
		say_target(o, step, name);
	}
}

static void symlink_follow(struct ops *o)
{
	char from[16], to[16];
	struct stat st;
	int i;

	TRY(o, symlink("made", "dangling"));
	TRY(o, stat("dangling", &st));
	TRY(o, lstat("dangling", &st));
	TRY(o, open("dangling", O_RDONLY));
	TRY(o, open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644));
	TRY(o, mkdir("dangling", 0755));
	FD(o, open("dangling", O_WRONLY | O_CREAT, 0640));
	SHOW(o, "made");
	TRY(o, symlink("loop", "loop"));
	TRY(o, stat("loop", &st));
	TRY(o, open("loop", O_RDONLY));
	TRY(o, open("loop", O_WRONLY | O_CREAT, 0644));
	TRY(o, symlink("y", "x"));
	TRY(o, symlink("x", "y"));
	TRY(o, stat("x", &st));
	TRY(o, chmod("x", 0644));
	TRY(o, chdir("x"));
	TRY(o, stat("x/z", &st));
	ops_mk(o, "c0", "end");
	for (i = 1; i <= 41; i++) {
		snprintf(to, sizeof(to), "c%d", i - 1);
		snprintf(from, sizeof(from), "c%d", i);
		if (symlink(to, from) < 0)
			ops_try(o, "chain", -1);
	}
	TRY(o, stat("c40", &st));
	TRY(o, stat("c41", &st));
	TRY(o, open("c1", O_RDONLY | O_NOFOLLOW));
	TRY(o, symlink("/proc/self/exe", "magic"));
	TRY(o, access("magic", X_OK));
}

static void symlink_changes(struct ops *o)
{
	char path[64];
	struct stat one, other;

	ops_mk(o, "f", "x");
	TRY(o, symlink("f", "s"));
	/* the same name with another target, at once */
	TRY(o, unlink("s"));
	TRY(o, symlink("another", "s"));
	say_target(o, "new target", "s");
	TRY(o, symlink("third", "t"));
	TRY(o, rename("t", "s"));
	say_target(o, "renamed over", "s");
	TRY(o, link("s", "s2"));
	one = ops_lstat("s");
	other = ops_lstat("s2");
	ops_say(o, "link to a symlink is it", "%d", ops_same_file(&one, &other));
	SHOW(o, "s2");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", open("s", O_PATH | O_NOFOLLOW));
	TRY(o, readlinkat(open("s", O_PATH | O_NOFOLLOW), "", path, sizeof(path)));
}

static void hard_links(struct ops *o)
{
	struct stat a, b;
	int fd;

	ops_mk(o, "a", "one");
	ops_mkdir(o, "d", 0755);
	TIMES(o, "a", link("a", "b"));
	TRY(o, link("a", "d/c"));
	SHOW(o, "a");
	SHOW(o, "b");
	a = ops_lstat("a");
	b = ops_lstat("d/c");
	ops_say(o, "one inode", "%d", ops_same_file(&a, &b));
	TRY(o, link("a", "b"));
	TRY(o, link("a", "d"));
	TRY(o, link("d", "d2"));
	TRY(o, link("missing", "m"));
	TRY(o, link("a", "missing/m"));
	TRY(o, link("a", "a/m"));
	TRY(o, link("a", "/proc/self/x"));
	fd = ops_open(o, "b", O_RDWR);
	TRY(o, write(fd, "longer text", 11));
	SHOW(o, "a");
	SHOW(o, "d/c");
	ops_content_path(o, "by another name", "d/c");
	TRY(o, truncate("d/c", 4));
	SHOWFD(o, fd);
	ops_content(o, "by descriptor", fd);
	TIMES(o, "b", unlink("a"));
	SHOW(o, "b");
	TRY(o, unlink("d/c"));
	SHOWFD(o, fd);
	TRY(o, unlink("b"));
	SHOWFD(o, fd);
	TRY(o, linkat(fd, "", AT_FDCWD, "back", AT_EMPTY_PATH));
	ops_ls(o, "left", ".");
}

/* A change by one name is seen by the other at once: size, times, mode, content. */
static void hard_links_seen(struct ops *o)
{
	struct stat before;
	int fd, i, wrong = 0;

	ops_mk(o, "a", "");
	TRY(o, link("a", "b"));
	fd = ops_open(o, "a", O_WRONLY | O_APPEND);
	for (i = 1; i <= 200; i++) {
		struct stat st = ops_lstat("b");

		wrong += st.st_size != i - 1;
		wrong += write(fd, "x", 1) != 1;
		st = ops_lstat("b");
		wrong += st.st_size != i;
	}
	ops_say(o, "sizes not seen", "%d", wrong);
	before = ops_lstat("b");
	ops_tick();
	TRY(o, write(fd, "y", 1));
	ops_changed(o, "times by the other name", &before, "b");
	TRY(o, chmod("a", 0600));
	SHOW(o, "b");
	TRY(o, truncate("a", 10));
	SHOW(o, "b");
	before = ops_lstat("b");
	ops_tick();
	TRY(o, unlink("a"));
	ops_changed(o, "times after unlink of the other", &before, "b");
	SHOW(o, "b");
	SHOWFD(o, fd);
}

static void link_follow(struct ops *o)
{
	char path[64];
	int fd;

	ops_mk(o, "f", "x");
	TRY(o, symlink("f", "s"));
	TRY(o, linkat(AT_FDCWD, "s", AT_FDCWD, "nofollow", 0));
	SHOW(o, "nofollow");
	TRY(o, linkat(AT_FDCWD, "s", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
	SHOW(o, "followed");
	TRY(o, linkat(AT_FDCWD, "s", AT_FDCWD, "bad", AT_REMOVEDIR));
	fd = ops_open(o, "f", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(o, linkat(AT_FDCWD, path, AT_FDCWD, "byproc", AT_SYMLINK_FOLLOW));
	TRY(o, linkat(AT_FDCWD, path, AT_FDCWD, "byproc", AT_SYMLINK_FOLLOW));
	SHOW(o, "byproc");
	TRY(o, link("f", "f/"));
	TRY(o, link("f", "new/"));
	TRY(o, link("f", "."));
}

const struct scenario links_scenarios[] = {
	{ "symlinks", symlinks, OPS_BOTH },
	{ "symlink_lengths", symlink_lengths, OPS_BOTH },
	{ "symlink_follow", symlink_follow, OPS_BOTH },
	{ "symlink_changes", symlink_changes, OPS_BOTH },
	{ "hard_links", hard_links, OPS_BOTH },
	{ "hard_links_seen", hard_links_seen, OPS_BOTH },
	{ "link_follow", link_follow, OPS_BOTH },
	{ 0 },
};
