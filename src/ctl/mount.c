/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrivectl options and detach: a mount as such, alive or dead. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "ctl/ctl.h"
#include "probe/mountinfo.h"
#include "stats/abi.h"
#include "util/cleanup.h"
#include "util/mountpoint.h"
#include "util/why.h"

static int fail(const char *path, const char *why)
{
	fprintf(stderr, "overdrivectl: %s: %s\n", path, why);
	return CTL_FAILED;
}

static const struct ctl_option no_options[] = {
	{ NULL, NULL, NULL },
};

static int options(const struct ctl_args *args)
{
	const char *mount = args->operand[0];
	autoclose int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stats_options o;

	if (fd < 0)
		return fail(mount, why(errno));
	if (ioctl(fd, OVERDRIVE_IOC_OPTIONS, &o) < 0)
		return fail(mount, errno == EPERM ? "only root and the user who mounted it may ask"
						  : "not the root directory of an overdrive mount "
						    "(or one of another version)");
	o.text[sizeof(o.text) - 1] = '\0';
	printf("%s\n", o.text);
	return CTL_DONE;
}

const struct ctl_command ctl_options = {
	.name = "options",
	.help = "the options that a mount was given",
	.operands = "MOUNT",
	.min_operands = 1,
	.max_operands = 1,
	.options = no_options,
	.more = "Prints the options of overdrive and FUSE that -o named, in one line; those of mount(8)\n"
		"are shown by findmnt.\n",
	.run = options,
};

/* 0: the topmost mount at path is overdrive's and dead, 1: it isn't, or -errno. */
static int find_dead(int proc, const char *path, int *id)
{
	struct mountinfo mounts;
	const struct mount_entry *e;
	struct statfs fs;
	int result = 1;

	*id = mountpoint_id(proc, path);
	if (*id < 0)
		return *id;
	result = mountinfo_init(&mounts, proc, "self/mountinfo");
	e = result ? NULL : mountinfo_by_id(&mounts, *id);
	if (!result)
		result = !e || strcmp(e->type, "fuse.overdrive") != 0;
	mountinfo_deinit(&mounts);
	if (result)
		return result;
	return statfs(path, &fs) < 0 && (errno == ENOTCONN || errno == ECONNABORTED) ? 0 : 1;
}

static int detach(const struct ctl_args *args)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *path = args->operand[0];
	int id, result;

	if (proc < 0)
		return fail("/proc", strerror(errno));
	do {
		result = find_dead(proc, path, &id);
		if (result == 0)
			result = mountpoint_detach(proc, path, id);
	} while (result == 0 || result == -ESTALE);
	return result < 0 ? fail(path, strerror(-result)) : CTL_DONE;
}

const struct ctl_command ctl_detach = {
	.name = "detach",
	.help = "take away a mount whose daemon has died",
	.operands = "MOUNT",
	.min_operands = 1,
	.max_operands = 1,
	.options = no_options,
	.more = "Takes away each overdrive mount at MOUNT whose daemon has died, so that the path leads\n"
		"to the plain directory again. Leaves all others alone.\n",
	.run = detach,
};
