/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What open.c and create.c share. */
#pragma once

#include "fs/ops.h"

bool flags_write(int flags);
int flags_for_source(int flags);

/*
 * Makes an openfile for an object opened as *fd (`real`, or an O_PATH descriptor) and fills fi in.
 * Takes *fd over if it is to be kept. 0, -EBADF if a real descriptor is needed, or -errno.
 */
int open_attach(struct fs *fs, struct node *node, int *fd, bool real, struct fuse_file_info *fi);
void open_undo(struct fs *fs, fuse_ino_t ino, uint64_t fh);
