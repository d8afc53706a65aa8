/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells prefetch/walker.c what programs do in trees. None of these waits for the disk. */
#pragma once

#include <stdio.h>

#include "fs/fs.h"

/* Starts it unless it is switched off or can't gain anything here. Needs fs->tree. */
void walking_start(struct fs *fs);
void walking_stop(struct fs *fs);
/* There are new facts of the disk. */
void walking_decided(struct fs *fs);

/* fd: the directory, open. Each of these before the answer, while the kernel holds the node. */
void walking_listed(fuse_req_t req, struct fs *fs, struct node *node, int fd);
/* directory: a descriptor of the parent. */
void walking_looked_up(fuse_req_t req, struct fs *fs, struct node *parent, int directory,
		       const struct child *child);
void walking_opened(fuse_req_t req, struct fs *fs, struct node *node);
void walking_closed(struct fs *fs, struct node *node);

/* Each second. True: there is still something to be let go. */
bool walking_tick(struct fs *fs);
/* Lines for `overdrivectl explain`. fd: the directory. */
void walking_explain(FILE *out, struct fs *fs, int fd);
void walking_count(const struct fs *fs, struct stats_snapshot *snapshot);
