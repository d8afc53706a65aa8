/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SOURCE: the directory that is mounted again, held so that our own mount can't come between.
 *
 * As root it is a private, detached bind mount without submounts (open_tree): a mount in place
 * can't cover it, other filesystems mounted below are not crossed, and st_dev is one. An ordinary
 * user holds a plain descriptor, which a later mount does not cover either, and crossing into other
 * mounts is refused by openat2(RESOLVE_NO_XDEV).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/statfs.h>
#include <sys/types.h>

#include "probe/kernel.h"

struct source {
	char *path;	     /* absolute, for people to read */
	int tree;	     /* the clone; -1 without */
	int root;	     /* its root directory, opened O_RDONLY: serves open_by_handle_at */
	int proc;	     /* /proc, O_PATH */
	int proc_fds;	     /* /proc/self/fd of the serving process: reopens O_PATH descriptors */
	dev_t device;	     /* st_dev of the root */
	bool by_handle;	     /* objects are reopened by file handle */
	unsigned long flags; /* ST_* of SOURCE's own mount */
	unsigned long filesystem; /* f_type */
	bool ordinary; /* ext4, xfs, btrfs, tmpfs: a close has nothing to report there, the times of
			* directories tell each change, by a clock that is ours, and who looks or
			* deletes is asked for access only */
	bool in_memory;	   /* tmpfs, ramfs: nothing waits there */
	bool breaks_links; /* overlayfs that copies up, without an index: see identity_by_place() */
};

/*
 * Opens SOURCE. Returns 0, or -errno with one line for the user in err. Before the mount, and
 * before the process forks; source_start() is for the process that serves.
 */
int source_open(struct source *source, const struct kernel *kernel, const char *path, char *err,
		size_t err_size);
int source_start(struct source *source);
void source_deinit(struct source *source);

/*
 * What reading SOURCE does to access times, if that is not to be as SOURCE's own mount has it:
 * never, always, or (neither) as relatime. Only with a tree of our own; 0 or -errno.
 */
int source_set_atime(struct source *source, bool never, bool always);

/* Opens anew what a descriptor of the serving process names, O_PATH or not; or -errno. */
int source_reopen(const struct source *source, int fd, int flags);

/* A single name: nothing else is to be walked, and the kernel never sends it. */
bool source_is_name(const char *name);
/*
 * Opens one name below an open directory as O_PATH, never following a symlink, never into another
 * mount. With cached_only it fails with -EAGAIN rather than wait for the disk.
 */
int source_open_child(int directory, const char *name, bool cached_only);
