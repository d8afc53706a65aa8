/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells prefetch/warm.c what programs open. */
#pragma once

#include <stdio.h>

#include "fs/fs.h"

/* Starts warming unless it is switched off or can't work here. Needs fs->tree. */
void warming_start(struct fs *fs);
void warming_stop(struct fs *fs);

/* Before a plain open for reading is answered. May reopen the file; costs a large file a few
 * microseconds, others nothing. */
void warming_opened(struct fs *fs, struct node *node);
/* Adds what was done to a snapshot. */
void warming_count(const struct fs *fs, struct stats_snapshot *snapshot);
/* A line on whether the file is fetched ahead of its readers. */
void warming_explain(FILE *out, const struct fs *fs, struct node *node);
/* The node's last open has gone. */
void warming_closed(struct fs *fs, struct node *node);
