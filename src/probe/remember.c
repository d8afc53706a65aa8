/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Measurements that outlive the program, but not the running system. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/calibrate.h"
#include "probe/sysfile.h"
#include "util/cleanup.h"

#define FORMAT "overdrive-probe 1\n%s\n%s\n%u %u %u %llu %u %u\n" /* boot, key, figures */
#define LIMIT  1024

/* An anonymous number is used again, so the source has to tell, or the device that lies below. */
void calibrate_key(const struct device *d, char *key, size_t size)
{
	unsigned i = 0;

	key[0] = '\0';
	while (i < d->step_count && !d->steps[i].major)
		i++;
	if (i < d->step_count)
		snprintf(key, size, "%u:%u %llu %s %s", d->steps[i].major, d->steps[i].minor,
			 (unsigned long long)d->diskseq, d->fs, d->source);
	else if (strpbrk(d->source, "/:"))
		snprintf(key, size, "%u:%u %s %s", d->major, d->minor, d->fs, d->source);
}

/* FNV-1a: only a file's name depends on it; the whole key is in the file. */
static void name_of(const char *key, char name[32])
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
	snprintf(name, 32, "probe-%016llx", (unsigned long long)hash);
}

static int boot_id(char *id, size_t size)
{
	ssize_t n = sys_line(AT_FDCWD, "/proc/sys/kernel/random/boot_id", id, size);

	return n < 0 ? (int)n : n < 36 ? -EINVAL : 0;
}

static bool trusted(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int open_trusted(const char *dir)
{
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return trusted(&st) ? steal_fd(&fd) : -EPERM;
}

static int read_text(int dir_fd, const char *name, char *text, size_t size)
{
	autoclose int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !trusted(&st))
		return -EPERM;
	n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

int calibrate_recall(struct device_measured *m, const char *dir, const char *key)
{
	autoclose int dir_fd = open_trusted(dir);
	char name[32], boot[40], text[LIMIT], head[LIMIT];
	unsigned latency, p90, samples, depth, piece;
	unsigned long long throughput;
	size_t length;
	int err;

	if (dir_fd < 0)
		return dir_fd;
	err = boot_id(boot, sizeof(boot));
	if (err < 0)
		return err;
	name_of(key, name);
	err = read_text(dir_fd, name, text, sizeof(text));
	if (err < 0)
		return err;
	length = (size_t)snprintf(head, sizeof(head), "overdrive-probe 1\n%s\n%s\n", boot, key);
	if (length >= sizeof(head) || strncmp(text, head, length) != 0)
		return -ESTALE;
	if (sscanf(text + length, "%u %u %u %llu %u %u", &latency, &p90, &samples, &throughput,
		   &depth, &piece) != 6 ||
	    !latency || depth > CALIBRATE_THREADS)
		return -EINVAL;
	*m = (struct device_measured){
		.latency_ns = latency,
		.latency_p90_ns = p90,
		.samples = samples,
		.throughput = throughput,
		.depth = depth,
		.piece = piece,
		.remembered = true,
	};
	return 0;
}

void calibrate_store_init(struct calibrate_store *store)
{
	*store = (struct calibrate_store){ .dir_fd = -1 };
}

void calibrate_store_deinit(struct calibrate_store *store)
{
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	store->dir_fd = -1;
}

int calibrate_store_open(struct calibrate_store *store, const char *dir)
{
	int fd, err;

	if (geteuid() != 0)
		return -EPERM;
	err = boot_id(store->boot, sizeof(store->boot));
	if (err < 0)
		return err;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open_trusted(dir);
	if (fd < 0)
		return fd;
	calibrate_store_deinit(store);
	store->dir_fd = fd;
	return 0;
}

int calibrate_keep(const struct device_measured *m, const struct calibrate_store *store,
		   const char *key)
{
	autoclose int fd = -1;
	char name[32], temporary[64], text[LIMIT];
	int length, err, at = store->dir_fd;

	if (at < 0)
		return -EBADF;
	name_of(key, name);
	snprintf(temporary, sizeof(temporary), ".%s.%d", name, (int)getpid());
	length = snprintf(text, sizeof(text), FORMAT, store->boot, key, m->latency_ns,
			  m->latency_p90_ns, m->samples, (unsigned long long)m->throughput,
			  m->depth, m->piece);
	if (length >= (int)sizeof(text))
		return -ENAMETOOLONG;
	fd = openat(at, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)length) == length && renameat(at, temporary, at, name) == 0)
		return 0;
	err = errno ? -errno : -EIO;
	unlinkat(at, temporary, 0);
	return err;
}
