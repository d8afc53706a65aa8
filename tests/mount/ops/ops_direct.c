// SPDX-License-Identifier: GPL-2.0-only
/* O_DIRECT, aligned and not, beside buffered descriptors of the same file. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *aligned(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void direct_aligned(struct ops *o)
{
	char *buf = aligned(1 << 20), *got = aligned(1 << 20);
	int fd = FD(o, open("f", O_RDWR | O_CREAT | O_DIRECT, 0644));
	int plain = ops_open(o, "f", O_RDWR);

	ops_pattern(buf, 1 << 20, 9);
	TRY(o, pwrite(fd, buf, 1 << 20, 0));
	SHOWFD(o, fd);
	TRY(o, pread(fd, got, 1 << 20, 0));
	ops_bytes(o, "direct", got, 1 << 20);
	ops_content(o, "buffered", plain);
	TRY(o, pwrite(plain, "buffered", 8, 4096));
	TRY(o, pread(fd, got, 8192, 4096));
	ops_bytes(o, "direct after buffered", got, 8192);
	TRY(o, pwrite(fd, buf, 4096, 4096));
	TRY(o, pread(plain, got, 8, 4096));
	ops_say(o, "buffered after direct", "%s", memcmp(got, buf, 8) ? "old" : "new");
	TRY(o, pread(fd, got, 4096, 1 << 20));
	TRY(o, pread(fd, got, 8192, (1 << 20) - 4096));
	TRY(o, ftruncate(fd, (1 << 20) - 100));
	TRY(o, pread(fd, got, 8192, (1 << 20) - 4096));
	TRY(o, pwrite(fd, buf, 4096, 2 << 20));
	SHOW(o, "f");
	TRY(o, pread(fd, got, 4096, (2 << 20) - 8192));
	ops_bytes(o, "hole", got, 4096);
	TRY(o, read(fd, got, 4096));
	TRY(o, lseek(fd, 0, SEEK_CUR));
	TRY(o, fsync(fd));
	TRY(o, fallocate(fd, 0, 0, 4 << 20));
	TRY(o, pread(fd, got, 4096, 3 << 20));
	ops_bytes(o, "allocated", got, 4096);
}

/* What a failed read leaves in the buffer is nobody's business. */
static void read_at(struct ops *o, const char *step, int fd, char *buf, size_t len, off_t at)
{
	ssize_t n = pread(fd, buf, len, at);

	ops_try(o, step, n);
	if (n > 0)
		ops_bytes(o, step, buf, (size_t)n);
}

static void direct_unaligned(struct ops *o)
{
	char *buf = aligned(65536);
	int fd;

	ops_mk_sized(o, "f", 40000);
	fd = FD(o, open("f", O_RDWR | O_DIRECT));
	read_at(o, "read 100 bytes at 0", fd, buf, 100, 0);
	read_at(o, "read 4096 at 1", fd, buf, 4096, 1);
	read_at(o, "read memory + 1", fd, buf + 1, 4096, 0);
	read_at(o, "read memory + 4", fd, buf + 4, 4096, 0);
	read_at(o, "read 512 at 512, memory + 512", fd, buf + 512, 512, 512);
	read_at(o, "read 512 at 256", fd, buf, 512, 256);
	read_at(o, "read 4097 at 0", fd, buf, 4097, 0);
	read_at(o, "read the last byte", fd, buf, 1, 39999);
	read_at(o, "read 0 bytes at 1", fd, buf, 0, 1);
	read_at(o, "read across the end", fd, buf, 65536, 36864);
	read_at(o, "read 4096 at the end, unaligned", fd, buf, 4096, 40000);
	read_at(o, "read 4096 beyond the end", fd, buf, 4096, 40960);
	read_at(o, "read 100 beyond the end", fd, buf, 100, 50001);
	ops_pattern(buf, 65536, 8);
	TRY(o, pwrite(fd, buf, 100, 0));
	TRY(o, pwrite(fd, buf, 4096, 1));
	TRY(o, pwrite(fd, buf + 1, 4096, 0));
	TRY(o, pwrite(fd, buf, 0, 1));
	TRY(o, pwrite(fd, buf, 512, 512));
	TRY(o, pwrite(fd, buf, 4096, 4096));
	SHOWFD(o, fd);
	ops_content_path(o, "content", "f");
}

static void direct_append(struct ops *o)
{
	char *buf = aligned(8192);
	int fd;

	ops_pattern(buf, 8192, 4);
	ops_mk_sized(o, "f", 4096);
	fd = FD(o, open("f", O_RDWR | O_DIRECT | O_APPEND));
	TRY(o, write(fd, buf, 4096));
	TRY(o, pwrite(fd, buf, 4096, 0));
	SHOWFD(o, fd);
	ops_content_path(o, "content", "f");
	fd = FD(o, open("f", O_WRONLY | O_DIRECT | O_SYNC));
	TRY(o, pwrite(fd, buf, 8192, 4096));
	fd = FD(o, open("f", O_RDWR | O_DIRECT | O_TRUNC));
	SHOWFD(o, fd);
	TRY(o, read(fd, buf, 4096));
	TRY(o, write(fd, buf, 4096));
	SHOW(o, "f");
	FD(o, open("new", O_RDWR | O_DIRECT | O_CREAT | O_EXCL, 0600));
	SHOW(o, "new");
	TRY(o, open(".", O_RDONLY | O_DIRECT | O_DIRECTORY) < 0);
	TRY(o, open("missing", O_RDONLY | O_DIRECT));
}

/* O_DIRECT into memory that maps the same file, and out of it. */
static void direct_mapped(struct ops *o)
{
	char *buf = aligned(4096), *map;
	int fd, plain;

	ops_mk_sized(o, "f", 16384);
	plain = ops_open(o, "f", O_RDWR);
	fd = FD(o, open("f", O_RDWR | O_DIRECT));
	map = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, plain, 0);
	ops_say(o, "mapped", "%d", map != MAP_FAILED);
	if (map == MAP_FAILED)
		return;
	memset(buf, 'd', 4096);
	ops_bytes(o, "before", map + 4096, 4096);
	TRY(o, pwrite(fd, buf, 4096, 4096));
	ops_bytes(o, "seen in the mapping", map + 4096, 4096);
	memset(map + 8192, 'm', 4096);
	TRY(o, pread(fd, buf, 4096, 8192));
	ops_bytes(o, "seen by a direct read", buf, 4096);
	munmap(map, 16384);
	map = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ops_say(o, "direct descriptor mapped", "%d", map != MAP_FAILED);
	if (map == MAP_FAILED)
		return;
	ops_bytes(o, "direct descriptor's", map, 16384);
	map[1] = '!';
	TRY(o, msync(map, 16384, MS_SYNC));
	ops_content_path(o, "content", "f");
}

const struct scenario direct_scenarios[] = {
	{ "direct_aligned", direct_aligned, OPS_BOTH },
	{ "direct_unaligned", direct_unaligned, OPS_BOTH },
	{ "direct_append", direct_append, OPS_BOTH },
	{ "direct_mapped", direct_mapped, OPS_BOTH },
	{ 0 },
};
