// SPDX-License-Identifier: GPL-2.0-only
/* I/O in several ways at once: aio, mappings, direct and buffered writers of one file; futexes. */
#include "ops.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *pages(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Submits N requests at once and waits for all; says the results in the order of submission. */
static void aio_run(struct ops *o, const char *step, aio_context_t ctx, struct iocb *reqs, int n)
{
	struct iocb *list[16];
	struct io_event done[16];
	long long results[16] = { 0 };
	char text[256] = "";
	size_t at = 0;
	long got;
	int i;

	for (i = 0; i < n; i++) {
		list[i] = &reqs[i];
		reqs[i].aio_data = (unsigned long long)i;
	}
	got = syscall(SYS_io_submit, ctx, (long)n, list);
	if (got != n) {
		ops_try(o, step, got);
		n = got < 0 ? 0 : (int)got;
	}
	got = syscall(SYS_io_getevents, ctx, (long)n, (long)n, done, NULL);
	for (i = 0; i < got; i++)
		results[done[i].data] = done[i].res;
	for (i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " %s",
				       results[i] < 0 ? strerrorname_np((int)-results[i]) : "ok");
	ops_say(o, step, "%ld done:%s", got, text);
}

static void aio_fill(struct iocb *req, int fd, unsigned short op, char *buf, int at)
{
	*req = (struct iocb){ .aio_fildes = (unsigned int)fd,
			      .aio_lio_opcode = op,
			      .aio_buf = (unsigned long)buf,
			      .aio_nbytes = 65536,
			      .aio_offset = at };
}

static void aio(struct ops *o)
{
	aio_context_t ctx = 0;
	struct iocb reqs[8];
	char *buf = pages(8 * 65536), *got = pages(8 * 65536);
	int pass, i;

	if (syscall(SYS_io_setup, 16, &ctx) < 0)
		return;
	ops_pattern(buf, 8 * 65536, 11);
	for (pass = 0; pass < 2; pass++) {
		int fd = open("f", O_RDWR | O_CREAT | O_TRUNC | (pass ? O_DIRECT : 0), 0644);

		memset(reqs, 0, sizeof(reqs));
		memset(got, 0, 8 * 65536);
		for (i = 0; i < 8; i++)
			aio_fill(&reqs[i], fd, IOCB_CMD_PWRITE, buf + i * 65536, (7 - i) * 65536);
		aio_run(o, pass ? "direct writes" : "writes", ctx, reqs, 8);
		SHOWFD(o, fd);
		for (i = 0; i < 8; i++)
			aio_fill(&reqs[i], fd, IOCB_CMD_PREAD, got + i * 65536, (7 - i) * 65536);
		aio_run(o, pass ? "direct reads" : "reads", ctx, reqs, 8);
		ops_say(o, "as written", "%d", !memcmp(buf, got, 8 * 65536));
		for (i = 0; i < 2; i++) {
			aio_fill(&reqs[i], fd, i ? IOCB_CMD_FSYNC : IOCB_CMD_FDSYNC, NULL, 0);
			reqs[i].aio_nbytes = 0;
		}
		reqs[2].aio_offset = 1 << 20;
		reqs[3].aio_lio_opcode = 99;
		aio_run(o, "others", ctx, reqs, 4);
		close(fd);
	}
	TRY(o, syscall(SYS_io_destroy, ctx));
}

enum { REGION = 65536, REGIONS = 4, STEPS = 60 };

static void pwrite_region(int fd, char *want, off_t at)
{
	if (pwrite(fd, want, REGION, at) != REGION)
		_exit(21);
}

static void splice_region(int fd, char *want, off_t at)
{
	int p[2];
	size_t done = 0;

	if (pipe(p) < 0)
		_exit(22);
	while (done < REGION) {
		ssize_t n = write(p[1], want + done, 4096);

		if (n != 4096 || splice(p[0], NULL, fd, &at, 4096, 0) != 4096)
			_exit(23);
		done += (size_t)n;
	}
	close(p[0]);
	close(p[1]);
}

/* One region each, one way each; every step is read back in yet another way. */
static void write_region(int id)
{
	int fd = open("f", O_RDWR), direct = open("f", O_RDWR | O_DIRECT), i;
	char *want = pages(REGION), *got = pages(REGION);
	off_t at = (off_t)id * REGION;
	char *map = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

	if (map == MAP_FAILED)
		_exit(20);
	for (i = 0; i < STEPS; i++) {
		ops_pattern(want, REGION, (unsigned int)(id * 1000 + i));
		switch (id) {
		case 0:
			pwrite_region(fd, want, at);
			break;
		case 1:
			memcpy(map, want, REGION);
			break;
		case 2:
			pwrite_region(direct, want, at);
			break;
		default:
			splice_region(fd, want, at);
		}
		if (pread(i % 3 ? fd : direct, got, REGION, at) != REGION)
			_exit(30);
		if (memcmp(got, want, REGION))
			_exit(31 + i % 3);
		if (memcmp(map, want, REGION))
			_exit(40);
	}
}

static void regions(struct ops *o)
{
	pid_t pids[REGIONS];
	int i, status;

	ops_mk_sized(o, "f", REGION * REGIONS);
	for (i = 0; i < REGIONS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			write_region(i);
			_exit(0);
		}
	}
	for (i = 0; i < REGIONS; i++) {
		waitpid(pids[i], &status, 0);
		ops_say(o, "writer", "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	}
	SHOW(o, "f");
	ops_content_path(o, "content", "f");
}

static void wake(struct ops *o, void *arg)
{
	int fd = open("f", O_RDWR);
	unsigned int *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int i;

	(void)arg;
	(void)o;
	__atomic_store_n(p, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < 30000 && syscall(SYS_futex, p, FUTEX_WAKE, 1, NULL, NULL, 0) < 1; i++)
		usleep(1000);
}

/* Processes that map a file share its futexes: LMDB's and others' locks lie in files. */
static void futexes(struct ops *o)
{
	const struct timespec limit = { 30, 0 };
	unsigned int *p;
	pid_t pid;
	long ret;
	int fd;

	ops_mk_sized(o, "f", 4096);
	fd = ops_open(o, "f", O_RDWR);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ops_say(o, "mapped", "%d", p != MAP_FAILED);
	*p = 0;
	pid = ops_spawn(o, wake, NULL);
	do
		ret = syscall(SYS_futex, p, FUTEX_WAIT, *p, &limit, NULL, 0);
	while (ret < 0 &&
	       (errno == EINTR || errno == EAGAIN)); /* EAGAIN: it changed before the wait */
	ops_say(o, "woken", "%d", !ret);
	ops_say(o, "value", "%u", __atomic_load_n(p, __ATOMIC_SEQ_CST));
	ops_reap(o, "waker", pid);
}

const struct scenario async_scenarios[] = {
	{ "aio", aio, OPS_BOTH },
	{ "regions", regions, OPS_BOTH },
	{ "futexes", futexes, OPS_BOTH },
	{ 0 },
};
