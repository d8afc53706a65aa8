// SPDX-License-Identifier: GPL-2.0-only
/* Identities that are not just a user: capabilities, fsuid, user namespaces, inherited fds. */
#include "ops.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static void set_caps(unsigned int keep)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { keep, keep, 0 }, { 0, 0, 0 } };

	if (syscall(SYS_capset, &head, data) < 0)
		_exit(7);
}

/* Root without capabilities is a user like any other. */
static void bare_root(struct ops *o, void *arg)
{
	(void)arg;
	set_caps(0);
	TRY(o, open("private", O_RDONLY));
	FD(o, open("d/new", O_RDWR | O_CREAT, 0644));
	TRY(o, chmod("private", 0644));
	TRY(o, chown("mine", USER_A, (gid_t)-1));
	FD(o, open("made", O_RDWR | O_CREAT, 0644));
	SHOW(o, "made");
	TRY(o, mknod("dev", S_IFCHR | 0644, 0x103));
	TRY(o, setxattr("mine", "trusted.a", "x", 1, 0));
	TRY(o, access("private", R_OK));
}

/* An ordinary user with some capabilities can do some of what root can. */
static void armed_user(struct ops *o, void *arg)
{
	(void)arg;
	prctl(PR_SET_KEEPCAPS, 1);
	if (setgroups(0, NULL) < 0 || setresgid(USER_B, USER_B, USER_B) < 0 ||
	    setresuid(USER_B, USER_B, USER_B) < 0)
		_exit(8);
	set_caps(1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_CHOWN | 1u << CAP_MKNOD);
	prctl(PR_SET_DUMPABLE, 1);
	ops_content_path(o, "private", "private");
	FD(o, open("private", O_RDWR));
	FD(o, open("closed/new", O_RDWR | O_CREAT, 0644));
	SHOW(o, "closed/new");
	TRY(o, mkdir("closed/dir", 0755));
	TRY(o, rename("closed/new", "closed/moved"));
	TRY(o, unlink("closed/moved"));
	ops_ls(o, "closed", "closed");
	TRY(o, chmod("private", 0640));
	TRY(o, truncate("private", 3));
	TRY(o, chown("private", USER_B, GROUP_Y));
	SHOW(o, "private");
	TRY(o, setxattr("private", "user.a", "x", 1, 0));
	TRY(o, mknod("closed/dev", S_IFCHR | 0644, 0x103));
	FD(o, open("mine", O_RDONLY | O_NOATIME));
	TRY(o, setxattr("mine", "trusted.a", "x", 1, 0));
}

static void ids_caps(struct ops *o)
{
	TRY(o, chmod(".", 0777));
	ops_mk(o, "mine", "root's");
	ops_mk(o, "private", "content");
	TRY(o, chmod("private", 0600));
	TRY(o, chown("private", USER_A, USER_A));
	ops_mkdir(o, "d", 0755);
	TRY(o, chown("d", USER_A, USER_A));
	ops_mkdir(o, "closed", 0700);
	ops_reap(o, "root without capabilities", ops_spawn(o, bare_root, NULL));
	ops_reap(o, "user with capabilities", ops_spawn(o, armed_user, NULL));
}

/* A file server's way: the file system's uid and gid alone are switched. */
static void ids_fsuid(struct ops *o)
{
	const gid_t groups[1] = { GROUP_X };

	ops_mkdir(o, "d", 0777);
	ops_mkdir(o, "group", 0755);
	TRY(o, chown("group", 0, GROUP_X));
	TRY(o, chmod("group", 0770));
	ops_mk(o, "private", "x");
	TRY(o, chmod("private", 0600));
	TRY(o, setgroups(1, groups));
	setfsgid(USER_A);
	setfsuid(USER_A);
	FD(o, open("d/f", O_RDWR | O_CREAT, 0666));
	SHOW(o, "d/f");
	TRY(o, mkdir("group/d", 0755));
	SHOW(o, "group/d");
	TRY(o, open("private", O_RDONLY));
	TRY(o, access("private", R_OK));
	TRY(o, open("new", O_RDWR | O_CREAT, 0644));
	setfsuid(0);
	setfsgid(0);
	FD(o, open("private", O_RDONLY));
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(6);
	close(fd);
}

/* Root of a user namespace, as in a container without privilege: still USER_A on the disk. */
static void in_userns(struct ops *o, void *arg)
{
	char map[64];

	(void)arg;
	if (ops_try(o, "unshare", unshare(CLONE_NEWUSER)) < 0)
		return;
	SHOW(o, "f");
	FD(o, open("unmapped", O_RDWR | O_CREAT, 0644));
	write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %d 1", USER_A);
	write_text("/proc/self/uid_map", map);
	write_text("/proc/self/gid_map", map);
	SHOW(o, "f");
	SHOW(o, "own");
	FD(o, open("made", O_RDWR | O_CREAT, 0644));
	SHOW(o, "made");
	TRY(o, open("f", O_RDWR));
	TRY(o, chown("own", 0, 0));
	TRY(o, chown("own", 1, 1));
	TRY(o, chmod("f", 0666));
	TRY(o, chmod("own", 0640));
	TRY(o, mknod("dev", S_IFCHR | 0644, 0x103));
	TRY(o, setxattr("own", "trusted.a", "x", 1, 0));
	TRY(o, setxattr("own", "user.a", "x", 1, 0));
	FD(o, open("private", O_RDONLY));
}

static void ids_userns(struct ops *o)
{
	TRY(o, chmod(".", 0777));
	ops_mk(o, "f", "root's");
	ops_mk(o, "own", "a's");
	TRY(o, chown("own", USER_A, USER_A));
	ops_mk(o, "private", "root's");
	TRY(o, chmod("private", 0600));
	ops_as(o, &ops_user_a, in_userns, NULL);
	SHOW(o, "made");
	SHOW(o, "own");
	ops_ls(o, "left", ".");
}

static void reopen(struct ops *o, void *arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", *(int *)arg);
	ops_content(o, "inherited descriptor", *(int *)arg);
	TRY(o, open(path, O_RDONLY));
	TRY(o, write(*(int *)arg, "written", 7));
	TRY(o, ftruncate(*(int *)arg, 5));
	TRY(o, fchmod(*(int *)arg, 0666));
	TRY(o, unlink("private"));
}

/* A descriptor that root opened serves a user who may not open the file. */
static void ids_inherit(struct ops *o)
{
	int fd;

	ops_mk(o, "private", "root's content");
	TRY(o, chmod("private", 0600));
	fd = ops_open(o, "private", O_RDWR);
	ops_as(o, &ops_user_a, reopen, &fd);
	ops_content(o, "after", fd);
	SHOWFD(o, fd);
}

const struct scenario caps_scenarios[] = {
	{ "ids_caps", ids_caps, OPS_ROOT },
	{ "ids_fsuid", ids_fsuid, OPS_ROOT },
	{ "ids_userns", ids_userns, OPS_ROOT },
	{ "ids_inherit", ids_inherit, OPS_ROOT },
	{ 0 },
};
