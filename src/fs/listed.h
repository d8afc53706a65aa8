/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Big directories that were listed lately: how their listings go (habit.h), and whether the kernel
 * may go on using the one that it keeps.
 *
 * It may as long as SOURCE's directory has the times that it had when the keeping began. They are
 * compared at each opendir, and once a second while one stays open, as rewinddir() tells us nothing.
 * Changes through the mount are the kernel's own business: it drops the listing.
 *
 * Threads: any. The table's lock is taken when a big directory is opened or closed, not for others.
 */
#pragma once

#include "fs/fs.h"

struct listed;

struct listed *listed_new(void);
struct listed *listed_free(struct listed *listed); /* returns NULL */

/* A directory is about to be listed by this fresh handle, whose descriptor is there: fills in what
 * concerns the listing there and in fi. */
void listed_open(struct fs *fs, struct openfile *of, struct fuse_file_info *fi);
void listed_close(struct fs *fs, const struct openfile *of);
/* A listing has come to this many entries. */
void listed_entries(struct fs *fs, const struct openfile *of, uint32_t entries);
/* A name was looked up and found there. */
void listed_looked_up(struct fs *fs, uint64_t directory, const char *name);

/* Looks at all that are open and kept. True if there are any: to be called again in a second. */
bool listed_tick(struct fs *fs);
unsigned listed_count(const struct listed *listed);
