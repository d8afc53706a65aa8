/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/self/mountinfo in memory, and the questions asked of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct mount_entry {
	int id;
	unsigned major, minor;
	const char *root; /* what of the filesystem is mounted */
	const char *mount_point;
	const char *type;    /* "ext4", "fuse.sshfs" */
	const char *source;  /* "/dev/sda1", "server:/export" */
	const char *options; /* of the superblock: "rw,upperdir=/a,…"; escapes are left in */
};

/* Owns its text; entries stay valid until mountinfo_deinit. */
struct mountinfo {
	char *text;
	struct mount_entry *entries;
	size_t count;
	bool cut; /* lines that were no mounts, or a file that was too long */
};

/* 0 or -errno; m is to be given to mountinfo_deinit in any case. */
int mountinfo_init(struct mountinfo *m, int at, const char *path);
void mountinfo_deinit(struct mountinfo *m);

/* NULL where there is none. Of several the last, which covers the others. */
const struct mount_entry *mountinfo_by_id(const struct mountinfo *m, int id);
const struct mount_entry *mountinfo_by_dev(const struct mountinfo *m, unsigned major,
					   unsigned minor);
/* The mount that an absolute path lies in. */
const struct mount_entry *mountinfo_by_path(const struct mountinfo *m, const char *path);
/*
 * In a container the host's paths lead nowhere; but a file of the same filesystem is often mounted
 * on its own (/etc/hosts). The entry with a block device whose root shares the most leading folders
 * with path, at least two.
 */
const struct mount_entry *mountinfo_by_neighbour(const struct mountinfo *m, const char *path);

/*
 * The value of name in the superblock's options, unescaped, up to its first ':' if list is set;
 * false if it isn't there or is too long.
 */
bool mount_option(const struct mount_entry *e, const char *name, bool list, char *value,
		  size_t size);
