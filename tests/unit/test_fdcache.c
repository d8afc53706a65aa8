/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/fdcache.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

#define WAYS	8 /* a set; a cache of this capacity is one set */
#define THREADS 4
#define FILES	48
#define ROUNDS	20000

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int new_fd(void)
{
	int fd = open("/dev/null", O_PATH | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Puts a new descriptor and returns it at once; says which it was. */
static int keep(struct fdcache *cache, uint64_t nodeid)
{
	struct fd_lease lease = FD_LEASE_NONE;
	int fd = new_fd();

	fdcache_put(cache, nodeid, fd, &lease);
	ck_assert_int_eq(lease.fd, fd);
	ck_assert(!lease.own);
	fdcache_return(cache, &lease);
	ck_assert_int_eq(lease.fd, -1);
	ck_assert_ptr_null(lease.way);
	return fd;
}

static bool has(struct fdcache *cache, uint64_t nodeid)
{
	struct fd_lease lease = FD_LEASE_NONE;
	bool found = fdcache_get(cache, nodeid, &lease);

	if (found)
		fdcache_return(cache, &lease);
	return found;
}

START_TEST(test_get_put)
{
	struct fdcache *cache = fdcache_new(100);
	unsigned before = count_fds();
	struct fd_lease a, b;
	int fd;

	ck_assert(!fdcache_get(cache, 5, &a));
	fd = keep(cache, 5);
	ck_assert(is_open(fd));
	ck_assert_uint_eq(fdcache_count(cache), 1);
	ck_assert(fdcache_get(cache, 5, &a) && fdcache_get(cache, 5, &b));
	ck_assert_int_eq(a.fd, fd);
	ck_assert_int_eq(b.fd, fd);
	ck_assert(!fdcache_get(cache, 6, &(struct fd_lease){ .fd = -1 }));
	fdcache_return(cache, &a);
	ck_assert(is_open(fd));
	fdcache_return(cache, &b);
	ck_assert(is_open(fd) && has(cache, 5));
	/* Nothing to return is nothing to do. */
	fdcache_return(cache, &b);
	ck_assert_ptr_null(fdcache_free(cache));
	ck_assert(!is_open(fd));
	ck_assert_uint_eq(count_fds(), before);
	ck_assert_ptr_null(fdcache_free(NULL));
}
END_TEST

/* The longest unused goes, and its descriptor is closed, not another. */
START_TEST(test_lru)
{
	struct fdcache *cache = fdcache_new(WAYS);
	int fd[WAYS + 1];

	for (unsigned i = 1; i <= WAYS; i++)
		fd[i] = keep(cache, i);
	ck_assert(has(cache, 1)); /* so 2 is the oldest */
	keep(cache, 100);
	ck_assert(!has(cache, 2));
	ck_assert(!is_open(fd[2]) && has(cache, 100));
	for (unsigned i = 1; i <= WAYS; i++)
		if (i != 2)
			ck_assert(is_open(fd[i]) && has(cache, i));
	ck_assert_uint_eq(fdcache_count(cache), WAYS);
	fdcache_free(cache);
}
END_TEST

START_TEST(test_evicted_is_closed)
{
	struct fdcache *cache = fdcache_new(WAYS);
	int spare, fd[WAYS + 1], newest;

	for (unsigned i = 1; i <= WAYS; i++)
		fd[i] = keep(cache, i);
	newest = keep(cache, 100);
	ck_assert_int_ne(newest, fd[1]);
	ck_assert(!is_open(fd[1]));
	/* The lowest free number is the evicted one's. */
	spare = new_fd();
	ck_assert_int_eq(spare, fd[1]);
	close(spare);
	fdcache_free(cache);
}
END_TEST

START_TEST(test_lent_is_not_evicted)
{
	struct fdcache *cache = fdcache_new(WAYS);
	struct fd_lease lease;
	int fd = keep(cache, 1);

	ck_assert(fdcache_get(cache, 1, &lease));
	for (unsigned i = 2; i < 100; i++)
		keep(cache, i);
	ck_assert(is_open(fd) && has(cache, 1));
	fdcache_return(cache, &lease);
	for (unsigned i = 100; i < 200; i++)
		keep(cache, i);
	ck_assert(!has(cache, 1));
	ck_assert_uint_eq(fdcache_count(cache), WAYS);
	fdcache_free(cache);
}
END_TEST

START_TEST(test_drop)
{
	struct fdcache *cache = fdcache_new(WAYS);
	struct fd_lease a, b;
	int fd = keep(cache, 1), other;

	fdcache_drop(cache, 1);
	ck_assert(!is_open(fd) && !has(cache, 1));
	ck_assert_uint_eq(fdcache_count(cache), 0);
	fdcache_drop(cache, 1);

	fd = keep(cache, 2);
	ck_assert(fdcache_get(cache, 2, &a) && fdcache_get(cache, 2, &b));
	fdcache_drop(cache, 2);
	ck_assert(is_open(fd) && !has(cache, 2));
	/* The node may come back before the lease does. */
	other = keep(cache, 2);
	ck_assert_int_ne(other, fd);
	fdcache_return(cache, &a);
	ck_assert(is_open(fd));
	fdcache_drop(cache, 2);
	ck_assert(!is_open(other) && is_open(fd));
	fdcache_return(cache, &b);
	ck_assert(!is_open(fd));
	ck_assert_uint_eq(fdcache_count(cache), 0);
	fdcache_free(cache);
}
END_TEST

/* A set of busy descriptors lends one more, but keeps it not. */
START_TEST(test_all_lent)
{
	struct fdcache *cache = fdcache_new(WAYS);
	struct fd_lease lease[WAYS], extra;
	int fd;

	for (unsigned i = 0; i < WAYS; i++)
		fdcache_put(cache, i + 1, new_fd(), &lease[i]);
	fd = new_fd();
	fdcache_put(cache, 100, fd, &extra);
	ck_assert(extra.own && !extra.way && extra.fd == fd);
	ck_assert(!has(cache, 100));
	ck_assert_uint_eq(fdcache_count(cache), WAYS);
	fdcache_return(cache, &extra);
	ck_assert(!is_open(fd));
	/* A dropped one is busy too until it comes back. */
	fdcache_drop(cache, 3);
	fdcache_put(cache, 100, new_fd(), &extra);
	ck_assert(extra.own);
	fdcache_return(cache, &extra);
	fdcache_return(cache, &lease[2]);
	fdcache_put(cache, 100, new_fd(), &extra);
	ck_assert(!extra.own);
	fdcache_return(cache, &extra);
	for (unsigned i = 0; i < WAYS; i++)
		fdcache_return(cache, &lease[i]);
	fdcache_free(cache);
}
END_TEST

START_TEST(test_somebody_was_faster)
{
	struct fdcache *cache = fdcache_new(WAYS);
	struct fd_lease lease;
	int first = keep(cache, 7), second = new_fd();

	fdcache_put(cache, 7, second, &lease);
	ck_assert(lease.own && lease.fd == second);
	ck_assert_uint_eq(fdcache_count(cache), 1);
	fdcache_return(cache, &lease);
	ck_assert(!is_open(second) && is_open(first));
	ck_assert(fdcache_get(cache, 7, &lease) && lease.fd == first);
	fdcache_return(cache, &lease);
	fdcache_free(cache);
}
END_TEST

START_TEST(test_sweep)
{
	struct fdcache *cache = fdcache_new(64);
	struct fd_lease lease;
	int lent = keep(cache, 1), used = keep(cache, 2), idle = keep(cache, 3);

	ck_assert(fdcache_get(cache, 1, &lease));
	ck_assert_uint_eq(fdcache_sweep(cache), 3);
	ck_assert(has(cache, 2));
	ck_assert_uint_eq(fdcache_sweep(cache), 2);
	ck_assert(!is_open(idle) && is_open(used) && is_open(lent));
	ck_assert_uint_eq(fdcache_sweep(cache), 1);
	ck_assert(!is_open(used));
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(fdcache_sweep(cache), 1);
	ck_assert(is_open(lent));
	fdcache_return(cache, &lease);
	fdcache_sweep(cache);
	ck_assert_uint_eq(fdcache_sweep(cache), 0);
	ck_assert(!is_open(lent));
	fdcache_free(cache);
}
END_TEST

/* However many nodes pass by, the descriptors stay within the capacity. */
START_TEST(test_capacity)
{
	unsigned capacity = (unsigned)_i;
	struct fdcache *cache = fdcache_new(capacity);
	unsigned before = count_fds(), bound = (capacity + WAYS - 1) / WAYS * WAYS;

	for (uint64_t i = 1; i <= 3000; i++)
		keep(cache, i << 32 | i % 1000);
	ck_assert_uint_eq(count_fds() - before, fdcache_count(cache));
	ck_assert_uint_le(fdcache_count(cache), bound);
	/* Nodeids spread over the sets: the sets are all in use. */
	ck_assert_uint_ge(fdcache_count(cache), bound * 9 / 10);
	fdcache_free(cache);
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

struct stress {
	struct fdcache *cache;
	char path[FILES][64];
	ino_t inode[FILES];
	_Atomic unsigned number, bad;
};

/* Borrows the descriptor of file i, opening it where it must, and looks what it really is. */
static void borrow(struct stress *s, unsigned i)
{
	struct fd_lease lease = FD_LEASE_NONE;
	struct stat st = { 0 };

	if (!fdcache_get(s->cache, i + 10, &lease))
		fdcache_put(s->cache, i + 10, open(s->path[i], O_PATH | O_CLOEXEC), &lease);
	if (fstat(lease.fd, &st) < 0 || st.st_ino != s->inode[i])
		atomic_fetch_add(&s->bad, 1);
	if (i % 5 == 0)
		sched_yield();
	if (fstat(lease.fd, &st) < 0 || st.st_ino != s->inode[i])
		atomic_fetch_add(&s->bad, 1);
	fdcache_return(s->cache, &lease);
}

static void *stress_thread(void *argument)
{
	struct stress *s = argument;
	unsigned state = atomic_fetch_add(&s->number, 1) * 7919 + 1;

	for (int i = 0; i < ROUNDS; i++) {
		state = state * 1664525 + 1013904223;
		if (state >> 8 & 63)
			borrow(s, (state >> 16) % FILES);
		else if (state >> 14 & 7)
			fdcache_drop(s->cache, (state >> 16) % FILES + 10);
		else
			fdcache_sweep(s->cache);
	}
	return NULL;
}

START_TEST(test_threads)
{
	static struct stress s;
	char dir[] = "/tmp/test_fdcache.XXXXXX";
	pthread_t thread[THREADS];
	unsigned before;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (int i = 0; i < FILES; i++) {
		struct stat st;

		snprintf(s.path[i], sizeof(s.path[i]), "%s/%d", dir, i);
		close(open(s.path[i], O_CREAT | O_WRONLY, 0600));
		ck_assert_int_eq(stat(s.path[i], &st), 0);
		s.inode[i] = st.st_ino;
	}
	before = count_fds();
	s.cache = fdcache_new(24);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, stress_thread, &s), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < FILES; i++)
		unlink(s.path[i]);
	rmdir(dir);
	ck_assert_uint_eq(atomic_load(&s.bad), 0);
	ck_assert_uint_le(fdcache_count(s.cache), 24);
	ck_assert_uint_eq(count_fds() - before, fdcache_count(s.cache));
	fdcache_sweep(s.cache);
	ck_assert_uint_eq(fdcache_sweep(s.cache), 0);
	fdcache_free(s.cache);
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* The descriptor itself once the node is dropped and nobody else has it; else a copy. */
START_TEST(test_take)
{
	struct fdcache *cache = fdcache_new(WAYS);
	struct fd_lease lease, other;
	int fd = keep(cache, 2), taken;

	ck_assert(fdcache_get(cache, 2, &lease));
	fdcache_drop(cache, 2);
	ck_assert_int_eq(fdcache_take(cache, &lease), fd);
	ck_assert_int_eq(lease.fd, -1);
	ck_assert_uint_eq(fdcache_count(cache), 0);
	ck_assert(is_open(fd));
	close(fd);

	fd = keep(cache, 3);
	ck_assert(fdcache_get(cache, 3, &lease) && fdcache_get(cache, 3, &other));
	fdcache_drop(cache, 3);
	taken = fdcache_take(cache, &lease);
	ck_assert_int_ne(taken, fd);
	ck_assert(is_open(taken) && is_open(fd));
	fdcache_return(cache, &other);
	ck_assert(is_open(taken) && !is_open(fd));
	close(taken);
	fdcache_free(cache);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("fdcache");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_get_put);
	tcase_add_test(tc, test_lru);
	tcase_add_test(tc, test_evicted_is_closed);
	tcase_add_test(tc, test_lent_is_not_evicted);
	tcase_add_test(tc, test_drop);
	tcase_add_test(tc, test_take);
	tcase_add_test(tc, test_all_lent);
	tcase_add_test(tc, test_somebody_was_faster);
	tcase_add_test(tc, test_sweep);
	tcase_add_loop_test(tc, test_capacity, 1, 2);
	tcase_add_loop_test(tc, test_capacity, 60, 61);
	tcase_add_loop_test(tc, test_capacity, 256, 257);
	tcase_add_test(tc, test_threads);
	return run_case("fdcache", tc);
}
