/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What FUSE's page cache holds of files that go that way (no passthrough) stays right: writes
 * through the mount go through the same pages, and changes behind the mount are looked for when a
 * file is opened, and once a second while it is open.
 *
 * While somebody writes a file through the mount its pages are never dropped: a page that is dropped
 * between a write's copy into it and the write's arrival here would come back with the old bytes,
 * and stay. So a change behind the mount to such a file is seen when its last writer has closed it.
 * Nor does the kernel drop them by itself when it gets an open's answer: when that is nobody knows, and
 * somebody may have begun to write. They are dropped before the answer, and who opens the file to
 * write waits for that.
 */
#pragma once

#include "fs/fs.h"

struct revalidate *revalidate_new(void);
struct revalidate *revalidate_free(struct revalidate *r); /* returns NULL */

/* An inode's first open, and its last release, by this way. Called with the node's lock held. */
void revalidate_add(struct fs *fs, struct node *node);
void revalidate_remove(struct fs *fs, struct node *node);

/*
 * At an open, which is counted already, before its answer: then the kernel's pages are right, as far
 * as that can be, and it may keep them.
 */
void revalidate_at_open(struct fs *fs, struct node *node, const struct openfile *of);
/*
 * Around what a program changes through the mount, in the kernel's pages too: if they were as fd's
 * file was before, they are as it is after. What else has changed the file shows, once nobody writes
 * it any more.
 */
uint64_t revalidate_before(struct node *node, int fd);
void revalidate_after(struct node *node, int fd, uint64_t before);

/* Looks at all open ones. True if there are any, so that it should be called again in a second. */
bool revalidate_tick(struct fs *fs);
