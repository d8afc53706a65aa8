/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Block devices, as /sys shows them: partition → disk, dm, md, loop, and the disks at the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/sysfile.h"
#include "probe/walk.h"
#include "util/cleanup.h"

/* By what the kernel calls them; the first that fits. */
static const struct {
	const char *prefix;
	enum device_kind kind;
} kinds[] = {
	{ "nvme", DEVICE_NVME }, { "sd", DEVICE_SCSI },	  { "sr", DEVICE_SCSI },
	{ "vd", DEVICE_VIRTIO }, { "xvd", DEVICE_XEN },	  { "mmcblk", DEVICE_MMC },
	{ "nbd", DEVICE_NBD },	 { "rbd", DEVICE_RBD },	  { "zram", DEVICE_ZRAM },
	{ "ram", DEVICE_RAM },	 { "pmem", DEVICE_PMEM }, { "bcache", DEVICE_BCACHE },
	{ "drbd", DEVICE_DRBD }, { "loop", DEVICE_LOOP }, { "md", DEVICE_MD },
	{ "dm-", DEVICE_DM },
};

/* What device mapper's users begin their UUIDs with. */
static const struct {
	const char *prefix, *word;
} mappings[] = {
	{ "LVM-", "LVM" },	  { "CRYPT-LUKS2-", "LUKS2" }, { "CRYPT-LUKS1-", "LUKS1" },
	{ "CRYPT-", "dm-crypt" }, { "mpath-", "multipath" },   { "part", "partition" },
	{ "VDO-", "VDO" },	  { "DMRAID-", "dmraid" },     { "STRATIS-", "Stratis" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum device_kind kind_of(int dir_fd, const char *name)
{
	if (faccessat(dir_fd, "partition", F_OK, 0) == 0)
		return DEVICE_PARTITION;
	for (unsigned i = 0; i < COUNT(kinds); i++)
		if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].kind;
	return DEVICE_DISK;
}

static void describe_dm(int dir_fd, struct device_step *step)
{
	char name[72], uuid[80];
	const char *word = "dm";

	sys_line(dir_fd, "dm/name", name, sizeof(name));
	sys_line(dir_fd, "dm/uuid", uuid, sizeof(uuid));
	for (unsigned i = 0; i < COUNT(mappings); i++)
		if (strncmp(uuid, mappings[i].prefix, strlen(mappings[i].prefix)) == 0) {
			word = mappings[i].word;
			break;
		}
	snprintf(step->detail, sizeof(step->detail), "%s %s", word, name);
}

static void describe(int dir_fd, struct device_step *step)
{
	char a[64], b[32];

	switch (step->kind) {
	case DEVICE_DM:
		describe_dm(dir_fd, step);
		break;
	case DEVICE_MD:
		sys_line(dir_fd, "md/level", a, sizeof(a));
		sys_line(dir_fd, "md/raid_disks", b, sizeof(b));
		if (a[0])
			snprintf(step->detail, sizeof(step->detail), "%s of %s disks", a,
				 b[0] ? b : "?");
		break;
	case DEVICE_LOOP:
		sys_line(dir_fd, "loop/backing_file", step->detail, sizeof(step->detail));
		break;
	case DEVICE_ZRAM:
		snprintf(step->detail, sizeof(step->detail), "compressed memory");
		break;
	case DEVICE_PARTITION:
		break;
	default:
		sys_line(dir_fd, "device/model", step->detail, sizeof(step->detail));
	}
}

/* The kernel's name, which a link to the directory need not show ("dev/block/8:1"). */
static void learn_name(int dir_fd, const char *given, struct device_step *step)
{
	char line[64];
	autofree char *uevent = NULL;
	const char *at;

	snprintf(step->name, sizeof(step->name), "%s", given);
	if (sys_slurp(dir_fd, "uevent", 4096, &uevent) > 0) {
		at = strstr(uevent, "DEVNAME=");
		if (at && sscanf(at, "DEVNAME=%63[^\n]", line) == 1)
			snprintf(step->name, sizeof(step->name), "%.47s", line);
	}
	sys_clean(step->name);
	if (sys_line(dir_fd, "dev", line, sizeof(line)) < 0 ||
	    sscanf(line, "%u:%u", &step->major, &step->minor) != 2)
		step->major = step->minor = 0;
}

static uint32_t queue_number(int dir_fd, const char *path, uint32_t unit)
{
	uint64_t value;

	if (sys_number(dir_fd, path, &value) < 0 || value > UINT32_MAX / unit)
		return 0;
	return (uint32_t)value * unit;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* What the filesystem sees: the limits of the device it lies on. Of several, the strictest. */
static void take_limits(struct device *d, int dir_fd)
{
	uint32_t request = queue_number(dir_fd, "queue/max_sectors_kb", 1024);
	uint64_t number;

	d->logical_block =
		larger(d->logical_block, queue_number(dir_fd, "queue/logical_block_size", 1));
	d->physical_block =
		larger(d->physical_block, queue_number(dir_fd, "queue/physical_block_size", 1));
	if (request && (!d->max_request || request < d->max_request))
		d->max_request = request;
	if (sys_number(dir_fd, "queue/rotational", &number) == 0 && d->rotational != DEVICE_YES)
		d->rotational = number ? DEVICE_YES : DEVICE_NO;
	if (sys_number(dir_fd, "queue/read_ahead_kb", &number) == 0 && number < UINT32_MAX &&
	    number * 1024 > d->readahead)
		d->readahead = number * 1024;
	if (sys_number(dir_fd, "diskseq", &number) == 0)
		d->diskseq = d->diskseq * 31 + number;
}

/* Whether the step just added (the last) is there already: above it, or, as an end, anywhere. */
static bool seen_above(const struct device *d)
{
	const struct device_step *last = &d->steps[d->step_count - 1];
	unsigned level = last->level;

	for (unsigned i = d->step_count - 1; i-- > 0 && level > 0;) {
		const struct device_step *s = &d->steps[i];

		if (s->level >= level)
			continue;
		level = s->level;
		if (s->kind != DEVICE_FILESYSTEM && strcmp(s->name, last->name) == 0)
			return true;
	}
	return false;
}

static bool seen_before(const struct device *d)
{
	const struct device_step *last = &d->steps[d->step_count - 1];

	for (unsigned i = d->step_count - 1; i-- > 0;)
		if (d->steps[i].kind == last->kind && strcmp(d->steps[i].name, last->name) == 0)
			return true;
	return false;
}

bool walk_is_top(const struct walk *w, unsigned level)
{
	const struct device *d = w->device;

	for (unsigned i = d->step_count; i-- > 0 && level > 0;) {
		if (d->steps[i].level >= level)
			continue;
		if (d->steps[i].kind != DEVICE_FILESYSTEM)
			return false;
		level = d->steps[i].level;
	}
	return true;
}

struct device_step *chain_step(const struct walk *w, enum device_kind kind, unsigned level)
{
	struct device *d = w->device;
	struct device_step *step;

	if (d->step_count == DEVICE_STEPS || level >= WALK_LEVELS) {
		device_note(d, "there is more below than can be shown");
		return NULL;
	}
	step = &d->steps[d->step_count++];
	*step = (struct device_step){ .kind = kind, .level = level };
	return step;
}

/* The devices that dm and md put together: their queues add up. */
static unsigned walk_slaves(const struct walk *w, int dir_fd, unsigned level)
{
	DIR *dir = sys_opendir(dir_fd, "slaves");
	unsigned depth = 0, count = 0;
	struct dirent *entry;

	if (!dir)
		return 0;
	while (count <= DEVICE_STEPS && (entry = readdir(dir))) {
		autoclose int fd =
			entry->d_name[0] == '.' ? -1 : sys_dir(dirfd(dir), entry->d_name);

		if (fd < 0)
			continue;
		count++;
		depth += walk_block_dir(w, fd, entry->d_name, level);
	}
	closedir(dir);
	return depth;
}

/* A loop takes what its own queue and the filesystem of its file both take. */
static unsigned walk_loop(const struct walk *w, int dir_fd, unsigned level)
{
	char file[SYS_PATH];
	const struct mount_entry *m = NULL;
	enum device_class class;
	struct device_step *step;
	unsigned own = queue_number(dir_fd, "queue/nr_requests", 1), below;

	if (sys_line(dir_fd, "loop/backing_file", file, sizeof(file)) > 0)
		m = mountinfo_by_path(w->mounts, file);
	if (!m) {
		device_note(w->device, "the file of a loop device is not to be seen from here");
		w->device->disks++;
		return own;
	}
	step = chain_step(w, DEVICE_FILESYSTEM, level);
	if (!step)
		return own;
	snprintf(step->name, sizeof(step->name), "%s", m->type);
	snprintf(step->detail, sizeof(step->detail), "%s", m->mount_point);
	sys_clean(step->name);
	sys_clean(step->detail);
	below = walk_mount(w, m, level + 1, &class);
	return own && below ? (own < below ? own : below) : own;
}

static unsigned walk_end(const struct walk *w, int dir_fd)
{
	if (seen_before(w->device))
		return 0;
	w->device->disks++;
	return queue_number(dir_fd, "queue/nr_requests", 1);
}

unsigned walk_block_dir(const struct walk *w, int dir_fd, const char *name, unsigned level)
{
	struct device *d = w->device;
	struct device_step *step = chain_step(w, DEVICE_DISK, level);
	enum device_kind kind;
	unsigned depth;

	if (!step)
		return 0;
	learn_name(dir_fd, name, step);
	kind = step->kind = kind_of(dir_fd, step->name);
	describe(dir_fd, step);
	if (seen_above(d)) {
		device_note(d, "%s lies on itself: this tree of devices goes in a circle",
			    step->name);
		return 0;
	}
	if (kind == DEVICE_PARTITION) {
		/* The link has been followed: ".." is the disk. */
		autoclose int disk = sys_dir(dir_fd, "..");

		return disk < 0 ? 0 : walk_block_dir(w, disk, "?", level + 1);
	}
	if (kind == DEVICE_LOOP)
		return walk_loop(w, dir_fd, level + 1);
	depth = walk_slaves(w, dir_fd, level + 1);
	return depth || kind == DEVICE_DM || kind == DEVICE_MD ? depth : walk_end(w, dir_fd);
}

/* A partition's limits are its disk's. */
static void take_top_limits(struct device *d, int dir_fd)
{
	autoclose int disk =
		faccessat(dir_fd, "partition", F_OK, 0) == 0 ? sys_dir(dir_fd, "..") : -1;

	take_limits(d, disk >= 0 ? disk : dir_fd);
}

static unsigned walk_top(const struct walk *w, const char *path, const char *name, unsigned level)
{
	autoclose int fd = sys_dir(w->root->fd, path);

	if (fd < 0) {
		device_note(w->device, "nothing is known of block device %s: /%s: %s", name, path,
			    strerror(-fd));
		return 0;
	}
	if (walk_is_top(w, level))
		take_top_limits(w->device, fd);
	return walk_block_dir(w, fd, name, level);
}

unsigned walk_block(const struct walk *w, unsigned major, unsigned minor, unsigned level)
{
	char path[64], name[32];

	snprintf(name, sizeof(name), "%u:%u", major, minor);
	snprintf(path, sizeof(path), "sys/dev/block/%s", name);
	return walk_top(w, path, name, level);
}

unsigned walk_block_name(const struct walk *w, const char *name, unsigned level)
{
	char path[SYS_PATH];

	if (strchr(name, '/') || name[0] == '.')
		return 0;
	snprintf(path, sizeof(path), "sys/class/block/%s", name);
	return walk_top(w, path, name, level);
}
