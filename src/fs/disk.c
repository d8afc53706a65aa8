/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/disk.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fs/walking.h"
#include "probe/calibrate.h"
#include "util/cleanup.h"
#include "util/log.h"

/* Not an option, as it is nobody's daily choice: the disk is never read to be measured. */
#define SWITCH "OVERDRIVE_CALIBRATE"

struct disk {
	struct device device;
	struct host_memory memory;
	struct disk_facts facts[2]; /* at first; once it was measured */
	const struct disk_facts *_Atomic now;
	struct calibrate_store store;
	pthread_t thread;
	bool wanted;	/* to be measured */
	bool measuring; /* there is a thread */
};

/* On the kernel's way; what takes another by backend= is not fetched beneath. */
static void conclude(struct disk_facts *facts, const struct options *o, const struct device *device,
		     const struct host_memory *memory)
{
	const struct policy_options options = {
		.backend = POLICY_KERNEL,
		.prefetch = o->prefetch,
		.memory = o->memory,
	};
	const struct policy_file large = { .size = 1ull << 40, .history = POLICY_SEQUENTIAL };
	const struct host host = { .memory = *memory, .passthrough = true };

	policy_choose(&facts->large_file, device, &host, &options, &large);
	policy_tree(&facts->tree, device, memory, o->memory);
	facts->latency_ns = device->measured.latency_ns;
}

/* A list of somebody else's directory would leave its access time changed, if only that. */
static bool may_list(int dir_fd)
{
	struct stat st;

	return geteuid() == 0 || (fstat(dir_fd, &st) == 0 && st.st_uid == geteuid());
}

/*
 * Only disks: what another machine or another daemon answers may be in its cache or not. Whoever
 * has said how to fetch ahead has decided by himself.
 */
static bool wants_measuring(const struct fs *fs, const struct device *d)
{
	const char *said = getenv(SWITCH);

	return fs->options->prefetch == OPTION_PREFETCH_AUTO && d->class == DEVICE_BLOCK &&
	       !d->measured.latency_ns && !(said && strcmp(said, "off") == 0) &&
	       may_list(fs->tree.source.root);
}

int disk_look(struct fs *fs)
{
	autoclose int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct probe_root root = { .fd = root_fd, .mountinfo = PROBE_MOUNTINFO };
	struct disk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		return -ENOMEM;
	fs->disk = disk;
	calibrate_store_init(&disk->store);
	if (root_fd >= 0) {
		host_memory_probe(&disk->memory, &root);
		device_recall(&disk->device, &root, fs->tree.source.root);
	}
	conclude(&disk->facts[0], fs->options, &disk->device, &disk->memory);
	atomic_init(&disk->now, &disk->facts[0]);
	disk->wanted = wants_measuring(fs, &disk->device);
	if (disk->wanted)
		calibrate_store_open(&disk->store, DEVICE_CACHE_DIR);
	return 0;
}

static void *measure(void *argument)
{
	struct fs *fs = argument;
	struct disk *disk = fs->disk;

	/* Behind what programs wait for, as walking.c has it; what it starts inherits it. */
	syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 7);
	device_measure(&disk->device, fs->tree.source.root, &disk->store);
	if (!disk->device.measured.latency_ns) {
		log_line(LOG_INFO, "the disk was not measured: %s", disk->device.measured.why_not);
		return NULL;
	}
	conclude(&disk->facts[1], fs->options, &disk->device, &disk->memory);
	/* release: who sees the pointer sees what it points to. */
	atomic_store_explicit(&disk->now, &disk->facts[1], memory_order_release);
	walking_decided(fs);
	log_line(LOG_INFO, "a large cold file: %s", disk->facts[1].large_file.reason);
	return NULL;
}

void disk_start(struct fs *fs)
{
	struct disk *disk = fs->disk;

	disk->measuring = disk->wanted && pthread_create(&disk->thread, NULL, measure, fs) == 0;
}

void disk_stop(struct fs *fs)
{
	struct disk *disk = fs->disk;

	if (!disk)
		return;
	if (disk->measuring)
		pthread_join(disk->thread, NULL);
	calibrate_store_deinit(&disk->store);
	free(disk);
	fs->disk = NULL;
}

const struct disk_facts *disk_facts(const struct fs *fs)
{
	return atomic_load_explicit(&fs->disk->now, memory_order_acquire);
}

uint64_t disk_memory(const struct fs *fs)
{
	const struct policy_options options = { .memory = fs->options->memory };
	const struct host host = { .memory = fs->disk->memory };

	return policy_memory(&options, &host);
}
