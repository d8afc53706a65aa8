/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "config.h"
#include "probe/device.h"
#include "probe/mountinfo.h"
#include "probe/sysfile.h"
#include "util/cleanup.h"
#include "util/why.h"

static char *cleaned(const char *text)
{
	char *copy = strdup(text);

	if (copy)
		sys_clean(copy);
	return copy;
}

static int add(struct ctl_mounts *m, const char *path, const char *source)
{
	struct ctl_mount *grown = realloc(m->mount, (m->count + 1) * sizeof(*grown));
	struct ctl_mount *added;

	if (!grown)
		return -ENOMEM;
	m->mount = grown;
	added = &grown[m->count++];
	memset(added, 0, sizeof(*added));
	added->path = strdup(path);
	added->shown = cleaned(path);
	added->source = cleaned(source);
	return added->path && added->shown && added->source ? 0 : -ENOMEM;
}

/* Whether what one sees at the mount's path is this mount. Asks no filesystem. */
static bool on_top(const struct mountinfo *info, const struct mount_entry *e)
{
	const struct mount_entry *last = mountinfo_by_path(info, e->mount_point);

	return last && last->id == e->id;
}

static int add_all(struct ctl_mounts *m, const struct mountinfo *info)
{
	int err = 0;

	for (size_t i = 0; i < info->count && !err; i++) {
		const struct mount_entry *e = &info->entries[i];

		if (strcmp(e->type, "fuse.overdrive") == 0 && on_top(info, e))
			err = add(m, e->mount_point, e->source);
	}
	return err;
}

int mounts_init(struct ctl_mounts *m, const char *path)
{
	struct mountinfo info;
	autofree char *real = path ? realpath(path, NULL) : NULL;
	int err = mountinfo_init(&info, AT_FDCWD, "/" PROBE_MOUNTINFO);

	*m = (struct ctl_mounts){ 0 };
	if (path) {
		const struct mount_entry *e = real ? mountinfo_by_path(&info, real) : NULL;

		err = add(m, path, e ? e->source : "");
	} else if (!err) {
		err = add_all(m, &info);
	}
	mountinfo_deinit(&info);
	return err;
}

void mounts_deinit(struct ctl_mounts *m)
{
	for (unsigned i = 0; i < m->count; i++) {
		free(m->mount[i].path);
		free(m->mount[i].shown);
		free(m->mount[i].source);
	}
	free(m->mount);
	*m = (struct ctl_mounts){ 0 };
}

static void say(const struct ctl_mount *m, const char *what)
{
	fprintf(stderr, "overdrivectl: %s: %s\n", m->shown, what);
}

/* Why the numbers were refused: another version's, or not a mount of ours at all. */
static int refused(const struct ctl_mount *m, int fd, int err)
{
	struct stats_whose whose;
	char text[200];

	if (err == -EPERM) {
		say(m, "only root and the user who mounted it may ask");
	} else if (ioctl(fd, OVERDRIVE_IOC_WHOSE, &whose) == 0 && whose.version != STATS_VERSION) {
		whose.release[sizeof(whose.release) - 1] = '\0';
		sys_clean(whose.release);
		snprintf(text, sizeof(text),
			 "mounted by overdrive %s, whose statistics are of version %u; this is "
			 "overdrivectl %s for version %u: use the one of the same release",
			 whose.release, whose.version, OVERDRIVE_VERSION, STATS_VERSION);
		say(m, text);
	} else {
		snprintf(
			text, sizeof(text),
			"not the root directory of an overdrive mount (or of a much older one): %s",
			strerror(-err));
		say(m, text);
	}
	return err;
}

int mount_ask(struct ctl_mount *m)
{
	autoclose int fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (fd < 0) {
		err = -errno;
		say(m, why(-err));
		return err;
	}
	err = or_errno(ioctl(fd, OVERDRIVE_IOC_STATS, &m->stats));
	if (err < 0)
		return refused(m, fd, err);
	if (m->stats.version != STATS_VERSION || m->stats.size != sizeof(m->stats))
		return refused(m, fd, -EPROTO);
	m->answered = true;
	return 0;
}
