/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One mount, told from others at the same path: mounts cover each other, and a path may soon
 * name another one. All of it without a request to the file system mounted, which may be dead.
 */
#pragma once

/* The id (mountinfo's) of the mount that path is in; of those stacked at it, the topmost. -errno
 * otherwise. proc: /proc. */
int mountpoint_id(int proc, const char *path);

/*
 * Detaches, lazily, the mount with this id if it is the topmost at path: that one or none, whatever
 * is mounted and unmounted meanwhile. 0, -ESTALE if another is there, or -errno.
 */
int mountpoint_detach(int proc, const char *path, int id);
