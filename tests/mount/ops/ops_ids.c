// SPDX-License-Identifier: GPL-2.0-only
/* Who may do what, and whose is what is made: by users and groups. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static void make_all(struct ops *o, void *arg)
{
	const char *dir = arg;
	char path[64];

	if (chdir(dir) < 0) {
		ops_try(o, dir, -1);
		return;
	}
	snprintf(path, sizeof(path), "f%u.%zu", getuid(), (size_t)getgroups(0, NULL));
	FD(o, open(path, O_CREAT | O_RDWR | O_EXCL, 0666));
	ops_show(o, "file", AT_FDCWD, path);
	path[0] = 'g';
	FD(o, open(path, O_CREAT | O_RDWR, 02775));
	ops_show(o, "setgid file", AT_FDCWD, path);
	path[0] = 'x';
	FD(o, open(path, O_CREAT | O_RDWR, 06664));
	ops_show(o, "setuid file", AT_FDCWD, path);
	path[0] = 'd';
	TRY(o, mkdir(path, 0777));
	ops_show(o, "directory", AT_FDCWD, path);
	path[0] = 's';
	TRY(o, symlink("target", path));
	ops_show(o, "symlink", AT_FDCWD, path);
	path[0] = 'p';
	TRY(o, mkfifo(path, 0666));
	ops_show(o, "fifo", AT_FDCWD, path);
	path[0] = 'n';
	TRY(o, mknod(path, S_IFREG | 02770, 0));
	ops_show(o, "mknod", AT_FDCWD, path);
	ops_show(o, "O_TMPFILE", open(".", O_TMPFILE | O_RDWR, 02770), "");
	path[0] = 'c';
	TRY(o, mknod(path, S_IFCHR | 0666, 0x103));
}

static void ids_create(struct ops *o)
{
	const struct ops_user in_x = { USER_A, USER_A, 1, { GROUP_X } };
	const struct ops_user in_both = { USER_B, USER_B, 2, { GROUP_Y, GROUP_X } };
	static char *const dirs[] = { "open", "setgid", "group", "sticky", "closed" };
	size_t i;

	ops_mkdir(o, "open", 0777);
	ops_mkdir(o, "setgid", 0777);
	TRY(o, chown("setgid", 0, GROUP_X));
	TRY(o, chmod("setgid", 02777));
	ops_mkdir(o, "group", 0755);
	TRY(o, chown("group", 0, GROUP_X));
	TRY(o, chmod("group", 02770));
	ops_mkdir(o, "sticky", 01777);
	ops_mkdir(o, "closed", 0755);
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		ops_say(o, "in", "%s", dirs[i]);
		ops_as(o, &ops_user_a, make_all, dirs[i]);
		ops_as(o, &in_x, make_all, dirs[i]);
		ops_as(o, &in_both, make_all, dirs[i]);
		ops_ls(o, dirs[i], dirs[i]);
	}
	make_all(o, dirs[1]);
}

static void not_mine(struct ops *o, void *arg)
{
	const struct timespec ts[2] = { { 1, 0 }, { 2, 0 } };

	(void)arg;
	FD(o, open("f", O_RDONLY));
	TRY(o, open("f", O_RDWR));
	TRY(o, open("f", O_WRONLY | O_TRUNC));
	TRY(o, open("f", O_RDONLY | O_TRUNC));
	TRY(o, open("f", O_RDONLY | O_NOATIME));
	TRY(o, open("private", O_RDONLY));
	TRY(o, open("private", O_PATH) < 0);
	TRY(o, open("new", O_RDWR | O_CREAT, 0644));
	TRY(o, open(".", O_TMPFILE | O_RDWR, 0644));
	TRY(o, chmod("f", 0666));
	TRY(o, chmod("world", 0666));
	TRY(o, chown("world", USER_A, USER_A));
	TRY(o, chown("f", (uid_t)-1, (gid_t)-1));
	TRY(o, truncate("f", 0));
	TRY(o, truncate("world", 1));
	TRY(o, utimensat(AT_FDCWD, "f", ts, 0));
	TRY(o, utimensat(AT_FDCWD, "f", NULL, 0));
	TRY(o, utimensat(AT_FDCWD, "world", ts, 0));
	TRY(o, utimensat(AT_FDCWD, "world", NULL, 0));
	TRY(o, mkdir("d", 0755));
	TRY(o, mkdir("new", 0755));
	TRY(o, rmdir("d"));
	TRY(o, unlink("f"));
	TRY(o, rename("f", "g"));
	TRY(o, link("f", "g"));
	TRY(o, symlink("f", "g"));
	TRY(o, mkfifo("g", 0644));
	TRY(o, setxattr("f", "user.a", "x", 1, 0));
	TRY(o, access("f", R_OK));
	TRY(o, access("f", W_OK));
	TRY(o, access("private", R_OK));
	TRY(o, access("private", F_OK));
}

/* Directories that may be searched but not read, and the other way round. */
static void not_searched(struct ops *o, void *arg)
{
	struct stat st;

	(void)arg;
	FD(o, open("x_only/f", O_RDONLY));
	TRY(o, open("x_only", O_RDONLY | O_DIRECTORY));
	TRY(o, stat("r_only/f", &st));
	TRY(o, open("r_only/missing", O_RDONLY));
	ops_say(o, "r_only listed", "%d", ops_ls_count("r_only"));
	TRY(o, stat("none/f", &st));
	TRY(o, stat("none/f/..", &st));
	TRY(o, chdir("none"));
	TRY(o, chdir("x_only"));
	TRY(o, stat("../none", &st));
}

static void ids_denied(struct ops *o)
{
	ops_mk(o, "f", "content");
	ops_mk(o, "private", "content");
	ops_mk(o, "world", "content");
	TRY(o, chmod("private", 0600));
	TRY(o, chmod("world", 0666));
	ops_mkdir(o, "d", 0777);
	ops_as(o, &ops_user_a, not_mine, NULL);
	ops_mkdir(o, "x_only", 0711);
	ops_mk(o, "x_only/f", "x");
	ops_mkdir(o, "r_only", 0744);
	ops_mk(o, "r_only/f", "x");
	ops_mkdir(o, "none", 0700);
	ops_mk(o, "none/f", "x");
	ops_as(o, &ops_user_a, not_searched, NULL);
	SHOW(o, "f");
	SHOW(o, "world");
	/* rights that go are gone at once */
	TRY(o, chmod("x_only", 0700));
	ops_as(o, &ops_user_a, not_searched, NULL);
	TRY(o, chmod("none", 0755));
	ops_as(o, &ops_user_a, not_searched, NULL);
}

static void sticky_guest(struct ops *o, void *arg)
{
	(void)arg;
	ops_mk(o, "s/guest", "guest's");
	TRY(o, unlink("s/root"));
	TRY(o, unlink("s/a"));
	TRY(o, rename("s/a", "s/b"));
	TRY(o, rename("s/guest", "s/a"));
	TRY(o, rename("s/guest", "s/guest2"));
	TRY(o, rename("s/guest2", "s/a"));
	TRY(o, renameat2(AT_FDCWD, "s/guest2", AT_FDCWD, "s/a", RENAME_EXCHANGE));
	TRY(o, rmdir("s/dir"));
	TRY(o, rename("s/dir", "s/dir2"));
	TRY(o, unlink("s/guest2"));
	TRY(o, link("s/a", "s/linked"));
	FD(o, open("s/a", O_RDWR | O_CREAT, 0644));
	FD(o, open("s/p", O_RDWR | O_CREAT | O_NONBLOCK, 0644));
}

static void sticky_owner(struct ops *o, void *arg)
{
	(void)arg;
	TRY(o, unlink("s/a"));
	TRY(o, rmdir("s/dir"));
	TRY(o, unlink("s/linked"));
	TRY(o, unlink("s/root"));
}

static void ids_sticky(struct ops *o)
{
	ops_mkdir(o, "s", 01777);
	ops_mk(o, "s/root", "root's");
	ops_mk(o, "s/a", "a's");
	TRY(o, chmod("s/a", 0666));
	ops_mkdir(o, "s/dir", 0777);
	TRY(o, mkfifo("s/p", 0666));
	TRY(o, chmod("s/p", 0666));
	TRY(o, chown("s/a", USER_A, USER_A));
	TRY(o, chown("s/dir", USER_A, USER_A));
	TRY(o, chown("s/p", USER_A, USER_A));
	ops_as(o, &ops_user_b, sticky_guest, NULL);
	ops_as(o, &ops_user_a, sticky_owner, NULL);
	ops_ls(o, "left", "s");
	TRY(o, chown("s", USER_B, 0));
	ops_as(o, &ops_user_b, sticky_owner, NULL);
	ops_ls(o, "left", "s");
}

static void give_away(struct ops *o, void *arg)
{
	(void)arg;
	TRY(o, chown("own", USER_B, (gid_t)-1));
	TRY(o, chown("own", (uid_t)-1, GROUP_Y));
	TRY(o, chown("own", (uid_t)-1, GROUP_X));
	SHOW(o, "own");
	TRY(o, chmod("own", 02755));
	SHOW(o, "own");
	TRY(o, chmod("foreign_group", 02755));
	SHOW(o, "foreign_group");
	TRY(o, chmod("foreign_group", 06711));
	SHOW(o, "foreign_group");
	TRY(o, chmod("foreign_dir", 02755));
	SHOW(o, "foreign_dir");
	TRY(o, chmod("own", 01644));
	SHOW(o, "own");
	TRY(o, chown("foreign_group", USER_A, (gid_t)-1));
	TRY(o, chown("foreign_group", USER_A, GROUP_Y));
	SHOW(o, "foreign_group");
}

static void ids_groups(struct ops *o)
{
	const struct ops_user in_x = { USER_A, USER_A, 1, { GROUP_X } };

	ops_mk(o, "own", "x");
	ops_mk(o, "foreign_group", "x");
	ops_mkdir(o, "foreign_dir", 0755);
	TRY(o, chown("own", USER_A, USER_A));
	TRY(o, chown("foreign_group", USER_A, GROUP_Y));
	TRY(o, chown("foreign_dir", USER_A, GROUP_Y));
	ops_as(o, &in_x, give_away, NULL);
	ops_as(o, &ops_user_a, give_away, NULL);
}

const struct scenario ids_scenarios[] = {
	{ "ids_create", ids_create, OPS_ROOT },
	{ "ids_denied", ids_denied, OPS_ROOT },
	{ "ids_sticky", ids_sticky, OPS_ROOT },
	{ "ids_groups", ids_groups, OPS_ROOT },
	{ 0 },
};
