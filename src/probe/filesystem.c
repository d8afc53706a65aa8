/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a mount to what it lies on: each kind of filesystem hides that in its own way. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probe/sysfile.h"
#include "probe/walk.h"
#include "util/cleanup.h"

typedef unsigned walk_fn(const struct walk *w, const struct mount_entry *m, unsigned level,
			 enum device_class *class);

static walk_fn walk_btrfs, walk_overlay, walk_sources, walk_zfs, walk_path;

/* The first that fits; '*' stands for any end. Those not named have a block device, or nothing. */
static const struct {
	const char *type;
	enum device_class class;
	walk_fn *walk;
} types[] = {
	{ "btrfs", DEVICE_BLOCK, walk_btrfs },
	{ "bcachefs", DEVICE_BLOCK, walk_sources },
	{ "zfs", DEVICE_BLOCK, walk_zfs },
	{ "overlay", DEVICE_UNKNOWN, walk_overlay },
	{ "ecryptfs", DEVICE_UNKNOWN, walk_path },
	{ "tmpfs", DEVICE_MEMORY, NULL },
	{ "ramfs", DEVICE_MEMORY, NULL },
	{ "hugetlbfs", DEVICE_MEMORY, NULL },
	{ "devtmpfs", DEVICE_MEMORY, NULL },
	{ "nfs", DEVICE_NETWORK, NULL },
	{ "nfs4", DEVICE_NETWORK, NULL },
	{ "cifs", DEVICE_NETWORK, NULL },
	{ "smb3", DEVICE_NETWORK, NULL },
	{ "ceph", DEVICE_NETWORK, NULL },
	{ "lustre", DEVICE_NETWORK, NULL },
	{ "gpfs", DEVICE_NETWORK, NULL },
	{ "beegfs", DEVICE_NETWORK, NULL },
	{ "afs", DEVICE_NETWORK, NULL },
	{ "9p", DEVICE_NETWORK, NULL },
	{ "virtiofs", DEVICE_NETWORK, NULL },
	{ "fuse.glusterfs", DEVICE_NETWORK, NULL },
	{ "fuse.ceph*", DEVICE_NETWORK, NULL },
	{ "fuse.sshfs", DEVICE_NETWORK, NULL },
	{ "fuse.s3fs", DEVICE_NETWORK, NULL },
	{ "fuse.goofys", DEVICE_NETWORK, NULL },
	{ "fuse.gcsfuse", DEVICE_NETWORK, NULL },
	{ "fuse.rclone", DEVICE_NETWORK, NULL },
	{ "fuse.juicefs", DEVICE_NETWORK, NULL },
	{ "fuse.JuiceFS*", DEVICE_NETWORK, NULL },
	{ "fuse.mount-s3", DEVICE_NETWORK, NULL },
	{ "fuse.moosefs", DEVICE_NETWORK, NULL },
	{ "fuse.seaweedfs", DEVICE_NETWORK, NULL },
	{ "fuse", DEVICE_FUSE, NULL },
	{ "fuse.*", DEVICE_FUSE, NULL },
};

static bool fits(const char *pattern, const char *type)
{
	size_t length = strlen(pattern);

	if (pattern[length - 1] == '*')
		return strncmp(pattern, type, length - 1) == 0;
	return strcmp(pattern, type) == 0;
}

static bool is_uuid_name(const char *name)
{
	return name[0] != '.' && strlen(name) == 36 && strchr(name, '-');
}

/* Whether a filesystem of btrfs has this device, called by the kernel's name or device mapper's. */
static bool btrfs_has(const struct walk *w, const char *uuid, const char *wanted)
{
	char path[SYS_PATH], name[128];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "sys/fs/btrfs/%s/devices", uuid);
	dir = sys_opendir(w->root->fd, path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/dm/name", entry->d_name);
		found = strcmp(entry->d_name, wanted) == 0 ||
			(sys_line(dirfd(dir), path, name, sizeof(name)) > 0 &&
			 strcmp(name, wanted) == 0);
	}
	closedir(dir);
	return found;
}

/* st_dev is anonymous and a subvolume's own: by the filesystem's UUID if it could be asked for. */
static bool btrfs_find(const struct walk *w, const struct mount_entry *m, unsigned level,
		       char *uuid)
{
	const char *name = strrchr(m->source, '/');
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (level == 0 && w->target->btrfs_uuid[0]) {
		snprintf(uuid, 37, "%s", w->target->btrfs_uuid);
		return true;
	}
	dir = sys_opendir(w->root->fd, "sys/fs/btrfs");
	while (dir && !found && (entry = readdir(dir)))
		if (is_uuid_name(entry->d_name) &&
		    btrfs_has(w, entry->d_name, name ? name + 1 : m->source)) {
			snprintf(uuid, 37, "%.36s", entry->d_name);
			found = true;
		}
	if (dir)
		closedir(dir);
	return found;
}

static unsigned walk_btrfs(const struct walk *w, const struct mount_entry *m, unsigned level,
			   enum device_class *class)
{
	char uuid[37], path[SYS_PATH];
	unsigned depth = 0;
	struct dirent *entry;
	uint64_t kib;
	DIR *dir;

	(void)class;
	if (!btrfs_find(w, m, level, uuid)) {
		device_note(w->device, "the devices of btrfs on %s are not shown by /sys",
			    m->source);
		return 0;
	}
	snprintf(path, sizeof(path), "sys/fs/btrfs/%s/devices", uuid);
	dir = sys_opendir(w->root->fd, path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			depth += walk_block_name(w, entry->d_name, level);
	if (dir)
		closedir(dir);
	else
		device_note(w->device, "/%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "sys/fs/btrfs/%s/bdi/read_ahead_kb", uuid);
	if (level == 0 && sys_number(w->root->fd, path, &kib) == 0 && kib < UINT32_MAX)
		w->device->readahead = kib * 1024;
	return depth;
}

/* A filesystem below another: a step of its own, and what is under it. */
static unsigned walk_below(const struct walk *w, const struct mount_entry *below, const char *path,
			   unsigned level, enum device_class *class)
{
	struct device_step *step = chain_step(w, DEVICE_FILESYSTEM, level);

	if (!step)
		return 0;
	snprintf(step->name, sizeof(step->name), "%s", below->type);
	snprintf(step->detail, sizeof(step->detail), "%s", path);
	sys_clean(step->name);
	sys_clean(step->detail);
	return walk_mount(w, below, level + 1, class);
}

static unsigned walk_overlay(const struct walk *w, const struct mount_entry *m, unsigned level,
			     enum device_class *class)
{
	const struct mount_entry *below;
	char path[SYS_PATH];

	if (walk_is_top(w, level))
		w->device->stack_depth++;
	if (!mount_option(m, "upperdir", false, path, sizeof(path)) &&
	    !mount_option(m, "lowerdir", true, path, sizeof(path)) &&
	    !mount_option(m, "lowerdir+", false, path, sizeof(path))) {
		device_note(w->device, "the layers of the overlay are not said in mountinfo");
		return 0;
	}
	below = path[0] == '/' ? mountinfo_by_path(w->mounts, path) : NULL;
	if (below && (below->major != m->major || below->minor != m->minor))
		return walk_below(w, below, path, level, class);
	/* It would lie in itself: the path is the host's, seen from within a container. */
	below = mountinfo_by_neighbour(w->mounts, path);
	if (!below) {
		device_note(w->device,
			    "the device of the overlay's layer %s can't be seen from here", path);
		return 0;
	}
	device_note(w->device,
		    "the overlay's layer %s is the host's: its device is guessed from %s", path,
		    below->mount_point);
	return walk_below(w, below, path, level, class);
}

/* bcachefs: "/dev/a:/dev/b" */
static unsigned walk_sources(const struct walk *w, const struct mount_entry *m, unsigned level,
			     enum device_class *class)
{
	autofree char *copy = strdup(m->source);
	char *save = NULL;
	unsigned depth = 0;

	(void)class;
	for (char *s = copy ? strtok_r(copy, ":", &save) : NULL; s;
	     s = strtok_r(NULL, ":", &save)) {
		const char *name = strrchr(s, '/');

		depth += walk_block_name(w, name ? name + 1 : s, level);
	}
	return depth;
}

static unsigned walk_zfs(const struct walk *w, const struct mount_entry *m, unsigned level,
			 enum device_class *class)
{
	(void)m, (void)level, (void)class;
	device_note(w->device, "the kernel does not show the devices of a ZFS pool");
	return 0;
}

static unsigned walk_path(const struct walk *w, const struct mount_entry *m, unsigned level,
			  enum device_class *class)
{
	const struct mount_entry *below = mountinfo_by_path(w->mounts, m->source);

	if (walk_is_top(w, level))
		w->device->stack_depth++;
	return below && below != m ? walk_below(w, below, m->source, level, class) : 0;
}

unsigned walk_mount(const struct walk *w, const struct mount_entry *m, unsigned level,
		    enum device_class *class)
{
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!fits(types[i].type, m->type))
			continue;
		*class = types[i].class;
		if (types[i].walk)
			return types[i].walk(w, m, level, class);
		if (*class != DEVICE_BLOCK)
			w->device->disks += level > 0;
		return 0;
	}
	if (m->major == 0) {
		*class = DEVICE_UNKNOWN;
		device_note(w->device, "%s has no block device", m->type);
		return 0;
	}
	*class = DEVICE_BLOCK;
	return walk_block(w, m->major, m->minor, level);
}
