/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/mountpoint.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "util/cleanup.h"

/* The id of the mount that a descriptor is in. Not by statx(): it may ask the file system. */
static int id_of(int proc, int fd)
{
	char path[40], text[1024], *found;
	autoclose int info = -1;
	ssize_t n;
	int id;

	snprintf(path, sizeof(path), "self/fdinfo/%d", fd);
	info = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -errno;
	n = read(info, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	found = strstr(text, "mnt_id:");
	return found && sscanf(found, "mnt_id: %d", &id) == 1 ? id : -ENODATA;
}

int mountpoint_id(int proc, const char *path)
{
	autoclose int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : id_of(proc, fd);
}

int mountpoint_detach(int proc, const char *path, int id)
{
	autoclose int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char link[40];
	int here;

	if (fd < 0)
		return -errno;
	here = id_of(proc, fd);
	if (here < 0)
		return here;
	if (here != id)
		return -ESTALE;
	/* By the descriptor's own link, which leads to this mount and no other. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return or_errno(umount2(link, MNT_DETACH));
}
