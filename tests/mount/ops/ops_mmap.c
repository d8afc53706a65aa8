// SPDX-License-Identifier: GPL-2.0-only
/* Mappings: shared, private, msync, truncation beneath them, other descriptors beside them. */
#include "ops.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 20000

static sigjmp_buf back;

static void on_signal(int sig)
{
	siglongjmp(back, sig);
}

/* Reads or stores one byte; says which signal that raised. */
static void touch(struct ops *o, const char *step, volatile char *p, int store)
{
	int sig = sigsetjmp(back, 1);

	if (sig) {
		ops_say(o, step, "SIG%s", sigabbrev_np(sig));
		return;
	}
	if (store)
		*p = (char)store;
	ops_say(o, step, "%d", *p);
}

static char *map_file(struct ops *o, const char *step, int fd, int prot, int flags)
{
	char *p = mmap(NULL, SIZE, prot, flags, fd, 0);

	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
	ops_ok(o, step, p == MAP_FAILED ? -1 : 0);
	if (p == MAP_FAILED)
		_exit(0);
	return p;
}

static void mmap_shared(struct ops *o)
{
	char buf[16] = "";
	int fd, other;
	char *p;

	ops_mk_sized(o, "f", SIZE);
	fd = ops_open(o, "f", O_RDWR);
	other = ops_open(o, "f", O_RDWR);
	p = map_file(o, "mmap", fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	ops_bytes(o, "mapped", p, SIZE);
	memcpy(p + 4090, "across pages", 12);
	TRY(o, pread(other, buf, 12, 4090));
	ops_bytes(o, "store seen by read", buf, 12);
	TRY(o, pwrite(other, "written", 7, 10));
	ops_bytes(o, "write seen in mapping", p + 10, 7);
	ops_bytes(o, "beyond the end", p + SIZE, 480);
	memcpy(p + SIZE, "lost", 4);
	TRY(o, msync(p, SIZE, MS_SYNC));
	TRY(o, msync(p, SIZE, MS_ASYNC));
	TRY(o, msync(p + 1, SIZE, MS_SYNC));
	SHOW(o, "f");
	TRY(o, ftruncate(fd, SIZE + 100));
	TRY(o, pread(fd, buf, 8, SIZE));
	ops_bytes(o, "grown part", buf, 8);
	TRY(o, close(fd));
	p[0] = '#';
	TRY(o, munmap(p, SIZE));
	ops_content_path(o, "content", "f");
}

/* Whether a page is read when it is mapped or when it is touched is no matter here. */
static void written(struct ops *o, const char *step, struct stat *before, const char *path)
{
	before->st_atim = ops_lstat(path).st_atim;
	ops_changed(o, step, before, path);
}

static void mmap_times(struct ops *o)
{
	struct stat before;
	int fd;
	char *p;

	ops_mk_sized(o, "f", SIZE);
	fd = ops_open(o, "f", O_RDWR);
	p = map_file(o, "mmap", fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	before = ops_lstat("f");
	ops_tick();
	p[0] = 'x';
	TRY(o, msync(p, SIZE, MS_SYNC));
	written(o, "store and msync", &before, "f");
	before = ops_lstat("f");
	ops_tick();
	p[8192] = 'x';
	TRY(o, msync(p, SIZE, MS_SYNC));
	written(o, "second store and msync", &before, "f");
	before = ops_lstat("f");
	ops_tick();
	p[1] = 'y';
	TRY(o, munmap(p, SIZE));
	TRY(o, fsync(fd));
	written(o, "store, munmap, fsync", &before, "f");
	before = ops_lstat("f");
	ops_tick();
	p = map_file(o, "mmap private", fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	p[1] = 'z';
	TRY(o, munmap(p, SIZE));
	written(o, "private store", &before, "f");
}

static void mmap_private(struct ops *o)
{
	int fd;
	char *p, *q;

	ops_mk_sized(o, "f", SIZE);
	fd = ops_open(o, "f", O_RDONLY);
	p = map_file(o, "private", fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	q = map_file(o, "shared, read", fd, PROT_READ, MAP_SHARED);
	touch(o, "store into a read-only mapping", q, 'x');
	memcpy(p, "mine alone", 10);
	ops_bytes(o, "private", p, 10);
	ops_say(o, "shared", "%s", memcmp(q, "mine alone", 10) ? "untouched" : "changed");
	ops_content_path(o, "file", "f");
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, pwrite(fd, "file's own", 10, 0));
	TRY(o, pwrite(fd, "another page", 12, 8192));
	ops_bytes(o, "private, copied page", p, 10);
	ops_bytes(o, "private, other page", p + 8192, 12);
	ops_bytes(o, "shared", q + 8192, 12);
	TRY(o, mprotect(q, SIZE, PROT_READ | PROT_WRITE));
	TRY(o, mprotect(p, SIZE, PROT_READ | PROT_EXEC));
}

static void mmap_truncate(struct ops *o)
{
	int fd;
	char *p, *q;

	ops_mk_sized(o, "f", SIZE);
	fd = ops_open(o, "f", O_RDWR);
	p = map_file(o, "shared", fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	q = map_file(o, "private", fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ops_bytes(o, "all", p, SIZE);
	touch(o, "private store", q + 12288, 'p');
	TRY(o, ftruncate(fd, 5000));
	touch(o, "shared, before the end", p + 4999, 0);
	touch(o, "shared, rest of the page", p + 5000, 0);
	touch(o, "shared, behind it", p + 8192, 0);
	touch(o, "shared store behind it", p + 8192, 's');
	touch(o, "private, rest of the page", q + 5000, 0);
	touch(o, "private, copied", q + 12288, 0);
	touch(o, "private, behind it", q + 8192, 0);
	TRY(o, ftruncate(fd, SIZE));
	touch(o, "grown again", p + 8192, 0);
	touch(o, "store", p + 8192, 'S');
	TRY(o, truncate("f", 0));
	touch(o, "empty", p, 0);
	TRY(o, pwrite(fd, "back", 4, 0));
	touch(o, "written", p, 0);
	touch(o, "next page", p + 4096, 0);
	FD(o, open("f", O_WRONLY | O_TRUNC));
	touch(o, "opened with O_TRUNC", p, 0);
	ops_content(o, "content", fd);
}

static void mmap_errors(struct ops *o)
{
	int fd, dir;

	ops_mk_sized(o, "f", SIZE);
	ops_mk(o, "empty", "");
	dir = ops_open(o, ".", O_RDONLY);
	TRY(o, (long)mmap(NULL, SIZE, PROT_READ, MAP_SHARED, dir, 0));
	fd = ops_open(o, "f", O_WRONLY);
	TRY(o, (long)mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0));
	TRY(o, (long)mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, fd, 0));
	fd = ops_open(o, "f", O_RDONLY);
	TRY(o, (long)mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, fd, 0));
	TRY(o, (long)mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 100));
	TRY(o, (long)mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0));
	fd = ops_open(o, "f", O_PATH);
	TRY(o, (long)mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0));
	fd = ops_open(o, "empty", O_RDWR);
	char *p = map_file(o, "empty", fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	touch(o, "read of an empty file", p, 0);
	fd = ops_open(o, "f", O_RDONLY);
	p = map_file(o, "populated", fd, PROT_READ, MAP_SHARED | MAP_POPULATE);
	ops_bytes(o, "populated", p, SIZE);
	TRY(o, madvise(p, SIZE, MADV_DONTNEED));
	ops_bytes(o, "again", p, SIZE);
	TRY(o, madvise(p, SIZE, MADV_WILLNEED));
	TRY(o, madvise(p, SIZE, MADV_REMOVE));
	FD(o, (long)mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == -1 ? -1 : 0);
}

static void store_there(struct ops *o, void *arg)
{
	int fd = open("f", O_RDWR);
	char *p = map_file(o, "child's mmap", fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	(void)arg;
	memcpy(p + 100, "from the child", 14);
}

static void mmap_processes(struct ops *o)
{
	char buf[16];
	int fd;
	char *p;

	ops_mk_sized(o, "f", SIZE);
	fd = ops_open(o, "f", O_RDWR);
	p = map_file(o, "mmap", fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	ops_bytes(o, "before", p + 100, 14);
	ops_reap(o, "child", ops_spawn(o, store_there, NULL));
	ops_bytes(o, "seen in the mapping", p + 100, 14);
	TRY(o, pread(fd, buf, 14, 100));
	ops_bytes(o, "seen by read", buf, 14);
	SHOW(o, "f");
}

/* Holes are filled by stores, and zeroed by punching, under the eyes of a mapping. */
static void mmap_holes(struct ops *o)
{
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);
	char *p;

	TRY(o, ftruncate(fd, SIZE));
	p = map_file(o, "mmap", fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	ops_bytes(o, "zeroes", p, SIZE);
	memset(p + 8192, 'h', 4096);
	memset(p + 12288, 'k', 4096);
	ops_content(o, "filled", fd);
	TRY(o, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096));
	ops_bytes(o, "punched", p + 8192, 8192);
	TRY(o, fallocate(fd, FALLOC_FL_ZERO_RANGE, 12288, 100));
	ops_bytes(o, "zeroed", p + 12288, 4096);
	ops_content(o, "content", fd);
	TRY(o, ftruncate(fd, SIZE * 3));
	TRY(o, pwrite(fd, "tail", 4, SIZE * 3));
	SHOWFD(o, fd);
	TRY(o, msync(p, SIZE, MS_SYNC));
	ops_content_path(o, "content", "f");
}

/* What is stored into a hole is data at once: who copies the file must not leave it out. */
static void mmap_seek(struct ops *o)
{
	const off_t size = 1 << 20, at = 1 << 19;
	char *p;
	int fd, reader;

	fd = FD(o, open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
	TRY(o, ftruncate(fd, size));
	p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		ops_try(o, "mmap", -1);
		return;
	}
	p[at] = 1;
	reader = ops_open(o, "f", O_RDONLY);
	ops_say(o, "data", "%lld", (long long)lseek(reader, 0, SEEK_DATA));
	p[0] = 1;
	TRY(o, close(fd));
	ops_say(o, "data, before", "%lld", (long long)lseek(reader, 0, SEEK_DATA));
	ops_say(o, "data, behind", "%lld", (long long)lseek(reader, at, SEEK_DATA));
	p[at + 1] = 1;
	TRY(o, munmap(p, (size_t)size));
	ops_say(o, "data, at the end", "%lld", (long long)lseek(reader, at, SEEK_DATA));
	close(reader);
}

/* Stores into a mapping of an appending descriptor stay where they were made. */
static void mmap_append(struct ops *o)
{
	int fd;
	char *p;

	ops_mk_sized(o, "f", SIZE);
	fd = ops_open(o, "f", O_RDWR | O_APPEND);
	p = map_file(o, "mmap", fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	memcpy(p + 100, "stored", 6);
	TRY(o, msync(p, SIZE, MS_SYNC));
	SHOWFD(o, fd);
	memcpy(p + 9000, "stored, too", 11);
	TRY(o, write(fd, "appended", 8));
	memcpy(p + SIZE - 4, "last", 4);
	TRY(o, msync(p, SIZE, MS_SYNC));
	TRY(o, fsync(fd));
	SHOWFD(o, fd);
	ops_content(o, "content", fd);
	memcpy(p + 200, "once more", 9);
	TRY(o, munmap(p, SIZE));
	TRY(o, close(fd));
	SHOW(o, "f");
	ops_content_path(o, "content", "f");
}

/* The last page of a file that ends anywhere, stored through a descriptor with O_DIRECT. */
static void mmap_direct(struct ops *o)
{
	int fd;
	char *p;

	ops_mk_sized(o, "f", SIZE);
	fd = FD(o, open("f", O_RDWR | O_DIRECT));
	p = map_file(o, "mmap", fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	memcpy(p + 100, "stored", 6);
	memcpy(p + SIZE - 4, "last", 4);
	TRY(o, msync(p, SIZE, MS_SYNC));
	TRY(o, fsync(fd));
	SHOWFD(o, fd);
	TRY(o, munmap(p, SIZE));
	TRY(o, close(fd));
	ops_content_path(o, "content", "f");
}

const struct scenario mmap_scenarios[] = {
	{ "mmap_shared", mmap_shared, OPS_BOTH },
	{ "mmap_times", mmap_times, OPS_BOTH },
	{ "mmap_private", mmap_private, OPS_BOTH },
	{ "mmap_truncate", mmap_truncate, OPS_BOTH },
	{ "mmap_errors", mmap_errors, OPS_BOTH },
	{ "mmap_processes", mmap_processes, OPS_BOTH },
	{ "mmap_holes", mmap_holes, OPS_BOTH },
	{ "mmap_append", mmap_append, OPS_BOTH },
	{ "mmap_direct", mmap_direct, OPS_BOTH },
	{ "mmap_seek", mmap_seek, OPS_BOTH },
	{ 0 },
};
