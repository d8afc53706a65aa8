/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mount itself: the one place that tells libfuse and the kernel what to mount and how. */
#pragma once

#include "fs/fs.h"

/*
 * Makes the FUSE session and mounts it. mountpoint is absolute. Returns 0, or an exit code of
 * mount(8) with one line for the user in err. fs->tree.source and fs->options are set already.
 */
int fs_mount(struct fs *fs, const char *mountpoint, char *err, size_t err_size);

/*
 * Unmounts unless the mount is busy: 0 or -errno, -ESTALE if it isn't at mountpoint any more, or
 * covered by another. The session then ends by itself.
 */
int fs_unmount(struct fs *fs, const char *mountpoint);

/* Frees the session. detach: it did not end by an unmount, so the dead mount is taken away. */
void fs_mount_deinit(struct fs *fs, const char *mountpoint, bool detach);

/* Unmounts as an ordinary user may: by the setuid helper. 0 or -errno. */
int fs_fusermount(const char *mountpoint, bool lazily);
