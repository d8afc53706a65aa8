// SPDX-License-Identifier: GPL-2.0-only
/* Inode flags: immutable, append-only; and the ioctls that set and tell them. */
#include "ops.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static void say_flags(struct ops *o, const char *step, const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), flags = 0;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		ops_try(o, step, -1);
	else
		ops_say(o, step, "%#x", flags);
	close(fd);
}

static void flags_common(struct ops *o)
{
	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("f", "s"));
	say_flags(o, "file", "f");
	say_flags(o, "directory", "d");
	TIMES(o, "f", ops_set_flags("f", FS_NODUMP_FL, 0));
	say_flags(o, "nodump", "f");
	TRY(o, ops_set_flags("f", FS_NOATIME_FL, 0));
	say_flags(o, "noatime", "f");
	TRY(o, ops_set_flags("d", FS_NODUMP_FL, 0));
	ops_mk(o, "d/inherits", "x");
	say_flags(o, "inherits", "d/inherits");
	TRY(o, ops_set_flags("f", 0, FS_NODUMP_FL | FS_NOATIME_FL));
	say_flags(o, "cleared", "f");
	TRY(o, ops_set_flags("f", FS_COMPR_FL, 0));
	TRY(o, ops_set_flags("f", 0x40000000, 0));
	TRY(o, ops_set_flags("f", FS_IMMUTABLE_FL, 0));
	TRY(o, ops_set_flags("f", 0, FS_IMMUTABLE_FL));
	TRY(o, ops_set_flags("f", FS_APPEND_FL, 0));
	TRY(o, ops_set_flags("f", 0, FS_APPEND_FL));
	TRY(o, ops_set_flags("missing", 0, 0));
	TRY(o, ioctl(open("f", O_PATH), FS_IOC_GETFLAGS, NULL));
	TRY(o, ioctl(open("f", O_RDONLY), FS_IOC_GETFLAGS, NULL));
}

static void flags_immutable(struct ops *o)
{
	const struct timespec ts[2] = { { 1, 0 }, { 2, 0 } };
	int fd, dir;

	ops_mk(o, "f", "content");
	ops_mk(o, "other", "x");
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, ops_set_flags("f", FS_IMMUTABLE_FL, 0));
	say_flags(o, "f", "f");
	TRY(o, open("f", O_WRONLY));
	TRY(o, open("f", O_RDWR | O_APPEND));
	TRY(o, open("f", O_RDONLY | O_TRUNC));
	TRY(o, open("f", O_RDWR | O_CREAT, 0644));
	FD(o, open("f", O_RDONLY));
	TRY(o, truncate("f", 3));
	TRY(o, chmod("f", 0600));
	TRY(o, chown("f", 0, 0));
	TRY(o, utimensat(AT_FDCWD, "f", ts, 0));
	TRY(o, utimensat(AT_FDCWD, "f", NULL, 0));
	TRY(o, setxattr("f", "user.a", "x", 1, 0));
	TRY(o, removexattr("f", "user.a"));
	TRY(o, unlink("f"));
	TRY(o, rename("f", "g"));
	TRY(o, rename("other", "f"));
	TRY(o, link("f", "g"));
	TRY(o, access("f", R_OK));
	dir = ops_open(o, "f", O_RDONLY);
	TRY(o, fchmod(dir, 0600));
	/* opened before: the filesystem decides */
	TRY(o, pwrite(fd, "C", 1, 0));
	TRY(o, ftruncate(fd, 2));
	TRY(o, fallocate(fd, 0, 0, 100));
	TRY(o, fsync(fd));
	TRY(o, ops_set_flags("f", 0, FS_IMMUTABLE_FL));
	ops_content_path(o, "content", "f");
	SHOW(o, "f");
	TRY(o, unlink("f"));
}

static void flags_immutable_dir(struct ops *o)
{
	ops_mkdir(o, "d", 0755);
	ops_mk(o, "d/f", "content");
	ops_mk(o, "new", "x");
	TRY(o, ops_set_flags("d", FS_IMMUTABLE_FL, 0));
	TRY(o, open("d/g", O_RDWR | O_CREAT, 0644));
	TRY(o, mkdir("d/g", 0755));
	TRY(o, symlink("x", "d/g"));
	TRY(o, mknod("d/g", S_IFIFO | 0644, 0));
	TRY(o, link("new", "d/g"));
	TRY(o, unlink("d/f"));
	TRY(o, rename("d/f", "f"));
	TRY(o, rename("new", "d/f"));
	TRY(o, rename("d", "e"));
	TRY(o, open("d", O_TMPFILE | O_RDWR, 0600));
	TRY(o, chmod("d", 0700));
	FD(o, open("d/f", O_RDWR));
	ops_ls(o, "d", "d");
	TRY(o, ops_set_flags("d", 0, FS_IMMUTABLE_FL));
	TRY(o, ops_set_flags("d", FS_APPEND_FL, 0));
	FD(o, open("d/g", O_RDWR | O_CREAT, 0644));
	TRY(o, unlink("d/g"));
	TRY(o, rename("d/g", "d/h"));
	TRY(o, mkdir("d/sub", 0755));
	TRY(o, rmdir("d/sub"));
	TRY(o, ops_set_flags("d", 0, FS_APPEND_FL));
	TRY(o, unlink("d/g"));
	ops_ls(o, "d", "d");
}

static void flags_append(struct ops *o)
{
	int fd, before;

	ops_mk(o, "f", "content");
	before = ops_open(o, "f", O_RDWR);
	TRY(o, ops_set_flags("f", FS_APPEND_FL, 0));
	TRY(o, open("f", O_WRONLY));
	TRY(o, open("f", O_RDWR));
	TRY(o, open("f", O_RDONLY | O_TRUNC));
	TRY(o, open("f", O_WRONLY | O_APPEND | O_TRUNC));
	TRY(o, open("f", O_RDWR | O_CREAT, 0644));
	fd = FD(o, open("f", O_RDWR | O_APPEND));
	TRY(o, write(fd, " appended", 9));
	TRY(o, pwrite(fd, " too", 4, 0));
	ops_content(o, "content", fd);
	TRY(o, ftruncate(fd, 3));
	TRY(o, truncate("f", 3));
	TRY(o, fallocate(fd, 0, 0, 100));
	TRY(o, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3));
	TRY(o, unlink("f"));
	TRY(o, rename("f", "g"));
	TRY(o, link("f", "g"));
	TRY(o, chmod("f", 0600));
	TRY(o, utimensat(AT_FDCWD, "f", NULL, 0));
	TRY(o, setxattr("f", "user.a", "x", 1, 0));
	TRY(o, pwrite(before, "C", 1, 0));
	ops_content(o, "content", fd);
	TRY(o, ops_set_flags("f", 0, FS_APPEND_FL));
	FD(o, open("f", O_WRONLY | O_TRUNC));
	SHOW(o, "f");
}

static void flags_fsx(struct ops *o)
{
	struct fsxattr x = { 0 };
	unsigned long long attr[3] = { 0 };
	long version = 0;
	int fd;

	ops_mk(o, "f", "x");
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, ioctl(fd, FS_IOC_FSGETXATTR, &x));
	ops_say(o, "xflags extsize projid", "%#x %u %u", x.fsx_xflags, x.fsx_extsize, x.fsx_projid);
	x.fsx_xflags |= FS_XFLAG_NODUMP;
	TRY(o, ioctl(fd, FS_IOC_FSSETXATTR, &x));
	TRY(o, ioctl(fd, FS_IOC_FSGETXATTR, &x));
	ops_say(o, "nodump", "%#x", x.fsx_xflags);
	say_flags(o, "flags", "f");
	x.fsx_xflags &= ~(unsigned int)FS_XFLAG_NODUMP;
	x.fsx_projid = 77;
	TRY(o, ioctl(fd, FS_IOC_FSSETXATTR, &x));
	memset(&x, 0, sizeof(x));
	TRY(o, ioctl(fd, FS_IOC_FSGETXATTR, &x));
	ops_say(o, "project", "%#x %u", x.fsx_xflags, x.fsx_projid);
	/* file_getattr(2) and file_setattr(2), of Linux 6.17 */
	TRY(o, syscall(468, AT_FDCWD, "f", attr, sizeof(attr), 0));
	attr[0] &= FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND | FS_XFLAG_NODUMP | FS_XFLAG_NOATIME;
	ops_say(o, "file_getattr", "%#llx", attr[0]);
	attr[0] |= FS_XFLAG_NODUMP;
	TRY(o, syscall(469, AT_FDCWD, "f", attr, sizeof(attr), 0));
	say_flags(o, "file_setattr", "f");
	x.fsx_xflags = 0x40000000;
	TRY(o, ioctl(fd, FS_IOC_FSSETXATTR, &x));
	TRY(o, ioctl(fd, FS_IOC_GETVERSION, &version));
	TRY(o, ioctl(ops_open(o, ".", O_RDONLY), FS_IOC_GETVERSION, &version));
	TRY(o, ioctl(ops_open(o, ".", O_RDONLY), FS_IOC_FSGETXATTR, &x));
	TRY(o, ioctl(open("f", O_PATH), FS_IOC_FSGETXATTR, &x));
}

/* A 64-bit program may use the 32-bit one's number, by which nobody checks who asks. */
static void flags_32(struct ops *o, const char *path)
{
	int fd = ops_open(o, path, O_RDONLY);
	long flags[2] = { FS_IMMUTABLE_FL };

	TRY(o, ioctl(fd, FS_IOC32_SETFLAGS, flags));
	TRY(o, ioctl(fd, FS_IOC32_GETFLAGS, flags));
	close(fd);
}

static void foreign_flags(struct ops *o, void *arg)
{
	(void)arg;
	say_flags(o, "another's", "f");
	TRY(o, ops_set_flags("f", FS_NODUMP_FL, 0));
	TRY(o, ops_set_flags("own", FS_NODUMP_FL, 0));
	TRY(o, ops_set_flags("own", FS_IMMUTABLE_FL, 0));
	TRY(o, ops_set_flags("own", FS_APPEND_FL, 0));
	say_flags(o, "own", "own");
	flags_32(o, "f");
	flags_32(o, "own");
	flags_32(o, "fixed");
	flags_32(o, ".");
	TRY(o, open("fixed", O_RDWR));
	TRY(o, unlink("fixed"));
}

static void flags_users(struct ops *o)
{
	ops_mk(o, "f", "x");
	ops_mk(o, "own", "x");
	ops_mk(o, "fixed", "x");
	TRY(o, chmod(".", 0777));
	TRY(o, chown("own", USER_A, USER_A));
	TRY(o, chown("fixed", USER_A, USER_A));
	TRY(o, ops_set_flags("fixed", FS_IMMUTABLE_FL, 0));
	ops_as(o, &ops_user_a, foreign_flags, NULL);
	TRY(o, ops_set_flags("fixed", 0, FS_IMMUTABLE_FL));
}

const struct scenario flags_scenarios[] = {
	{ "flags_common", flags_common, OPS_BOTH },
	{ "flags_immutable", flags_immutable, OPS_ROOT },
	{ "flags_immutable_dir", flags_immutable_dir, OPS_ROOT },
	{ "flags_append", flags_append, OPS_ROOT },
	{ "flags_fsx", flags_fsx, OPS_BOTH },
	{ "flags_users", flags_users, OPS_ROOT },
	{ 0 },
};
