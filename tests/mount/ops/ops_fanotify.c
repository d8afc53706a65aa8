// SPDX-License-Identifier: GPL-2.0-only
/* fanotify: events with descriptors, with names, and permission events. */
#include "ops.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

static const struct {
	unsigned long long bit;
	const char *name;
} bits[] = {
	{ FAN_ACCESS, "access" },
	{ FAN_MODIFY, "modify" },
	{ FAN_CLOSE_WRITE, "close_write" },
	{ FAN_CLOSE_NOWRITE, "close_nowrite" },
	{ FAN_OPEN, "open" },
	{ FAN_OPEN_PERM, "open_perm" },
	{ FAN_CREATE, "create" },
	{ FAN_DELETE, "delete" },
	{ FAN_MOVED_FROM, "moved_from" },
	{ FAN_MOVED_TO, "moved_to" },
};

static void drain(struct ops *o, const char *step, int fan)
{
	char buf[8192] __attribute__((aligned(8)));
	struct pollfd p = { .fd = fan, .events = POLLIN };

	while (poll(&p, 1, 0) > 0) {
		struct fanotify_event_metadata *e = (void *)buf;
		ssize_t len = read(fan, buf, sizeof(buf));

		for (; len > 0 && FAN_EVENT_OK(e, len); e = FAN_EVENT_NEXT(e, len)) {
			char line[256] = "";
			size_t at = 0, i;

			for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
				if (e->mask & bits[i].bit)
					at += (size_t)snprintf(line + at, sizeof(line) - at, " %s",
							       bits[i].name);
			ops_say(o, step, "event%s", line);
			if (e->fd >= 0) {
				ops_show(o, step, e->fd, "");
				close(e->fd);
			}
		}
		if (len <= 0)
			break;
	}
}

static void fanotify_files(struct ops *o)
{
	int fan = FD(o, fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC)), fd;
	unsigned long long mask = FAN_MODIFY | FAN_CLOSE | FAN_OPEN | FAN_ACCESS;
	char buf[8];

	ops_mkdir(o, "d", 0755);
	ops_mk(o, "d/f", "content");
	TRY(o, fanotify_mark(fan, FAN_MARK_ADD, mask | FAN_EVENT_ON_CHILD, AT_FDCWD, "d"));
	fd = ops_open(o, "d/f", O_RDWR);
	drain(o, "open", fan);
	TRY(o, read(fd, buf, 4));
	drain(o, "read", fan);
	TRY(o, write(fd, "x", 1));
	drain(o, "write", fan);
	TRY(o, ftruncate(fd, 3));
	drain(o, "ftruncate", fan);
	TRY(o, close(fd));
	drain(o, "close", fan);
	ops_ls(o, "listed", "d");
	drain(o, "listed", fan);
	TRY(o, fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "missing"));
	TRY(o, fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN, AT_FDCWD, "d/f"));
	TRY(o, fanotify_mark(fan, FAN_MARK_REMOVE, mask | FAN_EVENT_ON_CHILD, AT_FDCWD, "d"));
	ops_content_path(o, "unwatched", "d/f");
	drain(o, "unwatched", fan);
}

static void open_it(struct ops *o, void *arg)
{
	(void)arg;
	FD(o, open("guarded", O_RDONLY));
}

/* A watcher lets the first reader in, and keeps the second out. */
static void fanotify_guard(struct ops *o)
{
	int fan = FD(o, fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC)), i;

	ops_mk(o, "guarded", "content");
	TRY(o, fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "guarded"));
	for (i = 0; i < 2; i++) {
		pid_t pid = ops_spawn(o, open_it, NULL);
		struct fanotify_event_metadata e;
		struct fanotify_response answer;
		struct pollfd p = { .fd = fan, .events = POLLIN };

		if (poll(&p, 1, 30000) != 1 || read(fan, &e, sizeof(e)) < (ssize_t)sizeof(e)) {
			ops_say(o, "event", "none");
			return;
		}
		ops_say(o, "event", "%#llx", (unsigned long long)e.mask);
		answer = (struct fanotify_response){ e.fd, i ? FAN_DENY : FAN_ALLOW };
		/* no line: the reader may print his first */
		if (write(fan, &answer, sizeof(answer)) < 0)
			ops_try(o, "answer", -1);
		close(e.fd);
		ops_reap(o, "reader", pid);
	}
}

/* These need file handles, if only to name inodes, and the filesystem's id. */
static void fanotify_names(struct ops *o)
{
	unsigned int flags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_REPORT_DFID_NAME;
	unsigned long long mask = FAN_CREATE | FAN_DELETE | FAN_MOVE | FAN_ONDIR;
	int fan = FD(o, fanotify_init(flags, 0));

	ops_mkdir(o, "d", 0755);
	TRY(o, fanotify_mark(fan, FAN_MARK_ADD, mask, AT_FDCWD, "d"));
	ops_mk(o, "d/f", "x");
	TRY(o, rename("d/f", "d/g"));
	TRY(o, unlink("d/g"));
	drain(o, "named events", fan);
}

const struct scenario fanotify_scenarios[] = {
	{ "fanotify_files", fanotify_files, OPS_ROOT },
	{ "fanotify_guard", fanotify_guard, OPS_ROOT },
	{ "fanotify_names", fanotify_names, OPS_ROOT },
	{ 0 },
};
