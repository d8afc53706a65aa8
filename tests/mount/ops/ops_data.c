// SPDX-License-Identifier: GPL-2.0-only
/* read(2), write(2) and their kin at all sorts of offsets. */
#include "ops.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

/* no program has memory there; volatile, so that no compiler can know */
static char *volatile nowhere = (char *)8;
static volatile int minus_one = -1;

static void read_write(struct ops *o)
{
	char buf[64] = "";
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);

	TRY(o, read(fd, buf, sizeof(buf)));
	TRY(o, write(fd, "0123456789", 10));
	TRY(o, lseek(fd, 0, SEEK_CUR));
	TRY(o, read(fd, buf, sizeof(buf)));
	TRY(o, lseek(fd, 3, SEEK_SET));
	TRY(o, read(fd, buf, 4));
	ops_bytes(o, "3..6", buf, 4);
	TRY(o, read(fd, buf, sizeof(buf)));
	TRY(o, pread(fd, buf, sizeof(buf), 10));
	TRY(o, pread(fd, buf, sizeof(buf), 9));
	TRY(o, pread(fd, buf, sizeof(buf), 1000000));
	TRY(o, pread(fd, buf, sizeof(buf), -1));
	TRY(o, pwrite(fd, buf, 1, -1));
	TRY(o, pread(fd, buf, 0, 0));
	TRY(o, write(fd, buf, 0));
	TRY(o, pwrite(fd, "xyz", 3, 8));
	ops_content(o, "content", fd);
	TRY(o, lseek(fd, -4, SEEK_END));
	TRY(o, lseek(fd, -100, SEEK_END));
	TRY(o, lseek(fd, 5, 99));
	TRY(o, lseek(fd, 100, SEEK_SET));
	TRY(o, read(fd, buf, 1));
	TRY(o, write(fd, "Q", 1));
	ops_content(o, "with a hole", fd);
	TRY(o, read(fd, nowhere, 4));
	TRY(o, pread(fd, nowhere, 4, 0));
	TRY(o, pwrite(fd, nowhere, 4, 0));
	ops_content(o, "after EFAULT", fd);
	SHOWFD(o, fd);
}

/* Two pages, the second of which no program has: what is there is done. */
static void half_there(struct ops *o)
{
	static const off_t offsets[] = { 0, 1, 4095, 4096, 100000 };
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);
	char step[64];
	size_t i;

	munmap(pages + 4096, 4096);
	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		ops_mk_sized(o, "f", 1 << 18);
		memset(pages, '-', 4096);
		lseek(fd, offsets[i], SEEK_SET);
		snprintf(step, sizeof(step), "read at %ld", (long)offsets[i]);
		ops_try(o, step, read(fd, pages, 8192));
		ops_try(o, "position after the read", lseek(fd, 0, SEEK_CUR));
		ops_bytes(o, step, pages, 4096);
		snprintf(step, sizeof(step), "pread at %ld", (long)offsets[i]);
		ops_try(o, step, pread(fd, pages + 1000, 8192, offsets[i]));
		ops_bytes(o, step, pages, 4096);
		ops_pattern(pages, 4096, (unsigned int)i);
		lseek(fd, offsets[i], SEEK_SET);
		snprintf(step, sizeof(step), "write at %ld", (long)offsets[i]);
		ops_try(o, step, write(fd, pages, 8192));
		ops_try(o, "position after the write", lseek(fd, 0, SEEK_CUR));
		ops_try(o, step, pwrite(fd, pages + 1000, 8192, offsets[i]));
		ops_content(o, step, fd);
	}
	SHOWFD(o, fd);
	close(fd);
	munmap(pages, 4096);
}

static void vectors(struct ops *o)
{
	char a[4] = "", b[5] = "", c[100] = "";
	const struct iovec in[] = { { a, 3 }, { NULL, 0 }, { b, 4 }, { c, sizeof(c) } };
	struct iovec out[] = { { "abc", 3 }, { "", 0 }, { "defg", 4 }, { "hij", 3 } };
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);

	TRY(o, writev(fd, out, 4));
	TRY(o, pwritev(fd, out, 4, 5));
	TRY(o, preadv(fd, in, 4, 1));
	ops_bytes(o, "first", a, 3);
	ops_bytes(o, "second", b, 4);
	ops_bytes(o, "third", c, sizeof(c));
	TRY(o, pwritev2(fd, out, 1, -1, RWF_APPEND));
	TRY(o, pwritev2(fd, out, 1, 0, RWF_DSYNC));
	TRY(o, pwritev2(fd, out, 1, 0, RWF_SYNC));
	TRY(o, preadv2(fd, in, 1, 0, 0x40000000));
	TRY(o, preadv(fd, in, minus_one, 0));
	TRY(o, preadv(fd, in, 0, 0));
	TRY(o, preadv(fd, (void *)nowhere, 5000, 0));
	out[3] = (struct iovec){ nowhere, 5 };
	TRY(o, lseek(fd, 0, SEEK_SET));
	TRY(o, writev(fd, out, 4));
	ops_content(o, "content", fd);
}

static void sizes(struct ops *o)
{
	static const size_t lengths[] = { 1,	 511,	512,   513,    4095,   4096,	4097,
					  65535, 65536, 65537, 131072, 262145, 1048576, 3000001 };
	char *buf = malloc(3000001), *got = malloc(3000001);
	char step[64];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t len = lengths[i];

		ops_pattern(buf, len, (unsigned int)i);
		fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
		snprintf(step, sizeof(step), "write of %zu", len);
		ops_try(o, step, write(fd, buf, len));
		snprintf(step, sizeof(step), "pread of %zu", len);
		ops_try(o, step, pread(fd, got, len, 0));
		ops_say(o, step, "%s", memcmp(buf, got, len) ? "differs" : "right");
		ops_try(o, step, pread(fd, got, len, (off_t)len / 2 + 1));
		ops_say(o, step, "%s",
			memcmp(buf + len / 2 + 1, got, len - len / 2 - 1) ? "differs" : "right");
		close(fd);
		ops_content_path(o, "reopened", "f");
	}
	free(buf);
	free(got);
}

/* Beyond 2 and 4 GiB, sparse. */
static void large_offsets(struct ops *o)
{
	static const off_t at[] = { 0x7fffffff, 0x80000000, 0xfffffffe,		0x100000000,
				    5ll << 30,	1ll << 37,  (1ll << 40) + 12345 };
	char buf[16], step[64];
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);
	size_t i;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		memset(buf, 0, sizeof(buf));
		snprintf(step, sizeof(step), "at %#llx", (long long)at[i]);
		ops_try(o, step, pwrite(fd, "0123456789", 10, at[i]));
		ops_try(o, step, pread(fd, buf, 12, at[i] - 1));
		ops_bytes(o, step, buf, 12);
		ops_say(o, step, "size %lld", (long long)ops_lstat("f").st_size);
		ops_try(o, step, lseek(fd, -5, SEEK_END));
		ops_try(o, step, read(fd, buf, 16));
	}
	TRY(o, pread(fd, buf, 16, 3ll << 30));
	ops_bytes(o, "hole", buf, 16);
	TRY(o, ftruncate(fd, (5ll << 30) + 3));
	TRY(o, pread(fd, buf, 16, 5ll << 30));
	TRY(o, fsync(fd));
	ops_say(o, "sparse", "%d", ops_lstat("f").st_blocks < 2048);
}

static void limits(struct ops *o)
{
	const struct rlimit lim = { 10000, 10000 };
	char buf[8192] = "";
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);

	TRY(o, pwrite(fd, "x", 1, LLONG_MAX));
	TRY(o, pwrite(fd, "x", 1, LLONG_MAX - 1));
	TRY(o, pread(fd, buf, 1, LLONG_MAX - 1));
	TRY(o, ftruncate(fd, LLONG_MAX));
	TRY(o, truncate("f", LLONG_MAX));
	TRY(o, fallocate(fd, 0, LLONG_MAX - 1, 100));
	SHOWFD(o, fd);
	setrlimit(RLIMIT_FSIZE, &lim);
	signal(SIGXFSZ, SIG_IGN);
	TRY(o, pwrite(fd, buf, 8192, 0));
	TRY(o, pwrite(fd, buf, 8192, 8192));
	TRY(o, pwrite(fd, buf, 1, 9999));
	TRY(o, pwrite(fd, buf, 1, 10000));
	TRY(o, ftruncate(fd, 10000));
	TRY(o, ftruncate(fd, 10001));
	TRY(o, truncate("f", 10001));
	TRY(o, fallocate(fd, 0, 0, 20000));
	TRY(o, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
	SHOWFD(o, fd);
	signal(SIGXFSZ, SIG_DFL);
	TRY(o, pwrite(fd, buf, 1, 20000));
}

static void synced(struct ops *o)
{
	int fd, dir;

	ops_mk(o, "f", "content");
	ops_mkdir(o, "d", 0755);
	fd = ops_open(o, "f", O_RDONLY);
	TRY(o, fsync(fd));
	TRY(o, fdatasync(fd));
	dir = ops_open(o, "d", O_RDONLY);
	TRY(o, fsync(dir));
	TRY(o, fdatasync(dir));
	TRY(o, syncfs(fd));
	TRY(o, fsync(-1));
	fd = ops_open(o, "f", O_WRONLY);
	TRY(o, write(fd, "synced", 6));
	TRY(o, fdatasync(fd));
	TRY(o, fsync(fd));
	TRY(o, sync_file_range(fd, 0, 0, 7));
	TRY(o, sync_file_range(fd, -1, 0, 7));
	TRY(o, unlink("f"));
	TRY(o, fsync(fd));
	TRY(o, rmdir("d"));
	TRY(o, fsync(dir));
	TRY(o, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	TRY(o, posix_fadvise(fd, 0, 0, 99));
	TRY(o, readahead(fd, 0, 4096));
	TRY(o, readahead(ops_open(o, ".", O_RDONLY), 0, 4096));
	TRY(o, readahead(ops_open(o, "g", O_RDWR | O_CREAT), 0, 4096));
}

/* Random overlapping writes, truncates and reads against a copy in memory. */
static void random_io(struct ops *o)
{
	enum { MAX = 1 << 18 };
	char *model = calloc(1, MAX), *got = malloc(MAX);
	unsigned int seed = 42;
	size_t size = 0;
	int fd = ops_open(o, "f", O_RDWR | O_CREAT), i, bad = 0;

	for (i = 0; i < 2000; i++) {
		size_t at = (size_t)rand_r(&seed) % (MAX - 20000);
		size_t len = (size_t)rand_r(&seed) % 20000;

		switch (rand_r(&seed) % 6) {
		case 0:
			memset(model + at, 0, MAX - at);
			size = at;
			bad += ftruncate(fd, (off_t)at) < 0;
			break;
		case 1:
		case 2:
			ops_pattern(model + at, len, (unsigned int)i);
			size = len && at + len > size ? at + len : size;
			bad += pwrite(fd, model + at, len, (off_t)at) != (ssize_t)len;
			break;
		default: {
			ssize_t n = pread(fd, got, len, (off_t)at);
			size_t want = at >= size ? 0 : at + len > size ? size - at : len;

			bad += n != (ssize_t)want || memcmp(got, model + at, want);
		}
		}
	}
	ops_say(o, "wrong", "%d", bad);
	ops_content(o, "content", fd);
	free(model);
	free(got);
}

const struct scenario data_scenarios[] = {
	{ "read_write", read_write, OPS_BOTH },
	{ "vectors", vectors, OPS_BOTH },
	{ "half_there", half_there, OPS_BOTH },
	{ "sizes", sizes, OPS_BOTH },
	{ "large_offsets", large_offsets, OPS_BOTH },
	{ "limits", limits, OPS_BOTH },
	{ "synced", synced, OPS_BOTH },
	{ "random_io", random_io, OPS_BOTH },
	{ 0 },
};
