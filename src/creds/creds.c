/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "creds/creds.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

#define CAP(name) (1ull << CAP_##name)

/* To change identity; of no weight in any filesystem. */
#define CAPS_SWITCH (CAP(SETUID) | CAP(SETGID))
/* To reach and change any file once the kernel's FUSE has allowed it. */
#define CAPS_REACH                                                                           \
	(CAPS_SWITCH | CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH) | CAP(FOWNER) | \
	 CAP(MKNOD) | CAP(LINUX_IMMUTABLE) | CAP(SETFCAP))
/* SYS_ADMIN: registering backing files, trusted.* xattrs. LEASE: asking who has a file open. */
#define CAPS_RESTING (CAPS_REACH | CAP(SYS_ADMIN) | CAP(LEASE))
/* What root's own operations may use beyond that. */
#define CAPS_ROOT (CAPS_RESTING | CAP(FSETID) | CAP(SYS_RESOURCE))
/* Held besides: SETPCAP to set SECBIT_NO_SETUID_FIXUP once in each thread; SYS_PTRACE to read a
 * caller's groups where /proc hides processes (hidepid). */
#define CAPS_PERMITTED (CAPS_ROOT | CAP(SETPCAP) | CAP(SYS_PTRACE))

#define MAX_GROUPS 65536

static int caps_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return or_errno(syscall(SYS_capget, &header, data));
}

static int caps_set(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return or_errno(syscall(SYS_capset, &header, data));
}

int creds_drop_unneeded(void)
{
	struct __user_cap_data_struct data[2];
	int err = caps_get(data);

	if (err)
		return err;
	data[0].permitted &= (uint32_t)CAPS_PERMITTED;
	data[1].permitted &= (uint32_t)(CAPS_PERMITTED >> 32);
	data[0].effective &= data[0].permitted;
	data[1].effective &= data[1].permitted;
	data[0].inheritable = data[1].inheritable = 0;
	return caps_set(data);
}

/* Raises and lowers what is in use within what is held, which needs no privilege. */
static void set_effective(struct creds *c, uint64_t wanted)
{
	struct __user_cap_data_struct data[2] = {
		{ .permitted = (uint32_t)c->permitted },
		{ .permitted = (uint32_t)(c->permitted >> 32) },
	};

	wanted &= c->permitted;
	if (c->effective == wanted)
		return;
	data[0].effective = (uint32_t)wanted;
	data[1].effective = (uint32_t)(wanted >> 32);
	if (caps_set(data) == 0)
		c->effective = wanted;
}

/* Called with CAPS_SWITCH in effect. */
static void set_ids(struct creds *c, uid_t uid, gid_t gid)
{
	if (c->uid != uid)
		syscall(SYS_setfsuid, uid);
	if (c->gid != gid)
		syscall(SYS_setfsgid, gid);
	c->uid = uid;
	c->gid = gid;
}

static void drop_groups(struct creds *c)
{
	if (!c->groups)
		return;
	syscall(SYS_setgroups, 0, NULL);
	c->groups = false;
}

/* setfsuid() reports nothing; asked for an impossible id it only tells the present one. */
static bool takes_id(uid_t id)
{
	syscall(SYS_setfsuid, id);
	syscall(SYS_setfsgid, id);
	return (uid_t)syscall(SYS_setfsuid, -1) == id && (gid_t)syscall(SYS_setfsgid, -1) == id;
}

/* In a container only some ids exist. 0 if nobody's is to be had. */
static uid_t find_resting_id(void)
{
	static const uid_t candidates[] = { CREDS_RESTING_UID, 65533, 60577, 999, 1 };

	for (unsigned i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
		if (takes_id(candidates[i]))
			return candidates[i];
	return 0;
}

/* How many ids the user namespace has, if they are in one piece; else 0. */
static unsigned long ids_in_one_piece(int proc, const char *map)
{
	autoclose int fd = openat(proc, map, O_RDONLY | O_CLOEXEC);
	unsigned long inside, outside, count, lines = 0;
	char text[256] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	return lines == 1 && sscanf(text, "%lu %lu %lu", &inside, &outside, &count) == 3 ? count
											 : 0;
}

/* A namespace of one single id, as rootless containers may have: nobody else is there to be. */
static bool is_alone(int proc)
{
	return ids_in_one_piece(proc, "self/uid_map") == 1;
}

/* An owner whom the namespace doesn't have is out of its capabilities' reach. */
static bool has_all_ids(int proc)
{
	return ids_in_one_piece(proc, "self/uid_map") == UINT32_MAX &&
	       ids_in_one_piece(proc, "self/gid_map") == UINT32_MAX;
}

int creds_init(struct creds *c, int proc)
{
	struct __user_cap_data_struct data[2];
	int err;

	memset(c, 0, sizeof(*c));
	c->proc = proc;
	c->switching = geteuid() == 0;
	/* An umask and a working directory of its own, for each thread. */
	if (unshare(CLONE_FS) < 0)
		return -errno;
	c->mask = 077;
	umask(c->mask);
	if (!c->switching)
		return 0;
	err = caps_get(data);
	if (err)
		return err;
	/* The thread that started this one may have been acting as somebody: all is set anew. */
	c->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	set_effective(c, CAPS_PERMITTED);
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
		return -errno;
	c->unbounded = has_all_ids(proc);
	c->uid = c->gid = (uid_t)-1;
	c->groups = true;
	c->resting = find_resting_id();
	/* Else root it is: the namespace's, whose capabilities weigh nothing outside. */
	if (!c->resting && !is_alone(proc))
		return -EPERM;
	c->state = CREDS_STRICT;
	creds_rest(c);
	return 0;
}

void creds_rest(struct creds *c)
{
	if (!c->switching || c->state == CREDS_RESTING)
		return;
	set_effective(c, CAPS_RESTING);
	drop_groups(c);
	set_ids(c, c->resting, c->resting);
	c->state = CREDS_RESTING;
	c->lingers = false;
}

void creds_leave(struct creds *c, bool indifferent)
{
	if (indifferent && c->unbounded && c->state == CREDS_CALLER && !c->groups)
		c->lingers = true;
	else
		creds_rest(c);
}

void creds_caller(struct creds *c, uid_t uid, gid_t gid)
{
	if (!c->switching)
		return;
	set_effective(c, uid == 0 ? CAPS_ROOT : CAPS_REACH);
	drop_groups(c);
	set_ids(c, uid, gid);
	c->state = CREDS_CALLER;
	c->lingers = false;
}

/* Parses the Groups: line of a task's status file. Returns their number or -errno. */
static int read_groups(int proc, pid_t pid, gid_t *list, int room)
{
	char path[32], *end;
	autofree char *text = malloc(1 << 20);
	autoclose int fd = -1;
	ssize_t n;
	int count = 0;

	if (!text)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%d/status", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, (1 << 20) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	end = strstr(text, "\nGroups:");
	if (!end)
		return -ESRCH;
	for (char *p = end + strlen("\nGroups:"); count < room; p = end) {
		unsigned long gid = strtoul(p + strspn(p, " \t"), &end, 10);

		if (end == p + strspn(p, " \t"))
			break;
		list[count++] = (gid_t)gid;
	}
	return count;
}

void creds_writeback(struct creds *c)
{
	if (!c->switching)
		return;
	creds_rest(c);
	set_effective(c, CAPS_RESTING | CAP(FSETID));
	c->state = CREDS_CALLER;
}

int creds_grouped(struct creds *c, uid_t uid, gid_t gid, pid_t pid)
{
	autofree gid_t *list = NULL;
	int count = 0;

	if (!c->switching)
		return 0;
	/* pid is 0 for a caller outside our pid namespace: his groups are unknown, so he has none.
	 * Root's are of no weight. */
	if (!pid || !uid) {
		creds_caller(c, uid, gid);
		return 0;
	}
	creds_rest(c); /* reading the status of any task needs no more than that */
	list = malloc(MAX_GROUPS * sizeof(*list));
	if (!list)
		return -ENOMEM;
	set_effective(c, CAPS_RESTING | CAP(SYS_PTRACE));
	count = read_groups(c->proc, pid, list, MAX_GROUPS);
	set_effective(c, CAPS_RESTING);
	if (count < 0)
		return count;
	creds_caller(c, uid, gid);
	if (count && syscall(SYS_setgroups, (size_t)count, list) < 0)
		return -errno;
	c->groups = count > 0;
	return 0;
}

int creds_strict(struct creds *c, uid_t uid, gid_t gid, pid_t pid)
{
	int err = creds_grouped(c, uid, gid, pid);

	if (err || !c->switching)
		return err;
	set_effective(c, uid == 0 ? CAPS_ROOT : 0);
	c->state = CREDS_STRICT;
	return 0;
}

void creds_umask(struct creds *c, mode_t mask)
{
	if (c->mask != mask)
		umask(mask);
	c->mask = mask;
}
