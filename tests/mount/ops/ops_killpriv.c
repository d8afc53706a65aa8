// SPDX-License-Identifier: GPL-2.0-only
/* setuid, setgid and file capabilities go when somebody writes. */
#include "ops.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <unistd.h>

struct target {
	const char *path;
	int fd;
};

static int by_write(const struct target *t)
{
	return pwrite(t->fd, "x", 1, 0) == 1 ? 0 : -1;
}

static int by_append(const struct target *t)
{
	int fd = open(t->path, O_WRONLY | O_APPEND);
	int ret = write(fd, "x", 1) == 1 ? 0 : -1;

	close(fd);
	return ret;
}

static int by_nothing(const struct target *t)
{
	return (int)pwrite(t->fd, "x", 0, 0);
}

static int by_ftruncate(const struct target *t)
{
	return ftruncate(t->fd, 10);
}

static int by_truncate(const struct target *t)
{
	return truncate(t->path, 12);
}

static int by_o_trunc(const struct target *t)
{
	return close(open(t->path, O_WRONLY | O_TRUNC));
}

static int by_fallocate(const struct target *t)
{
	return fallocate(t->fd, 0, 0, 5000);
}

static int by_sendfile(const struct target *t)
{
	off_t at = 0;
	int in = open("src", O_RDONLY), ret;

	ret = sendfile(t->fd, in, &at, 5) == 5 ? 0 : -1;
	close(in);
	return ret;
}

static int by_copy(const struct target *t)
{
	off_t from = 0, to = 0;
	int in = open("src", O_RDONLY), ret;

	ret = copy_file_range(in, &from, t->fd, &to, 5, 0) == 5 ? 0 : -1;
	close(in);
	return ret;
}

static int by_mmap(const struct target *t)
{
	char *p = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);

	if (p == MAP_FAILED)
		return -1;
	p[0] = 'm';
	msync(p, 10, MS_SYNC);
	return munmap(p, 10);
}

static int by_direct(const struct target *t)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(t->path, O_WRONLY | O_DIRECT);
	int ret = pwrite(fd, p, 4096, 0) == 4096 ? 0 : -1;

	close(fd);
	munmap(p, 4096);
	return ret;
}

static int by_read(const struct target *t)
{
	char c;

	return pread(t->fd, &c, 1, 0) == 1 ? 0 : -1;
}

static int by_open(const struct target *t)
{
	return close(open(t->path, O_RDWR));
}

static const struct {
	const char *name;
	int (*fn)(const struct target *t);
} ways[] = {
	{ "write", by_write },	       { "append", by_append },	    { "write of 0", by_nothing },
	{ "ftruncate", by_ftruncate }, { "truncate", by_truncate }, { "O_TRUNC", by_o_trunc },
	{ "fallocate", by_fallocate }, { "sendfile", by_sendfile }, { "copy", by_copy },
	{ "mmap", by_mmap },	       { "direct", by_direct },	    { "read", by_read },
	{ "open", by_open },
};

#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static void write_all(struct ops *o, void *arg)
{
	const mode_t *mode = arg;
	char name[32], step[64];
	size_t i;

	for (i = 0; i < N_WAYS; i++) {
		struct target t = { .path = name };

		snprintf(name, sizeof(name), "f%zu", i);
		snprintf(step, sizeof(step), "%04o, %s", *mode, ways[i].name);
		t.fd = open(name, O_RDWR);
		ops_try(o, step, t.fd < 0 ? -1 : ways[i].fn(&t));
		ops_show(o, step, AT_FDCWD, name);
		close(t.fd);
		ops_show(o, step, AT_FDCWD, name);
	}
}

static void make_files(struct ops *o, mode_t mode, uid_t uid, gid_t gid)
{
	char name[32];
	size_t i;

	for (i = 0; i < N_WAYS; i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		ops_mk(o, name, "0123456789 and more");
		if ((o->root && chown(name, uid, gid) < 0) || chmod(name, mode) < 0)
			ops_try(o, "set-up", -1);
	}
}

static mode_t modes[] = { 06777, 04766, 02777, 02767, 06755 };

/* The owner, who is not privileged. */
static void killpriv_own(struct ops *o)
{
	size_t i;

	ops_mk(o, "src", "0123456789");
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		make_files(o, modes[i], getuid(), getgid());
		write_all(o, &modes[i]);
	}
}

/* Another user, and root, who is. */
static void killpriv_other(struct ops *o)
{
	size_t i;

	ops_mk(o, "src", "0123456789");
	for (i = 0; i < 4; i++) {
		make_files(o, modes[i], USER_A, GROUP_X);
		ops_as(o, &ops_user_b, write_all, &modes[i]);
	}
	for (i = 0; i < 2; i++) {
		make_files(o, modes[i], USER_A, GROUP_X);
		write_all(o, &modes[i]);
	}
}

/* Who is in the file's group, if not by his first, may leave setgid where it means no execution. */
static void killpriv_groups(struct ops *o)
{
	static const gid_t groups[] = { GROUP_Y, GROUP_X };
	const struct ops_user user = { USER_B, USER_B, 1, { GROUP_Y } };
	mode_t mode = 02666;
	size_t i;

	ops_mk(o, "src", "0123456789");
	for (i = 0; i < 2; i++) {
		make_files(o, mode, USER_A, groups[i]);
		ops_as(o, &user, write_all, &mode);
	}
}

static void chown_nothing(struct ops *o, void *arg)
{
	(void)arg;
	TRY(o, chown("f", -1, -1));
	SHOW(o, "f");
	TRY(o, chown("plain", -1, -1));
}

static void chown_written(struct ops *o, void *arg)
{
	(void)arg;
	ops_try(o, "while somebody writes, chown", chown("f", -1, -1));
	SHOW(o, "f");
}

/* Setting neither owner clears setuid, too, which only the owner may. */
static void killpriv_nothing(struct ops *o)
{
	size_t i;
	int fd;

	ops_mk(o, "plain", "text");
	ops_mk(o, "f", "text");
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		TRY(o, chown("f", USER_A, USER_A));
		TRY(o, chmod("f", modes[i]));
		ops_as(o, &ops_user_b, chown_nothing, NULL);
		ops_as(o, &ops_user_a, chown_nothing, NULL);
	}
	TRY(o, chmod("f", 04777));
	fd = ops_open(o, "f", O_RDWR);
	ops_as(o, &ops_user_b, chown_written, NULL);
	close(fd);
}

struct later {
	const char *who;
	mode_t mode;
	int fd;
};

static void write_later(struct ops *o, void *arg)
{
	const struct later *l = arg;
	char step[64];

	snprintf(step, sizeof(step), "%04o since it was opened, written by %s", l->mode, l->who);
	ops_try(o, step, pwrite(l->fd, "x", 1, 0));
	ops_show(o, step, AT_FDCWD, "f");
}

/* Opened, and so on its way, when it was a plain file. */
static void killpriv_later(struct ops *o)
{
	const struct ops_user member = { USER_B, USER_B, 1, { GROUP_X } };
	const mode_t later_modes[] = { 06777, 04766, 02666, 02767 };
	struct later l;
	size_t i;

	for (i = 0; i < sizeof(later_modes) / sizeof(later_modes[0]); i++) {
		l.mode = later_modes[i];
		ops_mk(o, "f", "text");
		if (chown("f", USER_A, GROUP_X) < 0)
			ops_try(o, "set-up", -1);
		l.fd = ops_open(o, "f", O_RDWR);
		chmod("f", l.mode);
		l.who = "another";
		ops_as(o, &ops_user_b, write_later, &l);
		chmod("f", l.mode);
		l.who = "a member";
		ops_as(o, &member, write_later, &l);
		chmod("f", l.mode);
		l.who = "root";
		write_later(o, &l);
		close(l.fd);
	}
}

static int set_cap(const char *path)
{
	const struct vfs_cap_data cap = {
		.magic_etc = htole32(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE),
		.data[0].permitted = htole32(1u << CAP_NET_RAW),
	};

	return setxattr(path, "security.capability", &cap, XATTR_CAPS_SZ_2, 0);
}

static void say_caps(struct ops *o)
{
	char name[32], step[64], buf[64];
	size_t i;

	for (i = 0; i < N_WAYS; i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		snprintf(step, sizeof(step), "capability after %s", ways[i].name);
		ops_try(o, step, getxattr(name, "security.capability", buf, sizeof(buf)));
	}
}

static void killpriv_caps(struct ops *o)
{
	mode_t mode = 0777;
	char name[32];
	size_t i;

	ops_mk(o, "src", "0123456789");
	make_files(o, mode, USER_A, GROUP_X);
	for (i = 0; i < N_WAYS; i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		if (set_cap(name) < 0)
			ops_try(o, "set-up", -1);
	}
	ops_as(o, &ops_user_b, write_all, &mode);
	say_caps(o);
	for (i = 0; i < N_WAYS; i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		if (set_cap(name) < 0)
			ops_try(o, "set-up", -1);
	}
	write_all(o, &mode);
	say_caps(o);
	TRY(o, set_cap("f0"));
	TRY(o, chmod("f0", 0755));
	TRY(o, getxattr("f0", "security.capability", name, sizeof(name)));
	TRY(o, chown("f0", USER_B, GROUP_Y));
	TRY(o, getxattr("f0", "security.capability", name, sizeof(name)));
	TRY(o, set_cap("f0"));
	TRY(o, rename("f0", "g"));
	TRY(o, getxattr("g", "security.capability", name, sizeof(name)));
}

const struct scenario killpriv_scenarios[] = {
	{ "killpriv_own", killpriv_own, OPS_USER },
	{ "killpriv_other", killpriv_other, OPS_ROOT },
	{ "killpriv_nothing", killpriv_nothing, OPS_ROOT },
	{ "killpriv_groups", killpriv_groups, OPS_ROOT },
	{ "killpriv_later", killpriv_later, OPS_ROOT },
	{ "killpriv_caps", killpriv_caps, OPS_ROOT },
	{ 0 },
};
