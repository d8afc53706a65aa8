// SPDX-License-Identifier: GPL-2.0-only
/* O_TMPFILE, with and without O_EXCL, and giving such a file a name. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

static int link_proc(int fd, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static void tmpfile_name(struct ops *o)
{
	struct stat a, b;
	int fd;

	ops_mkdir(o, "d", 0755);
	fd = FD(o, open("d", O_TMPFILE | O_RDWR, 0666));
	if (fd < 0)
		return;
	SHOWFD(o, fd);
	ops_ls(o, "nothing to see", "d");
	TRY(o, write(fd, "nameless", 8));
	SHOWFD(o, fd);
	ops_content(o, "content", fd);
	TRY(o, link_proc(fd, "named"));
	SHOW(o, "named");
	a = ops_fstat(fd);
	b = ops_lstat("named");
	ops_say(o, "same inode", "%d", ops_same_file(&a, &b));
	TRY(o, link_proc(fd, "named"));
	TRY(o, link_proc(fd, "d/second"));
	SHOWFD(o, fd);
	TRY(o, write(fd, ", then named", 12));
	ops_content_path(o, "by name", "named");
	TRY(o, close(fd));
	ops_content_path(o, "closed", "d/second");
	TRY(o, unlink("named"));
	SHOW(o, "d/second");
}

static void tmpfile_flags(struct ops *o)
{
	char buf[4];
	int fd;

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, open("d", O_TMPFILE | O_RDONLY, 0600));
	TRY(o, open("f", O_TMPFILE | O_RDWR, 0600));
	TRY(o, open("missing", O_TMPFILE | O_RDWR, 0600));
	TRY(o, open("d", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	fd = FD(o, open("d", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	if (fd < 0)
		return;
	TRY(o, write(fd, "for ever nameless", 17));
	TRY(o, link_proc(fd, "named"));
	TRY(o, linkat(fd, "", AT_FDCWD, "named", AT_EMPTY_PATH));
	fd = FD(o, open("d", O_TMPFILE | O_WRONLY, 0000));
	TRY(o, read(fd, buf, 4));
	TRY(o, write(fd, "text", 4));
	SHOWFD(o, fd);
	TRY(o, fchmod(fd, 04751));
	TRY(o, ftruncate(fd, 100));
	TRY(o, fallocate(fd, 0, 0, 4096));
	TRY(o, fsync(fd));
	TRY(o, fsetxattr(fd, "user.a", "b", 1, 0));
	TRY(o, link_proc(fd, "kept"));
	SHOW(o, "kept");
	TRY(o, getxattr("kept", "user.a", buf, 4));
	umask(077);
	fd = FD(o, open(".", O_TMPFILE | O_RDWR, 0666));
	SHOWFD(o, fd);
	ops_ls(o, "left", ".");
	FD(o, open(".", O_TMPFILE | O_RDWR | O_DIRECT, 0600));
	FD(o, open(".", O_TMPFILE | O_RDWR | O_APPEND | O_SYNC, 0600));
}

static void tmpfile_space(struct ops *o)
{
	int fds[50], i, bad = 0;
	char buf[64];
	char *map;

	for (i = 0; i < 50; i++) {
		fds[i] = open(".", O_TMPFILE | O_RDWR, 0600);
		snprintf(buf, sizeof(buf), "file %d", i);
		bad += write(fds[i], buf, strlen(buf)) != (ssize_t)strlen(buf);
	}
	for (i = 0; i < 50; i++) {
		char want[64];

		memset(buf, 0, sizeof(buf));
		snprintf(want, sizeof(want), "file %d", i);
		bad += pread(fds[i], buf, 63, 0) < 0 || strcmp(buf, want);
	}
	ops_say(o, "50 at once, wrong", "%d", bad);
	if (bad)
		return;
	ops_ls(o, "none visible", ".");
	TRY(o, ftruncate(fds[0], 8192));
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	ops_say(o, "mapped", "%d", map != MAP_FAILED);
	if (map != MAP_FAILED)
		memcpy(map + 4096, "mapped", 6);
	TRY(o, link_proc(fds[0], "named"));
	ops_content_path(o, "named", "named");
}

const struct scenario tmpfile_scenarios[] = {
	{ "tmpfile_name", tmpfile_name, OPS_BOTH },
	{ "tmpfile_flags", tmpfile_flags, OPS_BOTH },
	{ "tmpfile_space", tmpfile_space, OPS_BOTH },
	{ 0 },
};
