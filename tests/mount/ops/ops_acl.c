// SPDX-License-Identifier: GPL-2.0-only
/* POSIX ACLs, as the raw system.posix_acl_* attributes that libacl reads and writes. */
#include "ops.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS	"system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

/* tags of linux/posix_acl.h, which user space does not have */
enum {
	TAG_USER_OBJ = 0x01,
	TAG_USER = 0x02,
	TAG_GROUP_OBJ = 0x04,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHER = 0x20,
};

struct acl {
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry e[16];
};

/* "u::7 u:12345:6 g::5 g:20001:7 m::7 o::0" (sorted as the kernel wants it) */
static int set_acl(const char *path, const char *name, const char *text)
{
	struct acl acl = { .head.a_version = htole32(POSIX_ACL_XATTR_VERSION) };
	size_t n = 0;
	const char *p;

	for (p = text; *p && n < 16; n++) {
		bool named = p[2] != ':';
		uint16_t tag = *p == 'u'   ? (named ? TAG_USER : TAG_USER_OBJ)
			       : *p == 'g' ? (named ? TAG_GROUP : TAG_GROUP_OBJ)
			       : *p == 'm' ? TAG_MASK
					   : TAG_OTHER;
		char *end;
		uint32_t id = named ? (uint32_t)strtoul(p + 2, &end, 10) : UINT32_MAX;

		if (!named)
			end = (char *)p + 2;
		acl.e[n].e_tag = htole16(tag);
		acl.e[n].e_perm = htole16((uint16_t)(end[1] - '0'));
		acl.e[n].e_id = htole32(id);
		p = end + 2 + (end[2] == ' ');
	}
	return setxattr(path, name, &acl, sizeof(acl.head) + n * sizeof(acl.e[0]), 0);
}

static void say_acl(struct ops *o, const char *path, const char *name)
{
	static const char *const tags[] = {
		[TAG_USER_OBJ] = "u", [TAG_USER] = "u", [TAG_GROUP_OBJ] = "g",
		[TAG_GROUP] = "g",    [TAG_MASK] = "m", [TAG_OTHER] = "o"
	};
	char line[1024] = "", step[128];
	struct acl acl;
	ssize_t len = getxattr(path, name, &acl, sizeof(acl));
	size_t at = 0, i;

	snprintf(step, sizeof(step), "%s of %s", strrchr(name, '_') + 1, path);
	if (len < 0) {
		ops_try(o, step, -1);
		return;
	}
	for (i = 0; i < ((size_t)len - sizeof(acl.head)) / sizeof(acl.e[0]); i++) {
		uint16_t tag = le16toh(acl.e[i].e_tag);
		char id[16] = "";

		if (tag == TAG_USER || tag == TAG_GROUP)
			snprintf(id, sizeof(id), "%u", le32toh(acl.e[i].e_id));
		at += (size_t)snprintf(line + at, sizeof(line) - at, " %s:%s:%u",
				       tag <= TAG_OTHER && tags[tag] ? tags[tag] : "?", id,
				       le16toh(acl.e[i].e_perm));
	}
	ops_say(o, step, "%s", line + 1);
}

static void acl_access(struct ops *o)
{
	char buf[256];

	ops_mk(o, "f", "x");
	ops_mkdir(o, "d", 0755);
	say_acl(o, "f", ACCESS);
	TRY(o, listxattr("f", buf, sizeof(buf)) >= 0);
	TIMES(o, "f", set_acl("f", ACCESS, "u::6 u:12346:7 g::4 m::6 o::0"));
	SHOW(o, "f");
	say_acl(o, "f", ACCESS);
	TRY(o, getxattr("f", ACCESS, NULL, 0));
	TRY(o, getxattr("f", ACCESS, buf, 5));
	/* the group's bits of the mode are the mask */
	TRY(o, chmod("f", 0615));
	say_acl(o, "f", ACCESS);
	SHOW(o, "f");
	TRY(o, chmod("f", 04777));
	say_acl(o, "f", ACCESS);
	/* one that a mode can say is no ACL any more */
	TRY(o, set_acl("f", ACCESS, "u::6 g::4 o::4"));
	say_acl(o, "f", ACCESS);
	SHOW(o, "f");
	TRY(o, set_acl("f", ACCESS, "u::6 u:12346:7 g::4 m::6 o::0"));
	TRY(o, removexattr("f", ACCESS));
	SHOW(o, "f");
	say_acl(o, "f", ACCESS);
	TRY(o, removexattr("f", ACCESS));
	TRY(o, set_acl("f", DEFAULT, "u::6 g::4 o::4"));
	TRY(o, removexattr("f", DEFAULT));
	say_acl(o, "f", DEFAULT);
	TRY(o, setxattr("f", ACCESS, "", 0, 0));
	TRY(o, setxattr("f", ACCESS, "bad", 3, 0));
	TRY(o, setxattr("f", ACCESS, "\1\0\0\0", 4, 0));
	TRY(o, set_acl("f", ACCESS, "u::6 u:12346:7 g::4 o::0"));
	TRY(o, set_acl("f", ACCESS, "u::6 o::0"));
	TRY(o, set_acl("f", ACCESS, "o::6 u::7 g::4"));
	TRY(o, symlink("f", "s"));
	TRY(o, lsetxattr("s", ACCESS, buf, 28, 0));
	TRY(o, lgetxattr("s", ACCESS, buf, 28));
}

static void acl_default(struct ops *o)
{
	ops_mkdir(o, "d", 0755);
	TRY(o, set_acl("d", DEFAULT, "u::7 u:12346:7 g::5 g:20001:6 m::7 o::1"));
	SHOW(o, "d");
	say_acl(o, "d", DEFAULT);
	say_acl(o, "d", ACCESS);
	umask(077);
	FD(o, open("d/f", O_CREAT | O_RDWR, 0666));
	SHOW(o, "d/f");
	say_acl(o, "d/f", ACCESS);
	FD(o, open("d/narrow", O_CREAT | O_RDWR, 0640));
	SHOW(o, "d/narrow");
	say_acl(o, "d/narrow", ACCESS);
	TRY(o, mkdir("d/sub", 0777));
	SHOW(o, "d/sub");
	say_acl(o, "d/sub", ACCESS);
	say_acl(o, "d/sub", DEFAULT);
	TRY(o, mknod("d/fifo", S_IFIFO | 0666, 0));
	SHOW(o, "d/fifo");
	say_acl(o, "d/fifo", ACCESS);
	TRY(o, symlink("f", "d/s"));
	SHOW(o, "d/s");
	FD(o, open("d", O_TMPFILE | O_RDWR, 0666));
	ops_mk(o, "outside", "x");
	SHOW(o, "outside");
	TRY(o, rename("outside", "d/outside"));
	SHOW(o, "d/outside");
	say_acl(o, "d/outside", ACCESS);
	TRY(o, chmod("d/sub", 02700));
	say_acl(o, "d/sub", ACCESS);
	say_acl(o, "d/sub", DEFAULT);
	TRY(o, removexattr("d/sub", DEFAULT));
	TRY(o, removexattr("d/sub", DEFAULT));
	TRY(o, mkdir("d/sub/again", 0777));
	SHOW(o, "d/sub/again");
	say_acl(o, "d/sub/again", ACCESS);
	/* a default ACL that only restates a mode still replaces the umask */
	ops_mkdir(o, "e", 0755);
	TRY(o, set_acl("e", DEFAULT, "u::7 g::5 o::5"));
	FD(o, open("e/f", O_CREAT | O_RDWR, 0777));
	SHOW(o, "e/f");
	say_acl(o, "e/f", ACCESS);
}

static void by_acl(struct ops *o, void *arg)
{
	(void)arg;
	FD(o, open("f", O_RDONLY));
	FD(o, open("f", O_RDWR));
	FD(o, open("g", O_RDONLY));
	FD(o, open("masked", O_WRONLY));
	FD(o, open("d/made", O_CREAT | O_RDWR, 0666));
	SHOW(o, "d/made");
	TRY(o, mkdir("d/sub", 0777));
	SHOW(o, "d/sub");
	TRY(o, access("f", W_OK));
	TRY(o, access("masked", W_OK));
	TRY(o, access("f", X_OK));
	TRY(o, set_acl("f", ACCESS, "u::7 g::7 o::7"));
	TRY(o, set_acl("d/made", ACCESS, "u::7 u:12345:0 g::7 m::7 o::7"));
	TRY(o, removexattr("f", ACCESS));
	say_acl(o, "f", ACCESS);
	FD(o, open("closed/x", O_RDONLY));
}

/* ACLs decide who may do what: a named user, a named group, neither. */
static void acl_permission(struct ops *o)
{
	const struct ops_user in_x = { USER_A, USER_A, 1, { GROUP_X } };

	ops_mk(o, "f", "x");
	ops_mk(o, "g", "x");
	ops_mk(o, "masked", "x");
	ops_mkdir(o, "d", 0755);
	ops_mkdir(o, "closed", 0700);
	ops_mk(o, "closed/x", "x");
	TRY(o, chmod("g", 0600));
	TRY(o, set_acl("f", ACCESS, "u::6 u:12345:6 g::0 m::6 o::0"));
	TRY(o, set_acl("masked", ACCESS, "u::6 u:12345:6 g::0 m::4 o::6"));
	TRY(o, set_acl("d", ACCESS, "u::7 g::5 g:20001:7 m::7 o::5"));
	TRY(o, set_acl("d", DEFAULT, "u::7 u:12346:6 g::5 m::7 o::0"));
	TRY(o, set_acl("closed", ACCESS, "u::7 g::0 g:20001:1 m::1 o::0"));
	ops_as(o, &ops_user_a, by_acl, NULL);
	ops_as(o, &in_x, by_acl, NULL);
	ops_as(o, &ops_user_b, by_acl, NULL);
	say_acl(o, "d/made", ACCESS);
	SHOW(o, "d/made");
	say_acl(o, "d/sub", DEFAULT);
}

static void own_acl(struct ops *o, void *arg)
{
	(void)arg;
	TRY(o, set_acl("setgid", ACCESS, "u::7 u:12346:4 g::5 m::7 o::5"));
	SHOW(o, "setgid");
	TRY(o, set_acl("own", ACCESS, "u::7 u:12346:4 g::5 m::7 o::5"));
	SHOW(o, "own");
	say_acl(o, "own", ACCESS);
	TRY(o, chmod("own", 02711));
	SHOW(o, "own");
	say_acl(o, "own", ACCESS);
}

/* Setting an ACL clears setgid as chmod does, for who is not in the group. */
static void acl_setgid(struct ops *o)
{
	ops_mk(o, "setgid", "x");
	ops_mk(o, "own", "x");
	TRY(o, chown("setgid", USER_A, GROUP_X));
	TRY(o, chmod("setgid", 02755));
	TRY(o, chown("own", USER_A, USER_A));
	TRY(o, chmod("own", 02755));
	ops_as(o, &ops_user_a, own_acl, NULL);
	TRY(o, chown("setgid", USER_A, GROUP_X));
	TRY(o, chmod("setgid", 02755));
	TRY(o, set_acl("setgid", ACCESS, "u::7 u:12346:4 g::5 m::7 o::5"));
	SHOW(o, "setgid");
	TRY(o, chown("setgid", USER_B, GROUP_Y));
	SHOW(o, "setgid");
	say_acl(o, "setgid", ACCESS);
}

const struct scenario acl_scenarios[] = {
	{ "acl_access", acl_access, OPS_BOTH },
	{ "acl_default", acl_default, OPS_BOTH },
	{ "acl_permission", acl_permission, OPS_ROOT },
	{ "acl_setgid", acl_setgid, OPS_ROOT },
	{ 0 },
};
