/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "probe/calibrate.h"
#include "probe/directio.h"
#include "probe/sample.h"
#include "probe/sysfile.h"
#include "probe/walk.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A disk that seeks: slow to answer one, and no faster for being asked by many. */
#define ROTATING_LATENCY_NS 2000000u
#define ROTATING_THROUGHPUT 400000000u /* bytes/s */

static const char *const class_names[] = {
	[DEVICE_UNKNOWN] = "unknown", [DEVICE_BLOCK] = "block",	  [DEVICE_NETWORK] = "network",
	[DEVICE_FUSE] = "fuse",	      [DEVICE_MEMORY] = "memory",
};

static const char *const kind_names[] = {
	[DEVICE_DISK] = "disk",
	[DEVICE_NVME] = "nvme",
	[DEVICE_SCSI] = "scsi",
	[DEVICE_VIRTIO] = "virtio",
	[DEVICE_XEN] = "xen",
	[DEVICE_MMC] = "mmc",
	[DEVICE_NBD] = "nbd",
	[DEVICE_RBD] = "rbd",
	[DEVICE_ZRAM] = "zram",
	[DEVICE_RAM] = "ram",
	[DEVICE_PMEM] = "pmem",
	[DEVICE_BCACHE] = "bcache",
	[DEVICE_DRBD] = "drbd",
	[DEVICE_LOOP] = "loop",
	[DEVICE_MD] = "md",
	[DEVICE_DM] = "dm",
	[DEVICE_PARTITION] = "partition",
	[DEVICE_FILESYSTEM] = "filesystem",
};

const char *device_class_name(enum device_class class)
{
	return class_names[class];
}

const char *device_kind_name(enum device_kind kind)
{
	return kind_names[kind];
}

void device_note(struct device *d, const char *format, ...)
{
	char *note;
	va_list ap;

	if (d->note_count == DEVICE_NOTES)
		return;
	note = d->notes[d->note_count];
	va_start(ap, format);
	vsnprintf(note, sizeof(d->notes[0]), format, ap);
	va_end(ap);
	sys_clean(note);
	for (unsigned i = 0; i < d->note_count; i++)
		if (strcmp(d->notes[i], note) == 0)
			return;
	d->note_count++;
}

/* An O_PATH descriptor takes no ioctl, so the directory is opened once more. */
static void learn_btrfs_uuid(struct device_target *target, int dir_fd)
{
	autoclose int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct btrfs_ioctl_fs_info_args info = { 0 };
	const uint8_t *b = info.fsid;

	if (fd < 0 || ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
		return;
	snprintf(target->btrfs_uuid, sizeof(target->btrfs_uuid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

int device_target_init(struct device_target *target, int dir_fd)
{
	struct statx st;
	struct statfs fs;

	*target = (struct device_target){ .mount_id = -1 };
	if (syscall(SYS_statx, dir_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &st) <
	    0)
		return -errno;
	target->major = st.stx_dev_major;
	target->minor = st.stx_dev_minor;
	if (st.stx_mask & STATX_MNT_ID)
		target->mount_id = (int)st.stx_mnt_id;
	if (fstatfs(dir_fd, &fs) == 0)
		target->magic = (unsigned long)fs.f_type;
	if (target->magic == BTRFS_SUPER_MAGIC)
		learn_btrfs_uuid(target, dir_fd);
	return 0;
}

/* A detached mount (open_tree) has an id that mountinfo doesn't list. */
static const struct mount_entry *find_mount(const struct mountinfo *mounts,
					    const struct device_target *t)
{
	const struct mount_entry *m =
		t->mount_id >= 0 ? mountinfo_by_id(mounts, t->mount_id) : NULL;

	return m ? m : mountinfo_by_dev(mounts, t->major, t->minor);
}

static void copy_clean(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	sys_clean(to);
}

/* What the mount itself reads ahead, where it isn't a disk's affair. */
static void learn_readahead(struct device *d, const struct probe_root *root)
{
	char path[64];
	uint64_t kib;

	snprintf(path, sizeof(path), "sys/class/bdi/%u:%u/read_ahead_kb", d->major, d->minor);
	if (sys_number(root->fd, path, &kib) == 0 && kib < UINT32_MAX)
		d->readahead = kib * 1024;
}

int device_probe(struct device *d, const struct probe_root *root,
		 const struct device_target *target)
{
	struct mountinfo mounts;
	struct walk walk = { .device = d, .root = root, .mounts = &mounts, .target = target };
	/* A filesystem that no mount of ours shows: still a device, or btrfs. */
	struct mount_entry guess = { .id = -1,
				     .major = target->major,
				     .minor = target->minor,
				     .root = "/",
				     .mount_point = "",
				     .source = "",
				     .options = "",
				     .type = target->btrfs_uuid[0] ? "btrfs" : "unknown" };
	const struct mount_entry *m;
	int err;

	memset(d, 0, sizeof(*d));
	d->rotational = d->direct.works = d->direct.dontcache = DEVICE_UNSAID;
	err = mountinfo_init(&mounts, root->fd, root->mountinfo);
	if (err < 0) {
		device_note(d, "/%s: %s", root->mountinfo, strerror(-err));
		mountinfo_deinit(&mounts);
		return err;
	}
	m = find_mount(&mounts, target);
	if (!m) {
		device_note(d, "this mount (%u:%u) is not in mountinfo", target->major,
			    target->minor);
		m = &guess;
	}
	copy_clean(d->fs, sizeof(d->fs), m->type);
	copy_clean(d->source, sizeof(d->source), m->source);
	copy_clean(d->mount_point, sizeof(d->mount_point), m->mount_point);
	d->major = m->major;
	d->minor = m->minor;
	d->queue_depth = walk_mount(&walk, m, 0, &d->class);
	learn_readahead(d, root);
	mountinfo_deinit(&mounts);
	return 0;
}

static void measure(struct device *d, struct sample *sample, const struct calibrate_store *store,
		    uint64_t deadline_ns)
{
	struct calibrate_limits limits = {
		.bytes = CALIBRATE_BYTES,
		.deadline_ns = deadline_ns,
		.threads = CALIBRATE_THREADS,
		.align = d->direct.offset_align,
	};
	char key[256];

	calibrate(&d->measured, sample, &limits);
	calibrate_key(d, key, sizeof(key));
	if (d->measured.latency_ns && d->measured.throughput && key[0])
		calibrate_keep(&d->measured, store, key);
}

/* Whether there is anything to measure, and nobody has done so yet. */
static bool wants_measuring(struct device *d, const struct device_options *options)
{
	char key[256];
	const char *why = NULL;

	if (!options->calibrate)
		why = "switched off";
	else if (d->class == DEVICE_MEMORY)
		why = "it is memory";
	else if (d->class == DEVICE_UNKNOWN && d->major == 0 && d->step_count == 0 &&
		 strcmp(d->fs, "overlay") != 0)
		why = "it is no disk";
	snprintf(d->measured.why_not, sizeof(d->measured.why_not), "%s", why ? why : "");
	if (why)
		return false;
	calibrate_key(d, key, sizeof(key));
	return !options->cache_dir || !key[0] ||
	       calibrate_recall(&d->measured, options->cache_dir, key) < 0;
}

void device_measure(struct device *d, int dir_fd, const struct calibrate_store *store)
{
	uint64_t start = clock_ns(), ms = NSEC_PER_SEC / 1000;
	struct sample sample = { 0 };
	int err = sample_init(&sample, dir_fd, store ? 8 * (uint64_t)CALIBRATE_BYTES : 1,
			      start + CALIBRATE_MS * ms / 3);

	if (err < 0)
		device_note(d, "the directory can't be read: %s", strerror(-err));
	directio_probe(&d->direct, &sample);
	if (sample.denied)
		device_note(d, "%u files may not be read; ask as root", sample.denied);
	if (!sample.count)
		device_note(d, "no file was found that Direct IO could be tried on");
	if (!store)
		;
	else if (d->direct.works == DEVICE_YES)
		measure(d, &sample, store, start + CALIBRATE_MS * ms);
	else
		snprintf(d->measured.why_not, sizeof(d->measured.why_not), "%s",
			 sample.count ? "Direct IO does not work here"
				      : "there is no file to read");
	sample_deinit(&sample);
}

int device_probe_dir(struct device *d, const struct probe_root *root, int dir_fd,
		     const struct device_options *options)
{
	struct device_target target;
	struct calibrate_store store;
	bool measuring;
	int err = device_target_init(&target, dir_fd);

	if (err < 0)
		return err;
	err = device_probe(d, root, &target);
	if (err < 0 && err != -ENOENT && err != -EACCES)
		return err;
	measuring = wants_measuring(d, options);
	calibrate_store_init(&store);
	if (measuring && options->cache_dir)
		calibrate_store_open(&store, options->cache_dir);
	device_measure(d, dir_fd, measuring ? &store : NULL);
	calibrate_store_deinit(&store);
	return 0;
}

int device_recall(struct device *d, const struct probe_root *root, int dir_fd)
{
	struct device_target target;
	char key[256];
	int err = device_target_init(&target, dir_fd);

	if (err < 0)
		return err;
	err = device_probe(d, root, &target);
	if (err < 0)
		return err;
	calibrate_key(d, key, sizeof(key));
	if (key[0])
		calibrate_recall(&d->measured, DEVICE_CACHE_DIR, key);
	return 0;
}

enum device_said device_rotates(const struct device *d)
{
	const struct device_measured *m = &d->measured;

	if (m->latency_ns && m->latency_ns < ROTATING_LATENCY_NS)
		return DEVICE_NO;
	if (m->latency_ns && m->throughput)
		return m->throughput < ROTATING_THROUGHPUT ? DEVICE_YES : DEVICE_NO;
	if (d->class == DEVICE_NETWORK || d->class == DEVICE_MEMORY)
		return DEVICE_NO;
	/* A virtual disk says so for want of knowing better. */
	for (unsigned i = 0; i < d->step_count; i++)
		if (d->steps[i].kind == DEVICE_VIRTIO || d->steps[i].kind == DEVICE_XEN)
			return DEVICE_UNSAID;
	return d->rotational;
}
