// SPDX-License-Identifier: GPL-2.0-only
/* POSIX, OFD and flock locks among processes; leases. */
#include "ops.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &fl);
}

static void say_getlk(struct ops *o, const char *step, int fd, int cmd, short type, pid_t pid)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET };

	if (fcntl(fd, cmd, &fl) < 0)
		ops_try(o, step, -1);
	else
		ops_say(o, step, "%s %lld+%lld %s",
			fl.l_type == F_RDLCK   ? "read"
			: fl.l_type == F_WRLCK ? "write"
					       : "free",
			(long long)fl.l_start, (long long)fl.l_len,
			fl.l_type == F_UNLCK ? ""
			: fl.l_pid == pid    ? "by him"
					     : "by another");
}

/* One process holds a lock until it is told to go on. */
struct holder {
	int cmd, type;
	off_t start, len;
	int ready[2], go[2];
	pid_t pid;
};

static void hold(struct ops *o, void *arg)
{
	struct holder *h = arg;
	int fd = ops_open(o, "f", O_RDWR), ret;
	char c;

	ret = h->cmd == LOCK_EX ? flock(fd, LOCK_EX)
				: lock(fd, h->cmd, (short)h->type, h->start, h->len);
	ops_try(o, "holder locks", ret);
	close(h->ready[1]);
	close(h->go[1]);
	if (read(h->go[0], &c, 1) < 0)
		_exit(9);
}

static void holder_start(struct ops *o, struct holder *h)
{
	char c;

	if (pipe2(h->ready, O_CLOEXEC) < 0 || pipe2(h->go, O_CLOEXEC) < 0)
		_exit(9);
	h->pid = ops_spawn(o, hold, h);
	close(h->ready[1]);
	if (read(h->ready[0], &c, 1) < 0)
		_exit(9);
}

static void holder_end(struct ops *o, struct holder *h)
{
	close(h->go[1]);
	ops_reap(o, "holder", h->pid);
}

static void lock_posix(struct ops *o)
{
	struct holder h = { .cmd = F_SETLK, .type = F_WRLCK, .start = 100, .len = 50 };
	int fd, second;

	ops_mk(o, "f", "0123456789");
	fd = ops_open(o, "f", O_RDWR);
	say_getlk(o, "free", fd, F_GETLK, F_WRLCK, 0);
	holder_start(o, &h);
	say_getlk(o, "held", fd, F_GETLK, F_RDLCK, h.pid);
	TRY(o, lock(fd, F_SETLK, F_RDLCK, 0, 0));
	TRY(o, lock(fd, F_SETLK, F_WRLCK, 120, 1));
	TRY(o, lock(fd, F_SETLK, F_WRLCK, 0, 100));
	TRY(o, lock(fd, F_SETLK, F_WRLCK, 150, 0));
	TRY(o, lock(fd, F_SETLK, F_UNLCK, 0, 0));
	holder_end(o, &h);
	TRY(o, lock(fd, F_SETLK, F_WRLCK, 0, 0));
	h = (struct holder){ .cmd = F_SETLK, .type = F_RDLCK };
	holder_start(o, &h);
	holder_end(o, &h);
	/* closing any descriptor of the file gives a process's locks back */
	second = ops_open(o, "f", O_RDONLY);
	TRY(o, close(second));
	h = (struct holder){ .cmd = F_SETLK, .type = F_WRLCK };
	holder_start(o, &h);
	TRY(o, lock(fd, F_SETLK, F_WRLCK, 0, 0));
	holder_end(o, &h);
	TRY(o, lock(ops_open(o, "f", O_RDONLY), F_SETLK, F_WRLCK, 0, 0));
	TRY(o, lock(ops_open(o, "f", O_WRONLY), F_SETLK, F_RDLCK, 0, 0));
	TRY(o, lock(fd, F_SETLK, 77, 0, 0));
	TRY(o, lock(fd, F_SETLK, F_WRLCK, -1, 0));
	TRY(o, lock(open("f", O_PATH), F_SETLK, F_RDLCK, 0, 0));
	TRY(o, lock(ops_open(o, ".", O_RDONLY), F_SETLK, F_RDLCK, 0, 0));
}

static void lock_ofd(struct ops *o)
{
	struct holder h = { .cmd = F_OFD_SETLK, .type = F_RDLCK, .start = 0, .len = 10 };
	int a, b, dup_a;

	ops_mk(o, "f", "0123456789");
	a = ops_open(o, "f", O_RDWR);
	b = ops_open(o, "f", O_RDWR);
	TRY(o, lock(a, F_OFD_SETLK, F_WRLCK, 0, 5));
	TRY(o, lock(b, F_OFD_SETLK, F_WRLCK, 0, 5));
	TRY(o, lock(b, F_SETLK, F_WRLCK, 0, 5));
	say_getlk(o, "held", b, F_OFD_GETLK, F_RDLCK, -1);
	dup_a = dup(a);
	TRY(o, lock(dup_a, F_OFD_SETLK, F_WRLCK, 0, 10));
	TRY(o, close(a));
	TRY(o, lock(b, F_OFD_SETLK, F_WRLCK, 0, 5));
	TRY(o, close(dup_a));
	TRY(o, lock(b, F_OFD_SETLK, F_WRLCK, 0, 5));
	TRY(o, lock(b, F_OFD_SETLK, F_UNLCK, 0, 0));
	holder_start(o, &h);
	TRY(o, lock(b, F_OFD_SETLK, F_RDLCK, 0, 0));
	TRY(o, lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
	holder_end(o, &h);
	TRY(o, lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
}

static void lock_flock(struct ops *o)
{
	struct holder h = { .cmd = LOCK_EX };
	int a, b;

	ops_mk(o, "f", "0123456789");
	a = ops_open(o, "f", O_RDONLY);
	b = ops_open(o, "f", O_RDWR);
	TRY(o, flock(a, LOCK_EX | LOCK_NB));
	TRY(o, flock(b, LOCK_EX | LOCK_NB));
	TRY(o, flock(b, LOCK_SH | LOCK_NB));
	TRY(o, flock(a, LOCK_SH | LOCK_NB));
	TRY(o, flock(b, LOCK_SH | LOCK_NB));
	TRY(o, flock(b, LOCK_EX | LOCK_NB));
	TRY(o, close(a));
	TRY(o, flock(b, LOCK_EX | LOCK_NB));
	TRY(o, lock(b, F_SETLK, F_WRLCK, 0, 0));
	TRY(o, flock(b, LOCK_UN));
	holder_start(o, &h);
	TRY(o, flock(b, LOCK_SH | LOCK_NB));
	holder_end(o, &h);
	TRY(o, flock(b, LOCK_SH | LOCK_NB));
	TRY(o, flock(b, 0x77));
	TRY(o, flock(open("f", O_PATH), LOCK_SH));
	a = ops_open(o, ".", O_RDONLY);
	TRY(o, flock(a, LOCK_EX | LOCK_NB));
	TRY(o, flock(ops_open(o, ".", O_RDONLY), LOCK_EX | LOCK_NB));
}

static void nothing(int sig)
{
	(void)sig;
}

static void lock_wait(struct ops *o)
{
	const struct sigaction sa = { .sa_handler = nothing };
	struct holder h = { .cmd = F_SETLK, .type = F_WRLCK };
	int fd;

	ops_mk(o, "f", "0123456789");
	fd = ops_open(o, "f", O_RDWR);
	sigaction(SIGALRM, &sa, NULL);
	holder_start(o, &h);
	ualarm(100000, 100000); /* again and again: the first may come before the wait */
	TRY(o, lock(fd, F_SETLKW, F_WRLCK, 0, 0));
	TRY(o, lock(fd, F_OFD_SETLKW, F_WRLCK, 0, 0));
	ualarm(0, 0);
	holder_end(o, &h);
	h = (struct holder){ .cmd = LOCK_EX };
	holder_start(o, &h);
	ualarm(100000, 100000);
	TRY(o, flock(fd, LOCK_EX));
	ualarm(0, 0);
	holder_end(o, &h);
	TRY(o, flock(fd, LOCK_EX));
	TRY(o, lock(fd, F_SETLKW, F_WRLCK, 0, 0));
}

static void crossed(struct ops *o, void *arg)
{
	int *go = arg, fd = ops_open(o, "f", O_RDWR);
	char c;

	ops_try(o, "other locks 2", lock(fd, F_SETLKW, F_WRLCK, 2, 1));
	if (read(go[0], &c, 1) < 0)
		_exit(9);
	/* waits, until the deadlock's victim gives up its lock */
	if (lock(fd, F_SETLKW, F_WRLCK, 1, 1) < 0)
		_exit(errno);
}

/* Locks of a process in /proc/locks; if WAITING, those that it waits for. */
static int listed(pid_t pid, bool waiting)
{
	char line[256], one[32];
	FILE *f = fopen("/proc/locks", "r");
	int n = 0;

	snprintf(one, sizeof(one), " %d ", pid);
	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, one) && (!waiting || strstr(line, "->"));
	if (f)
		fclose(f);
	return n;
}

static void lock_deadlock(struct ops *o)
{
	int go[2], fd;
	pid_t pid;

	ops_mk(o, "f", "0123456789");
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, lock(fd, F_SETLK, F_WRLCK, 1, 1));
	if (pipe(go) < 0)
		return;
	pid = ops_spawn(o, crossed, go);
	while (!lock(fd, F_SETLK, F_WRLCK, 2, 1)) {
		lock(fd, F_SETLK, F_UNLCK, 2, 1);
		usleep(1000);
	}
	if (write(go[1], "x", 1) != 1)
		return;
	for (int i = 0; i < 30000 && !listed(pid, true); i++)
		usleep(1000);
	TRY(o, lock(fd, F_SETLKW, F_WRLCK, 2, 1));
	TRY(o, lock(fd, F_SETLK, F_UNLCK, 0, 0));
	ops_reap(o, "other", pid);
}

static void lock_listed(struct ops *o)
{
	int a, b;

	ops_mk(o, "f", "0123456789");
	a = ops_open(o, "f", O_RDWR);
	b = ops_open(o, "f", O_RDWR);
	ops_say(o, "none listed", "%d", listed(getpid(), false));
	TRY(o, lock(a, F_SETLK, F_WRLCK, 0, 10));
	TRY(o, lock(a, F_SETLK, F_RDLCK, 20, 10));
	TRY(o, flock(b, LOCK_EX));
	ops_say(o, "listed", "%d", listed(getpid(), false));
	TRY(o, close(b));
	ops_say(o, "listed", "%d", listed(getpid(), false));
	TRY(o, unlink("f"));
	TRY(o, lock(a, F_SETLK, F_WRLCK, 0, 0));
	ops_say(o, "listed", "%d", listed(getpid(), false));
	TRY(o, close(a));
	ops_say(o, "none listed", "%d", listed(getpid(), false));
}

static void leases(struct ops *o)
{
	int rd, wr;

	ops_mk(o, "f", "0123456789");
	signal(SIGIO, SIG_IGN);
	rd = ops_open(o, "f", O_RDONLY);
	TRY(o, fcntl(rd, F_GETLEASE));
	TRY(o, fcntl(rd, F_SETLEASE, F_RDLCK));
	TRY(o, fcntl(rd, F_GETLEASE) == F_RDLCK);
	TRY(o, open("f", O_RDWR | O_NONBLOCK));
	TRY(o, fcntl(rd, F_SETLEASE, F_UNLCK));
	wr = FD(o, open("f", O_RDWR | O_NONBLOCK));
	TRY(o, fcntl(rd, F_SETLEASE, F_RDLCK));
	TRY(o, fcntl(wr, F_SETLEASE, F_RDLCK));
	TRY(o, close(rd));
	TRY(o, fcntl(wr, F_SETLEASE, F_WRLCK));
	TRY(o, open("f", O_RDONLY | O_NONBLOCK));
	TRY(o, fcntl(wr, F_SETLEASE, F_UNLCK));
	TRY(o, fcntl(wr, F_SETLEASE, 99));
	TRY(o, close(wr));
	wr = ops_open(o, ".", O_RDONLY);
	TRY(o, fcntl(wr, F_SETLEASE, F_RDLCK));
	rd = ops_open(o, "f", O_RDONLY);
	TRY(o, fcntl(rd, F_SETLEASE, F_WRLCK));
}

const struct scenario locks_scenarios[] = {
	{ "lock_posix", lock_posix, OPS_BOTH },
	{ "lock_ofd", lock_ofd, OPS_BOTH },
	{ "lock_flock", lock_flock, OPS_BOTH },
	{ "lock_wait", lock_wait, OPS_BOTH },
	{ "lock_deadlock", lock_deadlock, OPS_BOTH },
	{ "lock_listed", lock_listed, OPS_BOTH },
	{ "leases", leases, OPS_BOTH },
	{ 0 },
};
