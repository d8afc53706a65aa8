/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes wrong: errors from below, no room, requests called off, io_uring forbidden. Each test
 * runs in a process of its own (libcheck), which it may ruin.
 */
#include "io_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "forbid.h"
#include "suite.h"

#define PAGE 4096u

/*
 * /proc/self/mem gives EIO where there is nothing: here behind the end of a mapped file, which,
 * unlike a hole in the address space, nobody else fills meanwhile.
 */
START_TEST(test_eio)
{
	struct pool_buffer buffer;
	struct fixture f;
	uint64_t at;
	char *map;
	int fd, file;

	if (!set_up(&f, _i, 4))
		return;
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	file = memfd_create("two pages", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(file, 2 * PAGE), 0);
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	close(file);
	memset(map, 'm', 2 * PAGE);
	at = (uint64_t)(uintptr_t)map;
	buffer = lease(&f, 4 * PAGE);
	ck_assert_int_eq(transfer(&f, IO_READ, fd, at + 2 * PAGE, PAGE, buffer), -EIO);
	ck_assert_int_eq(transfer(&f, IO_WRITE, fd, at + 2 * PAGE, PAGE, buffer), -EIO);
	/* Two pages, and then the error: the bytes come first. */
	ck_assert_int_eq(transfer(&f, IO_READ, fd, at, 4 * PAGE, buffer), 2 * PAGE);
	ck_assert(((char *)buffer.data)[2 * PAGE - 1] == 'm');
	memset(buffer.data, 'w', buffer.size);
	ck_assert_int_eq(transfer(&f, IO_WRITE, fd, at, 4 * PAGE, buffer), 2 * PAGE);
	ck_assert(map[0] == 'w' && map[2 * PAGE - 1] == 'w');
	pool_return(f.pool, &buffer);
	close(fd);
	tear_down(&f);
}
END_TEST

START_TEST(test_file_size_limit)
{
	struct rlimit limit = { 2 * PAGE, 2 * PAGE };
	struct pool_buffer buffer;
	struct fixture f;

	if (!set_up(&f, _i, 4))
		return;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	buffer = lease(&f, 4 * PAGE);
	memset(buffer.data, 1, buffer.size);
	ck_assert_int_eq(transfer(&f, IO_WRITE, f.fd, 0, 4 * PAGE, buffer), 2 * PAGE);
	/* SIGXFSZ would have ended us. */
	ck_assert_int_eq(transfer(&f, IO_WRITE, f.fd, 2 * PAGE, PAGE, buffer), -EFBIG);
	pool_return(f.pool, &buffer);
	limit.rlim_cur = limit.rlim_max;
	tear_down(&f);
}
END_TEST

/* A filesystem of 16 pages; needs root. */
static bool mount_small(const char *dir)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, "tmpfs", 0, "size=64k")) {
		fprintf(stderr, "skip: can't mount: %s\n", strerror(errno));
		return false;
	}
	return true;
}

START_TEST(test_enospc)
{
	char dir[] = "/tmp/test_io_small.XXXXXX";
	struct pool_buffer buffer;
	struct fixture f;
	ssize_t got;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	if (mount_small(dir)) {
		setenv("TMPDIR", dir, 1);
		if (set_up(&f, _i, 4)) {
			buffer = lease(&f, 1 << 20);
			memset(buffer.data, 's', buffer.size);
			got = transfer(&f, IO_WRITE, f.fd, 0, 1 << 20, buffer);
			ck_assert(got > 0 && got <= 65536);
			ck_assert_int_eq(transfer(&f, IO_WRITE, f.fd, got, PAGE, buffer), -ENOSPC);
			ck_assert_int_eq(lseek(f.plain, 0, SEEK_END), got);
			ck_assert_int_eq(transfer(&f, IO_READ, f.fd, 0, 1 << 20, buffer), got);
			pool_return(f.pool, &buffer);
			tear_down(&f);
		}
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
}
END_TEST

/* A request whose `done` keeps the thread that calls it until told otherwise. */
struct gate {
	sem_t reached, open, done;
	_Atomic pthread_t thread; /* that called done */
	_Atomic ssize_t result;
};

static void gate_done(struct io_request *request, ssize_t result)
{
	struct gate *gate = request->argument;

	(void)result;
	sem_post(&gate->reached);
	sem_wait(&gate->open);
}

static void wait_done(struct io_request *request, ssize_t result)
{
	struct gate *gate = request->argument;

	gate->result = result;
	gate->thread = pthread_self();
	sem_post(&gate->done);
}

static void gate_init(struct gate *gate)
{
	sem_init(&gate->reached, 0, 0);
	sem_init(&gate->open, 0, 0);
	sem_init(&gate->done, 0, 0);
	gate->result = 1;
}

/* One that waits its turn ends at once, whatever the backend's threads are at. */
START_TEST(test_cancel_waiting)
{
	struct io_request first = { .length = PAGE, .done = gate_done };
	struct io_request second = { .length = PAGE, .done = wait_done };
	struct io_request *one[] = { &first }, *two[] = { &second };
	struct gate gate;
	struct fixture f;

	if (!set_up(&f, _i, 1))
		return;
	gate_init(&gate);
	first.fd = second.fd = f.fd;
	first.argument = second.argument = &gate;
	first.buffer = lease(&f, PAGE);
	second.buffer = lease(&f, PAGE);
	f.ops->submit(f.backend, one, 1);
	sem_wait(&gate.reached);
	f.ops->submit(f.backend, two, 1);
	f.ops->cancel(f.backend, &second);
	ck_assert_int_eq(sem_trywait(&gate.done), 0);
	ck_assert_int_eq(atomic_load(&gate.result), -ECANCELED);
	f.ops->cancel(f.backend, &second); /* too late, and harmless */
	f.ops->cancel(f.backend, &first);
	sem_post(&gate.open);
	/* It can be used again: the old wish is forgotten. */
	ck_assert_int_eq(transfer(&f, IO_READ, f.fd, 0, PAGE, second.buffer), 0);
	pool_return(f.pool, &first.buffer);
	pool_return(f.pool, &second.buffer);
	tear_down(&f);
}
END_TEST

/* One that the kernel can end. A pipe stands for what never answers; pread refuses pipes. */
START_TEST(test_cancel_in_flight)
{
	struct io_request stuck = { .length = PAGE, .done = wait_done };
	struct io_request *requests[] = { &stuck };
	struct gate gate;
	struct fixture f;
	int ends[2];

	if (!set_up(&f, RING, 2))
		return;
	gate_init(&gate);
	ck_assert_int_eq(pipe(ends), 0);
	stuck.fd = ends[0];
	stuck.argument = &gate;
	stuck.buffer = lease(&f, PAGE);
	for (int i = 0; i < 100; i++) {
		f.ops->submit(f.backend, requests, 1);
		/* Others are served meanwhile, and the ring has certainly got it. */
		if (i % 2)
			ck_assert_int_eq(transfer(&f, IO_READ, -1, 0, 0, stuck.buffer), -EBADF);
		f.ops->cancel(f.backend, &stuck);
		sem_wait(&gate.done);
		ck_assert_int_eq(atomic_load(&gate.result), -ECANCELED);
	}
	pool_return(f.pool, &stuck.buffer);
	close(ends[0]);
	close(ends[1]);
	tear_down(&f);
}
END_TEST

/* No more than depth are given to the kernel; the third ends within cancel, as one that waits. */
START_TEST(test_depth)
{
	struct io_request stuck[3], *requests[3];
	struct gate gate;
	struct fixture f;
	int ends[2];

	if (!set_up(&f, RING, 2))
		return;
	gate_init(&gate);
	ck_assert_int_eq(pipe(ends), 0);
	for (int i = 0; i < 3; i++) {
		stuck[i] = (struct io_request){ .fd = ends[0], .length = PAGE, .done = wait_done };
		stuck[i].argument = &gate;
		stuck[i].buffer = lease(&f, PAGE);
		requests[i] = &stuck[i];
	}
	f.ops->submit(f.backend, requests, 3);
	usleep(20000); /* long enough for a mistake; nothing depends on it */
	f.ops->cancel(f.backend, &stuck[2]);
	sem_wait(&gate.done);
	ck_assert(pthread_equal(atomic_load(&gate.thread), pthread_self()));
	for (int i = 0; i < 2; i++) {
		f.ops->cancel(f.backend, &stuck[i]);
		sem_wait(&gate.done);
	}
	for (int i = 0; i < 3; i++)
		pool_return(f.pool, &stuck[i].buffer);
	close(ends[0]);
	close(ends[1]);
	tear_down(&f);
}
END_TEST

/* A request that is called off while it is being carried out is done once all the same. */
START_TEST(test_cancel_anywhere)
{
	struct io_request request[8], *requests[8];
	struct gate gate;
	struct fixture f;

	if (!set_up(&f, _i, 2))
		return;
	gate_init(&gate);
	ck_assert_int_eq(ftruncate(f.plain, 1 << 20), 0);
	for (int i = 0; i < 8; i++) {
		request[i] = (struct io_request){ .length = 16 * PAGE, .done = wait_done };
		request[i].fd = f.fd;
		request[i].argument = &gate;
		request[i].buffer = lease(&f, 16 * PAGE);
		requests[i] = &request[i];
	}
	for (int round = 0; round < 100; round++) {
		f.ops->submit(f.backend, requests, 8);
		for (int i = 0; i < 8; i++)
			f.ops->cancel(f.backend, requests[(i + round) % 8]);
		for (int i = 0; i < 8; i++)
			sem_wait(&gate.done);
		ck_assert_int_ne(sem_trywait(&gate.done), 0);
	}
	for (int i = 0; i < 8; i++)
		pool_return(f.pool, &request[i].buffer);
	tear_down(&f);
}
END_TEST

/* As under Docker's profile or the sysctl. */
START_TEST(test_io_uring_forbidden)
{
	static const int errs[] = { EPERM, ENOSYS, ENOMEM };
	struct io_limits limits = { .depth = 8 };
	struct io_backend *backend = NULL;
	struct fixture f;

	if (!forbid_call(SYS_io_uring_setup, (unsigned)errs[_i])) {
		fprintf(stderr, "skip: no seccomp here: %s\n", strerror(errno));
		return;
	}
	ck_assert_int_eq(io_ring_ops.open(&backend, &limits), -errs[_i]);
	ck_assert_ptr_null(backend);
	ck_assert(set_up(&f, DIRECT, 8)); /* the others are there all the same */
	tear_down(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_eio,
		test_file_size_limit,
		test_enospc,
		test_cancel_waiting,
		test_cancel_anywhere,
		test_io_uring_forbidden,
	};
	TCase *tc = per_backend(tests, sizeof(tests) / sizeof(*tests));

	tcase_add_test(tc, test_cancel_in_flight);
	tcase_add_test(tc, test_depth);
	return run_case("io_weather", tc);
}
