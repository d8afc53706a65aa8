// SPDX-License-Identifier: GPL-2.0-only
/* open(2) with all its flags, /proc/self/fd, fcntl. */
#include "ops.h"

#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* open flags as a transcript line: F_GETFL without what the C library adds */
static void say_flags(struct ops *o, const char *step, int fd)
{
	ops_say(o, step, "flags %#o", fcntl(fd, F_GETFL) & ~O_LARGEFILE & ~0100000);
}

static void open_create(struct ops *o)
{
	int fd;

	ops_mkdir(o, "d", 0755);
	fd = FD(o, open("f", O_WRONLY | O_CREAT | O_EXCL, 0640));
	SHOWFD(o, fd);
	TRY(o, write(fd, "text", 4));
	TRY(o, open("f", O_WRONLY | O_CREAT | O_EXCL, 0640));
	TRY(o, open("missing", O_RDWR));
	TRY(o, open("missing/x", O_RDWR | O_CREAT, 0644));
	TRY(o, open("f/x", O_RDWR | O_CREAT, 0644));
	TRY(o, open("d", O_RDWR | O_CREAT, 0644));
	TRY(o, open("d", O_RDONLY | O_CREAT, 0644));
	TRY(o, open("d", O_WRONLY));
	TRY(o, open("d", O_RDWR));
	TRY(o, open("d", O_WRONLY | O_TRUNC));
	TRY(o, open("new/", O_RDWR | O_CREAT, 0644));
	TRY(o, open("f/", O_RDONLY));
	TRY(o, open("d/", O_RDONLY | O_CREAT | O_EXCL, 0644));
	TRY(o, open("", O_RDONLY));
	FD(o, open("f", O_RDWR | O_CREAT, 0777));
	SHOW(o, "f");
	fd = FD(o, open("readonly", O_RDWR | O_CREAT | O_EXCL, 0));
	TRY(o, write(fd, "possible", 8));
	ops_content(o, "made with mode 0", fd);
	FD(o, creat("c", 0600));
	SHOW(o, "c");
	TRY(o, open("e", O_RDONLY | O_CREAT | O_DIRECTORY, 0644));
	TRY(o, access("e", F_OK));
}

static void open_trunc(struct ops *o)
{
	int fd, other;

	ops_mk(o, "f", "content");
	other = ops_open(o, "f", O_RDWR);
	fd = FD(o, open("f", O_WRONLY | O_TRUNC));
	SHOW(o, "f");
	SHOWFD(o, other);
	ops_content(o, "other", other);
	TRY(o, write(fd, "new", 3));
	SHOWFD(o, other);
	ops_content(o, "other", other);
	FD(o, open("f", O_RDONLY | O_TRUNC));
	SHOW(o, "f");
	TRY(o, open("missing", O_WRONLY | O_TRUNC));
	TRY(o, pwrite(fd, "after the end", 13, 5000));
	SHOW(o, "f");
	FD(o, open("f", O_RDWR | O_CREAT | O_TRUNC, 0600));
	SHOW(o, "f");
	ops_content(o, "other", other);
	FD(o, open("f", O_RDWR | O_TRUNC | O_APPEND));
	FD(o, open("f", O_RDWR | O_TRUNC | O_SYNC));
}

static void open_kinds(struct ops *o)
{
	int fd;
	char buf[4];

	ops_mk(o, "f", "content");
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("f", "s"));
	TRY(o, symlink("d", "sd"));
	TRY(o, open("f", O_RDONLY | O_DIRECTORY));
	FD(o, open("d", O_RDONLY | O_DIRECTORY));
	FD(o, open("sd", O_RDONLY | O_DIRECTORY));
	TRY(o, open("s", O_RDONLY | O_NOFOLLOW));
	TRY(o, open("s", O_RDONLY | O_CREAT | O_NOFOLLOW, 0644));
	TRY(o, open("sd", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	FD(o, open("sd/", O_RDONLY | O_NOFOLLOW));
	fd = FD(o, open("d", O_RDONLY));
	TRY(o, read(fd, buf, 4));
	TRY(o, pread(fd, buf, 4, 0));
	TRY(o, write(fd, "x", 1));
	fd = FD(o, open("f", O_WRONLY));
	TRY(o, read(fd, buf, 4));
	TRY(o, write(fd, "C", 1));
	fd = FD(o, open("f", O_RDONLY));
	TRY(o, write(fd, "x", 1));
	TRY(o, ftruncate(fd, 0));
	TRY(o, read(fd, buf, 4));
	/* neither reading nor writing: ioctl only, as lilo does */
	fd = FD(o, open("f", O_ACCMODE));
	TRY(o, read(fd, buf, 4));
	TRY(o, write(fd, buf, 4));
	ops_content_path(o, "f", "f");
}

static void open_path(struct ops *o)
{
	char buf[16], path[64];
	struct stat st;
	int fd;

	ops_mk(o, "f", "content");
	TRY(o, symlink("f", "s"));
	ops_mkdir(o, "d", 0755);
	fd = FD(o, open("f", O_PATH));
	say_flags(o, "O_PATH", fd);
	TRY(o, read(fd, buf, 4));
	TRY(o, write(fd, buf, 4));
	TRY(o, fchmod(fd, 0600));
	TRY(o, ftruncate(fd, 0));
	TRY(o, ioctl(fd, FIOCLEX, 0));
	TRY(o, fsync(fd));
	TRY(o, fgetxattr(fd, "user.x", buf, 16) < 0);
	SHOWFD(o, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ops_content_path(o, "reopened", path);
	TRY(o, chmod(path, 0604));
	SHOW(o, "f");
	TRY(o, stat(path, &st));
	TRY(o, unlink("f"));
	ops_content_path(o, "reopened after unlink", path);
	TRY(o, stat(path, &st));
	fd = FD(o, open("s", O_PATH | O_NOFOLLOW));
	SHOWFD(o, fd);
	TRY(o, readlinkat(fd, "", buf, sizeof(buf)));
	fd = FD(o, open("d", O_PATH));
	TRY(o, mkdirat(fd, "in", 0755));
	TRY(o, fchdir(fd));
	TRY(o, access("in", F_OK));
	TRY(o, openat(fd, "", O_RDONLY));
	TRY(o, open("missing", O_PATH));
}

static int proc_open(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC, 0644);
}

static void open_proc_fd(struct ops *o)
{
	int fd, again;

	ops_mk(o, "f", "content");
	fd = ops_open(o, "f", O_RDONLY);
	again = FD(o, proc_open(fd, O_RDWR));
	TRY(o, pwrite(again, "C", 1, 0));
	ops_content(o, "by the first", fd);
	FD(o, proc_open(fd, O_RDONLY | O_DIRECT));
	TRY(o, proc_open(fd, O_RDONLY | O_DIRECTORY));
	TRY(o, proc_open(fd, O_RDONLY | O_NOFOLLOW));
	TRY(o, proc_open(fd, O_RDWR | O_CREAT | O_EXCL));
	TRY(o, unlink("f"));
	again = FD(o, proc_open(fd, O_RDWR | O_APPEND));
	TRY(o, write(again, " and more", 9));
	ops_content(o, "unlinked, by the first", fd);
	SHOWFD(o, fd);
	again = FD(o, proc_open(fd, O_WRONLY | O_TRUNC));
	SHOWFD(o, fd);
	TRY(o, write(again, "anew", 4));
	ops_content(o, "truncated, by the first", fd);
	FD(o, proc_open(open(".", O_RDONLY), O_RDONLY | O_DIRECTORY));
	TRY(o, fchmod(fd, 0));
	FD(o, proc_open(fd, O_RDONLY));
}

/* Where somebody renames or mounts anything meanwhile, the kernel can't tell that ".." is inside. */
static int open2(const char *path, unsigned long flags, unsigned long resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };
	bool again = resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT);
	int fd;

	do
		fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && again);
	return fd;
}

static void open_resolve(struct ops *o)
{
	ops_mk(o, "f", "content");
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("f", "s"));
	TRY(o, symlink("/", "abs"));
	FD(o, open2("f", O_RDONLY, RESOLVE_BENEATH));
	FD(o, open2("d/../f", O_RDONLY, RESOLVE_BENEATH));
	TRY(o, open2("../f", O_RDONLY, RESOLVE_BENEATH));
	TRY(o, open2("s", O_RDONLY, RESOLVE_NO_SYMLINKS));
	TRY(o, open2("abs", O_RDONLY, RESOLVE_BENEATH));
	FD(o, open2("s", O_RDONLY, RESOLVE_IN_ROOT));
	FD(o, open2("d/../s", O_RDONLY, RESOLVE_NO_XDEV));
	TRY(o, open2("/proc/self/exe", O_RDONLY, RESOLVE_NO_XDEV));
	TRY(o, open2("f", O_RDONLY | O_TRUNC, RESOLVE_CACHED));
	TRY(o, open2("f", O_RDWR | O_CREAT | O_TMPFILE, 0));
	TRY(o, open2("f", 1ul << 40, 0));
}

/* Flags that are set later, with F_SETFL. */
static void open_setfl(struct ops *o)
{
	int fd;

	ops_mk(o, "f", "content");
	fd = ops_open(o, "f", O_RDWR);
	say_flags(o, "at first", fd);
	TRY(o, fcntl(fd, F_SETFL, O_APPEND));
	say_flags(o, "append", fd);
	TRY(o, pwrite(fd, "P", 1, 0));
	TRY(o, lseek(fd, 0, SEEK_SET));
	TRY(o, write(fd, "W", 1));
	ops_content(o, "appended", fd);
	TRY(o, lseek(fd, 0, SEEK_CUR));
	TRY(o, fcntl(fd, F_SETFL, O_NONBLOCK));
	say_flags(o, "no append", fd);
	TRY(o, pwrite(fd, "C", 1, 0));
	ops_content(o, "overwritten", fd);
	TRY(o, fcntl(fd, F_SETFL, O_NOATIME));
	say_flags(o, "noatime", fd);
	TRY(o, fcntl(fd, F_SETFL, O_ASYNC));
	TRY(o, fcntl(fd, F_SETFL, 0));
	fd = FD(o, open("f", O_RDWR | O_SYNC | O_NONBLOCK));
	say_flags(o, "sync", fd);
	TRY(o, write(fd, "S", 1));
	fd = FD(o, open("f", O_RDWR | O_DSYNC | O_APPEND));
	say_flags(o, "dsync", fd);
	TRY(o, write(fd, "D", 1));
	ops_content(o, "at last", fd);
}

/* One file open in every mode at once; each sees what the others do. */
static void open_many(struct ops *o)
{
	static const int modes[] = { O_RDONLY,
				     O_WRONLY,
				     O_RDWR,
				     O_RDWR | O_APPEND,
				     O_RDWR | O_SYNC,
				     O_RDONLY | O_NOATIME,
				     O_RDWR | O_DSYNC,
				     O_RDONLY | O_PATH,
				     O_WRONLY | O_APPEND,
				     O_RDONLY | O_DIRECT,
				     O_RDWR | O_DIRECT };
	enum { N = sizeof(modes) / sizeof(modes[0]) };
	int fds[N], i, j, bad = 0;
	char step[64];

	ops_mk(o, "f", "start");
	for (i = 0; i < N; i++) {
		fds[i] = open("f", modes[i] | O_CLOEXEC);
		snprintf(step, sizeof(step), "open with %#o", modes[i]);
		ops_ok(o, step, fds[i]);
	}
	for (i = 0; i < N; i++) {
		if (fds[i] < 0 || modes[i] & O_DIRECT || (modes[i] & O_ACCMODE) == O_RDONLY)
			continue;
		bad += pwrite(fds[i], step, (size_t)i + 3, 0) != i + 3;
		for (j = 0; j < N; j++)
			bad += fds[j] >= 0 && ops_fstat(fds[j]).st_size != ops_lstat("f").st_size;
	}
	ops_say(o, "wrong", "%d", bad);
	ops_content_path(o, "content", "f");
	for (i = 0; i < N; i++)
		close(fds[i]);
	FD(o, open("f", O_RDWR));
	ops_content_path(o, "content", "f");
}

const struct scenario open_scenarios[] = {
	{ "open_create", open_create, OPS_BOTH },
	{ "open_trunc", open_trunc, OPS_BOTH },
	{ "open_kinds", open_kinds, OPS_BOTH },
	{ "open_path", open_path, OPS_BOTH },
	{ "open_proc_fd", open_proc_fd, OPS_BOTH },
	{ "open_resolve", open_resolve, OPS_BOTH },
	{ "open_setfl", open_setfl, OPS_BOTH },
	{ "open_many", open_many, OPS_BOTH },
	{ 0 },
};
