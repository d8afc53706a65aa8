/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backing ids of files that nobody has open any more. Programs open the same files again and again,
 * and registering one costs a system call at each end. So an id stays with its node for at most two
 * of the housekeeper's ticks after the last close.
 *
 * An id pins its file's space, so those of deleted files go at once (backing_doom). At most
 * KEPT_MAX are kept. The list is only for the housekeeper: an open finds the id at its node.
 *
 * Lock order: a node's lock, then the list's.
 */
#pragma once

#include "fs/fs.h"

#define KEPT_MAX 4096u

struct kept;

struct kept *kept_new(void);
struct kept *kept_free(struct kept *kept); /* returns NULL */

/* The node's last open has gone. Called with the node's lock held. False: its id can't be kept. */
bool kept_add(struct fs *fs, struct node *node);
/* Lets go of what has been idle for long enough. True if something is left to look after. */
bool kept_tick(struct fs *fs);
unsigned kept_count(const struct kept *kept);
