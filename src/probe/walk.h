/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way down from a mount to its disks: filesystem.c and sysblock.c call each other. */
#pragma once

#include "probe/device.h"
#include "probe/mountinfo.h"

/* Deep enough for overlay on loop on LVM on LUKS on md on partitions; ends any circle. */
#define WALK_LEVELS 16

struct walk {
	struct device *device; /* filled */
	const struct probe_root *root;
	const struct mountinfo *mounts;
	const struct device_target *target;
};

/*
 * Adds what is below a mount, from `level` down. Returns the requests that it takes at once, 0 if
 * unknown; *class is what it turned out to be.
 */
unsigned walk_mount(const struct walk *w, const struct mount_entry *m, unsigned level,
		    enum device_class *class);

/* The same for a block device, by number or by the name that /sys/class/block knows. */
unsigned walk_block(const struct walk *w, unsigned major, unsigned minor, unsigned level);
unsigned walk_block_name(const struct walk *w, const char *name, unsigned level);
/* And for one whose directory of /sys is at hand. */
unsigned walk_block_dir(const struct walk *w, int dir_fd, const char *name, unsigned level);

/* The next step of the chain, or NULL if it is full. */
struct device_step *chain_step(const struct walk *w, enum device_kind kind, unsigned level);

/* Whether nothing but filesystems lies above this level of the step to come: what is found there
 * is what the files themselves live with. */
bool walk_is_top(const struct walk *w, unsigned level);
