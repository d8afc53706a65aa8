/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/still.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "util/cleanup.h"

/* Newer than some headers, or not in linux/magic.h at all (the filesystems' own sources). */
#define MAGIC_XFS      0x58465342
#define MAGIC_F2FS     0xf2f52010
#define MAGIC_BCACHEFS 0xca451a4e
#define MAGIC_ZFS      0x2fc12fc1

/* Five ticks of the slowest kernel clock (HZ=100). */
#define SETTLED_NS 50000000

/*
 * Those that one kernel alone changes, and whose leases see every writer. Not overlayfs: a mapping
 * of its files belongs to the layer's inode, of which a lease on its own says nothing.
 */
static bool is_local(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	switch ((unsigned long)st.f_type) {
	case EXT4_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case MAGIC_XFS:
	case MAGIC_F2FS:
	case MAGIC_BCACHEFS:
	case MAGIC_ZFS:
		return true;
	default:
		return false;
	}
}

static int look(int fd, struct still *still)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	still->size = (uint64_t)st.st_size;
	still->ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	return 0;
}

static bool settled(int64_t ctime_ns)
{
	struct timespec now;
	int64_t age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - ctime_ns;
	return age > SETTLED_NS;
}

/* The order matters: a writer that has come and gone before the lease shows by a newer ctime. */
int still_begin(int fd, struct still *still)
{
	int err = look(fd, still);

	if (err)
		return err;
	if (!settled(still->ctime_ns))
		return -EAGAIN;
	if (!is_local(fd))
		return -EOPNOTSUPP;
	err = or_errno(fcntl(fd, F_SETLEASE, F_RDLCK));
	if (err)
		return err;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return 0;
}

bool still_same(int fd, const struct still *still)
{
	struct still now;

	return look(fd, &now) == 0 && now.size == still->size && now.ctime_ns == still->ctime_ns;
}
