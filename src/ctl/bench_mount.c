/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "util/cleanup.h"

#define PATIENCE 300 /* tenths of a second */

static void pause_tenth(void)
{
	static const struct timespec tenth = { .tv_nsec = 100000000 };

	nanosleep(&tenth, NULL);
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "overdrivectl bench: %s: %s\n", what, strerror(-err));
	return err;
}

/* overdrive beside this program, or where the path leads. */
static void find_overdrive(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash && (size_t)(slash - path) + sizeof("/overdrive") <= size)
		memcpy(slash, "/overdrive", sizeof("/overdrive"));
	if (access(path, X_OK) < 0)
		snprintf(path, size, "overdrive");
}

static bool lies_below(const char *path, const char *dir)
{
	size_t length = strlen(dir);

	return strncmp(path, dir, length) == 0 &&
	       (length == 1 || path[length] == '/' || !path[length]);
}

/* A new directory that is not below dir: nothing is ever written there. */
static int make_point(struct bench_mount *m, const char *dir)
{
	static const char *const places[] = { "/run", "/tmp", "/dev/shm", "/var/tmp" };

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		autofree char *real = realpath(places[i], NULL);

		if (!real || lies_below(real, dir))
			continue;
		snprintf(m->point, sizeof(m->point), "%s/overdrive-bench.XXXXXX", places[i]);
		if (mkdtemp(m->point))
			return 0;
	}
	m->point[0] = '\0';
	return fail("no place for a mountpoint outside of the directory", -EACCES);
}

static void run_daemon(const struct bench_mount *m, const char *dir, const sigset_t *old_mask)
{
	int null = open("/dev/null", O_RDWR);

	/* ^C is for us: we unmount. And if we are killed, it ends. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigprocmask(SIG_SETMASK, old_mask, NULL);
	dup2(null, STDIN_FILENO);
	if (m->said >= 0)
		dup2(m->said, STDERR_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execlp(m->run, m->run, "-f", "-o", "ro", dir, m->point, (char *)NULL);
	fprintf(stderr, "overdrivectl bench: %s: %s\n", m->run, strerror(errno));
	_exit(127);
}

/* What the daemon said concerns the user only if it does not mount. */
static void show_said(const struct bench_mount *m)
{
	char text[1024];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(m->said, text, sizeof(text), at)) > 0) {
		fwrite(text, 1, (size_t)n, stderr);
		at += n;
	}
}

static int wait_for_mount(struct bench_mount *m, dev_t before)
{
	for (int i = 0; i < PATIENCE; i++) {
		struct stat st;

		if (stat(m->point, &st) == 0 && st.st_dev != before) {
			m->root = open(m->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			return m->root < 0 ? fail(m->point, -errno) : 0;
		}
		if (waitpid(m->daemon, NULL, WNOHANG) == m->daemon) {
			m->daemon = 0;
			show_said(m);
			return fail("overdrive ended without mounting", -EIO);
		}
		pause_tenth();
	}
	show_said(m);
	return fail("overdrive does not mount", -ETIMEDOUT);
}

int bench_mount_open(struct bench_mount *m, const char *dir, const sigset_t *old_mask)
{
	struct stat st;
	int err;

	memset(m, 0, sizeof(*m));
	m->root = -1;
	m->said = -1;
	find_overdrive(m->run, sizeof(m->run));
	err = make_point(m, dir);
	if (err)
		return err;
	if (stat(m->point, &st) < 0)
		return fail(m->point, -errno);
	m->said = memfd_create("overdrive-bench", MFD_CLOEXEC);
	m->daemon = fork();
	if (m->daemon < 0)
		return fail("fork", -errno);
	if (m->daemon == 0)
		run_daemon(m, dir, old_mask);
	return wait_for_mount(m, st.st_dev);
}

/* SIGTERM makes overdrive unmount and end, whoever mounted. */
static int end_daemon(struct bench_mount *m)
{
	kill(m->daemon, SIGTERM);
	for (int i = 0; i < PATIENCE; i++) {
		if (waitpid(m->daemon, NULL, WNOHANG) == m->daemon) {
			m->daemon = 0;
			return 0;
		}
		pause_tenth();
	}
	kill(m->daemon, SIGKILL);
	waitpid(m->daemon, NULL, 0);
	m->daemon = 0;
	return -ETIMEDOUT;
}

int bench_mount_close(struct bench_mount *m)
{
	int err = 0;

	if (!m->point[0])
		return 0;
	if (m->root >= 0)
		close(m->root);
	m->root = -1;
	if (m->daemon > 0)
		err = end_daemon(m);
	if (rmdir(m->point) < 0) {
		/* Still mounted, by somebody who looks on: out of the way, at least. */
		umount2(m->point, MNT_DETACH);
		if (rmdir(m->point) < 0)
			err = -errno;
	}
	if (err)
		fail(m->point, err);
	m->point[0] = '\0';
	if (m->said >= 0)
		close(steal_fd(&m->said));
	return err;
}
