/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which way an inode's data goes, and FUSE's backing files (passthrough).
 *
 * The kernel wants all opens of one inode to go one way, and passthrough ones to name the same
 * backing id (PLATFORM.md 1, iomode): the way is settled at the first open and holds until the last
 * release. One id serves every open mode, as the kernel opens the backing file again with each
 * open's own flags.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fs/direct.h"
#include "fs/kept.h"
#include "fs/revalidate.h"
#include "fs/warming.h"
#include "prefetch/warm.h"
#include "util/cleanup.h"
#include "util/log.h"

/* uapi fuse.h, newer than Debian 12's headers. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

/*
 * Registers a backing file: its number or -errno. Backing I/O will run with this thread's resting
 * identity, which is not root's (creds.h).
 */
static int backing_open(struct fs *fs, int fd)
{
	struct backing_map map = { .fd = fd };

	fs_rest();
	return or_errno(ioctl(fuse_session_fd(fs->fuse), BACKING_OPEN, &map));
}

/* May wait for the disk: the last that holds a deleted file frees its blocks. */
void backing_close(struct fs *fs, int id)
{
	uint32_t number = (uint32_t)id;

	if (id && worker_self())
		fs_rest(); /* it takes CAP_SYS_ADMIN */
	if (id && ioctl(fuse_session_fd(fs->fuse), BACKING_CLOSE, &number) < 0 && errno != ENODEV)
		log_line(LOG_WARNING, "backing file %d can't be closed: %s", id, strerror(errno));
}

/* The error is about this moment, not about the file or the kernel. */
static bool passing(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EINTR ||
	       err == -ENODEV || err == -ENOTCONN;
}

static void refuse_passthrough(struct fs *fs, int err)
{
	/* EPERM: not allowed here at all; others may concern only this file (ELOOP: stacked). */
	if (err != -EPERM && err != -ENOTTY && err != -EOPNOTSUPP)
		return;
	if (atomic_exchange(&fs->passthrough, false))
		log_line(LOG_WARNING,
			 "the kernel refuses passthrough (%s): data goes through the "
			 "page cache of FUSE instead",
			 strerror(-err));
}

/* Settles the way of an inode that nobody has open. 0, or -errno for this open alone. */
static int choose_way(struct fs *fs, struct open_inode *oi, int fd, bool real)
{
	bool direct = direct_wanted(fs);
	struct stat st = { 0 };
	int id;

	/* Streams could not be mmap'd before Linux 6.6. */
	oi->way = direct && fs->tree.kernel.has[KERNEL_DIRECT_MMAP] ? WAY_DIRECT : WAY_CACHED;
	oi->large = fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= (off_t)WARM_MIN_SIZE;
	if (!atomic_load_explicit(&fs->passthrough, memory_order_relaxed))
		return 0;
	if (fd < 0)
		return -EBADF;
	/* Whether a write clears setuid and setgid depends on who writes, but backing I/O has one
	 * identity for all: such a file's data comes to us, who act as the caller. */
	if (!direct && (st.st_mode & (S_ISUID | S_ISGID)))
		return 0;
	if (!real && !fs->tree.kernel.has[KERNEL_PASSTHROUGH_PATH])
		return -EBADF;
	id = backing_open(fs, fd);
	if (id > 0) {
		oi->way = direct ? WAY_DIRECT : WAY_KERNEL;
		oi->backing_id = id;
		oi->by_path = !real;
		return 0;
	}
	if (passing(id) || (id == -EBADF && !real))
		return id;
	refuse_passthrough(fs, id);
	return 0;
}

int backing_release(struct node *node)
{
	struct open_inode *oi = node->open;
	int id;

	if (!oi || oi->opens)
		return 0;
	id = oi->backing_id;
	oi->backing_id = 0;
	oi->way = WAY_NONE;
	if (open_inode_unused(oi)) {
		open_inode_free(oi);
		node->open = NULL;
	}
	return id;
}

/* After a close or a failed open, with the node's lock held. Returns an id to be closed, or 0. */
static int left(struct fs *fs, struct node *node)
{
	struct open_inode *oi = node->open;

	if (oi->opens)
		return 0;
	warming_closed(fs, node);
	if (open_inode_cached(oi))
		revalidate_remove(fs, node);
	if (oi->backing_id && oi->by_path && !oi->doomed && kept_add(fs, node))
		return 0;
	return backing_release(node);
}

void backing_drop(struct fs *fs, struct node *node, bool deleted)
{
	int id;

	node_lock(fs->tree.nodes, node);
	if (node->open)
		node->open->doomed |= deleted;
	id = backing_release(node);
	node_unlock(fs->tree.nodes, node);
	backing_close(fs, id);
}

/* Whether an open only to read needs no descriptor: an id is there already. */
bool backing_known(struct fs *fs, struct node *node)
{
	bool known;

	node_lock(fs->tree.nodes, node);
	known = node->open && node->open->backing_id;
	node_unlock(fs->tree.nodes, node);
	return known;
}

/*
 * A kept id is as good as new for who only reads. Who writes gets a new one: since then the file may
 * have become one that is not to go this way. Returns the old one, to be closed.
 */
static int renew_for_writer(struct open_inode *oi, const struct openfile *of)
{
	int id = oi->backing_id;

	if (oi->opens || !of->writer || !id)
		return 0;
	oi->backing_id = 0;
	oi->way = WAY_NONE;
	return id;
}

/* Called with the node's lock held. */
static int attach(struct fs *fs, struct node *node, struct openfile *of, int fd, bool real)
{
	struct open_inode *oi = node->open;
	int result = oi->way == WAY_NONE ? choose_way(fs, oi, fd, real) : 0;

	if (!result && oi->way != WAY_KERNEL && !real)
		result = -EBADF;
	if (result)
		return result;
	if (open_inode_cached(oi) && !oi->opens)
		revalidate_add(fs, node);
	oi->opens++;
	oi->writers += of->writer;
	of->way = oi->way;
	of->large = oi->large;
	of->failures = oi->failures;
	return oi->backing_id;
}

/*
 * Counts an open of the node by of. fd is what it was opened as: `real`, or an O_PATH descriptor, or
 * -1 if backing_known(). Returns the backing id, 0 for an open through FUSE's page cache, -EBADF if
 * that needs a real descriptor (or one at all) and there is none yet, or -errno.
 */
int backing_attach(struct fs *fs, struct node *node, struct openfile *of, int fd, bool real)
{
	int result = -ENOMEM, old = 0, unused = 0;

	node_lock(fs->tree.nodes, node);
	if (!node->open)
		node->open = open_inode_new();
	if (node->open) {
		old = renew_for_writer(node->open, of);
		result = attach(fs, node, of, fd, real);
		if (result < 0)
			unused = left(fs, node);
	}
	node_unlock(fs->tree.nodes, node);
	backing_close(fs, old);
	backing_close(fs, unused);
	return result;
}

void backing_detach(struct fs *fs, struct node *node, struct openfile *of)
{
	int id;

	node_lock(fs->tree.nodes, node);
	node->open->opens--;
	node->open->writers -= of->writer;
	id = left(fs, node);
	node_unlock(fs->tree.nodes, node);
	backing_close(fs, id);
}
