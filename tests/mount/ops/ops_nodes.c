// SPDX-License-Identifier: GPL-2.0-only
/* mknod, mkdir, unlink, rmdir; fifos and sockets at work. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void mknods(struct ops *o)
{
	TRY(o, mknod("reg", S_IFREG | 0640, 0));
	SHOW(o, "reg");
	TRY(o, mknod("plain", 0666, 0));
	SHOW(o, "plain");
	TRY(o, mknod("fifo", S_IFIFO | 0622, 0));
	SHOW(o, "fifo");
	TRY(o, mknod("sock", S_IFSOCK | 0777, 0));
	SHOW(o, "sock");
	TRY(o, mknod("dir", S_IFDIR | 0755, 0));
	TRY(o, mknod("link", S_IFLNK | 0755, 0));
	TRY(o, mknod("fifo", S_IFIFO | 0622, 0));
	TRY(o, mknod("missing/x", S_IFIFO | 0622, 0));
	TRY(o, mknod("reg/x", S_IFIFO | 0622, 0));
	TRY(o, mknod("slash/", S_IFIFO | 0622, 0));
	TRY(o, mkfifo("fifo2", 04777));
	SHOW(o, "fifo2");
	TRY(o, open("sock", O_RDONLY));
	FD(o, open("sock", O_PATH));
	TRY(o, truncate("fifo", 0));
	TRY(o, rmdir("fifo"));
	TRY(o, unlink("fifo"));
	TRY(o, rename("sock", "sock2"));
	ops_ls(o, "left", ".");
}

static void devices(struct ops *o)
{
	char buf[4] = "xxx";
	int fd;

	TRY(o, mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	SHOW(o, "null");
	TRY(o, mknod("blk", S_IFBLK | 0600, makedev(0xfff, 0xfffff)));
	SHOW(o, "blk");
	TRY(o, mknod("blk2", S_IFBLK | 0600, makedev(7, 255)));
	SHOW(o, "blk2");
	TRY(o, mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
	/* a device answers where the mount allows it: root's, but no ordinary user's */
	fd = FD(o, open("zero", O_RDONLY));
	if (fd >= 0)
		TRY(o, read(fd, buf, 3));
	ops_bytes(o, "read from zero", buf, 3);
	fd = FD(o, open("null", O_WRONLY | O_TRUNC));
	if (fd >= 0)
		TRY(o, write(fd, "x", 1));
	/* an overlayfs whiteout, which anybody may make */
	TRY(o, mknod("whiteout", S_IFCHR | 0, makedev(0, 0)));
	SHOW(o, "whiteout");
	TRY(o, open("whiteout", O_RDONLY));
}

static void mkdirs(struct ops *o)
{
	ops_mk(o, "f", "x");
	TIMES(o, ".", mkdir("a", 0755));
	SHOW(o, "a");
	SHOW(o, ".");
	TRY(o, mkdir("a", 0755));
	TRY(o, mkdir("f", 0755));
	TRY(o, mkdir("f/x", 0755));
	TRY(o, mkdir("missing/x", 0755));
	TRY(o, mkdir(".", 0755));
	TRY(o, mkdir("..", 0755));
	TRY(o, mkdir("", 0755));
	TRY(o, mkdir("slash/", 07777));
	SHOW(o, "slash");
	TRY(o, mkdir("a/b", 0));
	SHOW(o, "a");
	SHOW(o, "a/b");
	TRY(o, mkdirat(open("a", O_PATH), "c", 0700));
	TRY(o, rmdir("a"));
	TRY(o, rmdir("a/b"));
	TRY(o, rmdir("a/c/"));
	TRY(o, rmdir("f"));
	TRY(o, rmdir("f/x"));
	TRY(o, rmdir("missing"));
	TRY(o, rmdir("a/."));
	TRY(o, rmdir("a/.."));
	TRY(o, unlink("a"));
	TRY(o, unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
	TIMES(o, ".", rmdir("a"));
	SHOW(o, ".");
	ops_ls(o, "left", ".");
}

static void unlinks(struct ops *o)
{
	struct stat st;

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, unlink("missing"));
	TRY(o, unlink("f/x"));
	TRY(o, unlink("f/"));
	TRY(o, unlink("d"));
	TRY(o, unlink("."));
	TRY(o, unlink(""));
	TIMES(o, ".", unlink("f"));
	TRY(o, stat("f", &st));
	TRY(o, unlink("f"));
	TRY(o, unlinkat(AT_FDCWD, "d", 0));
	TRY(o, unlinkat(AT_FDCWD, "d", 0xff));
	TRY(o, unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
	TRY(o, remove("d"));
	ops_ls(o, "left", ".");
}

static void umasks(struct ops *o)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	char name[32];
	size_t i;

	for (i = 0; i < 4; i++) {
		umask(masks[i]);
		snprintf(name, sizeof(name), "f%03o", masks[i]);
		FD(o, open(name, O_CREAT | O_WRONLY, 06777));
		ops_show(o, name, AT_FDCWD, name);
		snprintf(name, sizeof(name), "d%03o", masks[i]);
		TRY(o, mkdir(name, 01777));
		ops_show(o, name, AT_FDCWD, name);
		snprintf(name, sizeof(name), "p%03o", masks[i]);
		TRY(o, mknod(name, S_IFIFO | 0666, 0));
		ops_show(o, name, AT_FDCWD, name);
		snprintf(name, sizeof(name), "s%03o", masks[i]);
		TRY(o, symlink("x", name));
		ops_show(o, name, AT_FDCWD, name);
	}
	umask(0);
	FD(o, open("zero", O_CREAT | O_RDWR, 0));
	SHOW(o, "zero");
}

static void write_fifo(struct ops *o, void *arg)
{
	int fd = open("fifo", O_WRONLY);

	(void)arg;
	if (write(fd, "through the fifo", 16) != 16)
		ops_try(o, "writer", -1);
}

static void fifos(struct ops *o)
{
	char buf[64];
	pid_t pid;
	int fd;

	TRY(o, mkfifo("fifo", 0644));
	TRY(o, open("fifo", O_WRONLY | O_NONBLOCK));
	pid = ops_spawn(o, write_fifo, NULL);
	fd = FD(o, open("fifo", O_RDONLY));
	ops_reap(o, "writer", pid);
	TRY(o, read(fd, buf, sizeof(buf)));
	TRY(o, read(fd, buf, sizeof(buf)));
	TRY(o, lseek(fd, 0, SEEK_SET));
	TRY(o, ftruncate(fd, 0));
	SHOWFD(o, fd);
	TRY(o, unlink("fifo"));
	SHOWFD(o, fd);
}

static void sockets(struct ops *o)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "sock" };
	struct sockaddr_un none = { .sun_family = AF_UNIX, .sun_path = "f" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	char buf[16];

	ops_mk(o, "f", "x");
	TRY(o, bind(s, (struct sockaddr *)&sa, sizeof(sa)));
	SHOW(o, "sock");
	TRY(o, connect(c, (struct sockaddr *)&sa, sizeof(sa)));
	TRY(o, listen(s, 1));
	TRY(o, connect(c, (struct sockaddr *)&none, sizeof(none)));
	TRY(o, connect(c, (struct sockaddr *)&sa, sizeof(sa)));
	s = FD(o, accept(s, NULL, NULL));
	TRY(o, send(c, "hello", 5, 0));
	TRY(o, recv(s, buf, sizeof(buf), 0));
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	TRY(o, bind(c, (struct sockaddr *)&sa, sizeof(sa)));
	TRY(o, unlink("sock"));
	TRY(o, connect(c, (struct sockaddr *)&sa, sizeof(sa)));
}

const struct scenario nodes_scenarios[] = {
	{ "mknods", mknods, OPS_BOTH },	  { "devices", devices, OPS_BOTH },
	{ "mkdirs", mkdirs, OPS_BOTH },	  { "unlinks", unlinks, OPS_BOTH },
	{ "umasks", umasks, OPS_BOTH },	  { "fifos", fifos, OPS_BOTH },
	{ "sockets", sockets, OPS_BOTH }, { 0 },
};
