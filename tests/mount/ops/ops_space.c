// SPDX-License-Identifier: GPL-2.0-only
/* Holes, fallocate, statfs. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

static void seek_holes(struct ops *o)
{
	char buf[65536];
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);

	TRY(o, lseek(fd, 0, SEEK_DATA));
	TRY(o, lseek(fd, 0, SEEK_HOLE));
	ops_pattern(buf, sizeof(buf), 5);
	TRY(o, pwrite(fd, buf, sizeof(buf), 1 << 20));
	TRY(o, pwrite(fd, buf, sizeof(buf), 3 << 20));
	TRY(o, ftruncate(fd, 5 << 20));
	TRY(o, fsync(fd));
	TRY(o, lseek(fd, 0, SEEK_DATA));
	TRY(o, lseek(fd, 0, SEEK_HOLE));
	TRY(o, lseek(fd, 1 << 20, SEEK_DATA));
	TRY(o, lseek(fd, 1 << 20, SEEK_HOLE));
	TRY(o, lseek(fd, (1 << 20) + 65536, SEEK_DATA));
	TRY(o, lseek(fd, (1 << 20) + 70000, SEEK_HOLE));
	TRY(o, lseek(fd, 3 << 20, SEEK_HOLE));
	TRY(o, lseek(fd, (3 << 20) + 65536, SEEK_DATA));
	TRY(o, lseek(fd, 5 << 20, SEEK_DATA));
	TRY(o, lseek(fd, 5 << 20, SEEK_HOLE));
	TRY(o, lseek(fd, (5 << 20) - 1, SEEK_HOLE));
	TRY(o, lseek(fd, -1, SEEK_DATA));
	TRY(o, lseek(fd, 1 << 20, SEEK_DATA));
	TRY(o, read(fd, buf, 100));
	TRY(o, lseek(fd, 0, SEEK_CUR));
	TRY(o, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 65536));
	TRY(o, lseek(fd, 0, SEEK_DATA));
	/* seen at once, too, before anything is on the disk */
	fd = ops_open(o, "g", O_RDWR | O_CREAT);
	TRY(o, pwrite(fd, buf, sizeof(buf), 1 << 20));
	TRY(o, lseek(fd, 0, SEEK_DATA));
	TRY(o, lseek(fd, 1 << 20, SEEK_HOLE));
}

static void fallocates(struct ops *o)
{
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);
	char buf[16];

	TRY(o, fallocate(fd, 0, 0, 10000));
	SHOW(o, "f");
	ops_content(o, "zeroes", fd);
	TRY(o, fallocate(fd, 0, 5000, 1000));
	SHOW(o, "f");
	TRY(o, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
	SHOW(o, "f");
	TRY(o, fsync(fd));
	ops_say(o, "allocated", "%d", ops_lstat("f").st_blocks >= 100000 / 512);
	TRY(o, write(fd, "0123456789abcdef", 16));
	TRY(o, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4, 4));
	TRY(o, pread(fd, buf, 16, 0));
	ops_bytes(o, "punched", buf, 16);
	TRY(o, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 100000));
	SHOW(o, "f");
	TRY(o, fallocate(fd, FALLOC_FL_ZERO_RANGE, 10, 3));
	TRY(o, pread(fd, buf, 16, 0));
	ops_bytes(o, "zeroed", buf, 16);
	TRY(o, fallocate(fd, FALLOC_FL_ZERO_RANGE, 9000, 5000));
	SHOW(o, "f");
	TRY(o, fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 20000, 5000));
	SHOW(o, "f");
	TRY(o, posix_fallocate(fd, 30000, 100));
	SHOW(o, "f");
	ops_content(o, "content", fd);
}

static void fallocate_errors(struct ops *o)
{
	int fd = ops_open(o, "f", O_RDWR | O_CREAT), p[2];

	if (pipe(p) < 0)
		return;
	TRY(o, fallocate(fd, 0, 0, 0));
	TRY(o, fallocate(fd, 0, -1, 10));
	TRY(o, fallocate(fd, 0, 10, -1));
	TRY(o, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	TRY(o, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | 1, 0, 10));
	TRY(o, fallocate(fd, 0x1000, 0, 10));
	TRY(o, fallocate(fd, 0, 0x7fffffffffffffff, 10));
	TRY(o, fallocate(fd, 0, 1ll << 45, 1ll << 45));
	TRY(o, fallocate(ops_open(o, "f", O_RDONLY), 0, 0, 10));
	TRY(o, fallocate(ops_open(o, ".", O_RDONLY), 0, 0, 10));
	TRY(o, fallocate(p[1], 0, 0, 10));
	TRY(o, fallocate(-1, 0, 0, 10));
	TRY(o, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, 10));
	SHOWFD(o, fd);
	fd = ops_open(o, "f", O_RDWR | O_APPEND);
	TRY(o, fallocate(fd, 0, 0, 10));
	TRY(o, write(fd, "x", 1));
	SHOWFD(o, fd);
	FD(o, ops_open(o, "app", O_WRONLY | O_CREAT | O_APPEND));
}

/* A sparse file stays one when it is copied hole by hole. */
static void sparse(struct ops *o)
{
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);
	char block[4096];
	int i;

	memset(block, 's', sizeof(block));
	for (i = 0; i < 20; i++)
		if (pwrite(fd, block, sizeof(block), (off_t)i << 20) != sizeof(block))
			ops_try(o, "pwrite", -1);
	TRY(o, fsync(fd));
	ops_say(o, "sparse", "%d", ops_lstat("f").st_blocks < 20 * 8 * 4);
	SHOW(o, "f");
	for (i = 0; i < 20; i++) {
		off_t at = lseek(fd, ((off_t)i << 20) + 1, SEEK_HOLE);

		if (at <= (off_t)i << 20 || at > ((off_t)i << 20) + 65536)
			ops_say(o, "hole not found", "%d: %lld", i, (long long)at);
	}
	TRY(o, fallocate(fd, 0, 0, 1 << 20));
	TRY(o, lseek(fd, 4096, SEEK_HOLE) >= 4096);
	ops_content(o, "content", fd);
}

static void statfses(struct ops *o)
{
	struct statvfs v = { 0 }, w = { 0 };
	struct statfs s = { 0 };
	int fd;

	ops_mk(o, "f", "x");
	TRY(o, statvfs(".", &v));
	TRY(o, statvfs("f", &w));
	ops_say(o, "same of a file", "%d", v.f_blocks == w.f_blocks && v.f_bsize == w.f_bsize);
	TRY(o, statfs(".", &s));
	ops_say(o, "bsize frsize namelen", "%ld %ld %ld", (long)s.f_bsize, (long)s.f_frsize,
		(long)s.f_namelen);
	ops_say(o, "blocks", "%llu", (unsigned long long)s.f_blocks);
	ops_say(o, "free", "%d", s.f_bfree > 0 && s.f_bfree <= s.f_blocks);
	ops_say(o, "available", "%d", s.f_bavail <= s.f_bfree);
	ops_say(o, "has inode counts", "%d", s.f_files > 0 && s.f_ffree <= s.f_files);
	fd = ops_open(o, "big", O_RDWR | O_CREAT);
	TRY(o, fstatvfs(fd, &v));
	TRY(o, fallocate(fd, 0, 0, 32 << 20));
	TRY(o, fsync(fd));
	TRY(o, fstatvfs(fd, &w));
	ops_say(o, "less is free now", "%d", w.f_bfree < v.f_bfree);
	TRY(o, fstatfs(ops_open(o, "f", O_PATH), &s));
	TRY(o, statfs("missing", &s));
	TRY(o, statfs("f/x", &s));
	TRY(o, fstatfs(-1, &s));
}

const struct scenario space_scenarios[] = {
	{ "seek_holes", seek_holes, OPS_BOTH },
	{ "fallocates", fallocates, OPS_BOTH },
	{ "fallocate_errors", fallocate_errors, OPS_BOTH },
	{ "sparse", sparse, OPS_BOTH },
	{ "statfses", statfses, OPS_BOTH },
	{ 0 },
};
