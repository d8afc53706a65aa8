/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fs/mount.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mountpoint.h"

#define NO_MOUNT (-1)
#define KEPT	 2 /* descriptors behind stderr */

/* What the daemon said last before its end of the pipe closed: a mount's id, or NO_MOUNT. */
static int wait_for_end(int pipe_end)
{
	int id = NO_MOUNT, word;
	ssize_t n;

	for (;;) {
		n = read(pipe_end, &word, sizeof(word));
		if (n == sizeof(word))
			id = word;
		else if (n == 0 || errno != EINTR)
			return id;
	}
}

static void detach(int proc, const char *mountpoint, int id)
{
	int err;

	if (geteuid() == 0)
		err = mountpoint_detach(proc, mountpoint, id);
	else
		err = mountpoint_id(proc, mountpoint) == id ? fs_fusermount(mountpoint, true)
							    : -ESTALE;
	if (!err)
		log_line(LOG_WARNING,
			 "%s: the daemon has died; detached, so the path is plain again. Mount it "
			 "anew when you like",
			 mountpoint);
	else if (err != -ESTALE && err != -ENOENT) /* unmounted by somebody else meanwhile */
		log_line(LOG_ERR,
			 "%s: the daemon has died, and detaching failed: %s; try umount -l",
			 mountpoint, strerror(-err));
}

/* Holds nothing that would keep SOURCE, the mount or somebody's pipe alive. */
static void let_go(int *pipe_end, int *proc, bool foreground)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; null >= 0 && fd < (foreground ? 2 : 3); fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	closelog();
	/* Out of the way of the places that they are to have. */
	*pipe_end = fcntl(*pipe_end, F_DUPFD, 3 + KEPT);
	*proc = fcntl(*proc, F_DUPFD, 3 + KEPT);
	dup2(*pipe_end, 3);
	dup2(*proc, 4);
	close_range(3 + KEPT, ~0u, 0);
	*pipe_end = 3;
	*proc = 4;
	log_open();
	if (!foreground)
		log_to_syslog();
}

static void guard_main(int pipe_end, int proc, const char *mountpoint, bool foreground)
{
	int id;

	setsid();
	/* Who ends the daemon by its name would mean us as well. We go when it goes. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "overdrive-guard");
	if (chdir("/") < 0)
		return;
	let_go(&pipe_end, &proc, foreground);
	id = wait_for_end(pipe_end);
	if (id != NO_MOUNT)
		detach(proc, mountpoint, id);
}

int guard_start(struct guard *guard, int proc, const char *mountpoint, bool foreground)
{
	int ends[2];
	pid_t child;

	guard->pipe = -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0) {
		/* Twice, so that nobody has to wait for it. */
		if (fork() == 0) {
			close(ends[1]);
			guard_main(ends[0], proc, mountpoint, foreground);
		}
		_exit(0);
	}
	close(ends[0]);
	if (child < 0 || waitpid(child, NULL, 0) < 0) {
		int err = -errno;

		close(ends[1]);
		return err;
	}
	guard->pipe = ends[1];
	return 0;
}

static void say(const struct guard *guard, int word)
{
	if (guard->pipe >= 0 && write(guard->pipe, &word, sizeof(word)) < 0)
		log_line(LOG_WARNING,
			 "detach_on_death: the guard is gone (%s); a dead mount would stay "
			 "until umount -l",
			 strerror(errno));
}

void guard_arm(const struct guard *guard, int mount_id)
{
	say(guard, mount_id);
}

void guard_dismiss(struct guard *guard)
{
	if (guard->pipe < 0)
		return;
	say(guard, NO_MOUNT);
	close(steal_fd(&guard->pipe));
}
