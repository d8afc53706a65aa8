// SPDX-License-Identifier: GPL-2.0-only
/*
 * SOURCE on overlayfs, in a directory (--here) that its lower layer has filled: a, b, c, d (files of
 * 10,000 bytes), e/f (a directory with a file), l1 to l5 (hard links), s (a symlink). What is
 * changed is copied up meanwhile. And read_only: the same on a SOURCE that can't be written.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

static void ino_of(struct ops *o, const char *step, const struct stat *before, const char *path)
{
	struct stat now = ops_lstat(path);

	ops_say(o, step, "%s", ops_same_file(before, &now) ? "same inode" : "another inode");
}

static void copyup_write(struct ops *o)
{
	struct stat before = ops_lstat("a");
	int old = ops_open(o, "a", O_RDONLY), fd;
	char *map = mmap(NULL, 10000, PROT_READ, MAP_SHARED, old, 0), buf[8];

	SHOW(o, "a");
	ops_bytes(o, "mapped", map, 10000);
	fd = FD(o, open("a", O_RDWR));
	TRY(o, pwrite(fd, "written", 7, 100));
	SHOW(o, "a");
	SHOWFD(o, fd);
	SHOWFD(o, old);
	ino_of(o, "after the copy", &before, "a");
	before = ops_fstat(fd);
	ino_of(o, "name and new descriptor", &before, "a");
	ops_content_path(o, "by name", "a");
	ops_content(o, "by the new descriptor", fd);
	TRY(o, pread(old, buf, 7, 100));
	ops_bytes(o, "by the old descriptor", buf, 7);
	ops_bytes(o, "mapped before", map, 10000);
	TRY(o, ftruncate(fd, 50));
	SHOW(o, "a");
	ops_content_path(o, "cut", "a");
	TRY(o, close(old));
	TRY(o, close(fd));
	TRY(o, unlink("a"));
	SHOW(o, "a");
}

static void copyup_attr(struct ops *o)
{
	struct stat before = ops_lstat("b");
	int fd = ops_open(o, "b", O_RDONLY);
	char buf[8];

	TRY(o, chmod("b", 0640));
	SHOW(o, "b");
	SHOWFD(o, fd);
	ino_of(o, "after chmod", &before, "b");
	TRY(o, setxattr("b", "user.x", "y", 1, 0));
	TRY(o, fgetxattr(fd, "user.x", buf, 8));
	TRY(o, fchmod(fd, 0600));
	SHOW(o, "b");
	TRY(o, truncate("b", 20));
	SHOW(o, "b");
	ops_content_path(o, "content", "b");
	ops_content(o, "by the old descriptor", fd);
	TRY(o, pwrite(ops_open(o, "b", O_WRONLY | O_APPEND), "end", 3, 0));
	ops_content_path(o, "content", "b");
}

static void copyup_names(struct ops *o)
{
	struct stat before = ops_lstat("c");
	int fd = ops_open(o, "c", O_RDONLY);

	TRY(o, rename("c", "moved"));
	SHOW(o, "c");
	ino_of(o, "moved", &before, "moved");
	ops_content(o, "by the old descriptor", fd);
	ops_content_path(o, "by name", "moved");
	TRY(o, link("moved", "linked"));
	SHOW(o, "linked");
	TRY(o, rename("e", "dir-moved"));
	ops_ls(o, "e", "e");
	ops_ls(o, "dir-moved", "dir-moved");
	TRY(o, unlink("e/f"));
	TRY(o, rmdir("e"));
	TRY(o, mkdir("e", 0755));
	ops_ls(o, "e, anew", "e");
	TRY(o, unlink("d"));
	SHOW(o, "d");
	ops_mk(o, "d", "made again");
	ops_content_path(o, "d", "d");
	ops_ls(o, "all", ".");
}

static void links_say(struct ops *o, const char *step)
{
	static const char *const names[] = { "l1", "l2", "l3", "l4", "l5", "n", "m" };
	char title[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(title, sizeof(title), "%s: %s", step, names[i]);
		ops_show(o, title, AT_FDCWD, names[i]);
		if (access(names[i], R_OK) == 0)
			ops_content_path(o, title, names[i]);
		for (size_t j = 0; j < i; j++) {
			struct stat a = ops_lstat(names[i]), b = ops_lstat(names[j]);

			snprintf(title, sizeof(title), "%s: %s and %s", step, names[i], names[j]);
			if (a.st_ino && b.st_ino && ops_same_file(&a, &b))
				ops_say(o, title, "same inode");
		}
	}
}

/* Without an index, whatever is copied up by one name is another file from then on. */
static void copyup_apart(struct ops *o)
{
	int old[6], fd, locked, other;
	char path[8], buf[8];

	links_say(o, "lower");
	for (int i = 1; i <= 5; i++) {
		snprintf(path, sizeof(path), "l%d", i);
		old[i] = ops_open(o, path, O_RDONLY);
	}
	TRY(o, flock(old[1], LOCK_EX));
	TRY(o, flock(old[2], LOCK_EX | LOCK_NB));
	fd = FD(o, open("l2", O_RDWR));
	TRY(o, pwrite(fd, "second", 6, 0));
	links_say(o, "l2 written");
	TRY(o, pread(old[1], buf, 6, 0));
	ops_bytes(o, "l1 as it was open", buf, 6);
	locked = ops_open(o, "l2", O_RDONLY);
	TRY(o, flock(locked, LOCK_EX | LOCK_NB));
	TRY(o, link("l2", "n"));
	other = FD(o, open("n", O_RDWR));
	TRY(o, pwrite(other, "linked", 6, 0));
	TRY(o, pread(fd, buf, 6, 0));
	ops_bytes(o, "l2 by its descriptor", buf, 6);
	TRY(o, flock(other, LOCK_EX | LOCK_NB));
	links_say(o, "n linked to l2");
	TRY(o, chmod("l3", 0640));
	TRY(o, fchmod(old[4], 0604));
	links_say(o, "l3 and l4 changed");
	SHOWFD(o, old[3]);
	SHOWFD(o, old[4]);
	TRY(o, rename("l5", "m"));
	links_say(o, "l5 renamed");
	TRY(o, chmod("s", 0600));
	SHOW(o, "s");
	SHOWFD(o, old[5]);
	TRY(o, fchmod(old[5], 0600));
	TRY(o, truncate("l1", 3));
	links_say(o, "l1 cut");
	locked = ops_open(o, "l1", O_RDONLY);
	TRY(o, flock(locked, LOCK_EX | LOCK_NB));
	TRY(o, unlink("l1"));
	TRY(o, unlink("l3"));
	TRY(o, rename("l4", "l2"));
	links_say(o, "some deleted");
	ops_content(o, "l3 as it was open", old[3]);
	SHOWFD(o, old[3]);
}

/* Nothing is opened or looked at before, and each name goes another way. */
static void copyup_apart_cold(struct ops *o)
{
	TRY(o, unlink("l5"));
	TRY(o, pwrite(ops_open(o, "l4", O_WRONLY), "fourth", 6, 0));
	TRY(o, link("l1", "n"));
	TRY(o, pwrite(ops_open(o, "n", O_WRONLY), "linked", 6, 0));
	TRY(o, rename("l2", "m"));
	TRY(o, pwrite(ops_open(o, "m", O_WRONLY | O_TRUNC), "moved", 5, 0));
	TRY(o, setxattr("l3", "user.x", "y", 1, 0));
	links_say(o, "all");
	TRY(o, renameat2(AT_FDCWD, "l3", AT_FDCWD, "l4", RENAME_EXCHANGE));
	links_say(o, "exchanged");
	TRY(o, unlink("l1"));
	links_say(o, "l1 deleted");
}

/* It stays one file, also after all that was remembered of it is out of date. */
static void copyup_one(struct ops *o)
{
	int old = ops_open(o, "a", O_RDONLY), fd, watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct stat before = ops_lstat("a");
	char events[4096];

	TRY(o, flock(old, LOCK_EX));
	TRY(o, inotify_add_watch(watch, "a", IN_MODIFY | IN_ATTRIB) > 0);
	TRY(o, chmod("a", 0640));
	usleep(2500 * 1000);
	SHOW(o, "a");
	ino_of(o, "after the copy", &before, "a");
	fd = FD(o, open("a", O_RDWR));
	TRY(o, flock(fd, LOCK_EX | LOCK_NB));
	TRY(o, read(watch, events, sizeof(events)) > 0);
	TRY(o, pwrite(fd, "written", 7, 0));
	TRY(o, read(watch, events, sizeof(events)) > 0);
	usleep(2500 * 1000);
	SHOWFD(o, old);
	TRY(o, fchmod(old, 0600));
	SHOWFD(o, fd);
	SHOW(o, "a");
	before = ops_fstat(old);
	ino_of(o, "name and old descriptor", &before, "a");
	TRY(o, flock(old, LOCK_UN));
	TRY(o, flock(fd, LOCK_EX | LOCK_NB));
}

/* Everything that would change something. */
static void read_only(struct ops *o)
{
	char buf[8];
	int fd;

	TRY(o, open("a", O_WRONLY));
	TRY(o, open("a", O_RDWR));
	TRY(o, open("a", O_RDONLY | O_TRUNC));
	TRY(o, open("a", O_WRONLY | O_APPEND));
	TRY(o, open("a", O_RDWR | O_DIRECT));
	TRY(o, open("new", O_WRONLY | O_CREAT, 0644));
	TRY(o, open("new", O_RDONLY | O_CREAT, 0644));
	TRY(o, open("a", O_RDONLY | O_CREAT, 0644) < 0 ? -1 : 0);
	TRY(o, open("a", O_RDONLY | O_CREAT | O_EXCL, 0644));
	TRY(o, open(".", O_TMPFILE | O_RDWR, 0644));
	TRY(o, mkdir("new", 0755));
	TRY(o, mkdir("e", 0755));
	TRY(o, mkfifo("new", 0644));
	TRY(o, symlink("a", "new"));
	TRY(o, symlink("a", "s"));
	TRY(o, link("a", "new"));
	TRY(o, unlink("a"));
	TRY(o, unlink("missing"));
	TRY(o, rmdir("e"));
	TRY(o, rename("a", "new"));
	TRY(o, rename("missing", "new"));
	TRY(o, truncate("a", 0));
	TRY(o, chmod("a", 0600));
	TRY(o, chown("a", 0, 0));
	TRY(o, utimensat(AT_FDCWD, "a", NULL, 0));
	TRY(o, setxattr("a", "user.x", "y", 1, 0));
	TRY(o, removexattr("a", "user.x"));
	TRY(o, access("a", W_OK));
	TRY(o, access("a", R_OK));
	TRY(o, access("e", W_OK));
	fd = FD(o, open("a", O_RDONLY));
	TRY(o, fchmod(fd, 0600));
	TRY(o, futimens(fd, NULL));
	TRY(o, fsync(fd));
	TRY(o, ops_set_flags("a", 0x40, 0));
	TRY(o, pread(fd, buf, 8, 0));
	ops_content(o, "a", fd);
	ops_ls(o, "all", ".");
	SHOW(o, "a");
}

const struct scenario layers_scenarios[] = {
	{ "copyup_write", copyup_write, OPS_BOTH | OPS_NAMED },
	{ "copyup_attr", copyup_attr, OPS_BOTH | OPS_NAMED },
	{ "copyup_names", copyup_names, OPS_BOTH | OPS_NAMED },
	{ "copyup_one", copyup_one, OPS_BOTH | OPS_NAMED },
	{ "copyup_apart", copyup_apart, OPS_BOTH | OPS_NAMED },
	{ "copyup_apart_cold", copyup_apart_cold, OPS_BOTH | OPS_NAMED },
	{ "read_only", read_only, OPS_BOTH | OPS_NAMED },
	{ 0 },
};
