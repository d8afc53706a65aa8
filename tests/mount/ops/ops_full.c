// SPDX-License-Identifier: GPL-2.0-only
/*
 * A filesystem that is full, or a quota that is used up: each way to want more space. How much fits
 * is not the same twice, so only what ends it is printed.
 */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BLOCK (1 << 20)

/*
 * What the scenario before this one deleted gives its space back when its last RELEASE has been
 * served, which nobody waits for: on a busy machine that may take its time.
 */
static void wait_for_room(void)
{
	struct statvfs v = { 0 };
	int round;

	for (round = 0; round < 500; round++) {
		if (statvfs(".", &v) || v.f_bfree >= v.f_blocks / 2)
			return;
		usleep(20000);
	}
}

static int open_with_room(struct ops *o, int flags)
{
	wait_for_room();
	return ops_open(o, "f", flags | O_CREAT);
}

/* Writes pieces of len until it fails: with what. */
static ssize_t fill_by(int fd, size_t len)
{
	static char *buf;
	ssize_t n;

	if (!buf)
		buf = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(buf, 'f', BLOCK);
	while ((n = write(fd, buf, len)) > 0)
		;
	return n;
}

/* Writes until it fails; then smaller and smaller pieces, so that the last block is taken, too. */
static void fill(struct ops *o, const char *step, int fd, size_t smallest)
{
	size_t len;

	for (len = BLOCK; len >= smallest; len /= 16)
		ops_try(o, step, fill_by(fd, len));
}

static void full_write(struct ops *o)
{
	int fd = open_with_room(o, O_RDWR);

	fill(o, "write", fd, 4096);
	TRY(o, fsync(fd));
	TRY(o, ftruncate(fd, 0));
	TRY(o, pwrite(fd, "space again", 11, 0));
	TRY(o, fsync(fd));
	TRY(o, close(fd));
	ops_content_path(o, "content", "f");
}

static void full_append(struct ops *o)
{
	int fd = open_with_room(o, O_WRONLY | O_APPEND);
	int other = ops_open(o, "g", O_WRONLY | O_CREAT | O_SYNC);

	fill(o, "append", fd, 4096);
	fill(o, "O_SYNC", other, 4096);
	TRY(o, close(other));
	TRY(o, unlink("f"));
	TRY(o, close(fd));
}

/* Direct IO has whole blocks or nothing, and no second error beside SOURCE's own. */
static void full_direct(struct ops *o)
{
	int fd;

	wait_for_room();
	fd = FD(o, open("f", O_RDWR | O_CREAT | O_DIRECT, 0644));
	if (fd < 0)
		return;
	fill(o, "direct", fd, 4096);
	TRY(o, fsync(fd));
	ops_say(o, "whole blocks", "%d", ops_fstat(fd).st_size % 512 == 0);
	TRY(o, ftruncate(fd, 0));
	fill(o, "direct, once more", fd, 65536);
	TRY(o, close(fd));
}

static void full_fallocate(struct ops *o)
{
	int fd = open_with_room(o, O_RDWR);

	TRY(o, fallocate(fd, 0, 0, 1ll << 33));
	TRY(o, posix_fallocate(fd, 0, 1ll << 33));
	TRY(o, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1ll << 33));
	TRY(o, ftruncate(fd, 0));
	TRY(o, fallocate(fd, 0, 0, 1 << 20));
	SHOWFD(o, fd);
}

/* By splices and copies: what is short first fails next. */
static void full_copies(struct ops *o)
{
	int out = open_with_room(o, O_WRONLY), in;
	ssize_t n;

	ops_mk_sized(o, "in", BLOCK);
	in = ops_open(o, "in", O_RDONLY);
	do {
		off_t at = 0;

		n = sendfile(out, in, &at, BLOCK);
	} while (n > 0);
	ops_try(o, "sendfile", n);
	TRY(o, ftruncate(out, 0));
	TRY(o, lseek(out, 0, SEEK_SET));
	TRY(o, close(out));
}

/* The reserve is root's: an ordinary user is stopped where SOURCE stops him. */
static void full_reserve(struct ops *o)
{
	int fd = open_with_room(o, O_WRONLY);
	struct statvfs v = { 0 };
	int round = 0;

	fill(o, "write", fd, 4096);
	TRY(o, fsync(fd));
	TRY(o, statvfs(".", &v));
	/* Less than half came back late, or with SOURCE's next commit: there may be room again. */
	while (v.f_bavail * v.f_frsize >= BLOCK && round++ < 100) {
		fill_by(fd, 4096);
		fsync(fd);
		statvfs(".", &v);
		usleep(20000);
	}
	ops_say(o, "nothing left for a user", "%d", v.f_bavail * v.f_frsize < BLOCK);
	ops_say(o, "the reserve is", "%s", v.f_bfree * v.f_frsize > 2 * BLOCK ? "there" : "gone");
	TRY(o, close(fd));
}

const struct scenario full_scenarios[] = {
	{ "full_write", full_write, OPS_BOTH | OPS_NAMED },
	{ "full_append", full_append, OPS_BOTH | OPS_NAMED },
	{ "full_direct", full_direct, OPS_BOTH | OPS_NAMED },
	{ "full_fallocate", full_fallocate, OPS_BOTH | OPS_NAMED },
	{ "full_copies", full_copies, OPS_BOTH | OPS_NAMED },
	{ "full_reserve", full_reserve, OPS_BOTH | OPS_NAMED },
	{ 0 },
};
