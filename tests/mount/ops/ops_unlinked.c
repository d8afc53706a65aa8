// SPDX-License-Identifier: GPL-2.0-only
/* Files that have no name any more, all operations on their descriptors. */
#include "ops.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

static void unlinked_file(struct ops *o)
{
	char buf[32];
	int fd, ro;

	ops_mk(o, "f", "content");
	fd = ops_open(o, "f", O_RDWR);
	ro = ops_open(o, "f", O_RDONLY);
	TRY(o, fsetxattr(fd, "user.before", "1", 1, 0));
	TRY(o, unlink("f"));
	SHOWFD(o, fd);
	ops_content(o, "read", ro);
	TRY(o, write(fd, "written after the end", 21));
	SHOWFD(o, ro);
	ops_content(o, "read", ro);
	TRY(o, ftruncate(fd, 5));
	SHOWFD(o, ro);
	TRY(o, ftruncate(fd, 50000));
	ops_content(o, "grown", ro);
	TRY(o, fchmod(fd, 0640));
	TRY(o, fchown(fd, getuid(), getgid()));
	SHOWFD(o, ro);
	TRY(o, fgetxattr(ro, "user.before", buf, sizeof(buf)));
	TRY(o, fsetxattr(fd, "user.after", "22", 2, 0));
	TRY(o, fgetxattr(ro, "user.after", buf, sizeof(buf)));
	TRY(o, flistxattr(ro, buf, sizeof(buf)) > 0);
	TRY(o, fremovexattr(fd, "user.before"));
	TRY(o, fallocate(fd, 0, 0, 100000));
	SHOWFD(o, ro);
	TRY(o, lseek(fd, 0, SEEK_DATA));
	TRY(o, fsync(fd));
	TRY(o, fdatasync(ro));
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	TRY(o, linkat(AT_FDCWD, buf, AT_FDCWD, "back", AT_SYMLINK_FOLLOW));
	TRY(o, close(ro));
	ops_content(o, "the last one", fd);
	TRY(o, close(fd));
	ops_ls(o, "left", ".");
}

/* A new file under the old name is another file. */
static void unlinked_renewed(struct ops *o)
{
	struct stat old, new;
	int fd, fd2;

	ops_mk(o, "f", "old content");
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, unlink("f"));
	ops_mk(o, "f", "new");
	fd2 = ops_open(o, "f", O_RDWR);
	old = ops_fstat(fd);
	new = ops_fstat(fd2);
	ops_say(o, "same inode", "%d", ops_same_file(&old, &new));
	ops_content(o, "old", fd);
	ops_content(o, "new", fd2);
	TRY(o, pwrite(fd, "OLD", 3, 0));
	TRY(o, pwrite(fd2, "N", 1, 0));
	TRY(o, ftruncate(fd, 8));
	ops_content(o, "old", fd);
	ops_content_path(o, "new", "f");
	SHOWFD(o, fd);
	SHOWFD(o, fd2);
	ops_mk(o, "g", "replaces");
	TRY(o, rename("g", "f"));
	SHOWFD(o, fd2);
	ops_content(o, "replaced", fd2);
	TRY(o, fchmod(fd2, 0600));
	SHOW(o, "f");
}

static void unlinked_dir(struct ops *o)
{
	struct stat st;
	int d;

	ops_mkdir(o, "d", 0755);
	ops_mkdir(o, "d/sub", 0755);
	d = ops_open(o, "d", O_RDONLY | O_DIRECTORY);
	TRY(o, rmdir("d/sub"));
	TRY(o, rmdir("d"));
	SHOWFD(o, d);
	TRY(o, openat(d, "x", O_CREAT | O_RDWR, 0644));
	TRY(o, mkdirat(d, "x", 0755));
	TRY(o, fstatat(d, "x", &st, 0));
	TRY(o, fstatat(d, ".", &st, 0));
	TRY(o, fstatat(d, "..", &st, 0));
	TRY(o, symlinkat("x", d, "y"));
	TRY(o, unlinkat(d, "x", 0));
	TRY(o, fchmod(d, 0700));
	TRY(o, futimens(d, NULL));
	SHOWFD(o, d);
	TRY(o, readdir(fdopendir(d)) != NULL);
	TRY(o, fchdir(d));
	TRY(o, access(".", F_OK));
	TRY(o, fsetxattr(d, "user.x", "y", 1, 0));
}

static void unlinked_mapped(struct ops *o)
{
	char *map;
	int fd;

	ops_mk_sized(o, "f", 12288);
	fd = ops_open(o, "f", O_RDWR);
	map = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ops_say(o, "mapped", "%d", map != MAP_FAILED);
	TRY(o, unlink("f"));
	TRY(o, close(fd));
	if (map == MAP_FAILED)
		return;
	ops_bytes(o, "still there", map, 12288);
	map[5000] = 'x';
	TRY(o, msync(map, 12288, MS_SYNC));
	ops_mk(o, "f", "another");
	ops_bytes(o, "still there", map, 12288);
	TRY(o, munmap(map, 12288));
	ops_content_path(o, "another", "f");
}

/* A thousand files, all open, all deleted, all still right. */
static void unlinked_many(struct ops *o)
{
	int fds[1000], i, bad = 0;
	char name[32], buf[32];

	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ops_mk(o, name, name);
		fds[i] = open(name, O_RDWR);
		bad += fds[i] < 0;
	}
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		bad += unlink(name) < 0;
	}
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		memset(buf, 0, sizeof(buf));
		bad += pread(fds[i], buf, 31, 0) != (ssize_t)strlen(name) || strcmp(buf, name);
		bad += write(fds[i], "longer now", 10) != 10;
		bad += ops_fstat(fds[i]).st_size != 10 || ops_fstat(fds[i]).st_nlink;
	}
	ops_say(o, "wrong", "%d", bad);
	ops_ls(o, "left", ".");
}

const struct scenario unlinked_scenarios[] = {
	{ "unlinked_file", unlinked_file, OPS_BOTH },
	{ "unlinked_renewed", unlinked_renewed, OPS_BOTH },
	{ "unlinked_dir", unlinked_dir, OPS_BOTH },
	{ "unlinked_mapped", unlinked_mapped, OPS_BOTH },
	{ "unlinked_many", unlinked_many, OPS_BOTH },
	{ 0 },
};
