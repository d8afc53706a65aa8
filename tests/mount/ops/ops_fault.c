// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk that fails while the file OPS_FAULT is there; OPS_FS is its filesystem's own mount. What
 * the page cache holds after a failed write is nobody's promise, so nothing is read back from it.
 * The disk fails before the write: others may sync and drop caches at any time. So whole pages are
 * written, which needs no reading, and somebody has the file open, which keeps what it has to tell.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static void disk(struct ops *o, bool fails)
{
	const char *path = getenv("OPS_FAULT");

	if (!path)
		ops_say(o, "set-up", "no OPS_FAULT");
	else if (fails)
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	else
		unlink(path);
}

/* Writeback that nobody has asked for. */
static void disk_writes(struct ops *o)
{
	int fd = ops_open(o, getenv("OPS_FS"), O_RDONLY);

	syncfs(fd);
	close(fd);
}

/* Overwriting needs no new blocks, so metadata has no part in it. */
static int written(struct ops *o, int flags)
{
	int fd;

	ops_mk_sized(o, "f", 65536);
	fd = ops_open(o, "f", O_RDWR);
	if (fsync(fd) < 0)
		ops_try(o, "set-up: fsync", -1);
	close(fd);
	disk_writes(o);
	return ops_open(o, "f", O_RDWR | flags);
}

static char page[4096];

static void fault_fsync(struct ops *o)
{
	int fd = written(o, 0), early = ops_open(o, "f", O_RDWR);
	int reader = ops_open(o, "f", O_RDONLY), late;

	disk(o, true);
	TRY(o, pwrite(fd, page, 4096, 0));
	TRY(o, fsync(fd));
	disk(o, false);
	TRY(o, fsync(fd));
	TRY(o, fsync(early));
	TRY(o, fsync(early));
	TRY(o, fsync(reader));
	TRY(o, fsync(reader));
	late = ops_open(o, "f", O_RDWR);
	TRY(o, fsync(late));
	TRY(o, pwrite(fd, page, 4096, 0));
	TRY(o, fdatasync(fd));
	TRY(o, fsync(early));
	TRY(o, close(fd));
	TRY(o, close(early));
	TRY(o, close(reader));
	TRY(o, close(late));
}

/* Nobody was told: the next to ask is, also by a descriptor that was opened later. */
static void fault_unseen(struct ops *o)
{
	int fd = written(o, 0), late;

	disk(o, true);
	TRY(o, pwrite(fd, page, 4096, 8192));
	disk_writes(o);
	disk(o, false);
	late = ops_open(o, "f", O_RDWR);
	TRY(o, fdatasync(late));
	TRY(o, fsync(late));
	TRY(o, close(late));
	TRY(o, fsync(fd));
	TRY(o, fsync(fd));
	TRY(o, close(fd));
	late = ops_open(o, "f", O_RDWR);
	TRY(o, fsync(late));
	TRY(o, close(late));
}

/* As much as is joined with what comes next, where the daemon writes. */
static void fault_in_order(struct ops *o)
{
	static char much[65536];
	int fd = written(o, 0), early = ops_open(o, "f", O_RDWR), late;

	disk(o, true);
	TRY(o, pwrite(fd, much, 65536, 0));
	TRY(o, fsync(fd));
	TRY(o, pwrite(early, much, 65536, 0));
	disk_writes(o);
	disk(o, false);
	late = ops_open(o, "f", O_RDWR);
	TRY(o, fdatasync(late));
	TRY(o, fsync(fd));
	TRY(o, fsync(early));
	TRY(o, fsync(early));
	TRY(o, pwrite(fd, much, 65536, 0));
	TRY(o, fsync(fd));
	TRY(o, close(fd));
	TRY(o, close(early));
	TRY(o, close(late));
}

/* The write itself says so. */
static void synchronous(struct ops *o, int flags)
{
	int fd = written(o, flags);
	void *buf = NULL;

	if (posix_memalign(&buf, 4096, 4096))
		return;
	memset(buf, 'x', 4096);
	disk(o, true);
	TRY(o, pwrite(fd, buf, 4096, 0));
	disk(o, false);
	TRY(o, pwrite(fd, buf, 4096, 0));
	TRY(o, fsync(fd));
	TRY(o, close(fd));
	free(buf);
}

static void fault_osync(struct ops *o)
{
	synchronous(o, O_SYNC);
}

static void fault_odsync(struct ops *o)
{
	synchronous(o, O_DSYNC);
}

/* The same for one write of a descriptor that says nothing of it: short, and as much as is joined. */
static void fault_rwf_sync(struct ops *o)
{
	static char much[65536];
	int fd = written(o, 0);
	struct iovec some = { page, 4096 }, more = { much, sizeof(much) };

	disk(o, true);
	TRY(o, pwritev2(fd, &some, 1, 0, RWF_DSYNC));
	TRY(o, pwritev2(fd, &more, 1, 4096, RWF_SYNC));
	disk(o, false);
	TRY(o, pwritev2(fd, &some, 1, 0, RWF_SYNC));
	TRY(o, pwritev2(fd, &more, 1, 4096, RWF_DSYNC));
	TRY(o, fsync(fd));
	TRY(o, close(fd));
}

static void fault_direct(struct ops *o)
{
	int fd;
	void *buf = NULL;

	synchronous(o, O_DIRECT);
	fd = ops_open(o, "f", O_RDONLY | O_DIRECT);
	if (posix_memalign(&buf, 4096, 4096))
		return;
	disk(o, true);
	TRY(o, pread(fd, buf, 4096, 4096));
	disk(o, false);
	TRY(o, pread(fd, buf, 4096, 4096));
	TRY(o, close(fd));
	free(buf);
}

static void fault_mmap(struct ops *o)
{
	int fd = written(o, 0);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_LOCKED, fd, 0);

	if (map == MAP_FAILED) {
		ops_try(o, "mmap", -1);
		return;
	}
	disk(o, true);
	memcpy(map, "stored", 6);
	TRY(o, msync(map, 4096, MS_SYNC));
	disk(o, false);
	TRY(o, msync(map, 4096, MS_SYNC));
	TRY(o, fsync(fd));
	TRY(o, munmap(map, 8192));
	TRY(o, close(fd));
}

/* It reports what nobody has been told yet, of any file. */
static void fault_syncfs(struct ops *o)
{
	int fd = written(o, 0), dir = ops_open(o, ".", O_RDONLY);

	disk(o, true);
	TRY(o, pwrite(fd, page, 4096, 0));
	TRY(o, syncfs(dir));
	disk(o, false);
	TRY(o, close(fd));
	TRY(o, close(dir));
}

const struct scenario fault_scenarios[] = {
	{ "fault_fsync", fault_fsync, OPS_BOTH | OPS_NAMED },
	{ "fault_unseen", fault_unseen, OPS_BOTH | OPS_NAMED },
	{ "fault_in_order", fault_in_order, OPS_BOTH | OPS_NAMED },
	{ "fault_osync", fault_osync, OPS_BOTH | OPS_NAMED },
	{ "fault_odsync", fault_odsync, OPS_BOTH | OPS_NAMED },
	{ "fault_rwf_sync", fault_rwf_sync, OPS_BOTH | OPS_NAMED },
	{ "fault_direct", fault_direct, OPS_BOTH | OPS_NAMED },
	{ "fault_mmap", fault_mmap, OPS_BOTH | OPS_NAMED },
	{ "fault_syncfs", fault_syncfs, OPS_BOTH | OPS_NAMED },
	{ 0 },
};
