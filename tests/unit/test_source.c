/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/source.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "source_fixture.h"
#include "suite.h"

#define SOMEBODY 4242 /* an uid without privileges */

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void open_ok(struct source *s, const char *path)
{
	char err[256] = "";
	int result = source_open(s, &kernel, path, err, sizeof(err));

	ck_assert_msg(result == 0, "%d %s", result, err);
}

/* Refused with one line that names the path, and without a descriptor left behind. */
static void refused(const char *path, int error)
{
	unsigned before = count_fds();
	char err[512] = "";
	struct source s;

	ck_assert_int_eq(source_open(&s, &kernel, path, err, sizeof(err)), error);
	ck_assert_msg(strncmp(err, path, strlen(path)) == 0, "%s", err);
	ck_assert_msg(strstr(err, strerror(-error)) != NULL, "%s", err);
	ck_assert_ptr_null(strchr(err, '\n'));
	source_deinit(&s);
	ck_assert_uint_eq(count_fds(), before);
	/* A short buffer is no reason to write past it. */
	memset(err, 'x', sizeof(err));
	source_open(&s, &kernel, path, err, 8);
	ck_assert(err[7] == '\0' && err[8] == 'x');
	source_deinit(&s);
}

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	printf("not root: not tested\n");
	return false;
}

/* Mounts of our own from here on, seen by nobody else. */
static void private_mounts(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

static void mount_tmpfs(const char *where)
{
	char marker[256];

	ck_assert_int_eq(mount("test", where, "tmpfs", 0, "size=1m"), 0);
	snprintf(marker, sizeof(marker), "%s/marker", where);
	create(marker);
}

static bool shows(const struct source *s, const char *name)
{
	return faccessat(s->root, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static dev_t device_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_dev;
}

START_TEST(test_open)
{
	unsigned before = count_fds();
	char path[256];
	struct source s;
	struct stat st;

	enter("open");
	open_ok(&s, "s/../s");
	snprintf(path, sizeof(path), "%s/open/s", base);
	ck_assert_str_eq(s.path, path);
	ck_assert_int_eq(stat("s", &st), 0);
	ck_assert_uint_eq(s.device, st.st_dev);
	ck_assert(shows(&s, "file") && shows(&s, "sub/inner"));
	ck_assert_int_eq(fcntl(s.root, F_GETFL) & (O_PATH | O_ACCMODE), O_RDONLY);
	ck_assert_int_lt(s.proc_fds, 0);
	ck_assert_int_eq(source_start(&s), 0);
	snprintf(path, sizeof(path), "%d", s.root);
	ck_assert_int_eq(faccessat(s.proc_fds, path, F_OK, 0), 0);
	for (int fd = 3; fd < 64; fd++)
		if (fd == s.tree || fd == s.root || fd == s.proc || fd == s.proc_fds)
			ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	if (geteuid() == 0 && kernel.has[KERNEL_OPEN_TREE]) {
		ck_assert_int_ge(s.tree, 0);
		ck_assert(s.by_handle);
	}
	source_deinit(&s);
	source_deinit(&s);
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

START_TEST(test_refused)
{
	char deep[6000] = "";

	enter("refused");
	refused("missing", -ENOENT);
	refused("s/file", -ENOTDIR);
	refused("s/link", -ENOTDIR);
	refused("s/file/x", -ENOTDIR);
	refused("", -ENOENT);
	memset(deep, 'x', 300);
	refused(deep, -ENAMETOOLONG);
}
END_TEST

START_TEST(test_unreadable)
{
	enter("unreadable");
	ck_assert_int_eq(mkdir("closed", 0), 0);
	ck_assert_int_eq(mkdir("enter_only", 0711), 0);
	if (!is_root())
		return;
	ck_assert_int_eq(setresuid(SOMEBODY, SOMEBODY, SOMEBODY), 0);
	refused("closed", -EACCES);
	refused("enter_only", -EACCES);
	refused("closed/x", -EACCES);
}
END_TEST

/* An ordinary user has no clone and no handles, but a view all the same. */
START_TEST(test_ordinary_user)
{
	struct source s;

	enter("ordinary");
	if (!is_root())
		return;
	ck_assert_int_eq(setresuid(SOMEBODY, SOMEBODY, SOMEBODY), 0);
	open_ok(&s, "s");
	ck_assert_int_lt(s.tree, 0);
	ck_assert(!s.by_handle);
	ck_assert(shows(&s, "sub/inner"));
	ck_assert_int_eq(source_start(&s), 0);
	source_deinit(&s);
}
END_TEST

enum view { VIEW_ROOT, VIEW_OLD_KERNEL, VIEW_USER, VIEWS };

/* Opens SOURCE as root, as root on a kernel without mount_setattr, or as an ordinary user. */
static void open_view(struct source *s, enum view view, const char *path)
{
	if (view == VIEW_OLD_KERNEL)
		kernel.has[KERNEL_MOUNT_SETATTR] = false;
	if (view == VIEW_USER)
		ck_assert_int_eq(seteuid(SOMEBODY), 0);
	open_ok(s, path);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(s->tree >= 0, view == VIEW_ROOT);
}

/* A mount over SOURCE, made afterwards, changes nothing for us. */
START_TEST(test_covered)
{
	char name[32];
	struct source s;
	int fd;

	snprintf(name, sizeof(name), "covered%d", _i);
	enter(name);
	if (!is_root())
		return;
	private_mounts();
	open_view(&s, _i, "s");
	mount_tmpfs("s");
	ck_assert(access("s/marker", F_OK) == 0 && access("s/file", F_OK) < 0);
	ck_assert(shows(&s, "file") && !shows(&s, "marker"));
	fd = source_open_child(s.root, "sub", false);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(faccessat(fd, "inner", F_OK, 0), 0);
	source_deinit(&s);
}
END_TEST

/* Other filesystems below SOURCE, mounted before or after, are never entered. */
START_TEST(test_submount)
{
	char name[32];
	struct source s;

	snprintf(name, sizeof(name), "submount%d", _i);
	enter(name);
	ck_assert_int_eq(mkdir("s/late", 0755), 0);
	if (!is_root())
		return;
	private_mounts();
	mount_tmpfs("s/sub");
	open_view(&s, _i, "s");
	mount_tmpfs("s/late");
	for (int i = 0; i < 2; i++) {
		int fd = source_open_child(s.root, i ? "late" : "sub", false);

		if (s.tree < 0) {
			ck_assert_int_eq(fd, -EXDEV);
			continue;
		}
		ck_assert_int_ge(fd, 0);
		ck_assert_uint_eq(device_of(fd), s.device);
		ck_assert_int_lt(faccessat(fd, "marker", F_OK, 0), 0);
		if (!i)
			ck_assert_int_eq(faccessat(fd, "inner", F_OK, 0), 0);
		close(fd);
	}
	source_deinit(&s);
}
END_TEST

/* Where mounts propagate, as they do on most systems, none comes into our view. */
START_TEST(test_shared_mounts)
{
	struct source s;
	int fd;

	enter("shared");
	if (!is_root())
		return;
	private_mounts();
	mount_tmpfs("s");
	ck_assert_int_eq(mount(NULL, "s", NULL, MS_SHARED, NULL), 0);
	ck_assert_int_eq(mkdir("s/sub", 0755), 0);
	create("s/sub/inner");
	open_ok(&s, "s");
	mount_tmpfs("s/sub");
	fd = source_open_child(s.root, "sub", false);
	if (s.tree < 0) {
		ck_assert_int_eq(fd, -EXDEV);
	} else {
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(faccessat(fd, "inner", F_OK, 0), 0);
		ck_assert_int_lt(faccessat(fd, "marker", F_OK, 0), 0);
	}
	source_deinit(&s);
}
END_TEST

START_TEST(test_flags)
{
	struct source s;

	enter("flags");
	if (!is_root())
		return;
	private_mounts();
	ck_assert_int_eq(mount("test", "s", "tmpfs", MS_NODEV | MS_NOSUID | MS_RDONLY, NULL), 0);
	open_ok(&s, "s");
	ck_assert(s.flags & ST_RDONLY && s.flags & ST_NODEV && s.flags & ST_NOSUID);
	ck_assert(!(s.flags & ST_NOEXEC));
	ck_assert_uint_eq(s.filesystem, 0x01021994); /* TMPFS_MAGIC */
	ck_assert(s.by_handle);
	source_deinit(&s);
}
END_TEST

/* No handles, no reopening by them. */
START_TEST(test_without_handles)
{
	struct source s;

	open_ok(&s, "/proc/self/fdinfo");
	ck_assert(!s.by_handle);
	source_deinit(&s);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("source");

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_base, remove_base);
	tcase_add_test(tc, test_open);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_unreadable);
	tcase_add_test(tc, test_ordinary_user);
	tcase_add_loop_test(tc, test_covered, 0, VIEWS);
	tcase_add_loop_test(tc, test_submount, 0, VIEWS);
	tcase_add_test(tc, test_shared_mounts);
	tcase_add_test(tc, test_flags);
	tcase_add_test(tc, test_without_handles);
	return run_case("source", tc);
}
