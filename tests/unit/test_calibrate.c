/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What probe measures of real files, and remembers. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/calibrate.h"
#include "probe/device.h"
#include "probe/directio.h"
#include "probe/sample.h"
#include "suite.h"
#include "test_probe_files.h"

static struct calibrate_limits limits_now(void)
{
	return (struct calibrate_limits){
		.bytes = CALIBRATE_BYTES,
		.deadline_ns = SOON,
		.threads = CALIBRATE_THREADS,
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

/* Out of the page cache, as far as that succeeds. Returns how many pages stay. */
static unsigned forget(const char *name, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	unsigned left = 1;

	for (int i = 0; i < 50 && left; i++) {
		if (i)
			usleep(1000 * 10);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		left = resident_pages(name, size);
	}
	close(fd);
	return left;
}

/* Figures come out, within the limits, and nobody can tell afterwards: no atime, no page cache. */
START_TEST(test_calibrate)
{
	struct calibrate_limits limits = limits_now();
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct device_measured m;
	struct device_direct direct;
	struct sample s;
	struct stat st;
	unsigned before;

	make_file(dir_fd, "file", 24 * M);
	before = forget("file", 24 * M);
	ck_assert_int_eq(utimensat(dir_fd, "file", old, 0), 0);
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
		ck_assert_uint_le(resident_pages("file", 24 * M), before + 64);
}
END_TEST

START_TEST(test_calibrate_little)
{
	struct calibrate_limits limits = limits_now();
	struct device_measured m;
	struct sample s = { 0 };

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
	struct device_measured out, in = { .latency_ns = 61000,
					   .latency_p90_ns = 80000,
					   .samples = 64,
					   .throughput = 2100000000,
					   .depth = 16,
					   .piece = 512 << 10 };
	struct calibrate_store store;
	char cache[96];

	if (geteuid() != 0)
		return;
	snprintf(cache, sizeof(cache), "%s/cache", dir);
	calibrate_store_init(&store);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -ENOENT);
	ck_assert_int_eq(calibrate_keep(&in, &store, "8:1 a"), -EBADF);
	ck_assert_int_eq(calibrate_store_open(&store, cache), 0);
	ck_assert_int_eq(calibrate_keep(&in, &store, "8:1 a"), 0);
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
	ck_assert_int_eq(calibrate_keep(&in, &store, "8:1 a"), 0);
	spoil("cache", "truncate -s -12 $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -EINVAL);
	spoil("cache", "mv $f keep; mkfifo $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -EPERM);
	spoil("cache", "rm $f; ln -s keep $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -ELOOP);
	ck_assert_int_eq(calibrate_keep(&in, &store, "8:1 a"), 0);
	spoil("cache", "chmod 666 $f", 0755);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -EPERM);
	ck_assert_int_eq(calibrate_keep(&in, &store, "8:1 a"), 0);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), 0);
	spoil("cache", "true", 0777);
	ck_assert_int_eq(calibrate_recall(&out, cache, "8:1 a"), -EPERM);
	ck_assert_int_eq(calibrate_store_open(&store, cache), -EPERM);
	calibrate_store_deinit(&store);
}
END_TEST

START_TEST(test_key)
{
	struct device d = { .fs = "ext4",
			    .source = "/dev/vda1",
			    .major = 254,
			    .minor = 1,
			    .steps = { { .major = 254, .minor = 1 } },
			    .step_count = 1,
			    .diskseq = 7 };
	char key[256];

	calibrate_key(&d, key, sizeof(key));
	ck_assert_str_eq(key, "254:1 7 ext4 /dev/vda1");
	d = (struct device){ .fs = "nfs4", .source = "filer:/home", .minor = 50 };
	calibrate_key(&d, key, sizeof(key));
	ck_assert_str_eq(key, "0:50 nfs4 filer:/home");
	/* A container's overlay on a disk that is hidden: the next one may have its number. */
	d = (struct device){ .fs = "overlay", .source = "overlay", .minor = 52 };
	calibrate_key(&d, key, sizeof(key));
	ck_assert_str_eq(key, "");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("calibrate");

	tcase_set_timeout(tc, 100);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_calibrate);
	tcase_add_test(tc, test_calibrate_little);
	tcase_add_test(tc, test_remember);
	tcase_add_test(tc, test_key);
	return run_case("calibrate", tc);
}
