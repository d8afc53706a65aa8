/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every backend must do alike: bytes, results and errnos as a plain descriptor has them.
 * test_io_many.c has many requests at once, test_io_weather.c what goes wrong.
 */
#include "io_fixture.h"
#include "suite.h"

#define MAX   (1u << 20)
#define KNOWN (3u * MAX + 777) /* bytes: a multiple of no block */

/* Random bytes with holes of various sizes, one of them at the end. */
static void make_known(struct fixture *f)
{
	struct pool_buffer buffer = lease(f, MAX);
	uint64_t seed = 2463534242;

	for (uint64_t at = 0; at + 100000 < KNOWN; at += 65536 + draw(&seed) % 300000) {
		size_t size = draw(&seed) % 100000;

		fill_random(buffer.data, MAX, &seed);
		ck_assert_int_eq(plainly(IO_WRITE, f->plain, at, size, buffer.data), size);
	}
	ck_assert_int_eq(ftruncate(f->plain, KNOWN), 0);
	pool_return(f->pool, &buffer);
}

static bool untouched(const char *data, size_t size)
{
	while (size)
		if (data[--size] != (char)0xa5)
			return false;
	return true;
}

/* One read by the backend and one of the plain descriptor. */
static void compare_read(struct fixture *f, int fd, uint64_t offset, uint32_t length)
{
	static char wanted[MAX];
	struct pool_buffer buffer = lease(f, length ? length : 1);
	ssize_t expected = plainly(IO_READ, f->plain, offset, length, wanted), got;

	memset(buffer.data, 0xa5, buffer.size);
	got = transfer(f, IO_READ, fd, offset, length, buffer);
	ck_assert_msg(got == expected, "%s: read of %u at %lu: %zd, not %zd", f->ops->name, length,
		      offset, got, expected);
	if (got > 0)
		ck_assert_msg(!memcmp(buffer.data, wanted, (size_t)got), "%s: read of %u at %lu",
			      f->ops->name, length, offset);
	/* Not in a loop of assertions: each is a system call. */
	ck_assert_msg(untouched((char *)buffer.data + length, buffer.size - length),
		      "%s: written beyond %u", f->ops->name, length);
	pool_return(f->pool, &buffer);
}

START_TEST(test_reads)
{
	uint64_t seed = 88172645463325252;
	struct fixture f;

	if (!set_up(&f, _i, 8))
		return;
	make_known(&f);
	for (int i = 0; i < 400; i++) {
		uint64_t offset = draw(&seed) % (KNOWN + 2 * MAX);
		uint32_t length = draw(&seed) % (i % 4 ? 20000 : MAX + 1);

		if (i % 10 == 0) /* about the file's end */
			offset = KNOWN - draw(&seed) % 6000;
		offset -= offset % f.alignment;
		length -= length % f.alignment;
		compare_read(&f, f.fd, offset, length);
	}
	tear_down(&f);
}
END_TEST

/* The smallest files, and each end within a block and at its borders. */
START_TEST(test_reads_at_the_end)
{
	static const uint32_t sizes[] = { 0, 1, 511, 512, 513, 4095, 4096, 4097, 8192, 12289 };
	uint64_t seed = 123456789;
	char data[12296];
	struct fixture f;

	if (!set_up(&f, _i, 1))
		return;
	fill_random(data, sizeof(data), &seed);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		ck_assert_int_eq(ftruncate(f.plain, 0), 0);
		ck_assert_int_eq(plainly(IO_WRITE, f.plain, 0, sizes[s], data), sizes[s]);
		for (uint64_t offset = 0; offset <= 16384; offset += 4096) {
			compare_read(&f, f.fd, offset, 0);
			compare_read(&f, f.fd, offset, 4096);
			compare_read(&f, f.fd, offset, 65536);
			compare_read(&f, f.fd, offset + 512 * (512 % f.alignment == 0), 8192);
		}
	}
	tear_down(&f);
}
END_TEST

/* Both descriptors on a file of their own, the same writes to each. */
START_TEST(test_writes)
{
	uint64_t seed = 362436069;
	struct pool_buffer buffer, other;
	struct fixture f, twin;

	if (!set_up(&f, _i, 8))
		return;
	open_files(&twin, _i);
	buffer = lease(&f, MAX);
	other = lease(&f, MAX);
	for (int i = 0; i < 150; i++) {
		uint64_t offset = draw(&seed) % (2 * MAX);
		uint32_t length = draw(&seed) % (i % 4 ? 20000 : MAX + 1);
		ssize_t expected;

		offset -= offset % f.alignment;
		length -= length % f.alignment;
		fill_random(buffer.data, length, &seed);
		expected = plainly(IO_WRITE, twin.plain, offset, length, buffer.data);
		ck_assert_int_eq(transfer(&f, IO_WRITE, f.fd, offset, length, buffer), expected);
	}
	ck_assert_int_eq(lseek(f.plain, 0, SEEK_END), lseek(twin.plain, 0, SEEK_END));
	for (uint64_t at = 0; at < 3 * MAX; at += MAX) {
		ssize_t n = plainly(IO_READ, f.plain, at, MAX, buffer.data);

		ck_assert_int_eq(plainly(IO_READ, twin.plain, at, MAX, other.data), n);
		ck_assert_int_eq(memcmp(buffer.data, other.data, (size_t)n), 0);
	}
	pool_return(f.pool, &buffer);
	pool_return(f.pool, &other);
	tear_down(&f);
}
END_TEST

START_TEST(test_beyond_4_gib)
{
	static const uint64_t at[] = { (4ull << 30) - 8192, 4ull << 30, (1ull << 40) + 4096 };
	uint64_t seed = 99991;
	struct pool_buffer buffer;
	struct fixture f;

	if (!set_up(&f, _i, 4))
		return;
	buffer = lease(&f, 16384);
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		fill_random(buffer.data, 16384, &seed);
		ck_assert_int_eq(transfer(&f, IO_WRITE, f.fd, at[i], 16384, buffer), 16384);
		compare_read(&f, f.fd, at[i], 16384);
		compare_read(&f, f.fd, at[i] - 4096, 65536);
		compare_read(&f, f.fd, at[i] + (1 << 30), 4096);
	}
	pool_return(f.pool, &buffer);
	tear_down(&f);
}
END_TEST

/* At the end of what offsets can say: the same numbers as from pread and pwrite. */
START_TEST(test_extreme_offsets)
{
	static const uint64_t at[] = {
		(uint64_t)INT64_MAX - 4095,
		(uint64_t)INT64_MAX - 8191,
		1ull << 63,
		UINT64_MAX - 4095,
		UINT64_MAX,
	};
	struct pool_buffer buffer;
	struct fixture f;

	if (!set_up(&f, _i, 4))
		return;
	buffer = lease(&f, 4096);
	memset(buffer.data, 1, 4096);
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		compare_read(&f, f.fd, at[i], 4096);
		ck_assert_int_eq(transfer(&f, IO_WRITE, f.fd, at[i], 4096, buffer),
				 plainly(IO_WRITE, f.plain, at[i], 4096, buffer.data));
	}
	pool_return(f.pool, &buffer);
	tear_down(&f);
}
END_TEST

/* fd, and what pread and pwrite say to it. */
static void compare_errors(struct fixture *f, int fd, uint64_t offset, uint32_t length)
{
	struct pool_buffer buffer = lease(f, 8192), other = lease(f, 8192);

	memset(buffer.data, 0, 8192);
	memset(other.data, 0, 8192);
	for (enum io_kind kind = IO_READ; kind <= IO_WRITE; kind++) {
		ssize_t expected = plainly(kind, fd, offset, length, other.data);
		ssize_t got = transfer(f, kind, fd, offset, length, buffer);

		ck_assert_msg(got == expected, "%s: kind %d, fd %d, %u at %lu: %zd, not %zd",
			      f->ops->name, kind, fd, length, offset, got, expected);
	}
	pool_return(f->pool, &buffer);
	pool_return(f->pool, &other);
}

START_TEST(test_errors)
{
	int others[4];
	struct fixture f;

	if (!set_up(&f, _i, 4))
		return;
	make_known(&f);
	others[0] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	others[1] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	others[2] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	others[3] = open("/dev/full", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 4; i++)
		compare_errors(&f, others[i], 0, 4096);
	compare_errors(&f, -1, 0, 4096);
	compare_errors(&f, 1 << 20, 4096, 4096);
	/* What O_DIRECT refuses; the buffered backend's descriptor takes it. */
	compare_errors(&f, f.fd, 1, 4096);
	compare_errors(&f, f.fd, 4096, 100);
	for (int i = 0; i < 4; i++)
		close(others[i]);
	tear_down(&f);
}
END_TEST

/* No pread asks for more than its buffer holds. */
START_TEST(test_longer_than_the_buffer)
{
	struct pool_buffer buffer;
	struct fixture f;

	if (!set_up(&f, _i, 4))
		return;
	make_known(&f);
	buffer = lease(&f, 4096);
	ck_assert_int_eq(transfer(&f, IO_READ, f.fd, 0, 8192, buffer), -EINVAL);
	ck_assert_int_eq(transfer(&f, IO_READ, f.fd, 0, 4096, buffer), 4096);
	pool_return(f.pool, &buffer);
	tear_down(&f);
}
END_TEST

/* Descriptors that are not what the backend hopes for. */
START_TEST(test_other_descriptors)
{
	char path[64];
	struct fixture f;
	int fd;

	if (!set_up(&f, _i, 4))
		return;
	make_known(&f);
	compare_read(&f, f.plain, 0, MAX);
	compare_read(&f, f.plain, KNOWN - KNOWN % 4096, 65536);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f.plain);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	posix_fadvise(f.plain, 0, 0, POSIX_FADV_DONTNEED);
	compare_read(&f, fd, 0, MAX);
	compare_read(&f, fd, 2 * MAX, MAX);
	close(fd);
	tear_down(&f);
}
END_TEST

/* A file that gives less than it is asked for: repeated, as by a program that wants it all. */
START_TEST(test_short_reads)
{
	struct pool_buffer buffer, other;
	struct io_counters counters;
	struct io_request request;
	struct fixture f;
	int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !set_up(&f, _i, 4))
		return;
	buffer = lease(&f, 65536);
	other = lease(&f, 65536);
	/* The ring takes a read that ends within a sector for the last. */
	if (_i != RING && pread(fd, other.data, 65536, 0) < 65536) {
		ssize_t expected = plainly(IO_READ, fd, 0, 65536, other.data);

		ck_assert_int_eq(transfer(&f, IO_READ, fd, 0, 65536, buffer), expected);
		ck_assert_int_eq(memcmp(buffer.data, other.data, (size_t)expected), 0);
		f.ops->read_counters(f.backend, &counters);
		ck_assert_uint_gt(counters.repeats, 0);
		/* Called off too late: that is forgotten when it is submitted again. */
		request = (struct io_request){ .fd = fd, .length = 65536, .buffer = buffer };
		ck_assert_int_eq(io_transfer(f.ops, f.backend, &request), expected);
		f.ops->cancel(f.backend, &request);
		ck_assert_int_eq(io_transfer(f.ops, f.backend, &request), expected);
	}
	pool_return(f.pool, &buffer);
	pool_return(f.pool, &other);
	close(fd);
	tear_down(&f);
}
END_TEST

START_TEST(test_counters)
{
	struct io_counters counters;
	struct pool_buffer buffer;
	struct fixture f;

	if (!set_up(&f, _i, 4))
		return;
	buffer = lease(&f, MAX);
	memset(buffer.data, 7, MAX);
	ck_assert_int_eq(transfer(&f, IO_WRITE, f.fd, 0, MAX, buffer), MAX);
	ck_assert_int_eq(transfer(&f, IO_READ, f.fd, MAX / 2, MAX, buffer), MAX / 2);
	ck_assert_int_eq(transfer(&f, IO_READ, -1, 0, MAX, buffer), -EBADF);
	f.ops->read_counters(f.backend, &counters);
	ck_assert_uint_eq(counters.requests, 3);
	ck_assert_uint_eq(counters.written, MAX);
	ck_assert_uint_eq(counters.read, MAX / 2);
	if (_i != RING)
		ck_assert_uint_eq(counters.fixed, 0);
	pool_return(f.pool, &buffer);
	tear_down(&f);
}
END_TEST

START_TEST(test_no_depth)
{
	struct io_limits limits = { .depth = 0 };
	struct io_backend *backend;

	ck_assert_int_eq(all_ops[_i]->open(&backend, &limits), -EINVAL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_reads,
		test_reads_at_the_end,
		test_writes,
		test_beyond_4_gib,
		test_extreme_offsets,
		test_errors,
		test_counters,
		test_longer_than_the_buffer,
		test_other_descriptors,
		test_short_reads,
		test_no_depth,
	};

	return run_case("io", per_backend(tests, sizeof(tests) / sizeof(*tests)));
}
