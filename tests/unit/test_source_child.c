/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/source.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source_fixture.h"
#include "suite.h"

static void open_ok(struct source *s, const char *path)
{
	char err[256] = "";
	int result = source_open(s, &kernel, path, err, sizeof(err));

	ck_assert_msg(result == 0, "%d %s", result, err);
}

START_TEST(test_open_child)
{
	struct source s;
	char name[300];
	int fd;
	struct stat st;

	enter("child");
	open_ok(&s, "s");
	ck_assert_int_eq(source_open_child(s.root, "missing", false), -ENOENT);
	ck_assert_int_eq(source_open_child(s.root, "", false), -ENOENT);
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	ck_assert_int_eq(source_open_child(s.root, name, false), -ENAMETOOLONG);
	fd = source_open_child(s.root, "file", false);
	ck_assert_int_ge(fd, 0);
	ck_assert(fcntl(fd, F_GETFL) & O_PATH);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(source_open_child(fd, "x", false), -ENOTDIR);
	close(fd);
	fd = source_open_child(s.root, "link", false);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	close(fd);
	source_deinit(&s);
}
END_TEST

/* From memory or not at all; and what was just used is in memory. */
START_TEST(test_cached_only)
{
	static const char *const names[] = { "file", "link", "sub", "missing" };
	struct source s;

	enter("cached");
	open_ok(&s, "s");
	if (!kernel.has[KERNEL_RESOLVE_CACHED]) {
		ck_assert_int_eq(source_open_child(s.root, "file", true), -EINVAL);
		source_deinit(&s);
		return;
	}
	for (int i = 0; i < 3; i++) {
		int fd = source_open_child(s.root, names[i], false);

		ck_assert_int_ge(fd, 0);
		close(fd);
		fd = source_open_child(s.root, names[i], true);
		ck_assert_msg(fd >= 0 || fd == -EAGAIN, "%d", fd);
		if (fd >= 0)
			close(fd);
	}
	for (int i = 0; i < 2; i++) {
		int fd = source_open_child(s.root, "missing", true);

		ck_assert_msg(fd == -ENOENT || fd == -EAGAIN, "%d", fd);
	}
	source_deinit(&s);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("source_child");

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_base, remove_base);
	tcase_add_test(tc, test_open_child);
	tcase_add_test(tc, test_cached_only);
	return run_case("source_child", tc);
}
