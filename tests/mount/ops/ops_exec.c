// SPDX-License-Identifier: GPL-2.0-only
/* Running what lies in the directory; ETXTBSY both ways. */
#include "ops.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs PATH with two arguments: its exit status, or the exec's errno. */
static void run(struct ops *o, const char *step, const char *path, char *arg1, char *arg2)
{
	char *const argv[] = { (char *)path, arg1, arg2, NULL };
	char *const envp[] = { NULL };
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		execve(path, argv, envp);
		ops_try(o, step, -1);
		_exit(126);
	}
	if (waitpid(pid, &status, 0) < 0)
		ops_try(o, step, -1);
	if (WIFSIGNALED(status))
		ops_say(o, step, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		ops_say(o, step, "exit %d", WEXITSTATUS(status));
}

static void script(struct ops *o, const char *path, const char *text, mode_t mode)
{
	ops_mk(o, path, text);
	if (chmod(path, mode) < 0)
		ops_try(o, path, -1);
}

static void exec_files(struct ops *o)
{
	ops_copy_self(o, "prog");
	SHOW(o, "prog");
	run(o, "program", "./prog", "--exit", "7");
	run(o, "program again", "./prog", "--exit", "8");
	script(o, "script", "#!/bin/sh\nexit 9\n", 0755);
	run(o, "script", "./script", NULL, NULL);
	script(o, "own", "#!./prog --exit\n", 0755);
	run(o, "interpreter in the directory", "./own", NULL, NULL);
	script(o, "plain", "#!/bin/sh\nexit 9\n", 0644);
	run(o, "no x bit", "./plain", NULL, NULL);
	script(o, "garbage", "just text", 0755);
	run(o, "not a program", "./garbage", NULL, NULL);
	script(o, "empty", "", 0755);
	run(o, "empty", "./empty", NULL, NULL);
	script(o, "lost", "#!./missing\n", 0755);
	run(o, "interpreter missing", "./lost", NULL, NULL);
	run(o, "missing", "./missing", NULL, NULL);
	run(o, "directory", ".", NULL, NULL);
	TRY(o, symlink("prog", "link"));
	run(o, "by symlink", "./link", "--exit", "3");
	TRY(o, rename("prog", "moved"));
	run(o, "renamed", "./moved", "--exit", "4");
	TRY(o, chmod("moved", 0111));
	run(o, "only executable", "./moved", "--exit", "5");
	TRY(o, chmod("moved", 0));
	run(o, "mode 0", "./moved", "--exit", "5");
}

static void exec_fd(struct ops *o, void *arg)
{
	char *const argv[] = { "prog", "--exit", "6", NULL };
	char *const envp[] = { NULL };

	syscall(SYS_execveat, *(int *)arg, "", argv, envp, AT_EMPTY_PATH);
	ops_try(o, "execveat", -1);
}

static void exec_fds(struct ops *o)
{
	int fd;

	ops_copy_self(o, "prog");
	fd = FD(o, open("prog", O_RDONLY | O_CLOEXEC));
	ops_reap(o, "by descriptor", ops_spawn(o, exec_fd, &fd));
	fd = FD(o, open("prog", O_PATH | O_CLOEXEC));
	ops_reap(o, "by O_PATH", ops_spawn(o, exec_fd, &fd));
	TRY(o, unlink("prog"));
	ops_reap(o, "unlinked", ops_spawn(o, exec_fd, &fd));
	fd = ops_open(o, ".", O_RDONLY);
	ops_reap(o, "directory", ops_spawn(o, exec_fd, &fd));
}

static pid_t start_sleeper(const char *path)
{
	pid_t pid = fork();

	if (!pid) {
		execl(path, path, "--sleep", NULL);
		_exit(126);
	}
	return pid;
}

static void wait_for_exec(pid_t pid)
{
	char path[64], now[4096], mine[4096];
	ssize_t n, m;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	m = readlink("/proc/self/exe", mine, sizeof(mine));
	do {
		usleep(1000);
		n = readlink(path, now, sizeof(now));
	} while (n < 0 || (n == m && !memcmp(now, mine, (size_t)n)));
	/* exec has closed the door to writers before the link changes */
}

static void exec_busy(struct ops *o)
{
	int fd, status;
	pid_t pid;

	ops_copy_self(o, "prog");
	fd = ops_open(o, "prog", O_RDWR);
	run(o, "open for writing", "./prog", "--exit", "7");
	TRY(o, close(fd));
	run(o, "closed", "./prog", "--exit", "7");
	fd = ops_open(o, "prog", O_WRONLY | O_APPEND);
	run(o, "open for appending", "./prog", "--exit", "7");
	TRY(o, close(fd));
	fd = ops_open(o, "prog", O_RDONLY);
	pid = start_sleeper("./prog");
	wait_for_exec(pid);
	TRY(o, open("prog", O_WRONLY));
	TRY(o, open("prog", O_RDWR));
	TRY(o, open("prog", O_RDONLY | O_TRUNC));
	TRY(o, truncate("prog", 100));
	FD(o, open("prog", O_RDONLY));
	TRY(o, chmod("prog", 0700));
	TRY(o, utimensat(AT_FDCWD, "prog", NULL, 0));
	TRY(o, rename("prog", "running"));
	TRY(o, open("running", O_RDWR));
	ops_copy_self(o, "prog");
	FD(o, open("prog", O_RDWR));
	TRY(o, rename("prog", "running"));
	TRY(o, unlink("running"));
	kill(pid, SIGKILL);
	TRY(o, waitpid(pid, &status, 0) == pid);
	ops_say(o, "sleeper", "%s", WIFSIGNALED(status) ? "killed" : "exited");
	SHOWFD(o, fd);
}

/* To write, once the program has ended: whoever looks at it in /proc keeps it for a moment more. */
static int open_ended(const char *path)
{
	int fd, i;

	for (i = 0; (fd = open(path, O_WRONLY | O_CLOEXEC)) < 0 && errno == ETXTBSY && i < 30000;
	     i++)
		usleep(1000);
	return fd;
}

static void exec_busy_after(struct ops *o)
{
	pid_t pid;
	int fd;

	ops_copy_self(o, "prog");
	pid = start_sleeper("./prog");
	wait_for_exec(pid);
	TRY(o, open("prog", O_WRONLY));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fd = FD(o, open_ended("prog"));
	TRY(o, close(fd));
	run(o, "at once after the writer", "./prog", "--exit", "2");
	TRY(o, truncate("prog", 10));
	run(o, "cut short", "./prog", "--exit", "2");
}

static void run_setid(struct ops *o, void *arg)
{
	(void)arg;
	run(o, "setuid", "./suid", "--ids", NULL);
	run(o, "setgid", "./sgid", "--ids", NULL);
	run(o, "neither", "./plain", "--ids", NULL);
	run(o, "root's", "./private", "--ids", NULL);
	run(o, "for others not", "./others", "--ids", NULL);
}

/* 42 says that setuid worked, 43 setgid, 41 neither. */
static void exec_setid(struct ops *o)
{
	ops_copy_self(o, "plain");
	ops_copy_self(o, "suid");
	ops_copy_self(o, "sgid");
	ops_copy_self(o, "private");
	ops_copy_self(o, "others");
	TRY(o, chown("suid", USER_B, 0));
	TRY(o, chmod("suid", 04755));
	TRY(o, chown("sgid", 0, USER_B));
	TRY(o, chmod("sgid", 02755));
	TRY(o, chmod("private", 0700));
	TRY(o, chmod("others", 0754));
	ops_as(o, &ops_user_a, run_setid, NULL);
	run_setid(o, NULL);
}

static void exec_mapped(struct ops *o)
{
	char *p;
	int fd;

	ops_copy_self(o, "prog");
	fd = ops_open(o, "prog", O_RDONLY);
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	ops_say(o, "mapped", "%d", p != MAP_FAILED);
	ops_bytes(o, "magic", p, 4);
	/* only running programs are busy, mapped ones are not */
	FD(o, open("prog", O_WRONLY));
	TRY(o, rename("prog", "lib.so"));
	TRY(o, unlink("lib.so"));
	ops_bytes(o, "magic", p, 4);
}

const struct scenario exec_scenarios[] = {
	{ "exec_files", exec_files, OPS_BOTH },
	{ "exec_fds", exec_fds, OPS_BOTH },
	{ "exec_busy", exec_busy, OPS_BOTH },
	{ "exec_busy_after", exec_busy_after, OPS_BOTH },
	{ "exec_setid", exec_setid, OPS_ROOT },
	{ "exec_mapped", exec_mapped, OPS_BOTH },
	{ 0 },
};
