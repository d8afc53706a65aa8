/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is under a directory: its filesystem, the block devices below that, and what they can do.
 *
 * Asked of the kernel by name, so all of it happens before a mount (DESIGN.md, Reaching SOURCE).
 * What can't be found out is left 0 or UNKNOWN and said in `notes`; it is no error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Where /proc and /sys are found: "/" in earnest, a directory of their own in tests. */
struct probe_root {
	int fd;		       /* a directory; not owned */
	const char *mountinfo; /* below fd: "proc/self/mountinfo" */
};
#define PROBE_MOUNTINFO "proc/self/mountinfo"

enum device_class {
	DEVICE_UNKNOWN,
	DEVICE_BLOCK,
	DEVICE_NETWORK, /* another machine, or the host: no block device of ours */
	DEVICE_FUSE,	/* some other daemon */
	DEVICE_MEMORY,
};

enum device_kind {
	DEVICE_DISK, /* nothing more is known of it */
	DEVICE_NVME,
	DEVICE_SCSI, /* SATA, SAS, USB */
	DEVICE_VIRTIO,
	DEVICE_XEN,
	DEVICE_MMC,
	DEVICE_NBD,
	DEVICE_RBD,
	DEVICE_ZRAM,
	DEVICE_RAM,
	DEVICE_PMEM,
	DEVICE_BCACHE,
	DEVICE_DRBD,
	DEVICE_LOOP,
	DEVICE_MD,
	DEVICE_DM,
	DEVICE_PARTITION,
	DEVICE_FILESYSTEM, /* between devices: what a loop's file or an overlay's layer lies on */
};

enum device_said { DEVICE_UNSAID = -1, DEVICE_NO = 0, DEVICE_YES = 1 };

/* One thing on the way down; those below it follow, one level deeper. */
struct device_step {
	enum device_kind kind;
	unsigned level;
	unsigned major, minor; /* 0:0 for a filesystem */
	char name[48];	       /* "nvme0n1p2"; a filesystem's type */
	char detail[112];      /* "LVM vg-root", a disk's model, a loop's file; may be empty */
};

/* Direct IO on a real file below the directory. */
struct device_direct {
	enum device_said works;
	bool tried;		    /* by a read, as statx said nothing */
	int error;		    /* errno of the refusal; 0 */
	uint32_t memory_align;	    /* bytes, of the buffer; 0: unknown */
	uint32_t offset_align;	    /* bytes, of offset and length; 0: unknown */
	enum device_said dontcache; /* RWF_DONTCACHE */
};

/* What a few real reads took. */
struct device_measured {
	uint32_t latency_ns; /* of 4 KiB at depth 1, median; 0: not measured */
	uint32_t latency_p90_ns;
	uint32_t samples;
	uint64_t throughput; /* bytes/s; 0: not measured */
	uint32_t depth;	     /* requests at once that reached it */
	uint32_t piece;	     /* bytes of each */
	uint64_t read_bytes;
	uint32_t elapsed_ms;
	bool remembered;  /* from the cache of this boot */
	char why_not[96]; /* why nothing, or only a part, was measured; may be empty */
};

#define DEVICE_STEPS 32
#define DEVICE_NOTES 8

struct device {
	enum device_class class;
	char fs[32];	  /* "ext4" */
	char source[128]; /* what the mount was made from */
	char mount_point[256];
	unsigned major, minor; /* the mount's own; anonymous on btrfs */
	unsigned stack_depth;  /* filesystems stacked on others, overlayfs: 1; bounds passthrough */

	struct device_step steps[DEVICE_STEPS];
	unsigned step_count;
	unsigned disks; /* ends of the chain */

	uint32_t logical_block, physical_block; /* bytes */
	enum device_said rotational;		/* sysfs; may lie */
	uint32_t queue_depth;			/* requests */
	uint32_t max_request;			/* bytes */
	uint64_t readahead;			/* bytes: the kernel's */
	uint64_t diskseq; /* tells a reused loop device from its predecessor */

	struct device_direct direct;
	struct device_measured measured;

	char notes[DEVICE_NOTES][160]; /* what is missing, and why */
	unsigned note_count;
};

/* Which mount is meant. */
struct device_target {
	unsigned major, minor; /* st_dev */
	int mount_id;	       /* -1: unknown */
	unsigned long magic;   /* statfs; 0: unknown */
	char btrfs_uuid[37];   /* empty: unknown */
};
int device_target_init(struct device_target *target, int dir_fd);

/* Everything but what needs real files; 0, or -errno if not even the mounts could be read. */
int device_probe(struct device *d, const struct probe_root *root,
		 const struct device_target *target);

struct device_options {
	bool calibrate;
	const char *cache_dir; /* absolute; "/run/overdrive"; NULL: nothing is remembered */
};
/* All of it, for an open directory: device_probe, Direct IO, and the measurement. 0 or -errno. */
int device_probe_dir(struct device *d, const struct probe_root *root, int dir_fd,
		     const struct device_options *options);

/* Where what was measured is kept until the next boot. */
#define DEVICE_CACHE_DIR "/run/overdrive"
/*
 * device_probe(), and what an earlier device_probe_dir() measured of the same device, if there was
 * one since the boot. Reads nothing of the device. 0 or -errno.
 */
int device_recall(struct device *d, const struct probe_root *root, int dir_fd);

struct calibrate_store;
/*
 * What needs real files below dir_fd, of a device that was found before: Direct IO, and unless store
 * is NULL the measurement, at most CALIBRATE_MS and CALIBRATE_BYTES. Opens by path what is below
 * /proc only.
 */
void device_measure(struct device *d, int dir_fd, const struct calibrate_store *store);

/* Whether it behaves as a rotating disk: the measurement's word first, then sysfs's. */
enum device_said device_rotates(const struct device *d);

const char *device_class_name(enum device_class class);
const char *device_kind_name(enum device_kind kind);

/* Adds a note, or nothing if there is no room or it is there already. */
void device_note(struct device *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
