/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring and the pool's memory: registered, given back, refused, and not the pool's at all.
 */
#include "io_fixture.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "suite.h"

#define PAGE 4096u

/* Reads a file of the given pages, each by a lease of its own. */
static void read_pages(struct fixture *f, unsigned pages)
{
	struct pool_buffer buffer = lease(f, PAGE);

	for (unsigned i = 0; i < pages; i++) {
		memset(buffer.data, 'p' + (int)i, PAGE);
		ck_assert_int_eq(transfer(f, IO_WRITE, f->fd, i * PAGE, PAGE, buffer), PAGE);
	}
	pool_return(f->pool, &buffer);
	for (unsigned i = 0; i < pages; i++) {
		buffer = lease(f, PAGE);
		memset(buffer.data, '?', PAGE);
		ck_assert_int_eq(transfer(f, IO_READ, f->fd, i * PAGE, PAGE, buffer), PAGE);
		ck_assert(((char *)buffer.data)[0] == (char)('p' + i));
		ck_assert(((char *)buffer.data)[PAGE - 1] == (char)('p' + i));
		pool_return(f->pool, &buffer);
	}
}

/*
 * Root's locked memory isn't counted, and anybody else's is by user: be one who has none. Not the
 * one of the test before, either, whose ring the kernel may still be taking down.
 */
static bool limit_memlock(rlim_t bytes)
{
	struct rlimit limit = { bytes, bytes };
	uid_t uid = 10000 + (uid_t)getpid() % 50000;

	return setrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	       (geteuid() || syscall(SYS_setresuid, uid, uid, uid) == 0);
}

/* Room for the ring (Linux 6.14 counts that, too), and none for a chunk. */
START_TEST(test_memlock_tiny)
{
	struct io_counters counters;
	struct fixture f;

	if (!limit_memlock(POOL_CHUNK / 2) || !set_up(&f, RING, 8))
		return;
	read_pages(&f, 8);
	f.ops->read_counters(f.backend, &counters);
	ck_assert_uint_eq(counters.fixed, 0);
	ck_assert_uint_gt(counters.refused, 0);
	tear_down(&f);
}
END_TEST

/* Not even for the ring: an error that sends the caller to another backend, or it works. */
START_TEST(test_memlock_none)
{
	struct io_limits limits = { .depth = 8 };
	struct io_backend *backend;
	int err;

	if (!limit_memlock(0))
		return;
	err = io_ring_ops.open(&backend, &limits);
	if (!err)
		io_ring_ops.close(backend);
	else
		ck_assert(err == -ENOMEM || err == -EPERM || err == -ENOSYS);
}
END_TEST

/* A chunk was registered, its memory went back, and the next time it is refused. */
START_TEST(test_memlock_shrinks)
{
	struct io_counters counters;
	struct fixture f;

	if (!limit_memlock(6 * POOL_CHUNK) || !set_up(&f, RING, 8))
		return;
	read_pages(&f, 8);
	f.ops->read_counters(f.backend, &counters);
	ck_assert_uint_eq(counters.refused, 0);
	ck_assert_uint_gt(counters.fixed, 0);
	ck_assert_uint_gt(pool_trim(f.pool, true), 0);
	ck_assert(limit_memlock(POOL_CHUNK / 2));
	read_pages(&f, 8);
	f.ops->read_counters(f.backend, &counters);
	ck_assert_uint_gt(counters.refused, 0);
	tear_down(&f);
}
END_TEST

/* How many buffers the kernel holds for our ring, as /proc shows it. */
static unsigned kernel_buffers(void)
{
	char path[64], line[256];
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			count += strstr(line, ": 0x") && strstr(line, "/1048576");
		if (file)
			fclose(file);
	}
	return count;
}

/* Memory that goes back and comes again is registered again, not read into where it was. */
START_TEST(test_registered)
{
	struct io_counters counters;
	struct fixture f;
	uint64_t before = 0;
	bool held = false;

	if (!set_up(&f, RING, 8))
		return;
	for (int i = 0; i < 4; i++) {
		read_pages(&f, 8);
		f.ops->read_counters(f.backend, &counters);
		if (counters.refused) {
			fprintf(stderr, "skip: buffers can't be registered here\n");
			break;
		}
		ck_assert_uint_gt(counters.fixed, before);
		before = counters.fixed;
		held |= kernel_buffers() > 0;
		ck_assert_uint_gt(pool_trim(f.pool, true), 0);
		ck_assert_uint_eq(kernel_buffers(), 0);
	}
	if (!held)
		fprintf(stderr, "note: /proc doesn't show registered buffers here\n");
	tear_down(&f);
}
END_TEST

/* Buffers that are no pool's, above and below it, under the index of a chunk that is registered. */
START_TEST(test_foreign_buffer)
{
	_Alignas(PAGE) static char low[PAGE];
	char *high = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pool_buffer buffer = { .size = PAGE, .chunk = 0 };
	struct fixture f;

	ck_assert_ptr_ne(high, MAP_FAILED);
	if (!set_up(&f, _i, 8))
		return;
	read_pages(&f, 1);
	for (int i = 0; i < 2; i++) {
		buffer.data = i ? high : low;
		ck_assert_int_eq(transfer(&f, IO_READ, f.fd, 0, PAGE, buffer), PAGE);
		ck_assert(((char *)buffer.data)[0] == 'p');
	}
	tear_down(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { test_foreign_buffer };
	TCase *tc = per_backend(tests, sizeof(tests) / sizeof(*tests));

	tcase_add_test(tc, test_memlock_tiny);
	tcase_add_test(tc, test_memlock_shrinks);
	tcase_add_test(tc, test_memlock_none);
	tcase_add_test(tc, test_registered);
	return run_case("io_memory", tc);
}
