/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each test runs in a process of its own (libcheck forks): identities changed here harm nobody. */
#include "creds/creds.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base_dir.h"
#include "suite.h"

#define CALLER		1234
#define TEAM		5678 /* a group */
#define HAS(caps, name) ((caps) >> CAP_##name & 1)

static int proc = -1;

static void make_base(void)
{
	new_base(0777);
	ck_assert_int_eq(chdir(base), 0);
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* What the kernel says that this thread is. */
struct status {
	unsigned uid[4], gid[4]; /* real, effective, saved, of the filesystem */
	unsigned umask;
	unsigned long long permitted, effective;
	char groups[128];
};

static struct status status_now(void)
{
	struct status s = { .groups = "?" };
	char line[256];
	FILE *f = fopen("/proc/thread-self/status", "r");

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "Uid: %u %u %u %u", &s.uid[0], &s.uid[1], &s.uid[2], &s.uid[3]);
		sscanf(line, "Gid: %u %u %u %u", &s.gid[0], &s.gid[1], &s.gid[2], &s.gid[3]);
		sscanf(line, "Umask: %o", &s.umask);
		sscanf(line, "CapPrm: %llx", &s.permitted);
		sscanf(line, "CapEff: %llx", &s.effective);
		if (strncmp(line, "Groups:", 7) == 0) {
			char *text = line + 7 + strspn(line + 7, " \t");

			text[strcspn(text, "\n")] = '\0';
			while (*text && text[strlen(text) - 1] == ' ')
				text[strlen(text) - 1] = '\0';
			snprintf(s.groups, sizeof(s.groups), "%s", text);
		}
	}
	fclose(f);
	return s;
}

static void assert_rests(void)
{
	struct status s = status_now();

	ck_assert_uint_eq(s.uid[0], 0);
	ck_assert_uint_eq(s.uid[1], 0);
	ck_assert_uint_eq(s.uid[3], CREDS_RESTING_UID);
	ck_assert_uint_eq(s.gid[3], CREDS_RESTING_UID);
	ck_assert_str_eq(s.groups, "");
	ck_assert(!HAS(s.effective, FSETID) && !HAS(s.effective, SYS_RESOURCE));
	ck_assert(HAS(s.effective, DAC_READ_SEARCH) && HAS(s.effective, SYS_ADMIN));
	ck_assert(HAS(s.effective, DAC_OVERRIDE) && HAS(s.effective, CHOWN));
	ck_assert(!HAS(s.effective, SYS_MODULE) && !HAS(s.effective, SYS_PTRACE));
}

static void init(struct creds *c)
{
	ck_assert_int_eq(creds_init(c, proc), 0);
}

static void make_file(const char *name, uid_t uid, gid_t gid, mode_t mode)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchown(fd, uid, gid), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(lstat(name, &st), 0);
	return st;
}

/* 0 or -errno. */
static int try_open(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static pid_t child;
static int leash = -1; /* the child lives while this is open: nobody at rest may kill it */

static void live_as_caller(size_t count, const gid_t *groups, int ready, int stay)
{
	char byte;

	if (setgroups(count, groups) == 0 && setresgid(CALLER, CALLER, CALLER) == 0 &&
	    setresuid(CALLER, CALLER, CALLER) == 0 && write(ready, "", 1) == 1)
		_exit(read(stay, &byte, 1) != 0);
	_exit(1);
}

/* A process of the caller's with these groups. */
static pid_t caller_process(size_t count, const gid_t *groups)
{
	int ready[2], stay[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(stay), 0);
	child = fork();
	if (child == 0) {
		close(stay[1]);
		live_as_caller(count, groups, ready[1], stay[0]);
	}
	ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(stay[0]);
	leash = stay[1];
	return child;
}

static void end_child(void)
{
	close(leash);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(test_init)
{
	struct creds c;
	gid_t groups[] = { 10, 20 };

	ck_assert_int_eq(setgroups(2, groups), 0);
	init(&c);
	ck_assert(c.switching && c.state == CREDS_RESTING);
	assert_rests();
	ck_assert_uint_eq(status_now().umask, 077);
}
END_TEST

/* The process gives up what no worker needs; nothing that is tested here was among it. */
START_TEST(test_drop_unneeded)
{
	struct creds c;
	struct status s;

	ck_assert_int_eq(creds_drop_unneeded(), 0);
	s = status_now();
	ck_assert(!HAS(s.permitted, SYS_MODULE) && !HAS(s.permitted, NET_ADMIN));
	ck_assert(HAS(s.permitted, SYS_ADMIN) && HAS(s.permitted, FSETID));
	init(&c);
	assert_rests();
	ck_assert_uint_eq(status_now().permitted, s.permitted);
	ck_assert_int_eq(creds_strict(&c, CALLER, CALLER, getpid()), 0);
	creds_rest(&c);
	assert_rests();
}
END_TEST

START_TEST(test_caller)
{
	struct creds c;
	struct status s;

	init(&c);
	creds_umask(&c, 027);
	creds_caller(&c, CALLER, TEAM);
	s = status_now();
	ck_assert_uint_eq(s.uid[3], CALLER);
	ck_assert_uint_eq(s.gid[3], TEAM);
	ck_assert(!HAS(s.effective, FSETID) && !HAS(s.effective, SYS_RESOURCE));
	ck_assert(!HAS(s.effective, SYS_ADMIN));
	ck_assert_int_eq(mkdir("caller_dir", 0777), 0);
	ck_assert_int_eq(try_open("caller_dir/file", O_CREAT | O_WRONLY), 0);
	ck_assert_uint_eq(stat_of("caller_dir/file").st_uid, CALLER);
	ck_assert_uint_eq(stat_of("caller_dir/file").st_gid, TEAM);
	ck_assert_uint_eq(stat_of("caller_dir/file").st_mode & 07777, 0640);
	ck_assert_uint_eq(stat_of("caller_dir").st_mode & 07777, 0750);
	creds_rest(&c);
	assert_rests();
	creds_umask(&c, 0);
	creds_caller(&c, 0, 0);
	ck_assert_int_eq(try_open("caller_dir/root", O_CREAT | O_WRONLY), 0);
	ck_assert_uint_eq(stat_of("caller_dir/root").st_uid, 0);
	ck_assert_uint_eq(stat_of("caller_dir/root").st_gid, 0);
	ck_assert_uint_eq(stat_of("caller_dir/root").st_mode & 07777, 0666);
	creds_rest(&c);
	assert_rests();
}
END_TEST

/* Strict: SOURCE refuses what it would refuse the caller, and nothing more. */
START_TEST(test_strict)
{
	gid_t team = TEAM;
	struct creds c;

	make_file("strict_own", CALLER, 0, 0400);
	make_file("strict_team", 0, TEAM, 0040);
	make_file("strict_closed", 0, 0, 0);
	init(&c);
	ck_assert_int_eq(creds_strict(&c, CALLER, CALLER, caller_process(1, &team)), 0);
	ck_assert_uint_eq(status_now().effective, 0);
	ck_assert_str_eq(status_now().groups, "5678");
	ck_assert_int_eq(try_open("strict_own", O_RDONLY), 0);
	ck_assert_int_eq(try_open("strict_own", O_WRONLY), -EACCES);
	ck_assert_int_eq(try_open("strict_team", O_RDONLY), 0);
	ck_assert_int_eq(try_open("strict_closed", O_RDONLY), -EACCES);
	creds_rest(&c);
	assert_rests();
	ck_assert_int_eq(try_open("strict_closed", O_RDONLY), 0);
	/* Without a process to ask he has no groups; nor has the next caller. */
	ck_assert_int_eq(creds_strict(&c, CALLER, CALLER, 0), 0);
	ck_assert_str_eq(status_now().groups, "");
	ck_assert_int_eq(try_open("strict_team", O_RDONLY), -EACCES);
	ck_assert_int_eq(creds_strict(&c, CALLER, TEAM, 0), 0);
	ck_assert_int_eq(try_open("strict_team", O_RDONLY), 0);
	/* Root is refused nothing. */
	ck_assert_int_eq(creds_strict(&c, 0, 0, child), 0);
	ck_assert_int_eq(try_open("strict_closed", O_RDWR), 0);
	creds_rest(&c);
	end_child();
}
END_TEST

START_TEST(test_groups)
{
	static const size_t counts[] = { 0, 1, 32, 1000, 65536 };
	gid_t *groups = calloc(65536, sizeof(*groups)), *seen = calloc(65536, sizeof(*seen));
	struct creds c;

	for (unsigned i = 0; i < 65536; i++)
		groups[i] = 4294000000u + i;
	init(&c);
	for (int i = 0; i < 5; i++) {
		const gid_t *some =
			groups + 65536 - counts[i]; /* in order, as the kernel gives them */
		pid_t pid = caller_process(counts[i], some);

		ck_assert_int_eq(creds_grouped(&c, CALLER, CALLER, pid), 0);
		ck_assert_int_eq((int)syscall(SYS_getgroups, 65536, seen), (int)counts[i]);
		ck_assert_uint_eq(status_now().uid[3], CALLER);
		ck_assert(HAS(status_now().effective, DAC_OVERRIDE));
		ck_assert_mem_eq(seen, some, counts[i] * sizeof(*some));
		end_child();
		/* Straight on to another caller: nothing is left of this one. */
		creds_caller(&c, CALLER + 1, CALLER + 1);
		ck_assert_str_eq(status_now().groups, "");
	}
	creds_rest(&c);
	assert_rests();
	free(groups);
	free(seen);
}
END_TEST

/* A process that is gone has no groups to be read: an error, at rest. */
START_TEST(test_dead_process)
{
	pid_t pid = caller_process(0, NULL);
	struct creds c;

	end_child();
	init(&c);
	ck_assert_int_lt(creds_grouped(&c, CALLER, CALLER, pid), 0);
	assert_rests();
	creds_caller(&c, CALLER, CALLER);
	ck_assert_int_lt(creds_strict(&c, CALLER, CALLER, pid), 0);
	ck_assert_int_eq(c.state, CREDS_RESTING);
	assert_rests();
}
END_TEST

/* Hardened systems mount /proc so that one doesn't see another's processes. */
START_TEST(test_hidden_proc)
{
	char options[16];
	gid_t team = TEAM;
	struct creds c;
	int hidden;

	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	mkdir("proc", 0755);
	snprintf(options, sizeof(options), "hidepid=%d", _i);
	ck_assert_int_eq(mount("proc", "proc", "proc", 0, options), 0);
	hidden = open("proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(creds_drop_unneeded(), 0);
	ck_assert_int_eq(creds_init(&c, hidden), 0);
	caller_process(1, &team);
	ck_assert_int_eq(creds_strict(&c, CALLER, CALLER, child), 0);
	ck_assert_str_eq(status_now().groups, "5678");
	end_child();
}
END_TEST

/* Who is done stays the caller only where that harms nobody, and only with the plain identity. */
START_TEST(test_leave)
{
	gid_t team = TEAM;
	struct creds c;

	init(&c);
	creds_caller(&c, CALLER, CALLER);
	creds_leave(&c, true);
	ck_assert(c.lingers && status_now().uid[3] == CALLER);
	ck_assert_int_eq(creds_grouped(&c, CALLER, CALLER, caller_process(1, &team)), 0);
	for (int i = 0; i < 3; i++) { /* with groups; another's filesystem; in a namespace */
		creds_leave(&c, i != 1);
		assert_rests();
		c.unbounded = i == 0;
		creds_caller(&c, CALLER, CALLER);
	}
	end_child();
}
END_TEST

/* From each state to each, by way of rest or not. */
START_TEST(test_transitions)
{
	gid_t team = TEAM;
	pid_t pid = caller_process(1, &team);
	struct creds c;

	init(&c);
	for (int path = 0; path < 7 * 7 * 7; path++) {
		for (int step = path, i = 0; i < 3; i++, step /= 7) {
			uid_t uid = step % 2 ? 0 : CALLER + (uid_t)i;

			if (step % 7 < 2)
				creds_caller(&c, uid, uid);
			else if (step % 7 < 4)
				ck_assert_int_eq(creds_grouped(&c, uid, uid, pid), 0);
			else if (step % 7 < 6)
				ck_assert_int_eq(creds_strict(&c, uid, uid, pid), 0);
			else
				creds_rest(&c);
			if (step % 7 < 6)
				ck_assert_uint_eq(status_now().uid[3], uid);
		}
		creds_rest(&c);
		assert_rests();
	}
	end_child();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("creds");

	if (geteuid() != 0) {
		printf("not root: skipped\n");
		return 77;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_base, remove_base);
	tcase_add_test(tc, test_init);
	tcase_add_test(tc, test_drop_unneeded);
	tcase_add_test(tc, test_caller);
	tcase_add_test(tc, test_strict);
	tcase_add_test(tc, test_groups);
	tcase_add_test(tc, test_dead_process);
	tcase_add_loop_test(tc, test_hidden_proc, 0, 3);
	tcase_add_test(tc, test_leave);
	tcase_add_test(tc, test_transitions);
	return run_case("creds", tc);
}
