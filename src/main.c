/* SPDX-License-Identifier: GPL-2.0-or-later */
/* overdrive: options, mount, serve, and nothing else. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "config.h"
#include "fs/serve.h"
#include "options.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/notify.h"
#include "util/stdio.h"
#include "util/why.h"

/* mount(8), EXIT STATUS */
#define EXIT_USAGE  1
#define EXIT_SYSTEM 2
#define EXIT_MOUNT  32

#define ERR_SIZE 1024

static int complain(int code, const char *text)
{
	fprintf(stderr, "overdrive: %s\n", text);
	return code;
}

/* The mountpoint as an absolute path, or NULL with the reason in err. */
static char *find_mountpoint(const struct options *o, char *err)
{
	const char *path = o->mountpoint ? o->mountpoint : o->source;
	const char *name = o->mountpoint ? "MOUNTPOINT" : "SOURCE";
	struct statfs fs;
	struct stat st;
	char *found;

	/* statfs, as a dead mount's attributes may still be remembered. */
	if (stat(path, &st) < 0 || statfs(path, &fs) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			snprintf(err, ERR_SIZE, "%s: %s; %s must be a directory that exists", path,
				 strerror(errno), name);
		else
			snprintf(err, ERR_SIZE, "%s: %s", path, why(errno));
		return NULL;
	}
	if (!S_ISDIR(st.st_mode)) {
		snprintf(err, ERR_SIZE, "%s: not a directory; %s must be one", path, name);
		return NULL;
	}
	found = realpath(path, NULL);
	if (!found)
		snprintf(err, ERR_SIZE, "%s: %s", path, strerror(errno));
	return found;
}

struct job {
	const struct options *options;
	const struct kernel *kernel;
	struct source *source;
	const char *mountpoint;
	int starter; /* in the background: where somebody waits to hear that we serve; else -1 */
	int notify;
};

/* Tells the waiting parent, and lets go of its terminal. */
static void release_starter(int *pipe_end)
{
	unsigned char ok = 0;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	log_to_syslog();
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null >= 0)
		close(null);
	if (write(*pipe_end, &ok, 1) < 0)
		log_line(LOG_ERR, "the starting process is gone: %s", strerror(errno));
	close(steal_fd(pipe_end));
}

static void on_event(void *argument, enum serve_event event)
{
	struct job *job = argument;
	char text[512];

	if (event == SERVE_ENDED) {
		notify_send(job->notify, "STOPPING=1\nSTATUS=Unmounted");
		return;
	}
	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d\nSTATUS=Serving %s", getpid(),
		 job->mountpoint);
	if (job->starter >= 0)
		release_starter(&job->starter);
	notify_send(job->notify, text);
}

static int run(struct job *job)
{
	char err[ERR_SIZE] = "";
	int result = serve(job->options, job->kernel, job->source, job->mountpoint, on_event, job,
			   err, sizeof(err));

	if (result)
		log_line(LOG_CRIT, "%s", err);
	return result;
}

/* What ends who starts us; blocked, so that the daemon hears of it. */
static void block_ends(sigset_t *ends, sigset_t *old)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction now;

	sigemptyset(ends);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(ends, signals[i]);
	sigprocmask(SIG_BLOCK, ends, old);
}

/* Until the daemon has something to say. True: we were to end before, and so is it now. */
static bool interrupted(pid_t child, int pipe_end, const sigset_t *ends)
{
	autoclose int signals = signalfd(-1, ends, SFD_CLOEXEC);
	struct pollfd either[] = {
		{ .fd = pipe_end, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	while (poll(either, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	if (either[0].revents)
		return false;
	kill(child, SIGTERM);
	/* Should that take long, another signal ends us as ever. */
	if (read(signals, &info, sizeof(info)) == sizeof(info))
		sigprocmask(SIG_UNBLOCK, ends, NULL);
	return true;
}

/* The daemon's exit code if it fails before it serves, else 0 as soon as it does. */
static int wait_for_daemon(pid_t child, int pipe_end, const sigset_t *ends)
{
	unsigned char code = EXIT_SYSTEM;
	bool ended = interrupted(child, pipe_end, ends);
	int status;
	ssize_t n;

	do
		n = read(pipe_end, &code, 1);
	while (n < 0 && errno == EINTR);
	if (ended)
		return complain(EXIT_SYSTEM, "interrupted before the mount was there");
	if (n == 1)
		return code;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status))
		return WEXITSTATUS(status);
	return complain(EXIT_SYSTEM, "the daemon died before it served the mount");
}

static int run_in_background(struct job *job)
{
	int ends[2];
	sigset_t signals, old;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return complain(EXIT_SYSTEM, strerror(errno));
	block_ends(&signals, &old);
	child = fork();
	if (child < 0)
		return complain(EXIT_SYSTEM, strerror(errno));
	if (child > 0) {
		close(ends[1]);
		return wait_for_daemon(child, ends[0], &signals);
	}
	close(ends[0]);
	sigprocmask(SIG_SETMASK, &old, NULL);
	setsid();
	if (chdir("/") < 0)
		log_line(LOG_WARNING, "/: %s", strerror(errno));
	job->starter = ends[1];
	return run(job);
}

static int mount_and_serve(const struct options *o)
{
	char err[ERR_SIZE] = "";
	struct source source;
	struct kernel kernel;
	struct job job = { .options = o, .kernel = &kernel, .source = &source, .starter = -1 };
	autofree char *mountpoint = find_mountpoint(o, err);
	int result;

	if (!mountpoint)
		return complain(EXIT_USAGE, err);
	kernel_probe(&kernel);
	if (source_open(&source, &kernel, o->source, err, sizeof(err)) != 0) {
		source_deinit(&source);
		return complain(EXIT_USAGE, err);
	}
	job.mountpoint = mountpoint;
	log_open();
	job.notify = notify_open();
	result = o->foreground ? run(&job) : run_in_background(&job);
	if (job.notify >= 0)
		close(job.notify);
	source_deinit(&source);
	return result;
}

#define REMOUNTER "/sbin/mount.overdrive" /* where mount(8) looks for it */

static bool has_remount(const char *list)
{
	static const char word[] = "remount";
	const size_t length = sizeof(word) - 1;

	for (const char *at = list; (at = strstr(at, word)); at += length)
		if ((at == list || at[-1] == ',') && (!at[length] || at[length] == ','))
			return true;
	return false;
}

/* By a line `overdrive#SOURCE MOUNTPOINT fuse` of fstab, mount.fuse calls us for remounts too. */
static void remount(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "-o", 2) == 0 &&
		    has_remount(argv[i][2] || i + 1 == argc ? argv[i] + 2 : argv[i + 1]))
			execv(REMOUNTER, argv);
	/* Not installed: the options' parser tells what to do. */
}

int main(int argc, char **argv)
{
	char err[OPTIONS_ERR_LEN] = "";
	struct options o;
	int result;

	hold_stdio();
	remount(argc, argv);
	options_init(&o);
	result = options_parse(&o, argc, argv, err, sizeof(err));
	if (result)
		complain(result, err);
	else if (o.show_help)
		options_print_help(stdout);
	else if (o.show_version)
		printf("overdrive %s\n", OVERDRIVE_VERSION);
	else
		result = mount_and_serve(&o);
	options_deinit(&o);
	if (fflush(stdout) != 0 && !result)
		result = complain(EXIT_SYSTEM, strerror(errno));
	return result;
}
