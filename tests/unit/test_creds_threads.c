/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an identity does to files, and what threads have to do with each other's. */
#include "creds/creds.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base_dir.h"
#include "suite.h"

#define CALLER	1234
#define TEAM	5678 /* a group */
#define THREADS 4
#define ROUNDS	1000

static int proc = -1;

static void make_base(void)
{
	new_base(0777);
	ck_assert_int_eq(chdir(base), 0);
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The filesystem uid of this thread, by the kernel's word. */
static uid_t fsuid_now(void)
{
	return (uid_t)syscall(SYS_setfsuid, -1);
}

static unsigned long long effective_now(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	syscall(SYS_capget, &header, data);
	return data[0].effective | (unsigned long long)data[1].effective << 32;
}

static bool has_cap(int cap)
{
	return effective_now() >> cap & 1;
}

static bool rests(void)
{
	return fsuid_now() == CREDS_RESTING_UID &&
	       syscall(SYS_setfsgid, -1) == (long)CREDS_RESTING_UID &&
	       syscall(SYS_getgroups, 0, NULL) == 0 && !has_cap(CAP_FSETID) &&
	       !has_cap(CAP_SYS_RESOURCE) && has_cap(CAP_DAC_READ_SEARCH) && has_cap(CAP_SYS_ADMIN);
}

static void init(struct creds *c)
{
	ck_assert_int_eq(creds_init(c, proc), 0);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(lstat(name, &st), 0);
	return st.st_mode & 07777;
}

/* Writes a byte into a file that has all bits set; says which are left. */
static mode_t bits_after_write(struct creds *c, const char *name)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), saved = c->state;
	uid_t uid = c->uid;
	gid_t gid = c->gid;

	ck_assert_int_ge(fd, 0);
	creds_caller(c, 0, 0);
	ck_assert_int_eq(fchown(fd, CALLER, TEAM), 0);
	ck_assert_int_eq(fchmod(fd, 06777), 0);
	if (saved == CREDS_RESTING)
		creds_rest(c);
	else
		creds_caller(c, uid, gid);
	ck_assert_int_eq((int)write(fd, "x", 1), 1);
	close(fd);
	return mode_of(name);
}

START_TEST(test_setuid_bits)
{
	struct creds c;

	init(&c);
	ck_assert_uint_eq(bits_after_write(&c, "resting"), 0777);
	creds_caller(&c, CALLER, TEAM);
	ck_assert_uint_eq(bits_after_write(&c, "caller"), 0777);
	creds_caller(&c, 0, 0);
	ck_assert_uint_eq(bits_after_write(&c, "root"), 06777);
	creds_rest(&c);
	ck_assert_uint_eq(bits_after_write(&c, "rested"), 0777);
}
END_TEST

/* The page cache writes for nobody: at rest but for what would clear the bits. */
START_TEST(test_writeback)
{
	struct creds c;
	int fd;

	init(&c);
	fd = open("writeback", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_eq(fchown(fd, CALLER, TEAM), 0);
	for (int from = 0; from < 3; from++) {
		creds_caller(&c, 0, 0);
		ck_assert_int_eq(fchmod(fd, 06777), 0);
		if (from == 0)
			creds_rest(&c);
		else if (from == 1)
			ck_assert_int_eq(creds_strict(&c, CALLER, TEAM, 0), 0);
		creds_writeback(&c);
		ck_assert_uint_eq(fsuid_now(), CREDS_RESTING_UID);
		ck_assert(has_cap(CAP_FSETID) && !has_cap(CAP_SYS_RESOURCE));
		ck_assert_int_eq((int)write(fd, "x", 1), 1);
		ck_assert_uint_eq(mode_of("writeback"), 06777);
		creds_rest(&c);
		ck_assert(rests());
	}
	close(fd);
}
END_TEST

/* What is made in a setgid directory, and by whom the bit may be kept, is the caller's matter. */
START_TEST(test_setgid_directory)
{
	struct creds c;
	struct stat st;

	init(&c);
	creds_caller(&c, 0, 0);
	creds_umask(&c, 0);
	ck_assert_int_eq(mkdir("setgid", 0777), 0);
	ck_assert_int_eq(chown("setgid", 0, TEAM), 0);
	ck_assert_int_eq(chmod("setgid", 02777), 0);
	creds_caller(&c, CALLER, CALLER);
	ck_assert_int_eq(mkdir("setgid/dir", 0755), 0);
	ck_assert_int_eq(lstat("setgid/dir", &st), 0);
	ck_assert(st.st_uid == CALLER && st.st_gid == TEAM && st.st_mode & S_ISGID);
	/* A file with the bit, from somebody outside the group, loses it as it does natively. */
	close(open("setgid/file", O_CREAT | O_WRONLY | O_CLOEXEC, 02755));
	ck_assert_uint_eq(mode_of("setgid/file"), 0755);
	ck_assert_int_eq(creds_strict(&c, CALLER, TEAM, 0), 0);
	close(open("setgid/member", O_CREAT | O_WRONLY | O_CLOEXEC, 02755));
	ck_assert_uint_eq(mode_of("setgid/member"), 02755);
}
END_TEST

START_TEST(test_umask)
{
	struct creds c;

	init(&c);
	ck_assert_uint_eq(umask(077), 077);
	creds_umask(&c, 022);
	creds_rest(&c);
	ck_assert_uint_eq(umask(022), 022);
}
END_TEST

static void *init_and_look(void *argument)
{
	struct creds c;

	if (creds_init(&c, proc) != 0 || !rests() || umask(0) != 077)
		atomic_store((_Atomic int *)argument, 1);
	return NULL;
}

/* A worker starts the next one in the middle of a request: nothing of that is inherited. */
START_TEST(test_started_while_acting)
{
	gid_t groups[] = { TEAM, TEAM + 1 };
	_Atomic int bad = 0;
	pthread_t thread;
	struct creds c;

	init(&c);
	for (int state = 0; state < 5; state++) {
		creds_umask(&c, 027);
		if (state == 0)
			creds_caller(&c, CALLER, TEAM);
		else if (state == 1)
			creds_caller(&c, 0, 0);
		else if (state < 4)
			ck_assert_int_eq(creds_strict(&c, state == 2 ? CALLER : 0, TEAM, 0), 0);
		if (state == 3) { /* with groups, as creds_grouped() leaves them */
			ck_assert_int_eq((int)syscall(SYS_setgroups, 2, groups), 0);
			c.groups = true;
		}
		ck_assert_int_eq(pthread_create(&thread, NULL, init_and_look, &bad), 0);
		pthread_join(thread, NULL);
		ck_assert_int_eq(atomic_load(&bad), 0);
		ck_assert_uint_eq(umask(027), 027);
		creds_rest(&c);
		ck_assert(rests());
	}
}
END_TEST

struct worker {
	unsigned number;
	_Atomic int bad;
};

static bool acts(struct worker *w, struct creds *c, unsigned round)
{
	char name[64];
	struct stat st;
	int fd;

	snprintf(name, sizeof(name), "thread%u_%u", w->number, round);
	creds_umask(c, round % 2 ? 022 : 077);
	creds_caller(c, CALLER + w->number, TEAM + w->number);
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
	creds_rest(c);
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	close(fd);
	creds_caller(c, 0, 0);
	unlink(name);
	creds_rest(c);
	return st.st_uid == CALLER + w->number && st.st_gid == TEAM + w->number &&
	       (st.st_mode & 0777) == (round % 2 ? 0644 : 0600) && rests();
}

static void *work(void *argument)
{
	struct worker *w = argument;
	struct creds c;

	if (creds_init(&c, proc) != 0)
		atomic_store(&w->bad, 1);
	for (unsigned i = 0; i < ROUNDS; i++)
		if (!acts(w, &c, i))
			atomic_store(&w->bad, 1);
	return NULL;
}

/* Each thread acts for its own caller; one that does nothing stays who it was. */
START_TEST(test_threads_apart)
{
	struct worker worker[THREADS] = { { 0 } };
	unsigned long long before = effective_now();
	pthread_t thread[THREADS];

	umask(0);
	for (unsigned i = 0; i < THREADS; i++) {
		worker[i].number = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert_uint_eq(fsuid_now(), 0);
		ck_assert_uint_eq(effective_now(), before);
		ck_assert_uint_eq(umask(0), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		ck_assert_int_eq(atomic_load(&worker[i].bad), 0);
	}
	ck_assert_uint_eq(fsuid_now(), 0);
}
END_TEST

/* A working directory of its own, too. */
static void *go_elsewhere(void *unused)
{
	struct creds c;

	(void)unused;
	return creds_init(&c, proc) == 0 && chdir("/") == 0 ? NULL : (void *)1;
}

START_TEST(test_working_directory)
{
	char *before = getcwd(NULL, 0), *after;
	pthread_t thread;
	void *failed;

	ck_assert_int_eq(pthread_create(&thread, NULL, go_elsewhere, NULL), 0);
	pthread_join(thread, &failed);
	ck_assert_ptr_null(failed);
	after = getcwd(NULL, 0);
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
}
END_TEST

/* Without root nothing is switched, and nothing fails. */
START_TEST(test_ordinary_user)
{
	struct creds c;

	ck_assert_int_eq(setresgid(CALLER, CALLER, CALLER), 0);
	ck_assert_int_eq(setresuid(CALLER, CALLER, CALLER), 0);
	init(&c);
	ck_assert(!c.switching);
	creds_caller(&c, 0, 0);
	ck_assert_uint_eq(fsuid_now(), CALLER);
	ck_assert_int_eq(creds_grouped(&c, 0, 0, 1), 0);
	ck_assert_int_eq(creds_strict(&c, 1, 1, 999999999), 0);
	creds_rest(&c);
	ck_assert_uint_eq(fsuid_now(), CALLER);
	creds_umask(&c, 022);
	ck_assert_uint_eq(umask(022), 022);
}
END_TEST

/* Into a user namespace that knows the first 65,536 ids only, as a container's root has it. */
static void enter_container(void)
{
	int go[2];
	char byte, command[160];
	pid_t helper;

	ck_assert_int_eq(pipe(go), 0);
	snprintf(command, sizeof(command),
		 "echo 0 0 65536 >/proc/%d/uid_map && echo 0 0 65536 >/proc/%d/gid_map", getpid(),
		 getpid());
	helper = fork();
	if (helper == 0)
		_exit(read(go[0], &byte, 1) != 1 || system(command) != 0);
	ck_assert_int_eq(unshare(CLONE_NEWUSER), 0);
	ck_assert_int_eq((int)write(go[1], "", 1), 1);
	ck_assert_int_eq(waitpid(helper, NULL, 0), helper);
}

/* Where the resting id doesn't exist, a worker must not go on as its last caller. */
START_TEST(test_container)
{
	struct creds c;

	enter_container();
	if (creds_init(&c, proc) != 0)
		return; /* refusing is right, too */
	creds_caller(&c, CALLER, TEAM);
	ck_assert_uint_eq(fsuid_now(), CALLER);
	creds_rest(&c);
	ck_assert_uint_ne(fsuid_now(), CALLER);
	ck_assert_int_ne((int)syscall(SYS_setfsgid, -1), TEAM);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("creds_threads");

	if (geteuid() != 0) {
		printf("not root: skipped\n");
		return 77;
	}
	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, make_base, remove_base);
	tcase_add_test(tc, test_setuid_bits);
	tcase_add_test(tc, test_writeback);
	tcase_add_test(tc, test_setgid_directory);
	tcase_add_test(tc, test_umask);
	tcase_add_test(tc, test_started_while_acting);
	tcase_add_test(tc, test_threads_apart);
	tcase_add_test(tc, test_working_directory);
	tcase_add_test(tc, test_ordinary_user);
	tcase_add_test(tc, test_container);
	return run_case("creds_threads", tc);
}
