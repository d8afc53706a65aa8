/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/openfile.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "suite.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int new_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(test_new_close)
{
	struct openfile_table *table = openfile_table_new();
	struct openfile *of;
	uint64_t fh, second;
	int fd = new_fd();

	of = openfile_new(table, 42, &fh);
	ck_assert_ptr_nonnull(of);
	ck_assert_uint_eq(of->nodeid, 42);
	ck_assert_int_eq(of->fd, -1);
	ck_assert_ptr_null(of->dir);
	ck_assert_int_eq(of->way, WAY_NONE);
	of->fd = fd;
	ck_assert_ptr_eq(openfile_get(table, fh), of);
	ck_assert_uint_eq(openfile_count(table), 1);
	openfile_close(table, fh);
	ck_assert(!is_open(fd));
	ck_assert_ptr_null(openfile_get(table, fh));
	/* A number that is gone closes nothing, not even its slot's new owner. */
	of = openfile_new(table, 42, &second);
	of->fd = fd = new_fd();
	openfile_close(table, fh);
	ck_assert(is_open(fd) && openfile_get(table, second) == of);
	ck_assert_uint_eq(openfile_count(table), 1);
	openfile_close(table, second);
	ck_assert_ptr_null(openfile_table_free(table));
	ck_assert_ptr_null(openfile_table_free(NULL));
}
END_TEST

START_TEST(test_wrong_numbers)
{
	static const uint64_t wrong[] = { 0, 1, UINT32_MAX, 1ull << 32, UINT64_MAX };
	struct openfile_table *table = openfile_table_new();

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_ptr_null(openfile_get(table, wrong[i]));
		openfile_close(table, wrong[i]);
	}
	openfile_table_free(table);
}
END_TEST

/* Opens of one file and of many; what is still open at the end is closed with the table. */
START_TEST(test_many)
{
	enum { COUNT = 600 };
	static uint64_t fh[COUNT];
	static int fd[COUNT];
	struct openfile_table *table = openfile_table_new();

	for (unsigned i = 0; i < COUNT; i++) {
		struct openfile *of = openfile_new(table, i % 7, &fh[i]);

		of->fd = fd[i] = new_fd();
	}
	ck_assert_uint_eq(openfile_count(table), COUNT);
	for (unsigned i = 0; i < COUNT; i += 2)
		openfile_close(table, fh[i]);
	for (unsigned i = 0; i < COUNT; i++) {
		ck_assert_int_eq(is_open(fd[i]), i % 2);
		ck_assert_int_eq(openfile_get(table, fh[i]) != NULL, i % 2);
	}
	openfile_table_free(table);
	for (unsigned i = 0; i < COUNT; i++)
		ck_assert(!is_open(fd[i]));
}
END_TEST

/* The sanitizers see whether a directory's stream is freed. */
START_TEST(test_directory)
{
	struct openfile_table *table = openfile_table_new();
	uint64_t a, b;

	openfile_new(table, 1, &a)->dir = dirstream_new();
	openfile_new(table, 1, &b)->dir = dirstream_new();
	ck_assert_int_eq(openfile_get(table, a)->dir->position, 0);
	ck_assert_uint_eq(openfile_get(table, a)->dir->filled, 0);
	openfile_close(table, a);
	openfile_table_free(table);
}
END_TEST

START_TEST(test_open_inode)
{
	struct open_inode *open = calloc(1, sizeof(*open));
	int fd = new_fd();

	open->pin = fd;
	open_inode_free(open);
	ck_assert(!is_open(fd));
	open = calloc(1, sizeof(*open));
	open->pin = -1;
	open_inode_free(open);
	open_inode_free(NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("openfile");

	tcase_add_test(tc, test_new_close);
	tcase_add_test(tc, test_wrong_numbers);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_directory);
	tcase_add_test(tc, test_open_inode);
	return run_case("openfile", tc);
}
