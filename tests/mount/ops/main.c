// SPDX-License-Identifier: GPL-2.0-only
/* ops [--here] DIR [SCENARIO…]: runs scenarios below DIR, prints their transcript; see ops.h. */
#include "ops.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ms; a scenario takes less than 1,000 on an idle machine */
#define SCENARIO_TIMEOUT 180000
/* of which so many are enough to give up */
#define MAX_TIMEOUTS 3

static const struct scenario *const tables[] = {
	names_scenarios,    links_scenarios, rename_scenarios,	 nodes_scenarios,
	attr_scenarios,	    times_scenarios, open_scenarios,	 tmpfile_scenarios,
	append_scenarios,   data_scenarios,  direct_scenarios,	 async_scenarios,
	unlinked_scenarios, mmap_scenarios,  copy_scenarios,	 space_scenarios,
	dir_scenarios,	    xattr_scenarios, acl_scenarios,	 flags_scenarios,
	locks_scenarios,    ids_scenarios,   caps_scenarios,	 killpriv_scenarios,
	exec_scenarios,	    watch_scenarios, fanotify_scenarios, misc_scenarios,
	known_scenarios,    full_scenarios,  layers_scenarios,	 fault_scenarios,
};

#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

static int fail(const char *what, const char *name)
{
	fprintf(stderr, "ops: %s: %s: %s\n", what, name, strerror(errno));
	return 1;
}

/* In the child: the scenario's directory is the cwd. */
static void run_here(struct ops *o, const struct scenario *s)
{
	signal(SIGPIPE, SIG_IGN);
	setpgid(0, 0);
	s->run(o);
	_exit(0);
}

/* Waits for a scenario; kills it, and all that it started, when it takes too long. */
static int wait_for(struct ops *o, pid_t pid)
{
	static int timeouts;
	int ms, status;

	for (ms = 0; waitpid(pid, &status, WNOHANG) != pid; ms += ms < 100 ? 1 : 20) {
		usleep(ms < 100 ? 1000 : 20000);
		if (ms < SCENARIO_TIMEOUT)
			continue;
		ops_say(o, "end", "takes too long");
		if (kill(-pid, SIGKILL) < 0 || ++timeouts == MAX_TIMEOUTS)
			exit(fail("too many time-outs, the last", o->name));
		sleep(5);
		if (waitpid(pid, &status, WNOHANG) != pid)
			exit(fail("can't be killed", o->name));
		return 0;
	}
	/* what it may have left */
	kill(-pid, SIGKILL);
	return status;
}

/*
 * On a full filesystem what was deleted may come back a little later: FUSE tells the daemon of the
 * last close after close(2) has returned (fuse_file_put).
 */
static int make_empty(int top, const char *name)
{
	int tries = 0, err;

	while ((err = mkdirat(top, name, 0755)) < 0 && errno == ENOSPC && tries++ < 3000)
		usleep(10000);
	return err;
}

static int run_one(struct ops *o, const struct scenario *s, int top)
{
	pid_t pid;
	int status;

	o->name = s->name;
	if (!o->here && (ops_rm(top, s->name) < 0 || make_empty(top, s->name) < 0))
		return fail("can't make an empty directory", s->name);
	pid = fork();
	if (!pid) {
		const char *where = o->here ? "." : s->name;
		int fd = openat(top, where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || fchdir(fd) < 0)
			_exit(fail("can't enter", s->name));
		close(fd);
		run_here(o, s);
	}
	if (pid < 0)
		return fail("fork", s->name);
	status = wait_for(o, pid);
	if (WIFSIGNALED(status))
		ops_say(o, "end", "killed by signal %s", sigabbrev_np(WTERMSIG(status)));
	else
		ops_say(o, "end", "%d", WEXITSTATUS(status));
	if (!o->here && ops_rm(top, s->name) < 0)
		ops_say(o, "clean-up", "%s", strerrorname_np(errno));
	return 0;
}

/* PREFIX* selects all scenarios with that beginning. */
static bool matches(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return !strncmp(pattern, name, len - 1);
	return !strcmp(pattern, name);
}

static bool wanted(const struct scenario *s, int n, char **names, bool *used)
{
	bool any = !n && !(s->who & OPS_NAMED);
	int i;

	for (i = 0; i < n; i++) {
		if (matches(names[i], s->name)) {
			used[i] = true;
			any = true;
		}
	}
	return any;
}

static int run_all(struct ops *o, int top, int n, char **names)
{
	unsigned int who = o->root ? OPS_ROOT : OPS_USER;
	bool *used = calloc((size_t)n + 1, sizeof(*used));
	const struct scenario *s;
	size_t t;
	int i;

	for (t = 0; t < N_TABLES; t++)
		for (s = tables[t]; s->name; s++)
			if (wanted(s, n, names, used) && (s->who & who) && run_one(o, s, top))
				exit(1);
	for (i = 0; i < n; i++) {
		if (!used[i]) {
			fprintf(stderr, "ops: no scenario '%s'\n", names[i]);
			exit(2);
		}
	}
	free(used);
	return 0;
}

static int list(void)
{
	static const char *const who[] = { "", "root", "user", "both", "", "root", "user", "both" };
	const struct scenario *s;
	size_t t;

	for (t = 0; t < N_TABLES; t++)
		for (s = tables[t]; s->name; s++)
			printf("%s %s\n", who[s->who], s->name);
	return 0;
}

int main(int argc, char **argv)
{
	static char self[4096];
	struct ops o = { .self = self, .root = !geteuid() };
	struct rlimit no_core = { 0 };
	int top;

	/* a copy of this program, run by a scenario, only says that it ran */
	if (argc == 3 && !strcmp(argv[1], "--exit"))
		return atoi(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "--sleep"))
		return (int)pause();
	if (argc == 2 && !strcmp(argv[1], "--ids"))
		return geteuid() == USER_B ? 42 : getegid() == USER_B ? 43 : 41;
	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	/* the scenario finds DIR as it is, and leaves it as it likes */
	if (argc > 2 && !strcmp(argv[1], "--here")) {
		o.here = true;
		argv++;
		argc--;
	}
	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: ops [--here] DIR [SCENARIO | PREFIX*]...\n"
				"       ops --list\n");
		return 2;
	}
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return fail("readlink", "/proc/self/exe");
	top = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return fail("open", argv[1]);
	umask(022);
	setrlimit(RLIMIT_CORE, &no_core);
	return run_all(&o, top, argc - 2, argv + 2);
}
