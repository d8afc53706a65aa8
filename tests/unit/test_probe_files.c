/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What probe does with real files: finds a few, tries Direct IO. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/calibrate.h"
#include "probe/device.h"
#include "probe/directio.h"
#include "probe/sample.h"
#include "suite.h"
#include "test_probe_files.h"

static void make_dir(const char *name)
{
	ck_assert_int_eq(mkdirat(dir_fd, name, 0755), 0);
}

static uint64_t length(const struct sample *s, unsigned i)
{
	return s->files[i].end - s->files[i].begin;
}

START_TEST(test_sample_largest)
{
	struct sample s;
	char name[16];

	make_dir("deep");
	make_dir("deep/er");
	for (unsigned i = 1; i <= 20; i++) {
		snprintf(name, sizeof(name), "%s%u", i % 2 ? "deep/er/" : "", i);
		make_file(dir_fd, name, i * 8192);
	}
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	ck_assert_uint_eq(s.count, SAMPLE_FILES);
	for (unsigned i = 0; i < SAMPLE_FILES; i++)
		ck_assert_uint_eq(length(&s, i), (20 - i) * 8192);
	ck_assert_uint_eq(s.entries, 22);
	sample_deinit(&s);
	/* No more than enough. */
	ck_assert_int_eq(sample_init(&s, dir_fd, 1, SOON), 0);
	ck_assert_uint_eq(s.count, 1);
	sample_deinit(&s);
}
END_TEST

START_TEST(test_sample_only_files)
{
	struct sample s;

	make_file(dir_fd, "file", 4096);
	make_file(dir_fd, "empty", 0);
	ck_assert_int_eq(mkfifoat(dir_fd, "fifo", 0644), 0);
	ck_assert_int_eq(symlinkat("/usr", dir_fd, "link"), 0);
	ck_assert_int_eq(symlinkat("/proc/self/exe", dir_fd, "program"), 0);
	if (geteuid() == 0) /* a device number that nobody has: opening it would fail */
		mknodat(dir_fd, "device", S_IFCHR | 0644, 0xfffff);
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	ck_assert_uint_eq(s.count, 1);
	sample_deinit(&s);
}
END_TEST

START_TEST(test_sample_holes)
{
	struct sample s;
	int fd;

	make_file(dir_fd, "dense", 64 << 10);
	fd = openat(dir_fd, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_eq(ftruncate(fd, 1 << 30), 0);
	close(fd);
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	ck_assert_uint_eq(s.count, 2);
	ck_assert_uint_eq(length(&s, 0), 64 << 10);
	sample_deinit(&s);
}
END_TEST

/* Opening it would ask its holder to give it up. */
START_TEST(test_sample_leased)
{
	struct sample s;
	int fd;

	make_file(dir_fd, "free", 4096);
	make_file(dir_fd, "leased", 8192);
	fd = openat(dir_fd, "leased", O_RDWR | O_CLOEXEC);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0) {
		signal(SIGIO, SIG_IGN);
		ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
		ck_assert_uint_eq(s.count, 1);
		ck_assert_uint_eq(length(&s, 0), 4096);
		sample_deinit(&s);
		ck_assert_int_eq(fcntl(fd, F_GETLEASE), F_WRLCK);
	}
	close(fd);
}
END_TEST

START_TEST(test_sample_bounded)
{
	struct sample s;
	char name[32];

	make_dir("many");
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "many/%u", i);
		make_file(dir_fd, name, 1);
	}
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	ck_assert_uint_le(s.entries, SAMPLE_ENTRIES);
	sample_deinit(&s);
	/* Too late before it began. */
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, 1), 0);
	ck_assert_uint_eq(s.count, 0);
	sample_deinit(&s);
	ck_assert_int_lt(sample_init(&s, -1, 1, SOON), 0);
	sample_deinit(&s);
}
END_TEST

/* A mount namespace of the test's own, so that nothing stays behind whatever happens. */
static bool private_mounts(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	/* The old descriptor is one of the old namespace. */
	close(dir_fd);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd >= 0;
}

START_TEST(test_sample_no_crossing)
{
	char path[96];
	struct sample s;

	if (!private_mounts())
		return;
	make_dir("other");
	make_dir("bound");
	make_file(dir_fd, "mine", 4096);
	snprintf(path, sizeof(path), "%s/bound", dir);
	ck_assert_int_eq(mount("/usr", path, NULL, MS_BIND, NULL), 0);
	snprintf(path, sizeof(path), "%s/other", dir);
	ck_assert_int_eq(mount("none", path, "tmpfs", 0, NULL), 0);
	make_file(dir_fd, "other/theirs", 8192);
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	ck_assert_uint_eq(s.count, 1);
	ck_assert_uint_eq(length(&s, 0), 4096);
	sample_deinit(&s);
	umount2(path, MNT_DETACH);
	snprintf(path, sizeof(path), "%s/bound", dir);
	umount2(path, MNT_DETACH);
}
END_TEST

START_TEST(test_direct_tried)
{
	int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[32];
	struct device_direct direct;
	struct sample s = { 0 };

	directio_probe(&direct, &s);
	ck_assert_int_eq(direct.works, DEVICE_UNSAID);
	if (fd < 0)
		return;
	/* tmpfs says nothing by statx and, since Linux 6.6, takes O_DIRECT. */
	snprintf(name, sizeof(name), "probe.%d", (int)getpid());
	ck_assert_int_eq(mkdirat(fd, name, 0755), 0);
	dir_fd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_file(dir_fd, "file", 100);
	ck_assert_int_eq(sample_init(&s, dir_fd, 1, SOON), 0);
	ck_assert_uint_eq(s.count, 1);
	directio_probe(&direct, &s);
	sample_deinit(&s);
	unlinkat(dir_fd, "file", 0);
	unlinkat(fd, name, AT_REMOVEDIR);
	ck_assert(direct.tried);
	ck_assert(direct.works == DEVICE_YES ? direct.offset_align == 4096 : direct.error != 0);
}
END_TEST

START_TEST(test_probe_dir)
{
	struct probe_root root = { .fd = open("/", O_PATH | O_DIRECTORY),
				   .mountinfo = PROBE_MOUNTINFO };
	struct device_options options = { .calibrate = false };
	struct device *d = calloc(1, sizeof(*d));

	ck_assert_int_eq(device_probe_dir(d, &root, dir_fd, &options), 0);
	ck_assert_str_eq(d->measured.why_not, "switched off");
	ck_assert_uint_eq(d->measured.read_bytes, 0);
	ck_assert_str_ne(d->fs, "");
	options.calibrate = true;
	ck_assert_int_eq(device_probe_dir(d, &root, dir_fd, &options), 0);
	ck_assert_str_ne(d->measured.why_not, "");
	ck_assert_int_eq(device_probe_dir(d, &root, -1, &options), -EBADF);
	free(d);
	close(root.fd);
}
END_TEST

/* Real loop devices, with the sector sizes that disks have. */
static void probe_loop(unsigned sector)
{
	struct probe_root root = { .fd = open("/", O_PATH | O_DIRECTORY),
				   .mountinfo = PROBE_MOUNTINFO };
	struct device_options options = { .calibrate = true };
	struct device *d = calloc(1, sizeof(*d));
	char command[512];
	int fd;

	/* The device goes when the mount does, and that when this process ends. */
	snprintf(command, sizeof(command),
		 "cd %s && truncate -s 64M image && mkdir mnt && "
		 "loop=$(losetup --find --show --sector-size %u image 2>/dev/null) && "
		 "mkfs.ext4 -q -F $loop >/dev/null 2>&1 && mount $loop mnt; e=$?; "
		 "[ -z $loop ] || losetup -d $loop; exit $e",
		 dir, sector);
	if (system(command) == 0) {
		fd = openat(dir_fd, "mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		make_file(fd, "file", 20 * M);
		/* It has 50 ms to find a file, in which a busy machine may do nothing. */
		do
			ck_assert_int_eq(device_probe_dir(d, &root, fd, &options), 0);
		while (d->direct.works == DEVICE_UNSAID);
		close(fd);
		/* Threads that measure may outlive what asked them. */
		snprintf(command, sizeof(command),
			 "for i in $(seq 600); do umount %s/mnt && exit; "
			 "sleep 0.1; done 2>/dev/null; exit 1",
			 dir);
		ck_assert_int_eq(system(command), 0);
		ck_assert_uint_eq(d->logical_block, sector);
		ck_assert_int_eq(d->class, DEVICE_BLOCK);
		ck_assert_int_eq(d->steps[0].kind, DEVICE_LOOP);
		ck_assert_ptr_nonnull(strstr(d->steps[0].detail, "/image"));
		ck_assert_uint_ge(d->step_count, 2);
		ck_assert_uint_gt(d->queue_depth, 0);
		ck_assert_int_eq(d->direct.works, DEVICE_YES);
		ck_assert_uint_eq(d->direct.offset_align, d->direct.tried ? 4096 : sector);
		ck_assert_uint_le(d->measured.read_bytes, CALIBRATE_BYTES);
	} else {
		printf("no loop device with sectors of %u bytes here: skipped\n", sector);
	}
	free(d);
	close(root.fd);
}

START_TEST(test_loop)
{
	if (private_mounts())
		probe_loop(_i ? 4096 : 512);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("files");

	tcase_set_timeout(tc, 100);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_sample_largest);
	tcase_add_test(tc, test_sample_only_files);
	tcase_add_test(tc, test_sample_holes);
	tcase_add_test(tc, test_sample_leased);
	tcase_add_test(tc, test_sample_bounded);
	tcase_add_test(tc, test_sample_no_crossing);
	tcase_add_test(tc, test_direct_tried);
	tcase_add_test(tc, test_probe_dir);
	tcase_add_loop_test(tc, test_loop, 0, 2);
	return run_case("probe_files", tc);
}
