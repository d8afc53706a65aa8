/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in the page cache is the same by cachestat and, on older kernels, by mincore. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "forbid.h"
#include "prefetch/fetch.h"
#include "suite.h"

#define CACHESTAT 451
#define PAGE	  4096u
#define PAGES	  3000u /* more than are asked for at once */

/* In memory for good, whoever drops the caches: every third page, and a hundred in the middle. */
static bool written(uint64_t page)
{
	return page % 3 == 0 || (page >= 1500 && page < 1600);
}

static int make_file(void)
{
	char data[PAGE];
	int fd = memfd_create("resident", MFD_CLOEXEC);

	memset(data, 'x', sizeof(data));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, PAGES * PAGE), 0);
	for (uint64_t i = 0; i < PAGES; i++)
		if (written(i))
			ck_assert_int_eq(pwrite(fd, data, PAGE, (off_t)(i * PAGE)), PAGE);
	return fd;
}

static int64_t expected(uint64_t first, uint64_t count)
{
	int64_t bytes = 0;

	for (uint64_t i = first; i < first + count && i < PAGES; i++)
		bytes += written(i) ? PAGE : 0;
	return bytes;
}

START_TEST(test_ranges)
{
	int fd = make_file();

	if (_i && !forbid_call(CACHESTAT, ENOSYS)) {
		fprintf(stderr, "skip: no seccomp here: %s\n", strerror(errno));
		return;
	}
	if (!_i && fetch_resident(fd, 0, PAGE) == -ENOSYS)
		return;
	srandom(1);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t first = (uint64_t)random() % (PAGES + 10);
		uint64_t count = 1 + (uint64_t)random() % (i % 2 ? 4 : PAGES);

		ck_assert_int_eq(fetch_resident(fd, first * PAGE, count * PAGE),
				 expected(first, count));
	}
	ck_assert_int_eq(fetch_resident(fd, 0, 0), expected(0, PAGES));
	ck_assert_int_eq(fetch_resident(fd, 1500 * PAGE + 5, PAGE), 2 * PAGE); /* of two pages */
	ck_assert_int_eq(fetch_resident(fd, PAGES * PAGE, 0), 0);
	close(fd);
}
END_TEST

START_TEST(test_refused)
{
	int fd = make_file(), ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	if (!forbid_call(CACHESTAT, ENOSYS)) {
		fprintf(stderr, "skip: no seccomp here: %s\n", strerror(errno));
		return;
	}
	ck_assert_int_eq(fetch_resident(-1, 0, 0), -EBADF);
	ck_assert_int_eq(fetch_resident(ends[0], 0, 0), -EBADF);
	ck_assert_int_eq(ftruncate(fd, 1l << 40), 0);
	ck_assert_int_eq(fetch_resident(fd, 0, 0), -EFBIG);
	ck_assert_int_eq(fetch_resident(fd, 0, 1u << 20), expected(0, 256));
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("resident");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_ranges, 0, 2);
	tcase_add_test(tc, test_refused);
	return run_case("resident", tc);
}
