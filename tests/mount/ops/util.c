// SPDX-License-Identifier: GPL-2.0-only
#include "ops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* One write(2) a line, so that lines of several processes stay whole. */
void ops_say(struct ops *o, const char *step, const char *fmt, ...)
{
	char line[8192];
	va_list ap;
	int saved = errno;
	int n;

	n = snprintf(line, sizeof(line), "%s: %s: ", o->name, step);
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(3);
	errno = saved;
}

static void say_errno(struct ops *o, const char *step)
{
	const char *name = strerrorname_np(errno);

	if (name)
		ops_say(o, step, "%s", name);
	else
		ops_say(o, step, "errno %d", errno);
}

long ops_try(struct ops *o, const char *step, long ret)
{
	if (ret == -1)
		say_errno(o, step);
	else
		ops_say(o, step, "%ld", ret);
	return ret;
}

int ops_ok(struct ops *o, const char *step, long ret)
{
	if (ret == -1)
		say_errno(o, step);
	else
		ops_say(o, step, "ok");
	return (int)ret;
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "dir";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "chardev";
	case S_IFBLK:
		return "blockdev";
	default:
		return "unknown";
	}
}

void ops_show_stat(struct ops *o, const char *step, const struct stat *st)
{
	char dev[64] = "";

	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		snprintf(dev, sizeof(dev), " rdev=%u:%u", major(st->st_rdev), minor(st->st_rdev));
	ops_say(o, step, "%s %04o uid=%u gid=%u nlink=%lu size=%lld%s", type_name(st->st_mode),
		st->st_mode & 07777, st->st_uid, st->st_gid, (unsigned long)st->st_nlink,
		(long long)st->st_size, dev);
}

void ops_show(struct ops *o, const char *step, int fd, const char *path)
{
	struct stat st;

	if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		say_errno(o, step);
	else
		ops_show_stat(o, step, &st);
}

void ops_blocks(struct ops *o, const char *step, const char *path)
{
	struct stat st = ops_lstat(path);

	ops_say(o, step, "%lld blocks", (long long)st.st_blocks);
}

struct stat ops_lstat(const char *path)
{
	struct stat st = { 0 };

	if (lstat(path, &st) < 0)
		memset(&st, 0, sizeof(st));
	return st;
}

struct stat ops_fstat(int fd)
{
	struct stat st = { 0 };

	if (fstat(fd, &st) < 0)
		memset(&st, 0, sizeof(st));
	return st;
}

bool ops_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static const char *relation(const struct timespec *before, const struct timespec *after)
{
	if (before->tv_sec == after->tv_sec && before->tv_nsec == after->tv_nsec)
		return "same";
	if (after->tv_sec < before->tv_sec ||
	    (after->tv_sec == before->tv_sec && after->tv_nsec < before->tv_nsec))
		return "earlier";
	return "later";
}

void ops_changed_stat(struct ops *o, const char *step, const struct stat *before,
		      const struct stat *after)
{
	ops_say(o, step, "atime %s mtime %s ctime %s", relation(&before->st_atim, &after->st_atim),
		relation(&before->st_mtim, &after->st_mtim),
		relation(&before->st_ctim, &after->st_ctim));
}

void ops_changed(struct ops *o, const char *step, const struct stat *before, const char *path)
{
	struct stat after = ops_lstat(path);

	ops_changed_stat(o, step, before, &after);
}

/* The coarse clock moves once a jiffy: 10 ms at most (CONFIG_HZ=100). */
void ops_tick(void)
{
	const struct timespec ts = { .tv_nsec = 15 * 1000 * 1000 };

	nanosleep(&ts, NULL);
}

static uint64_t fnv(uint64_t hash, const unsigned char *p, size_t len)
{
	while (len--)
		hash = (hash ^ *p++) * UINT64_C(0x100000001b3);
	return hash;
}

#define FNV_START UINT64_C(0xcbf29ce484222325)

static void say_bytes(struct ops *o, const char *step, uint64_t hash, size_t len, const char *head)
{
	char text[49] = "";
	size_t i;

	for (i = 0; len <= 48 && i < len; i++)
		text[i] = head[i] >= ' ' && head[i] <= '~' ? head[i] : '?';
	ops_say(o, step, "%zu bytes %016" PRIx64 "%s%s%s", len, hash, text[0] ? " '" : "", text,
		text[0] ? "'" : "");
}

void ops_bytes(struct ops *o, const char *step, const void *data, size_t len)
{
	say_bytes(o, step, fnv(FNV_START, data, len), len, data);
}

void ops_content(struct ops *o, const char *step, int fd)
{
	static char buf[65536];
	uint64_t hash = FNV_START;
	char head[48] = "";
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		if (!at)
			memcpy(head, buf, n < 48 ? (size_t)n : 48);
		hash = fnv(hash, (unsigned char *)buf, (size_t)n);
		at += n;
	}
	if (n < 0)
		say_errno(o, step);
	else
		say_bytes(o, step, hash, (size_t)at, head);
}

void ops_content_path(struct ops *o, const char *step, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		say_errno(o, step);
		return;
	}
	ops_content(o, step, fd);
	close(fd);
}

void ops_pattern(void *buf, size_t len, unsigned int seed)
{
	unsigned char *p = buf;
	uint32_t x = seed * 2654435761u + 1;

	while (len--) {
		x = x * 1664525u + 1013904223u;
		*p++ = (unsigned char)(x >> 24);
	}
}
