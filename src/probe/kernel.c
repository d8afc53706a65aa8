/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/kernel.h"

#include <errno.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Numbers newer than the C library of Debian 12; the same on every architecture (asm-generic). */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_getxattrat
#define SYS_getxattrat 464
#endif

static const struct {
	unsigned major, minor;
	const char *name; /* NULL: its lack shows nowhere */
} feature_table[KERNEL_FEATURES] = {
	[KERNEL_OPEN_TREE] = { 5, 2, "private view of SOURCE" },
	[KERNEL_RESOLVE_CACHED] = { 5, 12, NULL },
	[KERNEL_MOUNT_SETATTR] = { 5, 12, NULL },
	[KERNEL_FUSE_TMPFILE] = { 6, 2, "O_TMPFILE" },
	[KERNEL_FUSE_STATX] = { 6, 6, "birth times" },
	[KERNEL_DIRECT_MMAP] = { 6, 6, NULL },
	[KERNEL_FCHMODAT2] = { 6, 6, NULL },
	[KERNEL_PASSTHROUGH] = { 6, 9, "FUSE passthrough" },
	[KERNEL_PASSTHROUGH_PATH] = { 6, 12, NULL },
	[KERNEL_XATTRAT] = { 6, 13, NULL },
};

bool kernel_hidden(enum kernel_feature feature)
{
	const char *text = getenv("OVERDRIVE_TEST_KERNEL");
	unsigned major, minor;

	if (!text || sscanf(text, "%u.%u", &major, &minor) != 2)
		return false;
	if (feature_table[feature].major != major)
		return feature_table[feature].major > major;
	return feature_table[feature].minor > minor;
}

/* With arguments that no kernel accepts: ENOSYS tells that the call is missing (or forbidden). */
static bool call_exists(long result)
{
	return result >= 0 || (errno != ENOSYS && errno != EPERM);
}

static bool resolve_cached_works(void)
{
	struct open_how how = { .flags = 0, .resolve = RESOLVE_CACHED };
	long fd = syscall(SYS_openat2, -1, "", &how, sizeof(how));

	if (fd >= 0)
		close((int)fd);
	return fd >= 0 || errno == ENOENT || errno == EBADF || errno == EAGAIN;
}

void kernel_probe(struct kernel *k)
{
	k->has[KERNEL_OPEN_TREE] = call_exists(syscall(SYS_open_tree, -1, "", ~0u));
	k->has[KERNEL_RESOLVE_CACHED] = resolve_cached_works();
	k->has[KERNEL_MOUNT_SETATTR] =
		call_exists(syscall(SYS_mount_setattr, -1, "", ~0u, NULL, (size_t)0));
	k->has[KERNEL_FCHMODAT2] = call_exists(syscall(SYS_fchmodat2, -1, "", 0, ~0u));
	k->has[KERNEL_XATTRAT] = call_exists(syscall(SYS_getxattrat, -1, "", ~0u, "", NULL, 0));
	/* FUSE's own are known at INIT; until then they are taken to be there. */
	k->has[KERNEL_FUSE_TMPFILE] = k->has[KERNEL_FUSE_STATX] = true;
	k->has[KERNEL_DIRECT_MMAP] = k->has[KERNEL_PASSTHROUGH] = true;
	k->has[KERNEL_PASSTHROUGH_PATH] = true;
	for (enum kernel_feature f = 0; f < KERNEL_FEATURES; f++)
		if (kernel_hidden(f))
			k->has[f] = false;
}

void kernel_lacks(const struct kernel *k, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (enum kernel_feature f = 0; f < KERNEL_FEATURES; f++)
		if (!k->has[f] && feature_table[f].name && at < size)
			at += (size_t)snprintf(text + at, size - at, "%sno %s (Linux %u.%u)",
					       at ? ", " : "", feature_table[f].name,
					       feature_table[f].major, feature_table[f].minor);
}
