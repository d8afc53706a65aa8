// SPDX-License-Identifier: GPL-2.0-only
/* stat, statx, access, chmod, chown, truncate. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static void say_statx(struct ops *o, const char *step, int fd, const char *path, int flags)
{
	struct statx sx;
	struct stat st = { 0 };

	memset(&sx, 0, sizeof(sx));
	if (ops_try(o, step, statx(fd, path, flags, STATX_BASIC_STATS | STATX_BTIME, &sx)) < 0)
		return;
	fstatat(fd, path, &st, flags & ~AT_STATX_SYNC_TYPE);
	ops_say(o, step, "mask %#x btime %s", sx.stx_mask & (STATX_BASIC_STATS | STATX_BTIME),
		sx.stx_btime.tv_sec > 1000000000 ? "set" : "not set");
	ops_say(o, step, "agrees with stat: %d%d%d%d%d%d", sx.stx_ino == st.st_ino,
		sx.stx_mode == st.st_mode, sx.stx_nlink == st.st_nlink,
		sx.stx_size == (unsigned long)st.st_size,
		makedev(sx.stx_dev_major, sx.stx_dev_minor) == st.st_dev,
		sx.stx_mtime.tv_nsec == st.st_mtim.tv_nsec &&
			sx.stx_mtime.tv_sec == st.st_mtim.tv_sec);
}

static void statxs(struct ops *o)
{
	struct statx sx, again;
	int fd;

	ops_mk(o, "f", "some text");
	TRY(o, symlink("f", "s"));
	say_statx(o, "statx f", AT_FDCWD, "f", 0);
	say_statx(o, "statx .", AT_FDCWD, ".", 0);
	say_statx(o, "statx s", AT_FDCWD, "s", AT_SYMLINK_NOFOLLOW);
	say_statx(o, "statx s followed", AT_FDCWD, "s", 0);
	say_statx(o, "statx sync", AT_FDCWD, "f", AT_STATX_FORCE_SYNC);
	say_statx(o, "statx don't sync", AT_FDCWD, "f", AT_STATX_DONT_SYNC);
	fd = ops_open(o, "f", O_RDWR);
	say_statx(o, "statx fd", fd, "", AT_EMPTY_PATH);
	TRY(o, statx(AT_FDCWD, "missing", 0, STATX_BTIME, &sx));
	TRY(o, statx(AT_FDCWD, "f", 0x40000000, STATX_BTIME, &sx));
	TRY(o, statx(AT_FDCWD, "f", AT_STATX_SYNC_TYPE, STATX_BTIME, &sx));
	TRY(o, statx(fd, "", 0, STATX_BTIME, &sx));
	statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &sx);
	ops_tick();
	TRY(o, write(fd, "more", 4));
	TRY(o, rename("f", "g"));
	statx(AT_FDCWD, "g", 0, STATX_BTIME, &again);
	ops_say(o, "btime stays", "%d",
		!memcmp(&sx.stx_btime, &again.stx_btime, sizeof(sx.stx_btime)));
	TRY(o, statx(AT_FDCWD, "g", 0, STATX_SIZE, &sx));
	ops_say(o, "size", "%llu", (unsigned long long)sx.stx_size);
}

static void chmods(struct ops *o)
{
	int fd;

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("f", "s"));
	TIMES(o, "f", chmod("f", 0600));
	SHOW(o, "f");
	TRY(o, chmod("f", 07777));
	SHOW(o, "f");
	TRY(o, chmod("f", 0));
	SHOW(o, "f");
	TRY(o, chmod("s", 0640));
	SHOW(o, "f");
	SHOW(o, "s");
	TRY(o, chmod("d", 01777));
	SHOW(o, "d");
	TRY(o, chmod("d", 02700));
	SHOW(o, "d");
	TRY(o, chmod("missing", 0644));
	TRY(o, chmod("f/x", 0644));
	fd = ops_open(o, "f", O_RDONLY);
	TRY(o, fchmod(fd, 0444));
	SHOWFD(o, fd);
	TRY(o, fchmod(open("f", O_PATH), 0644));
	TRY(o, syscall(SYS_fchmodat2, AT_FDCWD, "s", 0600, AT_SYMLINK_NOFOLLOW));
	TRY(o, syscall(SYS_fchmodat2, fd, "", 0604, AT_EMPTY_PATH));
	SHOW(o, "f");
	/* an open descriptor keeps what it was opened for */
	TRY(o, chmod("f", 0));
	ops_content(o, "still read", fd);
	SHOWFD(o, fd);
}

static void chowns(struct ops *o)
{
	struct stat st;
	int fd;

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("f", "s"));
	TIMES(o, "f", chown("f", USER_A, GROUP_X));
	SHOW(o, "f");
	TRY(o, chown("f", (uid_t)-1, GROUP_Y));
	SHOW(o, "f");
	TRY(o, chown("f", USER_B, (gid_t)-1));
	SHOW(o, "f");
	TIMES(o, "f", chown("f", (uid_t)-1, (gid_t)-1));
	TRY(o, lchown("s", USER_B, GROUP_X));
	SHOW(o, "s");
	SHOW(o, "f");
	TRY(o, chown("s", 0, 0));
	SHOW(o, "f");
	TRY(o, chown("d", 4000000000u, 4000000001u));
	SHOW(o, "d");
	TRY(o, chown("missing", 0, 0));
	/* setuid and setgid bits go when a file changes hands */
	TRY(o, chmod("f", 06755));
	TRY(o, chown("f", USER_A, USER_A));
	SHOW(o, "f");
	TRY(o, chmod("f", 06745));
	fd = ops_open(o, "f", O_RDONLY);
	TRY(o, fchown(fd, (uid_t)-1, (gid_t)-1));
	SHOW(o, "f");
	TRY(o, chmod("d", 06755));
	TRY(o, chown("d", USER_A, USER_A));
	SHOW(o, "d");
	TRY(o, fstat(fd, &st));
	TRY(o, fchownat(open("f", O_PATH), "", 0, 0, AT_EMPTY_PATH));
	SHOW(o, "f");
}

static void chowns_user(struct ops *o)
{
	ops_mk(o, "f", "x");
	TRY(o, chown("f", 0, (gid_t)-1));
	TRY(o, chown("f", (uid_t)-1, 0));
	TRY(o, chown("f", USER_B, USER_B));
	TIMES(o, "f", chown("f", getuid(), getgid()));
	TIMES(o, "f", chown("f", (uid_t)-1, (gid_t)-1));
	TRY(o, chmod("f", 06755));
	TRY(o, chown("f", getuid(), getgid()));
	SHOW(o, "f");
	TRY(o, chmod("f", 06745));
	TRY(o, chown("f", (uid_t)-1, (gid_t)-1));
	SHOW(o, "f");
	TRY(o, chmod(".", 02755));
	SHOW(o, ".");
}

static void truncates(struct ops *o)
{
	int fd;

	ops_mk(o, "f", "0123456789");
	ops_mkdir(o, "d", 0755);
	TIMES(o, "f", truncate("f", 5));
	ops_content_path(o, "content", "f");
	TIMES(o, "f", truncate("f", 5));
	TRY(o, truncate("f", 20));
	ops_content_path(o, "content", "f");
	TRY(o, truncate("f", -1));
	TRY(o, truncate("d", 0));
	TRY(o, truncate("missing", 0));
	TRY(o, truncate("f/x", 0));
	TRY(o, truncate("f", (off_t)5 << 30));
	SHOW(o, "f");
	TRY(o, truncate("f", 3));
	fd = ops_open(o, "f", O_RDONLY);
	TRY(o, ftruncate(fd, 0));
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, ftruncate(fd, 8000));
	SHOW(o, "f");
	ops_content(o, "zeroes behind", fd);
	TRY(o, ftruncate(fd, 0));
	SHOW(o, "f");
	TIMES(o, "f", ftruncate(fd, 0));
	TRY(o, ftruncate(fd, -1));
	TRY(o, ftruncate(open("d", O_RDONLY), 0));
	/* a block cut short and grown again reads as zeroes */
	ops_mk_sized(o, "g", 20000);
	TRY(o, truncate("g", 5001));
	TRY(o, truncate("g", 20000));
	ops_content_path(o, "g", "g");
}

static void accesses(struct ops *o)
{
	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, access("f", F_OK));
	TRY(o, access("f", R_OK | W_OK));
	TRY(o, access("f", X_OK));
	TRY(o, chmod("f", 0755));
	TRY(o, access("f", R_OK | W_OK | X_OK));
	TRY(o, chmod("f", 0));
	TRY(o, access("f", F_OK));
	TRY(o, access("f", R_OK));
	TRY(o, access("f", W_OK));
	TRY(o, access("f", X_OK));
	TRY(o, access("f", 010));
	TRY(o, access("missing", F_OK));
	TRY(o, access("f/x", F_OK));
	TRY(o, faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
	TRY(o, symlink("missing", "s"));
	TRY(o, faccessat(AT_FDCWD, "s", F_OK, AT_SYMLINK_NOFOLLOW));
	TRY(o, access("s", F_OK));
	TRY(o, chmod("d", 0));
	TRY(o, access("d", X_OK));
	TRY(o, access("d/x", F_OK));
	TRY(o, chmod("d", 0444));
	TRY(o, access("d/x", F_OK));
}

static void blocks(struct ops *o)
{
	char buf[49152];
	int fd;

	ops_pattern(buf, sizeof(buf), 3);
	fd = ops_open(o, "f", O_RDWR | O_CREAT);
	TRY(o, fsync(fd));
	ops_blocks(o, "empty", "f");
	TRY(o, pwrite(fd, buf, sizeof(buf), 0));
	TRY(o, fsync(fd));
	ops_blocks(o, "48 KiB", "f");
	TRY(o, ftruncate(fd, 16384));
	TRY(o, fsync(fd));
	ops_blocks(o, "16 KiB", "f");
	TRY(o, ftruncate(fd, 10 << 20));
	TRY(o, fsync(fd));
	ops_blocks(o, "16 KiB and a hole", "f");
	TRY(o, ftruncate(fd, 0));
	TRY(o, fsync(fd));
	ops_blocks(o, "empty again", "f");
	TRY(o, symlink("short", "s"));
	ops_blocks(o, "symlink", "s");
	TRY(o, mkfifo("p", 0644));
	ops_blocks(o, "fifo", "p");
	ops_say(o, "st_blksize of a file", "%ld", (long)ops_lstat("f").st_blksize);
	ops_say(o, "st_blksize of a directory", "%ld", (long)ops_lstat(".").st_blksize);
}

const struct scenario attr_scenarios[] = {
	{ "statxs", statxs, OPS_BOTH },	      { "chmods", chmods, OPS_BOTH },
	{ "chowns", chowns, OPS_ROOT },	      { "chowns_user", chowns_user, OPS_USER },
	{ "truncates", truncates, OPS_BOTH }, { "accesses", accesses, OPS_BOTH },
	{ "blocks", blocks, OPS_BOTH },	      { 0 },
};
