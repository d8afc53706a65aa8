/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Data that comes to us (WAY_DIRECT): read and written through the engine's pool. mmap'd data stays
 * on FUSE's backing file where there is passthrough.
 *
 * Writes in order are the kernel's to join (RWF_DONTCACHE); of others, whole pages go by Direct IO
 * and the edges through SOURCE's page cache; never is more written than the program gave. What
 * depends on who writes (setuid bits, the filesystem's reserve, appending) is done by the worker as
 * the caller.
 */
#pragma once

#include "fs/fs.h"

/* Makes fs->engine if backend= wants one. Before the mount; needs fs->tree. */
void direct_start(struct fs *fs);
void direct_stop(struct fs *fs);

/* Whether opens of regular files shall go this way. */
bool direct_wanted(struct fs *fs);
/* For an open on this way, as fd: opens it again as the backend needs it. */
void direct_attach(struct fs *fs, struct openfile *of, int fd);
/* At its release. */
void direct_detach(struct openfile *of);

void direct_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi,
		 struct openfile *of);
/* The worker has the caller's identity. Bytes or -errno. */
ssize_t direct_write(struct fs *fs, const char *buf, size_t size, off_t off,
		     const struct fuse_file_info *fi, struct openfile *of);

/* After an fsync: what that has told of is not told again by a write. */
void direct_synced(struct openfile *of);

/* Adds its gauges to a snapshot. */
void direct_count(const struct fs *fs, struct stats_snapshot *snapshot);
/* Gives memory back; true when there is nothing more to give. */
bool direct_tick(struct fs *fs);
