/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What probe does with real files: finds a few, tries Direct IO, measures, remembers. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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
#include "util/clock.h"

#define M (1u << 20)
#define SOON (clock_ns() + 30 * NSEC_PER_SEC) /* no test fails on a time */

static char dir[64];
static int dir_fd;

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%.40s/probe.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir_fd, 0);
}

static void teardown(void)
{
	char command[128];

	close(dir_fd);
	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void make_file(int at, const char *name, size_t size)
{
	char *text = malloc(size ? size : 1);
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	memset(text, 'x', size);
	ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
	free(text);
}

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
	struct sample s = {0};

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

static struct calibrate_limits limits_now(void)
{
	return (struct calibrate_limits){
		.bytes = CALIBRATE_BYTES, .deadline_ns = SOON, .threads = CALIBRATE_THREADS,
	};
}

static unsigned resident_pages(const char *name, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char pages[8192];
	unsigned n = 0;

	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(mincore(map, size, pages), 0);
	for (size_t i = 0; i < size / 4096; i++)
		n += pages[i] & 1;
	munmap(map, size);
	close(fd);
	return n;
}

/* Figures come out, within the limits, and nobody can tell afterwards: no atime, no page cache. */
START_TEST(test_calibrate)
{
	struct calibrate_limits limits = limits_now();
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	struct device_measured m;
	struct device_direct direct;
	struct sample s;
	struct stat st;
	int fd;

	make_file(dir_fd, "file", 24 * M);
	ck_assert_int_eq(utimensat(dir_fd, "file", old, 0), 0);
	fd = openat(dir_fd, "file", O_RDONLY | O_CLOEXEC);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	directio_probe(&direct, &s);
	calibrate(&m, &s, &limits);
	ck_assert_uint_eq(s.count, 0);
	if (direct.works != DEVICE_YES)
		return;
	ck_assert_msg(m.latency_ns > 0 && m.throughput > 0, "%s", m.why_not);
	ck_assert_uint_ge(m.latency_p90_ns, m.latency_ns);
	ck_assert_uint_ge(m.samples, 3);
	ck_assert_uint_eq(m.depth, CALIBRATE_THREADS);
	ck_assert_uint_le(m.read_bytes, CALIBRATE_BYTES);
	ck_assert_uint_ge(m.read_bytes, CALIBRATE_BYTES / 2);
	ck_assert_int_eq(fstatat(dir_fd, "file", &st, 0), 0);
	ck_assert_int_eq(st.st_atim.tv_sec, 1000);
	if (!direct.tried) /* tmpfs is all page cache */
		ck_assert_uint_le(resident_pages("file", 24 * M), 64);
}
END_TEST

START_TEST(test_calibrate_little)
{
	struct calibrate_limits limits = limits_now();
	struct device_measured m;
	struct sample s = {0};

	calibrate(&m, &s, &limits);
	ck_assert_uint_eq(m.latency_ns, 0);
	ck_assert_str_ne(m.why_not, "");
	/* Enough for a latency, too little for a throughput. */
	make_file(dir_fd, "file", 256 << 10);
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	calibrate(&m, &s, &limits);
	ck_assert_uint_eq(m.throughput, 0);
	ck_assert_uint_le(m.read_bytes, 256 << 10);
	ck_assert_str_ne(m.why_not, "");
	/* No time at all. */
	make_file(dir_fd, "file", 16 * M);
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	limits.deadline_ns = clock_ns();
	calibrate(&m, &s, &limits);
	ck_assert_str_ne(m.why_not, "");
	/* Few bytes allowed. */
	ck_assert_int_eq(sample_init(&s, dir_fd, UINT64_MAX, SOON), 0);
	limits = limits_now();
	limits.bytes = 1 * M;
	calibrate(&m, &s, &limits);
	ck_assert_uint_le(m.read_bytes, 1 * M);
}
END_TEST

static void spoil(const char *name, const char *text, int mode)
{
	char command[256];

	snprintf(command, sizeof(command), "cd %s/%s && for f in probe-*; do %s; done; chmod %o .",
		 dir, name, text, (unsigned)mode);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(test_remember)
{
	struct device_measured out, in = {.latency_ns = 61000, .latency_p90_ns = 80000,
		.samples = 64, .throughput = 2100000000, .depth = 16, .piece = 512 << 10};
	char cache[96];

	if (geteuid() != 0)
		return;
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -ENOENT);
	ck_assert_int_eq(calibrate_keep(&in, cache, "8:1 a"), 0);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), 0);
	ck_assert(out.remembered);
	ck_assert_uint_eq(out.latency_ns, 61000);
	ck_assert_uint_eq(out.throughput, 2100000000);
	ck_assert_uint_eq(out.depth, 16);
	ck_assert_uint_eq(out.piece, 512 << 10);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 b"), -ENOENT);
	/* Of another boot; cut short; no file; anybody's to write, or in such a folder. */
	spoil("cache", "sed -i '2s/./X/' $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -ESTALE);
	ck_assert_int_eq(calibrate_keep(&in, cache, "8:1 a"), 0);
	spoil("cache", "truncate -s -12 $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -EINVAL);
	spoil("cache", "mv $f keep; mkfifo $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -EPERM);
	spoil("cache", "rm $f; ln -s keep $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -ELOOP);
	ck_assert_int_eq(calibrate_keep(&in, cache, "8:1 a"), 0);
	spoil("cache", "chmod 666 $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -EPERM);
	ck_assert_int_eq(calibrate_keep(&in, cache, "8:1 a"), 0);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), 0);
	spoil("cache", "true", 0777);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -EPERM);
	ck_assert_int_eq(calibrate_keep(&in, cache, "8:1 a"), -EPERM);
}
END_TEST

START_TEST(test_key)
{
	struct device d = {.fs = "ext4", .source = "/dev/vda1", .major = 254, .minor = 1,
		.steps = {{.major = 254, .minor = 1}}, .step_count = 1, .diskseq = 7};
	char key[256];

	calibrate_key(&d, key, sizeof(key));
	ck_assert_str_eq(key, "254:1 7 ext4 /dev/vda1");
	d = (struct device){.fs = "nfs4", .source = "filer:/home", .minor = 50};
	calibrate_key(&d, key, sizeof(key));
	ck_assert_str_eq(key, "0:50 nfs4 filer:/home");
	/* A container's overlay on a disk that is hidden: the next one may have its number. */
	d = (struct device){.fs = "overlay", .source = "overlay", .minor = 52};
	calibrate_key(&d, key, sizeof(key));
	ck_assert_str_eq(key, "");
}
END_TEST

START_TEST(test_probe_dir)
{
	struct probe_root root = { .fd = open("/", O_PATH | O_DIRECTORY),
				   .mountinfo = PROBE_MOUNTINFO };
	struct device_options options = {.calibrate = false};
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
	struct device_options options = {.calibrate = true};
	struct device *d = calloc(1, sizeof(*d));
	char command[512];
	int fd;

	/* The device goes when the mount does, and that when this process ends. */
	snprintf(command, sizeof(command), "cd %s && truncate -s 64M image && mkdir mnt && "
		 "loop=$(losetup --find --show --sector-size %u image 2>/dev/null) && "
		 "mkfs.ext4 -q -F $loop >/dev/null 2>&1 && mount $loop mnt; e=$?; "
		 "[ -z $loop ] || losetup -d $loop; exit $e", dir, sector);
	if (system(command) == 0) {
		fd = openat(dir_fd, "mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		make_file(fd, "file", 20 * M);
		ck_assert_int_eq(device_probe_dir(d, &root, fd, &options), 0);
		close(fd);
		snprintf(command, sizeof(command), "umount %s/mnt", dir);
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
	Suite *suite = suite_create("probe_files");
	TCase *tc = tcase_create("files");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_sample_largest);
	tcase_add_test(tc, test_sample_only_files);
	tcase_add_test(tc, test_sample_holes);
	tcase_add_test(tc, test_sample_bounded);
	tcase_add_test(tc, test_sample_no_crossing);
	tcase_add_test(tc, test_direct_tried);
	tcase_add_test(tc, test_calibrate);
	tcase_add_test(tc, test_calibrate_little);
	tcase_add_test(tc, test_remember);
	tcase_add_test(tc, test_key);
	tcase_add_test(tc, test_probe_dir);
	tcase_add_loop_test(tc, test_loop, 0, 2);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
