// SPDX-License-Identifier: GPL-2.0-only
/* inotify and dnotify: what a watcher is told, in which order. */
#include "ops.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *const bits[] = { "access",	     "modify", "attrib",      "close_write",
				    "close_nowrite", "open",   "moved_from",  "moved_to",
				    "create",	     "delete", "delete_self", "move_self" };

static void say_event(struct ops *o, const char *step, const struct inotify_event *e)
{
	char line[512] = "";
	size_t at = 0, i;

	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (e->mask & (1u << i))
			at += (size_t)snprintf(line + at, sizeof(line) - at, " %s", bits[i]);
	ops_say(o, step, "%s:%s%s%s%s", e->len ? e->name : "(itself)", line,
		e->mask & IN_ISDIR ? " dir" : "", e->mask & IN_IGNORED ? " ignored" : "",
		e->cookie ? " cookie" : "");
}

static void drain(struct ops *o, const char *step, int ino)
{
	char buf[8192] __attribute__((aligned(8)));
	struct pollfd p = { .fd = ino, .events = POLLIN };

	while (poll(&p, 1, 0) > 0) {
		ssize_t n = read(ino, buf, sizeof(buf));
		char *at = buf;

		if (n <= 0)
			break;
		while (at < buf + n) {
			struct inotify_event *e = (void *)at;

			say_event(o, step, e);
			at += sizeof(*e) + e->len;
		}
	}
}

#define MASK                                                                             \
	(IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE | IN_OPEN | IN_MOVE | \
	 IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)

static void watch_dir(struct ops *o)
{
	int ino = inotify_init1(IN_CLOEXEC), fd;

	ops_mkdir(o, "d", 0755);
	FD(o, inotify_add_watch(ino, "d", MASK));
	fd = ops_open(o, "d/f", O_RDWR | O_CREAT);
	drain(o, "create", ino);
	TRY(o, write(fd, "content", 7));
	drain(o, "write", ino);
	TRY(o, ftruncate(fd, 3));
	drain(o, "ftruncate", ino);
	TRY(o, fallocate(fd, 0, 0, 100));
	drain(o, "fallocate", ino);
	TRY(o, close(fd));
	drain(o, "close", ino);
	TRY(o, chmod("d/f", 0600));
	drain(o, "chmod", ino);
	TRY(o, utimensat(AT_FDCWD, "d/f", NULL, 0));
	drain(o, "utimens", ino);
	TRY(o, setxattr("d/f", "user.a", "x", 1, 0));
	drain(o, "setxattr", ino);
	TRY(o, link("d/f", "d/l"));
	drain(o, "link", ino);
	TRY(o, rename("d/f", "d/g"));
	drain(o, "rename", ino);
	TRY(o, rename("d/g", "out"));
	TRY(o, rename("out", "d/l2"));
	drain(o, "out and in", ino);
	TRY(o, rename("d/l2", "d/l"));
	drain(o, "over", ino);
	TRY(o, mkdir("d/sub", 0755));
	TRY(o, symlink("x", "d/s"));
	TRY(o, mkfifo("d/p", 0644));
	TRY(o, rmdir("d/sub"));
	drain(o, "others", ino);
	TRY(o, unlink("d/l2"));
	TRY(o, unlink("d/s"));
	TRY(o, unlink("d/p"));
	drain(o, "unlink", ino);
	TRY(o, rename("d", "e"));
	drain(o, "moved itself", ino);
	ops_ls(o, "left", "e");
	drain(o, "listed", ino);
}

static void watch_file(struct ops *o)
{
	int ino = inotify_init1(IN_CLOEXEC), fd, wd;
	char buf[8], *p;

	ops_mk_sized(o, "f", 10000);
	wd = FD(o, inotify_add_watch(ino, "f", MASK | IN_ACCESS));
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, read(fd, buf, 8));
	drain(o, "read", ino);
	TRY(o, write(fd, buf, 8));
	drain(o, "write", ino);
	p = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		p[0] = 'x';
	TRY(o, msync(p, 10000, MS_SYNC));
	drain(o, "mapped store", ino);
	TRY(o, truncate("f", 10));
	drain(o, "truncate", ino);
	TRY(o, link("f", "l"));
	drain(o, "link", ino);
	TRY(o, unlink("f"));
	drain(o, "unlink", ino);
	TRY(o, unlink("l"));
	drain(o, "last unlink", ino);
	TRY(o, munmap(p, 10000));
	TRY(o, close(fd));
	drain(o, "last close", ino);
	TRY(o, inotify_rm_watch(ino, wd));
	TRY(o, inotify_add_watch(ino, "f", MASK));
	ops_mk(o, "g", "x");
	TRY(o, inotify_add_watch(ino, "g", MASK | IN_ONLYDIR));
	wd = FD(o, inotify_add_watch(ino, "g", IN_OPEN | IN_ONESHOT));
	ops_content_path(o, "g", "g");
	drain(o, "once", ino);
	ops_content_path(o, "g", "g");
	drain(o, "not twice", ino);
}

static void other_changes(struct ops *o, void *arg)
{
	(void)arg;
	ops_mk(o, "d/made", "x");
	if (rename("d/made", "d/renamed") < 0 || unlink("d/renamed") < 0)
		ops_try(o, "other", -1);
}

static void watch_processes(struct ops *o)
{
	int ino = inotify_init1(IN_CLOEXEC);

	ops_mkdir(o, "d", 0755);
	FD(o, inotify_add_watch(ino, "d", IN_CREATE | IN_MOVE | IN_DELETE | IN_CLOSE_WRITE));
	ops_reap(o, "other", ops_spawn(o, other_changes, NULL));
	drain(o, "by another process", ino);
	FD(o, inotify_add_watch(ino, "d", IN_DELETE_SELF));
	TRY(o, rmdir("d"));
	drain(o, "gone", ino);
}

static volatile sig_atomic_t notified;

static void on_notify(int sig)
{
	(void)sig;
	notified++;
}

static void watch_dnotify(struct ops *o)
{
	int dir;

	ops_mkdir(o, "d", 0755);
	dir = ops_open(o, "d", O_RDONLY);
	signal(SIGUSR1, on_notify);
	TRY(o, fcntl(dir, F_SETSIG, SIGUSR1));
	TRY(o, fcntl(dir, F_NOTIFY, DN_CREATE | DN_DELETE | DN_MULTISHOT));
	ops_mk(o, "d/f", "x");
	ops_say(o, "signals", "%d", notified);
	TRY(o, unlink("d/f"));
	ops_say(o, "signals", "%d", notified);
	TRY(o, fcntl(ops_open(o, "g", O_RDWR | O_CREAT), F_NOTIFY, DN_CREATE));
}

const struct scenario watch_scenarios[] = {
	{ "watch_dir", watch_dir, OPS_BOTH },
	{ "watch_file", watch_file, OPS_BOTH },
	{ "watch_processes", watch_processes, OPS_BOTH },
	{ "watch_dnotify", watch_dnotify, OPS_BOTH },
	{ 0 },
};
