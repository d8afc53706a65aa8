// SPDX-License-Identifier: GPL-2.0-only
/* Extended attributes of every namespace. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of PATH's xattrs, sorted. */
static void say_list(struct ops *o, const char *step, const char *path)
{
	char buf[8192], line[4096] = "", *names[256];
	ssize_t len = llistxattr(path, buf, sizeof(buf));
	size_t n = 0, i, at = 0;
	char *p;

	if (len < 0) {
		ops_try(o, step, -1);
		return;
	}
	for (p = buf; p < buf + len && n < 256; p += strlen(p) + 1)
		names[n++] = p;
	qsort(names, n, sizeof(names[0]), by_text);
	for (i = 0; i < n && at + strlen(names[i]) + 2 < sizeof(line); i++)
		at += (size_t)sprintf(line + at, "%s%s", i ? " " : "", names[i]);
	ops_say(o, step, "[%s]", line);
}

static void say_value(struct ops *o, const char *step, const char *path, const char *name)
{
	char buf[70000];
	ssize_t n = lgetxattr(path, name, buf, sizeof(buf));

	if (n < 0)
		ops_try(o, step, -1);
	else
		ops_bytes(o, step, buf, (size_t)n);
}

static void xattr_user(struct ops *o)
{
	char buf[64];

	ops_mk(o, "f", "x");
	TRY(o, getxattr("f", "user.a", buf, sizeof(buf)));
	say_list(o, "none", "f");
	TIMES(o, "f", setxattr("f", "user.a", "value", 5, 0));
	say_value(o, "user.a", "f", "user.a");
	TRY(o, getxattr("f", "user.a", buf, 0));
	TRY(o, getxattr("f", "user.a", buf, 4));
	TRY(o, getxattr("f", "user.a", buf, 5));
	TRY(o, setxattr("f", "user.a", "again", 5, XATTR_CREATE));
	TRY(o, setxattr("f", "user.b", "again", 5, XATTR_REPLACE));
	TRY(o, setxattr("f", "user.a", "replaced", 8, XATTR_REPLACE));
	TRY(o, setxattr("f", "user.b", "created", 7, XATTR_CREATE));
	TRY(o, setxattr("f", "user.c", "both", 4, XATTR_CREATE | XATTR_REPLACE));
	TRY(o, setxattr("f", "user.c", "bad", 3, 0xf0));
	say_value(o, "user.a", "f", "user.a");
	TRY(o, setxattr("f", "user.empty", "", 0, 0));
	say_value(o, "empty", "f", "user.empty");
	TRY(o, setxattr("f", "user.\xc3\xa9 \n", "odd", 3, 0));
	say_list(o, "all", "f");
	TRY(o, listxattr("f", buf, 0) > 0);
	TRY(o, listxattr("f", buf, 3));
	TIMES(o, "f", removexattr("f", "user.a"));
	TRY(o, removexattr("f", "user.a"));
	TRY(o, setxattr("missing", "user.a", "x", 1, 0));
	TRY(o, getxattr("missing", "user.a", buf, 1));
	TRY(o, listxattr("missing", buf, 1));
	TRY(o, removexattr("missing", "user.a"));
	TRY(o, rename("f", "g"));
	say_list(o, "renamed", "g");
}

static void xattr_names(struct ops *o)
{
	char name[300] = "user.", buf[16];

	ops_mk(o, "f", "x");
	memset(name + 5, 'n', 250);
	TRY(o, setxattr("f", name, "long", 4, 0));
	say_value(o, "255 bytes", "f", name);
	name[255] = 'n';
	TRY(o, setxattr("f", name, "long", 4, 0));
	TRY(o, getxattr("f", name, buf, 4));
	TRY(o, setxattr("f", "user.", "x", 1, 0));
	TRY(o, setxattr("f", "user", "x", 1, 0));
	TRY(o, setxattr("f", "", "x", 1, 0));
	TRY(o, getxattr("f", "", buf, 1));
	TRY(o, setxattr("f", "nonsense.a", "x", 1, 0));
	TRY(o, getxattr("f", "nonsense.a", buf, 1));
	TRY(o, removexattr("f", "nonsense.a"));
	TRY(o, setxattr("f", "system.a", "x", 1, 0));
	TRY(o, getxattr("f", "system.a", buf, 1));
	TRY(o, setxattr("f", "User.a", "x", 1, 0));
	TRY(o, setxattr("f", "os2.a", "x", 1, 0));
	TRY(o, getxattr("f", "os2.a", buf, 1));
	TRY(o, getxattr("f", "btrfs.compression", buf, 16));
	say_list(o, "all", "f");
}

static void xattr_large(struct ops *o)
{
	static const size_t lengths[] = { 100, 1000, 3000, 4000, 5000, 16000, 60000, 65536, 65537 };
	char *value = malloc(70000), step[64];
	size_t i;
	int n, bad = 0;

	ops_mk(o, "f", "x");
	ops_pattern(value, 70000, 6);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		snprintf(step, sizeof(step), "set %zu bytes", lengths[i]);
		ops_try(o, step, setxattr("f", "user.large", value, lengths[i], 0));
		snprintf(step, sizeof(step), "get after %zu", lengths[i]);
		say_value(o, step, "f", "user.large");
		ops_try(o, step, getxattr("f", "user.large", NULL, 0));
	}
	TRY(o, setxattr("f", "user.large", value, 10, XATTR_REPLACE));
	say_value(o, "small again", "f", "user.large");
	ops_mk(o, "g", "x");
	for (n = 0; n < 50; n++) {
		snprintf(step, sizeof(step), "user.%d", n);
		bad += setxattr("g", step, step, strlen(step), 0) < 0;
	}
	ops_say(o, "of 50 not set", "%d", bad);
	say_list(o, "50", "g");
	TRY(o, getxattr("f", "user.large", value, 70000));
	free(value);
}

static void xattr_kinds(struct ops *o)
{
	char buf[16];
	int fd;

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	TRY(o, symlink("f", "s"));
	TRY(o, symlink("missing", "dangling"));
	TRY(o, mkfifo("p", 0644));
	TRY(o, mknod("sock", S_IFSOCK | 0644, 0));
	TRY(o, setxattr("d", "user.dir", "d", 1, 0));
	say_list(o, "directory", "d");
	TRY(o, setxattr("s", "user.through", "s", 1, 0));
	say_list(o, "file", "f");
	say_list(o, "symlink", "s");
	TRY(o, lsetxattr("s", "user.link", "s", 1, 0));
	TRY(o, lgetxattr("s", "user.link", buf, 1));
	TRY(o, lremovexattr("s", "user.link"));
	TRY(o, setxattr("dangling", "user.a", "x", 1, 0));
	TRY(o, setxattr("p", "user.a", "x", 1, 0));
	TRY(o, getxattr("p", "user.a", buf, 1));
	TRY(o, setxattr("sock", "user.a", "x", 1, 0));
	TRY(o, lsetxattr("s", "trusted.link", "t", 1, 0));
	TRY(o, lsetxattr("s", "security.link", "t", 1, 0));
	say_list(o, "symlink", "s");
	say_value(o, "symlink", "s", "trusted.link");
	fd = ops_open(o, "f", O_RDONLY);
	TRY(o, fsetxattr(fd, "user.fd", "x", 1, 0));
	TRY(o, fgetxattr(fd, "user.fd", buf, 16));
	TRY(o, flistxattr(fd, NULL, 0) > 0);
	fd = open("f", O_PATH);
	TRY(o, fsetxattr(fd, "user.fd", "x", 1, 0));
	TRY(o, fgetxattr(fd, "user.fd", buf, 16));
	TRY(o, chmod("f", 0444));
	TRY(o, setxattr("f", "user.readonly", "x", 1, 0));
	TRY(o, chmod("f", 0));
	TRY(o, getxattr("f", "user.fd", buf, 16));
	TRY(o, removexattr("f", "user.fd"));
}

static void xattr_spaces(struct ops *o)
{
	char buf[64];

	ops_mk(o, "f", "x");
	TRY(o, setxattr("f", "trusted.a", "t", 1, 0));
	TRY(o, getxattr("f", "trusted.a", buf, 16));
	TRY(o, removexattr("f", "trusted.missing"));
	TRY(o, getxattr("f", "trusted.missing", buf, 16));
	TRY(o, setxattr("f", "security.a", "s", 1, 0));
	TRY(o, getxattr("f", "security.a", buf, 16));
	TRY(o, getxattr("f", "security.missing", buf, 16));
	TRY(o, getxattr("f", "security.capability", buf, 64));
	TRY(o, setxattr("f", "security.capability", "bad", 3, 0));
	TRY(o, getxattr("f", "security.selinux", buf, 64));
	TRY(o, setxattr("f", "user.u", "u", 1, 0));
	say_list(o, "all", "f");
	TRY(o, removexattr("f", "security.a"));
	say_list(o, "left", "f");
}

static void as_other(struct ops *o, void *arg)
{
	char buf[64];

	(void)arg;
	say_list(o, "a user lists", "f");
	TRY(o, getxattr("f", "trusted.a", buf, 16));
	TRY(o, setxattr("f", "trusted.a", "x", 1, 0));
	TRY(o, removexattr("f", "trusted.a"));
	TRY(o, getxattr("f", "security.a", buf, 16));
	TRY(o, setxattr("f", "security.a", "x", 1, 0));
	TRY(o, getxattr("f", "user.a", buf, 16));
	TRY(o, setxattr("f", "user.a", "x", 1, 0));
	TRY(o, removexattr("f", "user.a"));
	TRY(o, getxattr("private", "user.a", buf, 16));
	say_list(o, "private", "private");
	TRY(o, setxattr("mine", "user.a", "x", 1, 0));
	TRY(o, setxattr("sticky", "user.a", "x", 1, 0));
	TRY(o, setxattr("sticky", "user.b", "x", 1, XATTR_CREATE));
	TRY(o, getxattr("sticky", "user.a", buf, 16));
}

static void xattr_users(struct ops *o)
{
	ops_mk(o, "f", "x");
	ops_mk(o, "private", "x");
	ops_mk(o, "mine", "x");
	ops_mkdir(o, "sticky", 01777);
	TRY(o, chmod("private", 0600));
	TRY(o, chown("mine", USER_A, USER_A));
	TRY(o, setxattr("f", "trusted.a", "t", 1, 0));
	TRY(o, setxattr("f", "security.a", "s", 1, 0));
	TRY(o, setxattr("f", "user.a", "u", 1, 0));
	TRY(o, setxattr("private", "user.a", "u", 1, 0));
	TRY(o, setxattr("sticky", "user.a", "root's", 6, 0));
	say_list(o, "root lists", "f");
	ops_as(o, &ops_user_a, as_other, NULL);
	say_list(o, "root lists", "f");
	say_list(o, "root lists sticky", "sticky");
}

const struct scenario xattr_scenarios[] = {
	{ "xattr_user", xattr_user, OPS_BOTH },
	{ "xattr_names", xattr_names, OPS_BOTH },
	{ "xattr_large", xattr_large, OPS_BOTH },
	{ "xattr_kinds", xattr_kinds, OPS_BOTH },
	{ "xattr_spaces", xattr_spaces, OPS_BOTH },
	{ "xattr_users", xattr_users, OPS_ROOT },
	{ 0 },
};
