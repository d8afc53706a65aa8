// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel's FUSE can't do, or does differently, and no daemon can change. The file
 * "differences" names each line that differs, with the reason; a kernel that lifts one shows.
 */
#include "ops.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif
#ifndef FALLOC_FL_UNSHARE_RANGE
#define FALLOC_FL_UNSHARE_RANGE 0x40
#endif

static void known_reflink(struct ops *o)
{
	struct file_clone_range range = { .src_length = 65536 };
	struct file_dedupe_range *dedupe = calloc(1, sizeof(*dedupe) + sizeof(dedupe->info[0]));
	int in, out;

	ops_mk_sized(o, "src", 131072);
	in = ops_open(o, "src", O_RDONLY);
	out = ops_open(o, "dst", O_RDWR | O_CREAT);
	TRY(o, ioctl(out, FICLONE, in));
	range.src_fd = in;
	TRY(o, ioctl(out, FICLONERANGE, &range));
	dedupe->src_length = 65536;
	dedupe->dest_count = 1;
	dedupe->info[0].dest_fd = out;
	TRY(o, ioctl(in, FIDEDUPERANGE, dedupe));
	free(dedupe);
}

static void known_fiemap(struct ops *o)
{
	struct fiemap map = { .fm_length = ~0ULL, .fm_flags = FIEMAP_FLAG_SYNC };
	int fd, block = 0;

	ops_mk_sized(o, "f", 131072);
	fd = ops_open(o, "f", O_RDONLY);
	TRY(o, ioctl(fd, FS_IOC_FIEMAP, &map));
	if (o->root) {
		TRY(o, ioctl(fd, FIBMAP, &block));
		ops_say(o, "first block known", "%d", block > 0);
	}
	TRY(o, ioctl(fd, FIGETBSZ, &block));
	ops_say(o, "block size", "%d", block);
}

static void known_fallocate(struct ops *o)
{
	int fd;

	ops_mk_sized(o, "f", 131072);
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 65536));
	TRY(o, fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 65536));
	TRY(o, fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, 65536));
}

static void known_statx(struct ops *o)
{
	struct statx sx;
	int fd;

	ops_mk(o, "f", "x");
	fd = ops_open(o, "f", O_RDONLY);
	memset(&sx, 0, sizeof(sx));
	/* STATX_DIOALIGN, whose fields this C library does not know */
	TRY(o, statx(fd, "", AT_EMPTY_PATH, 0x2000, &sx));
	ops_say(o, "STATX_DIOALIGN", "%d", !!(sx.stx_mask & 0x2000));
	ops_say(o, "attributes mask", "%#llx", (unsigned long long)sx.stx_attributes_mask);
	if (o->root && !ops_set_flags("f", FS_IMMUTABLE_FL, 0)) {
		statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx);
		ops_say(o, "STATX_ATTR_IMMUTABLE", "%d",
			!!(sx.stx_attributes & STATX_ATTR_IMMUTABLE));
		ops_set_flags("f", 0, FS_IMMUTABLE_FL);
	}
}

static void known_epoll(struct ops *o)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	ops_mk(o, "f", "x");
	TRY(o, epoll_ctl(ep, EPOLL_CTL_ADD, ops_open(o, "f", O_RDONLY), &ev));
	TRY(o, epoll_ctl(ep, EPOLL_CTL_ADD, ops_open(o, ".", O_RDONLY), &ev));
}

static void known_rwf(struct ops *o)
{
	char buf[4096];
	const struct iovec iov = { buf, sizeof(buf) };
	int fd;

	ops_mk_sized(o, "f", 131072);
	ops_content_path(o, "cached", "f");
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, preadv2(fd, &iov, 1, 0, RWF_NOWAIT));
	TRY(o, preadv2(fd, &iov, 1, 0, RWF_DONTCACHE));
	TRY(o, pwritev2(fd, &iov, 1, 0, RWF_DONTCACHE));
	TRY(o, preadv2(fd, &iov, 1, 0, RWF_HIPRI));
}

/* O_DIRECT, set when the file is open already. */
/* Appending no more: what was opened with O_APPEND, beneath, goes on to. */
static void known_setfl_append(struct ops *o)
{
	int fd;

	ops_mk(o, "f", "0123456789");
	fd = ops_open(o, "f", O_RDWR | O_APPEND);
	TRY(o, write(fd, "+", 1));
	TRY(o, fcntl(fd, F_SETFL, 0));
	TRY(o, pwrite(fd, "ab", 2, 4));
	ops_content(o, "not appended", fd);
	TRY(o, fcntl(fd, F_SETFL, O_APPEND));
	TRY(o, pwrite(fd, "cd", 2, 4));
	TRY(o, ftruncate(fd, 10));
	TRY(o, pwrite(fd, "ef", 2, 4));
	SHOWFD(o, fd);
}

static void known_setfl_direct(struct ops *o)
{
	char *buf = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	ops_mk_sized(o, "f", 131072);
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, fcntl(fd, F_SETFL, O_DIRECT));
	TRY(o, pread(fd, buf, 4096, 4096));
	TRY(o, pread(fd, buf + 1, 100, 1));
	TRY(o, pwrite(fd, buf + 1, 100, 1));
}

/* Positions beyond the largest file of SOURCE; those of directories. */
static void known_seek(struct ops *o)
{
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);

	TRY(o, lseek(fd, 0x7ffffffffffffff0, SEEK_SET));
	TRY(o, pread(fd, &fd, 1, 0x7ffffffffffffff0));
	fd = ops_open(o, ".", O_RDONLY);
	TRY(o, lseek(fd, 0, SEEK_DATA));
	TRY(o, lseek(fd, 0, SEEK_HOLE) >= 0);
}

static void known_handles(struct ops *o)
{
	struct {
		struct file_handle h;
		char space[MAX_HANDLE_SZ];
	} handle = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, dir = ops_open(o, ".", O_RDONLY);

	ops_mk(o, "f", "by handle");
	if (TRY(o, name_to_handle_at(AT_FDCWD, "f", &handle.h, &mount_id, 0)) < 0)
		return;
	if (o->root) {
		int fd = FD(o, open_by_handle_at(dir, &handle.h, O_RDONLY));

		ops_content(o, "content", fd);
		TRY(o, unlink("f"));
		close(fd);
		TRY(o, open_by_handle_at(dir, &handle.h, O_RDONLY));
	}
}

/* Who looks at a mapping in /proc/self/maps finds the file by device and inode. */
static void known_maps(struct ops *o)
{
	char line[8192];
	struct stat st;
	FILE *maps;
	int fd, found = 0;
	char *p;

	ops_mk_sized(o, "mapped-file", 4096);
	st = ops_lstat("mapped-file");
	fd = ops_open(o, "mapped-file", O_RDONLY);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ops_say(o, "mapped", "%d", p != MAP_FAILED);
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned int maj, min;
		unsigned long ino;

		if (!strstr(line, "mapped-file"))
			continue;
		found++;
		if (sscanf(line, "%*s %*s %*s %x:%x %lu", &maj, &min, &ino) == 3)
			ops_say(o, "maps", "device %d inode %d", makedev(maj, min) == st.st_dev,
				ino == st.st_ino);
	}
	ops_say(o, "found by name", "%d", found);
}

/* FUSE's inode does not know that SOURCE's is immutable or append-only; SOURCE's does. */
static void known_flags(struct ops *o)
{
	int fd, before, flags = 0;
	char *p;

	ops_mk(o, "f", "content");
	TRY(o, mkfifo("p", 0644));
	TRY(o, ioctl(ops_open(o, "p", O_RDONLY | O_NONBLOCK), FS_IOC_GETFLAGS, &flags));
	before = ops_open(o, "f", O_RDWR);
	if (!o->root)
		return;
	TRY(o, ops_set_flags("f", FS_IMMUTABLE_FL, 0));
	TRY(o, access("f", W_OK));
	TRY(o, ops_set_flags("f", FS_APPEND_FL, FS_IMMUTABLE_FL));
	fd = FD(o, open("f", O_RDWR | O_APPEND));
	TRY(o, fcntl(fd, F_SETFL, 0));
	TRY(o, pwrite(fd, "CONTENT", 7, 0));
	p = mmap(NULL, 100, PROT_WRITE, MAP_SHARED, before, 0);
	ops_ok(o, "mmap of a descriptor opened before", p == MAP_FAILED ? -1 : 0);
	TRY(o, ops_set_flags("f", 0, FS_APPEND_FL));
	ops_content_path(o, "appended all the same", "f");
	ops_mkdir(o, "d", 0755);
	TRY(o, ops_set_flags("d", FS_IMMUTABLE_FL, 0));
	TRY(o, access("d", W_OK));
	TRY(o, ops_set_flags("d", 0, FS_IMMUTABLE_FL));
}

/* Which pages of a file are in memory: asked of a descriptor, and of a mapping. */
static void known_residency(struct ops *o)
{
	const unsigned long long range[2] = { 0, 0 };
	unsigned long long stat[5] = { 0 };
	unsigned char in_core[4] = "";
	char *p;
	int fd;

	ops_mk_sized(o, "f", 16384);
	fd = ops_open(o, "f", O_RDONLY);
	ops_content(o, "read", fd);
	TRY(o, syscall(451 /* cachestat */, fd, range, stat, 0));
	ops_say(o, "pages in the cache", "%llu", stat[0]);
	p = mmap(NULL, 16384, PROT_READ, MAP_SHARED, fd, 0);
	TRY(o, mincore(p, 16384, in_core));
	ops_say(o, "pages in core", "%d",
		(in_core[0] & 1) + (in_core[1] & 1) + (in_core[2] & 1) + (in_core[3] & 1));
}

/* FIOQSIZE: space that a quota would count; the VFS asks the inode. */
static void known_qsize(struct ops *o)
{
	loff_t size = -1;

	ops_mk_sized(o, "f", 5000);
	TRY(o, ioctl(ops_open(o, "f", O_RDONLY), FIOQSIZE, &size));
	ops_say(o, "counts", "%d", size > 0);
	TRY(o, ioctl(ops_open(o, ".", O_RDONLY), FIOQSIZE, &size) < 0);
}

static void known_volume(struct ops *o)
{
	char label[256] = "";
	struct {
		unsigned char len, uuid[16];
	} id = { 0 };
	int fd = ops_open(o, ".", O_RDONLY);

	TRY(o, ioctl(fd, FS_IOC_GETFSLABEL, label));
	/* FS_IOC_GETFSUUID */
	TRY(o, ioctl(fd, _IOR(0x15, 0, char[17]), &id));
}

/* While somebody writes; what has nothing to lose. */
static void known_truncate(struct ops *o)
{
	int fd;

	ops_mk(o, "f", "");
	TIMES(o, "f", truncate("f", 0));
	fd = ops_open(o, "f", O_RDWR);
	TIMES(o, "f", truncate("f", 0));
	TIMES(o, "f", ftruncate(fd, 0));
	TIMES(o, "f", close(open("f", O_WRONLY | O_TRUNC)));
	close(fd);
}

/* A hole where there is nothing, and zeroes where they can't be had. */
static void known_hole(struct ops *o)
{
	int fd;

	ops_mk(o, "f", "text");
	chmod("f", 02777);
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 4096));
	SHOW(o, "f");
	chmod("f", 02777);
	TRY(o, fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096));
	ops_show(o, "zeroed or not", AT_FDCWD, "f");
	close(fd);
}

const struct scenario known_scenarios[] = {
	{ "known_reflink", known_reflink, OPS_BOTH },
	{ "known_fiemap", known_fiemap, OPS_BOTH },
	{ "known_fallocate", known_fallocate, OPS_BOTH },
	{ "known_statx", known_statx, OPS_BOTH },
	{ "known_epoll", known_epoll, OPS_BOTH },
	{ "known_rwf", known_rwf, OPS_BOTH },
	{ "known_setfl_append", known_setfl_append, OPS_BOTH },
	{ "known_setfl_direct", known_setfl_direct, OPS_BOTH },
	{ "known_flags", known_flags, OPS_BOTH },
	{ "known_seek", known_seek, OPS_BOTH },
	{ "known_handles", known_handles, OPS_BOTH },
	{ "known_maps", known_maps, OPS_BOTH },
	{ "known_residency", known_residency, OPS_BOTH },
	{ "known_qsize", known_qsize, OPS_BOTH },
	{ "known_volume", known_volume, OPS_BOTH },
	{ "known_truncate", known_truncate, OPS_BOTH },
	{ "known_hole", known_hole, OPS_BOTH },
	{ 0 },
};
