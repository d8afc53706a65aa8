/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel offers. Found by trying, not by version; a test can hide features to see what
 * an older kernel's users get: OVERDRIVE_TEST_KERNEL=5.15 (or 6.1, 6.9, 6.12, any MAJOR.MINOR)
 * hides what came later. It can only take away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum kernel_feature {
	KERNEL_OPEN_TREE,	 /* open_tree(OPEN_TREE_CLONE), 5.2 */
	KERNEL_RESOLVE_CACHED,	 /* openat2(RESOLVE_CACHED), 5.12 */
	KERNEL_MOUNT_SETATTR,	 /* mount_setattr, 5.12 */
	KERNEL_FUSE_TMPFILE,	 /* O_TMPFILE reaches a FUSE daemon, 6.2 */
	KERNEL_FUSE_STATX,	 /* birth times reach stat, 6.6 */
	KERNEL_DIRECT_MMAP,	 /* FUSE_DIRECT_IO_ALLOW_MMAP, 6.6 */
	KERNEL_FCHMODAT2,	 /* chmod of an O_PATH descriptor, 6.6 */
	KERNEL_PASSTHROUGH,	 /* FUSE passthrough, 6.9 */
	KERNEL_PASSTHROUGH_PATH, /* backing files from O_PATH descriptors, 6.12 */
	KERNEL_XATTRAT,		 /* getxattrat and friends, 6.13 */
	KERNEL_FEATURES,
};

struct kernel {
	bool has[KERNEL_FEATURES];
};

/* The features that system calls can show; FUSE's own are settled at INIT by kernel_limit(). */
void kernel_probe(struct kernel *kernel);

/* Whether a test hides this feature. */
bool kernel_hidden(enum kernel_feature feature);

/* "no FUSE passthrough (Linux 6.9), …" or an empty string. */
void kernel_lacks(const struct kernel *kernel, char *text, size_t size);
