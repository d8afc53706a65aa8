/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/source.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "node/handle.h"
#include "probe/mountinfo.h"
#include "probe/sysfile.h"
#include "util/cleanup.h"
#include "util/why.h"

/* The clone would otherwise be a peer of SOURCE's mount, and mounts made there would show in it. */
static int make_private(int tree, const struct kernel *k)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };

	if (!k->has[KERNEL_MOUNT_SETATTR])
		return -ENOSYS;
	return or_errno(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
}

int source_set_atime(struct source *s, bool never, bool always)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR__ATIME };

	if (s->tree < 0)
		return -ENOSYS;
	attr.attr_set = never	 ? MOUNT_ATTR_NOATIME
			: always ? MOUNT_ATTR_STRICTATIME
				 : MOUNT_ATTR_RELATIME;
	return or_errno(
		syscall(SYS_mount_setattr, s->tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
}

/* A detached bind mount of the directory, or -1 where that can't be had. */
static int clone_tree(int directory, const struct kernel *k)
{
	int tree;

	if (!k->has[KERNEL_OPEN_TREE] || geteuid() != 0)
		return -1;
	tree = (int)syscall(SYS_open_tree, directory, "",
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree >= 0 && make_private(tree, k) != 0) {
		close(tree);
		return -1;
	}
	return tree;
}

/* Handles serve us only if what they name can be opened again, which needs a capability. */
static bool handles_work(int root)
{
	struct identity id;
	int fd;

	if (identity_of(root, "", &id) != 0)
		return false;
	fd = identity_open(root, &id, O_PATH | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/*
 * fs/overlayfs: a hard link of a lower layer stays one file only with an index, or where nothing
 * can be copied up. The options say `index` only where it isn't what the module would do.
 */
static bool breaks_links(const struct source *s, int proc)
{
	char value[PATH_MAX], index[4] = "N";
	const struct mount_entry *e;
	struct mountinfo m;
	bool breaks = false;

	if (s->filesystem != OVERLAYFS_SUPER_MAGIC)
		return false;
	if (mountinfo_init(&m, proc, "self/mountinfo") == 0) {
		e = mountinfo_by_dev(&m, major(s->device), minor(s->device));
		sys_line(AT_FDCWD, "/sys/module/overlay/parameters/index", index, sizeof(index));
		if (e && strstr(e->options, "upperdir="))
			breaks = mount_option(e, "index", false, value, sizeof(value))
					 ? strcmp(value, "off") == 0
					 : index[0] != 'Y';
	}
	mountinfo_deinit(&m);
	return breaks;
}

static int describe(struct source *s)
{
	struct statfs fs;
	struct stat st;

	if (fstat(s->root, &st) < 0 || fstatfs(s->root, &fs) < 0)
		return -errno;
	s->device = st.st_dev;
	s->flags = (unsigned long)fs.f_flags;
	s->filesystem = (unsigned long)fs.f_type;
	s->in_memory = s->filesystem == TMPFS_MAGIC || s->filesystem == RAMFS_MAGIC;
	s->ordinary = s->filesystem == EXT4_SUPER_MAGIC || s->filesystem == XFS_SUPER_MAGIC ||
		      s->filesystem == BTRFS_SUPER_MAGIC || s->filesystem == TMPFS_MAGIC;
	return 0;
}

int source_open(struct source *s, const struct kernel *k, const char *path, char *err,
		size_t err_size)
{
	autoclose int directory = -1;
	int result = -1;

	*s = (struct source){ .tree = -1, .root = -1, .proc = -1, .proc_fds = -1 };
	directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory >= 0) {
		s->tree = clone_tree(directory, k);
		s->root = openat(s->tree >= 0 ? s->tree : directory, ".",
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (s->root >= 0)
			s->path = realpath(path, NULL);
	}
	if (directory >= 0 && s->root >= 0 && s->path)
		result = describe(s);
	else
		result = errno ? -errno : -ENOENT;
	if (result) {
		snprintf(err, err_size, "%s: %s; SOURCE must be a directory that you can read",
			 path, why(-result));
		return result;
	}
	s->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->proc < 0 || faccessat(s->proc, "self/fd", F_OK, 0) < 0) {
		result = -errno;
		snprintf(err, err_size, "/proc: %s; overdrive needs it mounted", strerror(errno));
		return result;
	}
	s->breaks_links = breaks_links(s, s->proc);
	/* A FUSE daemon may forget what a handle names (GlusterFS: files seemed to shrink). */
	s->by_handle = s->filesystem != FUSE_SUPER_MAGIC && handles_work(s->root);
	return 0;
}

int source_start(struct source *s)
{
	s->proc_fds = openat(s->proc, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return s->proc_fds < 0 ? -errno : 0;
}

void source_deinit(struct source *s)
{
	int *fd[] = { &s->proc_fds, &s->proc, &s->root, &s->tree };

	for (unsigned i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		if (*fd[i] >= 0)
			close(steal_fd(fd[i]));
	free(s->path);
	s->path = NULL;
}

int source_reopen(const struct source *s, int fd, int flags)
{
	char name[12];

	snprintf(name, sizeof(name), "%d", fd);
	return or_errno(openat(s->proc_fds, name, flags | O_CLOEXEC));
}

bool source_is_name(const char *name)
{
	return strcmp(name, "..") != 0 && !strchr(name, '/');
}

int source_open_child(int directory, const char *name, bool cached_only)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | (cached_only ? RESOLVE_CACHED : 0),
	};

	/* Not by RESOLVE_BENEATH: it gives EXDEV when the object is renamed away meanwhile. */
	if (!source_is_name(name))
		return -EINVAL;
	return or_errno(syscall(SYS_openat2, directory, name, &how, sizeof(how)));
}
