// SPDX-License-Identifier: GPL-2.0-only
/* Races of processes, descriptors that travel, poll, ioctls that any file answers. */
#include "ops.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { RACERS = 4, ROUNDS = 200 };

/* fn in RACERS processes at once; the sum of their exit codes */
static int race(struct ops *o, void (*fn)(struct ops *o, void *arg))
{
	int start[2], i, status;
	pid_t pids[RACERS];
	int sum = 0;

	if (pipe(start) < 0)
		return -1;
	for (i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			char c;

			close(start[1]);
			if (read(start[0], &c, 1) < 0)
				_exit(99);
			fn(o, &i);
			_exit(0);
		}
	}
	close(start[0]);
	close(start[1]);
	for (i = 0; i < RACERS; i++) {
		waitpid(pids[i], &status, 0);
		sum += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
	}
	return sum;
}

/* Of those that create one name with O_EXCL (or mkdir, or link), one wins. */
static void win_names(struct ops *o, void *arg)
{
	char name[32], own[32];
	int i, won = 0;

	(void)o;
	snprintf(own, sizeof(own), "own%d", *(int *)arg);
	close(open(own, O_CREAT | O_WRONLY, 0644));
	for (i = 0; i < ROUNDS; i++) {
		int fd;

		snprintf(name, sizeof(name), "n%d", i);
		if (i % 3 == 0) {
			fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
			won += fd >= 0;
			close(fd);
		} else if (i % 3 == 1) {
			won += !mkdir(name, 0755);
		} else {
			won += !link(own, name);
		}
	}
	_exit(won);
}

static void race_create(struct ops *o)
{
	ops_say(o, "won in all", "%d of %d", race(o, win_names), ROUNDS);
	ops_say(o, "names", "%d", ops_ls_count(".") - 2 - RACERS);
}

static void count_up(struct ops *o, void *arg)
{
	int fd = open("counter", O_RDWR), i, n;
	char buf[16];

	(void)arg;
	(void)o;
	for (i = 0; i < ROUNDS; i++) {
		flock(fd, LOCK_EX);
		memset(buf, 0, sizeof(buf));
		if (pread(fd, buf, 15, 0) < 0)
			_exit(1);
		n = snprintf(buf, sizeof(buf), "%d", atoi(buf) + 1);
		if (pwrite(fd, buf, (size_t)n, 0) != n)
			_exit(1);
		flock(fd, LOCK_UN);
	}
}

static void race_counter(struct ops *o)
{
	ops_mk(o, "counter", "0");
	ops_say(o, "failed", "%d", race(o, count_up));
	ops_content_path(o, "counter", "counter");
}

/* A name that is always renamed over is never missing, its content never torn. */
static void replace_or_read(struct ops *o, void *arg)
{
	char text[128], got[128], tmp[16];
	int id = *(int *)arg, i, bad = 0;

	snprintf(tmp, sizeof(tmp), "tmp%d", id);
	for (i = 0; i < ROUNDS; i++) {
		if (id % 2) {
			memset(text, 'a' + (id + i) % 26, 100);
			text[100] = '\0';
			ops_mk(o, tmp, text);
			bad += rename(tmp, "name") < 0;
		} else {
			int fd = open("name", O_RDONLY);
			ssize_t n = read(fd, got, sizeof(got));

			bad += n != 100 || memcmp(got, got + 1, 99);
			close(fd);
		}
	}
	_exit(bad > 90 ? 90 : bad);
}

static void race_replace(struct ops *o)
{
	char text[101] = "";

	memset(text, 'z', 100);
	ops_mk(o, "name", text);
	ops_say(o, "bad", "%d", race(o, replace_or_read));
	ops_ls(o, "left", ".");
}

static void churn(struct ops *o, void *arg)
{
	char name[32];
	int id = *(int *)arg, i, bad = 0;

	(void)o;
	for (i = 0; i < ROUNDS; i++) {
		int fd;

		snprintf(name, sizeof(name), "d/%d-%d", id, i);
		fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0644);
		bad += fd < 0 || write(fd, name, strlen(name)) != (ssize_t)strlen(name);
		close(fd);
		bad += ops_lstat(name).st_size != (off_t)strlen(name);
		if (i % 2)
			bad += unlink(name) < 0;
		ops_ls_count("d");
	}
	_exit(bad > 90 ? 90 : bad);
}

static void race_churn(struct ops *o)
{
	ops_mkdir(o, "d", 0755);
	ops_say(o, "bad", "%d", race(o, churn));
	ops_say(o, "left", "%d", ops_ls_count("d") - 2);
}

static void send_fd(int sock, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { 0 };
	char c = 'x';
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = u.buf,
			      .msg_controllen = sizeof(u.buf) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	if (sendmsg(sock, &msg, 0) < 0)
		_exit(9);
}

static int recv_fd(int sock)
{
	char ctl[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	char c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)
	};
	int fd = -1;

	if (recvmsg(sock, &msg, 0) > 0 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static void use_fd(struct ops *o, void *arg)
{
	int fd = recv_fd(*(int *)arg);

	ops_content(o, "received", fd);
	TRY(o, write(fd, "by the receiver", 15));
	TRY(o, lseek(fd, 0, SEEK_CUR));
	SHOWFD(o, fd);
}

static void fd_travel(struct ops *o)
{
	int sv[2], fd, copy;
	pid_t pid;

	ops_mk(o, "f", "0123456789");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		return;
	fd = ops_open(o, "f", O_RDWR);
	TRY(o, lseek(fd, 5, SEEK_SET));
	pid = ops_spawn(o, use_fd, &sv[1]);
	send_fd(sv[0], fd);
	ops_reap(o, "receiver", pid);
	TRY(o, lseek(fd, 0, SEEK_CUR));
	copy = dup(fd);
	TRY(o, close(fd));
	ops_content(o, "by the copy", copy);
	send_fd(sv[0], copy);
	TRY(o, close(copy));
	TRY(o, unlink("f"));
	copy = recv_fd(sv[1]);
	ops_content(o, "out of the socket", copy);
	SHOWFD(o, copy);
	TRY(o, close(copy));
	TRY(o, close(copy));
}

static void any_file(struct ops *o)
{
	struct pollfd p = { .events = POLLIN | POLLOUT | POLLPRI };
	struct termios t;
	fd_set set;
	int fd, n = 0;

	ops_mk(o, "f", "0123456789");
	fd = ops_open(o, "f", O_RDWR);
	p.fd = fd;
	TRY(o, poll(&p, 1, 0));
	ops_say(o, "revents", "%#x", p.revents);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	TRY(o, select(fd + 1, &set, NULL, NULL, NULL));
	TRY(o, isatty(fd) || errno != ENOTTY);
	TRY(o, tcgetattr(fd, &t));
	TRY(o, ioctl(fd, _IO('Z', 99)));
	TRY(o, ioctl(fd, _IOR('Z', 98, int), &n));
	TRY(o, ioctl(fd, _IOW('Z', 97, int), &n));
	TRY(o, ioctl(fd, TIOCGWINSZ, &n));
	TRY(o, ioctl(ops_open(o, ".", O_RDONLY), _IO('Z', 99)));
	TRY(o, ioctl(fd, FIONREAD, &n));
	ops_say(o, "to be read", "%d", n);
	TRY(o, lseek(fd, 4, SEEK_SET));
	TRY(o, ioctl(fd, FIONREAD, &n));
	ops_say(o, "to be read", "%d", n);
	TRY(o, pwrite(fd, "more", 4, 20));
	TRY(o, ioctl(fd, FIONREAD, &n));
	ops_say(o, "to be read", "%d", n);
	TRY(o, fcntl(fd, F_GETOWN));
	TRY(o, fcntl(fd, F_SETFD, FD_CLOEXEC));
	TRY(o, fcntl(fd, F_GETPIPE_SZ));
	TRY(o, fcntl(fd, 9999));
	TRY(o, fpathconf(fd, _PC_NAME_MAX));
	TRY(o, fpathconf(fd, _PC_PATH_MAX));
	TRY(o, close(fd));
	TRY(o, close(fd));
	TRY(o, chroot("missing"));
}

static void in_chroot(struct ops *o, void *arg)
{
	struct stat st;

	(void)arg;
	TRY(o, chroot("d"));
	TRY(o, chdir("/"));
	TRY(o, stat("/f", &st));
	TRY(o, stat("/../../f", &st));
	TRY(o, stat("/up", &st));
	ops_content_path(o, "inside", "/../f");
	ops_ls(o, "root", "/");
	TRY(o, mkdir("/new", 0755));
}

static void chroots(struct ops *o)
{
	ops_mkdir(o, "d", 0755);
	ops_mk(o, "d/f", "inside");
	ops_mk(o, "f", "outside");
	TRY(o, symlink("/../f", "d/up"));
	ops_reap(o, "chroot", ops_spawn(o, in_chroot, NULL));
	ops_ls(o, "d", "d");
}

const struct scenario misc_scenarios[] = {
	{ "race_create", race_create, OPS_BOTH },   { "race_counter", race_counter, OPS_BOTH },
	{ "race_replace", race_replace, OPS_BOTH }, { "race_churn", race_churn, OPS_BOTH },
	{ "fd_travel", fd_travel, OPS_BOTH },	    { "any_file", any_file, OPS_BOTH },
	{ "chroots", chroots, OPS_ROOT },	    { 0 },
};
