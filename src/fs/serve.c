/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/serve.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "creds/creds.h"
#include "fs/direct.h"
#include "fs/disk.h"
#include "fs/guard.h"
#include "fs/housekeeper.h"
#include "fs/kept.h"
#include "fs/latency.h"
#include "fs/listed.h"
#include "fs/mount.h"
#include "fs/revalidate.h"
#include "fs/session.h"
#include "fs/walking.h"
#include "fs/warming.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mountpoint.h"

#define EXIT_SYSTEM	  2
#define EXCLUSIVE_TIMEOUT 86400.0 /* seconds: nobody else writes SOURCE */
/* The kernel's table costs 8 bytes an entry for good; more than this is never needed. */
#define MAX_DESCRIPTORS 65536

/*
 * Growing the descriptor table of a threaded process waits for RCU, 40-75 ms in a cold mount
 * (PLATFORM.md 11): grow it once, before the first thread. Returns its size.
 */
static uint32_t grow_descriptor_table(void)
{
	struct rlimit limit;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur > MAX_DESCRIPTORS)
		limit.rlim_cur = MAX_DESCRIPTORS;
	fd = fcntl(0, F_DUPFD_CLOEXEC, (int)limit.rlim_cur - 1);
	if (fd >= 0)
		close(fd);
	return (uint32_t)limit.rlim_cur;
}

static double timeout_of(double said, const struct options *o)
{
	if (said >= 0)
		return said;
	return o->exclusive == OPTION_ON ? EXCLUSIVE_TIMEOUT : OPTIONS_TIMEOUT_DEFAULT;
}

static int fs_init(struct fs *fs, const struct options *o, const struct kernel *kernel,
		   struct source *source, uint32_t descriptors)
{
	*fs = (struct fs){
		.tree.source = *source,
		.tree.kernel = *kernel,
		.options = o,
		.owner = getuid(),
		.started_ns = clock_ns(),
		.attr_timeout = timeout_of(o->attr_timeout, o),
		.entry_timeout = timeout_of(o->entry_timeout, o),
		.negative_timeout = timeout_of(o->negative_timeout, o),
	};
	*source = (struct source){ .tree = -1, .root = -1, .proc = -1, .proc_fds = -1 };
	fs->revalidate = revalidate_new();
	fs->kept = kept_new();
	fs->listed = listed_new();
	if (!fs->revalidate || !fs->kept || !fs->listed)
		return -ENOMEM;
	return tree_init(&fs->tree, descriptors);
}

static void fs_deinit(struct fs *fs, const char *mountpoint, bool failed)
{
	session_free(fs->session);
	disk_stop(fs);
	walking_stop(fs);
	warming_stop(fs);
	direct_stop(fs);
	fs_mount_deinit(fs, mountpoint, failed);
	revalidate_free(fs->revalidate);
	kept_free(fs->kept);
	listed_free(fs->listed);
	latency_free(fs->latency);
	tree_deinit(&fs->tree);
	source_deinit(&fs->tree.source);
	stats_deinit(&fs->stats);
}

/* The main thread's part: signals. */
struct control {
	struct fs *fs;
	const char *mountpoint;
	int signals;
	void (*tell)(void *, enum serve_event);
	void *argument;
	struct guard guard;
};

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN); /* somebody opens a file while we ask who writes it (still.h) */
	return or_errno(signalfd(-1, &set, SFD_CLOEXEC));
}

static void on_signal(struct control *c)
{
	struct signalfd_siginfo info;
	int err;

	if (read(c->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1) {
		session_log_in_flight(c->fs->session);
		return;
	}
	err = fs_unmount(c->fs, c->mountpoint);
	if (!err)
		log_line(LOG_INFO, "%s: unmounted by signal %u of pid %u", c->mountpoint,
			 info.ssi_signo, info.ssi_pid);
	else if (err == -ESTALE)
		log_line(
			LOG_WARNING,
			"%s: not unmounted: it is not there any more, or covered; served until its "
			"last file is closed",
			c->mountpoint);
	else if (err)
		log_line(LOG_ERR, "%s: not unmounted: %s; it stays mounted and served",
			 c->mountpoint,
			 err == -EBUSY ? "busy, something still uses it (fuser -m tells what)"
				       : strerror(-err));
}

/* Until the mount is gone. Does nothing that may wait for the disk: SIGUSR1 must be answered. */
static void control_loop(struct control *c)
{
	struct session *s = c->fs->session;
	struct pollfd fds[] = {
		{ .fd = c->signals, .events = POLLIN },
		{ .fd = session_done_fd(s), .events = POLLIN },
		{ .fd = session_ready_fd(s), .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			return;
		if (fds[0].revents)
			on_signal(c);
		if (fds[2].revents) {
			fds[2].fd = -1;
			c->tell(c->argument, SERVE_READY);
		}
	}
}

/* A mount that is gone was unmounted. One that is still there was cut off by fusectl: programs there
 * get ENOTCONN, and nobody else says why. */
static void say_if_aborted(const struct fs *fs, const char *mountpoint)
{
	if (mountpoint_id(fs->tree.source.proc, mountpoint) == fs->mount_id)
		log_line(LOG_WARNING,
			 "%s: no longer served: its connection was aborted (fusectl); "
			 "unmount it",
			 mountpoint);
}

static int run(struct fs *fs, struct control *c, char *err, size_t err_size)
{
	const struct options *o = fs->options;
	int result = 0;

	if (o->atime != OPTION_ATIME_AUTO)
		result = source_set_atime(&fs->tree.source, o->atime == OPTION_ATIME_NOATIME,
					  o->atime == OPTION_ATIME_STRICTATIME);
	if (result)
		log_line(LOG_WARNING, "atime goes as SOURCE's own mount has it: %s",
			 result == -ENOSYS ? "only root's mount can change that, since Linux 5.12"
					   : strerror(-result));
	result = disk_look(fs);
	if (result) {
		snprintf(err, err_size, "%s: %s", c->mountpoint, strerror(-result));
		return EXIT_SYSTEM;
	}
	direct_start(fs);
	fs->latency = latency_new(o->wake);
	result = fs_mount(fs, c->mountpoint, err, err_size);
	if (result)
		return result;
	guard_arm(&c->guard, fs->mount_id);
	fs->session = session_new(fs);
	warming_start(fs);
	walking_start(fs);
	result = fs->session ? session_start(fs->session) : -ENOMEM;
	if (result) {
		snprintf(err, err_size, "%s: can't start to serve: %s", c->mountpoint,
			 strerror(-result));
		return EXIT_SYSTEM;
	}
	fs->housekeeper = housekeeper_new(fs);
	latency_start(fs->latency);
	disk_start(fs);
	control_loop(c);
	c->tell(c->argument, SERVE_ENDED);
	fs->housekeeper = housekeeper_free(fs->housekeeper);
	result = session_join(fs->session);
	if (result)
		snprintf(err, err_size, "%s: service ended: %s", c->mountpoint, strerror(-result));
	else
		say_if_aborted(fs, c->mountpoint);
	return result ? EXIT_SYSTEM : 0;
}

int serve(const struct options *o, const struct kernel *kernel, struct source *source,
	  const char *mountpoint, void (*tell)(void *, enum serve_event), void *argument, char *err,
	  size_t err_size)
{
	struct control c = {
		.mountpoint = mountpoint, .tell = tell, .argument = argument, .guard.pipe = -1
	};
	autofree struct fs *fs = calloc(1, sizeof(*fs));
	uint32_t descriptors;
	int result;

	if (!fs)
		return EXIT_SYSTEM;
	c.fs = fs;
	if (o->detach_on_death == OPTION_ON) {
		result = guard_start(&c.guard, source->proc, mountpoint, o->foreground);
		if (result) {
			snprintf(err, err_size, "%s: detach_on_death: can't start the guard: %s",
				 mountpoint, strerror(-result));
			return EXIT_SYSTEM;
		}
	}
	descriptors = grow_descriptor_table();
	result = source_start(source);
	if (!result)
		result = fs_init(fs, o, kernel, source, descriptors);
	if (!result && geteuid() == 0)
		result = creds_drop_unneeded();
	if (!result) {
		c.signals = open_signals();
		result = c.signals < 0 ? c.signals : 0;
	}
	if (result) {
		snprintf(err, err_size, "%s: can't start: %s", mountpoint, strerror(-result));
		return EXIT_SYSTEM;
	}
	result = run(fs, &c, err, err_size);
	fs_deinit(fs, mountpoint, result != 0);
	guard_dismiss(&c.guard);
	close(c.signals);
	return result;
}
