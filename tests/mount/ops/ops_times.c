// SPDX-License-Identifier: GPL-2.0-only
/* Times: what utimensat sets, what reading and writing do to them. */
#include "ops.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct timespec now = { .tv_nsec = UTIME_NOW };
static const struct timespec omit = { .tv_nsec = UTIME_OMIT };

static int set(const char *path, struct timespec a, struct timespec m)
{
	const struct timespec ts[2] = { a, m };

	return utimensat(AT_FDCWD, path, ts, AT_SYMLINK_NOFOLLOW);
}

/* Set times are not relations: what is stored is printed as it is. */
static void say_set(struct ops *o, const char *step, const char *path)
{
	struct stat st = ops_lstat(path);

	ops_say(o, step, "atime %lld.%09ld mtime %lld.%09ld", (long long)st.st_atim.tv_sec,
		st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void utimens_values(struct ops *o)
{
	static const struct timespec values[] = {
		{ 0, 0 },
		{ 1, 999999999 },
		{ 1234567890, 123456789 },
		{ -1, 0 },
		{ -1, 999999999 },
		{ -86400 * 365 * 10, 5 },
		{ -0x80000000LL, 0 },
		{ -0x80000001LL, 1 },
		{ 0x7fffffffLL, 1 },
		{ 0x80000000LL, 2 },
		{ 4102444800LL, 3 } /* 2100 */,
		{ 0xffffffffLL, 4 },
		{ 0x37fffffffLL, 5 },
		{ 0x380000000LL, 6 },
		{ 16725225600LL, 7 } /* 2500 */,
		{ 253402300799LL, 8 } /* 9999 */,
		{ -62135596800LL, 9 } /* year 1 */,
		{ 1LL << 40, 10 },
		{ -(1LL << 40), 11 },
	};
	char step[64];
	size_t i;

	ops_mk(o, "f", "x");
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(step, sizeof(step), "set %lld.%09ld", (long long)values[i].tv_sec,
			 values[i].tv_nsec);
		ops_try(o, step, set("f", values[i], values[(i + 1) % 5]));
		say_set(o, step, "f");
	}
	TRY(o, set("f", (struct timespec){ 1, 1000000000 }, omit));
	TRY(o, set("f", (struct timespec){ 1, -1 }, omit));
	TRY(o, set("missing", omit, omit));
	TRY(o, set("missing", now, now));
	TRY(o, set("f/x", now, now));
	TRY(o, utimensat(AT_FDCWD, "f", NULL, 0x40000000));
	say_set(o, "at last", "f");
}

static void utimens_special(struct ops *o)
{
	const struct timespec t1 = { 1000000001, 11 }, t2 = { 1000000002, 22 };
	struct stat before;

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("f", "s"));
	TRY(o, mkfifo("p", 0644));
	TIMES(o, "f", set("f", t1, t2));
	say_set(o, "f", "f");
	before = ops_lstat("f");
	TRY(o, set("f", omit, t1));
	say_set(o, "atime omitted", "f");
	TRY(o, set("f", t2, omit));
	say_set(o, "mtime omitted", "f");
	TIMES(o, "f", set("f", omit, omit));
	TIMES(o, "f", set("f", now, omit));
	TIMES(o, "f", set("f", omit, now));
	TRY(o, set("f", t1, t2));
	TIMES(o, "f", utimensat(AT_FDCWD, "f", NULL, 0));
	ops_changed(o, "since the start", &before, "f");
	TRY(o, set("s", t1, t2));
	say_set(o, "symlink", "s");
	TRY(o, set("d", t2, t1));
	say_set(o, "directory", "d");
	TRY(o, set("p", t2, t1));
	say_set(o, "fifo", "p");
	struct timespec both[2] = { t1, t2 };
	TRY(o, utimensat(AT_FDCWD, "s", both, 0));
	say_set(o, "through the symlink", "f");
}

static void utimens_fd(struct ops *o)
{
	const struct timespec ts[2] = { { 1000000003, 33 }, { -3, 44 } };
	const struct timespec nows[2] = { now, omit };
	struct stat st, before;
	int fd;

	ops_mk(o, "f", "x");
	fd = ops_open(o, "f", O_RDONLY);
	TRY(o, futimens(fd, ts));
	say_set(o, "by a read-only descriptor", "f");
	TRY(o, futimens(open("f", O_PATH), ts));
	TRY(o, utimensat(open("f", O_PATH), "", ts, AT_EMPTY_PATH));
	/* a deleted file's too */
	TRY(o, unlink("f"));
	TRY(o, futimens(fd, ts));
	st = ops_fstat(fd);
	ops_say(o, "unlinked", "atime %lld.%09ld mtime %lld.%09ld", (long long)st.st_atim.tv_sec,
		st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	before = st;
	ops_tick();
	TRY(o, futimens(fd, nows));
	st = ops_fstat(fd);
	ops_changed_stat(o, "unlinked, atime now", &before, &st);
	TRY(o, fchmod(fd, 0600));
	SHOWFD(o, fd);
}

/* Set to the ns, written and kept: what cp -p and tar do. */
static void utimens_then_write(struct ops *o)
{
	const struct timespec ts[2] = { { 1000000005, 55 }, { 1000000006, 66 } };
	struct stat before;
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);

	TRY(o, write(fd, "content", 7));
	TRY(o, futimens(fd, ts));
	say_set(o, "while open", "f");
	TRY(o, close(fd));
	say_set(o, "after close", "f");
	fd = ops_open(o, "f", O_RDWR);
	say_set(o, "opened to write", "f");
	before = ops_lstat("f");
	TRY(o, pwrite(fd, "C", 1, 0));
	ops_changed(o, "after write", &before, "f");
	TRY(o, futimens(fd, ts));
	TRY(o, fsync(fd));
	say_set(o, "after fsync", "f");
	TRY(o, fchmod(fd, 0600));
	say_set(o, "after chmod", "f");
	TRY(o, rename("f", "g"));
	say_set(o, "after rename", "g");
	TRY(o, close(fd));
	say_set(o, "after close", "g");
}

static void write_times(struct ops *o)
{
	char buf[8] = "";
	int fd = ops_open(o, "f", O_RDWR | O_CREAT);

	TIMES(o, "f", write(fd, "content", 7));
	TIMES(o, "f", pwrite(fd, "C", 1, 0));
	TIMES(o, "f", write(fd, "", 0));
	TIMES(o, "f", ftruncate(fd, 100));
	TIMES(o, "f", fsync(fd));
	TIMES(o, "f", pread(fd, buf, 4, 0));
	TIMES(o, "f", fallocate(fd, 0, 0, 8192));
	TIMES(o, "f", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 16384));
	TIMES(o, "f", fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096));
	TIMES(o, "f", close(open("f", O_RDONLY)));
	TIMES(o, "f", close(open("f", O_WRONLY)));
	TIMES(o, "f", close(open("f", O_WRONLY | O_TRUNC)));
	TIMES(o, "f", close(open("f", O_WRONLY | O_TRUNC)));
	TIMES(o, "f", close(open("f", O_WRONLY | O_CREAT, 0644)));
	TIMES(o, ".", close(open("f", O_WRONLY | O_CREAT, 0644)));
	TIMES(o, ".", close(open("new", O_WRONLY | O_CREAT, 0644)));
	TIMES(o, ".", symlink("x", "s"));
	TIMES(o, ".", mkfifo("p", 0644));
	TIMES(o, ".", link("f", "l"));
	TIMES(o, ".", rename("l", "s"));
	TIMES(o, ".", rename("p", "p"));
	TIMES(o, "f", rename("f", "f"));
}

/* Reading sets atime as SOURCE's mount says: relatime, where nothing else is said. */
static void read_times(struct ops *o)
{
	const struct timespec old = { 1000000000, 0 };
	char buf[16];
	int fd;

	ops_mk(o, "f", "content");
	TRY(o, symlink("f", "s"));
	ops_mkdir(o, "d", 0755);
	ops_mk(o, "d/x", "x");
	fd = ops_open(o, "f", O_RDONLY);
	TIMES(o, "f", pread(fd, buf, 4, 0));
	TIMES(o, "f", pread(fd, buf, 4, 0));
	TRY(o, set("f", old, now));
	TIMES(o, "f", pread(fd, buf, 4, 0));
	TIMES(o, "f", pread(fd, buf, 4, 0));
	TRY(o, set("f", old, now));
	TIMES(o, "f", pread(fd, buf, 4, 1000));
	TRY(o, set("f", old, now));
	TIMES(o, "f", pread(fd, buf, 0, 0));
	TRY(o, set("f", old, now));
	TIMES(o, "f", pread(open("f", O_RDONLY | O_NOATIME), buf, 4, 0));
	TRY(o, set("s", old, now));
	TIMES(o, "s", readlink("s", buf, sizeof(buf)));
	TIMES(o, "s", readlink("s", buf, sizeof(buf)));
	TRY(o, set("s", old, now));
	TIMES(o, "s", access("s", F_OK));
	TRY(o, set("d", old, now));
	TIMES(o, "d", ops_ls_count("d"));
	TIMES(o, "d", ops_ls_count("d"));
	TRY(o, set("d", old, now));
	TIMES(o, "d", access("d/x", F_OK));
}

static bool before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* What make(1) lives on: the times of files tell in which order they were written. */
static void stamp_order(struct ops *o)
{
	struct timespec start, end;
	struct stat a, b, c;
	int i, bad = 0;

	clock_gettime(CLOCK_REALTIME_COARSE, &start);
	ops_mk(o, "a", "1");
	for (i = 0; i < 10; i++) {
		ops_tick();
		ops_mk(o, i % 2 ? "a" : "b", "2");
		a = ops_lstat("a");
		b = ops_lstat("b");
		bad += i % 2 ? !before(&b.st_mtim, &a.st_mtim) : !before(&a.st_mtim, &b.st_mtim);
	}
	ops_say(o, "in the wrong order", "%d", bad);
	ops_tick();
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("x", "s"));
	c = ops_lstat("d");
	ops_say(o, "directory is newer", "%d", before(&a.st_mtim, &c.st_mtim));
	c = ops_lstat("s");
	ops_say(o, "symlink is newer", "%d", before(&a.st_mtim, &c.st_mtim));
	ops_tick();
	clock_gettime(CLOCK_REALTIME, &end);
	ops_say(o, "within the clock", "%d",
		!before(&a.st_mtim, &start) && before(&a.st_mtim, &end) &&
			before(&a.st_ctim, &end));
	/* made in one go: no time is later than that of a later one */
	for (i = 0, bad = 0; i < 100; i++) {
		ops_mk(o, "x", "1");
		ops_mk(o, "y", "2");
		a = ops_lstat("x");
		b = ops_lstat("y");
		bad += before(&b.st_mtim, &a.st_mtim);
	}
	ops_say(o, "earlier than their predecessors", "%d", bad);
}

const struct scenario times_scenarios[] = {
	{ "utimens_values", utimens_values, OPS_BOTH },
	{ "utimens_special", utimens_special, OPS_BOTH },
	{ "utimens_fd", utimens_fd, OPS_BOTH },
	{ "utimens_then_write", utimens_then_write, OPS_BOTH },
	{ "write_times", write_times, OPS_BOTH },
	{ "read_times", read_times, OPS_BOTH },
	{ "stamp_order", stamp_order, OPS_BOTH },
	{ 0 },
};
