// SPDX-License-Identifier: GPL-2.0-only
/* What scenarios need to set up and clean up: files, other users, child processes. */
#include "ops.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

const struct ops_user ops_user_a = { .uid = USER_A, .gid = USER_A };
const struct ops_user ops_user_b = { .uid = USER_B, .gid = USER_B };

static void failed(struct ops *o, const char *what, const char *path)
{
	char step[512];

	snprintf(step, sizeof(step), "set-up: %s %s", what, path);
	ops_try(o, step, -1);
}

void ops_mk(struct ops *o, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		failed(o, "write", path);
	if (fd >= 0)
		close(fd);
}

void ops_mk_sized(struct ops *o, const char *path, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	char buf[16384];
	size_t done, n;

	ops_pattern(buf, sizeof(buf), 1);
	for (done = 0; fd >= 0 && done < size; done += n) {
		n = size - done < sizeof(buf) ? size - done : sizeof(buf);
		memcpy(buf, &done, sizeof(done));
		if (write(fd, buf, n) != (ssize_t)n)
			break;
	}
	if (done < size || fd < 0)
		failed(o, "write", path);
	if (fd >= 0)
		close(fd);
}

void ops_mkdir(struct ops *o, const char *path, mode_t mode)
{
	if (mkdir(path, 0755) < 0 || chmod(path, mode) < 0)
		failed(o, "mkdir", path);
}

int ops_open(struct ops *o, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		failed(o, "open", path);
	return fd;
}

/* Makes PATH a copy of this program, closed again, mode 0755. */
int ops_copy_self(struct ops *o, const char *path)
{
	int in = open(o->self, O_RDONLY | O_CLOEXEC);
	int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	char buf[65536];
	ssize_t n = -1;

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0) {
		if (write(out, buf, (size_t)n) != n) {
			n = -1;
			break;
		}
	}
	if (in < 0 || out < 0 || n < 0)
		failed(o, "copy of the program", path);
	close(in);
	close(out);
	return n < 0 ? -1 : 0;
}

int ops_ls_count(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* The names in PATH, sorted, without "." and "..". */
void ops_ls(struct ops *o, const char *step, const char *path)
{
	struct dirent **list;
	char line[4096] = "";
	size_t at = 0;
	int n, i;

	n = scandir(path, &list, NULL, alphasort);
	if (n < 0) {
		ops_try(o, step, -1);
		return;
	}
	for (i = 0; i < n; i++) {
		if (strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, "..") &&
		    at + strlen(list[i]->d_name) + 2 < sizeof(line))
			at += (size_t)sprintf(line + at, "%s%s", at ? " " : "", list[i]->d_name);
		free(list[i]);
	}
	free(list);
	ops_say(o, step, "[%s]", line);
}

pid_t ops_spawn(struct ops *o, void (*fn)(struct ops *o, void *arg), void *arg)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(o, arg);
		_exit(0);
	}
	if (pid < 0)
		failed(o, "fork", "");
	return pid;
}

void ops_reap(struct ops *o, const char *step, pid_t pid)
{
	int status;

	if (pid < 0)
		return;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		ops_say(o, step, "killed by signal %s", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		ops_say(o, step, "exit %d", WEXITSTATUS(status));
}

struct as {
	const struct ops_user *user;
	void (*fn)(struct ops *o, void *arg);
	void *arg;
};

static void become(struct ops *o, void *arg)
{
	const struct as *as = arg;
	const struct ops_user *u = as->user;

	if (setgroups(u->n_groups, u->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0) {
		failed(o, "become", "another user");
		_exit(2);
	}
	/* or /proc/self/fd belongs to root */
	prctl(PR_SET_DUMPABLE, 1);
	as->fn(o, as->arg);
}

void ops_as(struct ops *o, const struct ops_user *user, void (*fn)(struct ops *o, void *arg),
	    void *arg)
{
	struct as as = { .user = user, .fn = fn, .arg = arg };

	ops_reap(o, "child as another user", ops_spawn(o, become, &as));
}

int ops_set_flags(const char *path, int set, int clear)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0, ret;

	if (fd < 0)
		return -1;
	ret = ioctl(fd, FS_IOC_GETFLAGS, &flags);
	flags = (flags & ~clear) | set;
	if (!ret)
		ret = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return ret;
}

static void clear_flags(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int flags;

	if (fd < 0)
		return;
	if (!ioctl(fd, FS_IOC_GETFLAGS, &flags) && (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) {
		flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	close(fd);
}

static int rm_below(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int ret = 0;

	if (!list)
		return -1;
	while ((e = readdir(list)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			ret |= ops_rm(dirfd(list), e->d_name);
	closedir(list);
	return ret;
}

int ops_rm(int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISDIR(st.st_mode)) {
		if (!unlinkat(dir, name, 0))
			return 0;
		clear_flags(dir, name);
		return unlinkat(dir, name, 0);
	}
	clear_flags(dir, name);
	if (fchmodat(dir, name, 0700, 0) < 0 || rm_below(dir, name) < 0)
		return -1;
	return unlinkat(dir, name, AT_REMOVEDIR);
}
