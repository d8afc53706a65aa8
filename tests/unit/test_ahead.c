/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read-ahead through the pool: that it happens, is bounded, and never shows an old byte. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/engine.h"
#include "prefetch/ahead.h"
#include "prefetch/still.h"
#include "suite.h"

#define MIB  (1u << 20)
#define SIZE (16u * MIB)
#define READ (128u << 10)

struct stream {
	struct engine *engine;
	struct ahead_set *set;
	struct ahead *ahead;
	int fd; /* as readers have it */
	char path[64];
};

static uint64_t word_at(uint64_t offset, unsigned version)
{
	return offset ^ (uint64_t)version << 56;
}

static void fill(const char *path, uint64_t from, uint64_t length, unsigned version)
{
	uint64_t *words = malloc(length);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	for (uint64_t i = 0; i < length / 8; i++)
		words[i] = word_at(from + i * 8, version);
	ck_assert_int_eq(pwrite(fd, words, length, (off_t)from), (ssize_t)length);
	close(fd);
	free(words);
}

/* What was changed a moment ago is not read ahead. */
static void settle(void)
{
	const struct timespec moment = { .tv_nsec = 80000000 };

	nanosleep(&moment, NULL);
}

/* False: no read leases, or no Direct IO, where the tests run. */
static bool set_up(struct stream *s, size_t memory)
{
	struct still still;
	int err;

	signal(SIGIO, SIG_IGN);
	strcpy(s->path, "/tmp/test_ahead.XXXXXX");
	close(mkostemp(s->path, O_CLOEXEC));
	fill(s->path, 0, SIZE, 1);
	settle();
	s->fd = open(s->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (s->fd < 0 || still_begin(s->fd, &still) != 0) {
		fprintf(stderr, "skip: no Direct IO or no leases in /tmp\n");
		unlink(s->path);
		return false;
	}
	s->engine = engine_new(&io_direct_ops, memory, 16, &err);
	ck_assert_ptr_nonnull(s->engine);
	s->set = ahead_set_new(s->engine);
	s->ahead = ahead_new(s->set, s->fd, 512);
	ck_assert_ptr_nonnull(s->ahead);
	return true;
}

static void tear_down(struct stream *s)
{
	struct pool_counters c;

	ahead_close(s->ahead);
	ahead_set_close(s->set);
	while (pool_read_counters(engine_pool(s->engine), &c), c.leased) /* still in flight */
		sched_yield();
	engine_free(s->engine);
	ahead_set_free(s->set);
	close(s->fd);
	unlink(s->path);
}

/* True if it came from there; checks what came. */
static bool get(struct ahead *a, uint64_t offset, uint64_t length, unsigned version, size_t want)
{
	struct ahead_loan loan;
	uint64_t at = offset;
	unsigned wrong = 0;

	ahead_note(a, offset, length);
	if (ahead_lend(a, offset, length, true, &loan) != 1)
		return false;
	ck_assert_uint_eq(loan.bytes, want);
	for (unsigned i = 0; i < loan.count; i++)
		for (size_t k = 0; k < loan.iov[i].iov_len; k += 8, at += 8)
			wrong += *(uint64_t *)((char *)loan.iov[i].iov_base + k) !=
				 word_at(at, version);
	ck_assert_uint_eq(wrong, 0); /* each assertion is a system call */
	ahead_return(a, &loan);
	return true;
}

static unsigned pass(struct stream *s, unsigned version)
{
	unsigned hits = 0;

	for (uint64_t at = 0; at < SIZE; at += READ)
		hits += get(s->ahead, at, READ, version, READ);
	return hits;
}

START_TEST(in_order)
{
	struct stream s;
	struct ahead_counters c;

	if (!set_up(&s, 64 * MIB))
		return;
	ck_assert_uint_ge(pass(&s, 1), SIZE / READ / 2);
	ahead_read_counters(s.set, &c);
	ck_assert_uint_ge(c.bytes, SIZE - READ);
	ck_assert_uint_le(c.bytes, SIZE + READ);
	ck_assert_uint_eq(c.wasted, 0);
	tear_down(&s);
}
END_TEST

START_TEST(end_of_file)
{
	struct stream s;

	if (!set_up(&s, 64 * MIB))
		return;
	ck_assert_int_eq(truncate(s.path, SIZE - 3 * READ - 1000), 0);
	settle();
	for (uint64_t at = SIZE - 16 * READ; at < SIZE - 4 * READ; at += READ)
		get(s.ahead, at, READ, 1, READ);
	ck_assert(get(s.ahead, SIZE - 4 * READ, READ, 1, READ - 1000));
	ck_assert(!get(s.ahead, SIZE - 3 * READ, READ, 1, 0));
	tear_down(&s);
}
END_TEST

/* Beyond what is being read something is ready; then the file is changed, in one way each. */
static void change(const struct stream *s, int how)
{
	int fd = open(s->path, O_RDWR | O_CLOEXEC);

	if (how == 0)
		fill(s->path, 0, SIZE, 2);
	else if (how == 1)
		ck_assert_int_eq(truncate(s->path, 0), 0);
	else
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE);
	close(fd);
}

START_TEST(changed_meanwhile)
{
	struct stream s;
	struct ahead_loan loan;

	if (!set_up(&s, 64 * MIB))
		return;
	for (uint64_t at = 0; at < 8 * READ; at += READ)
		get(s.ahead, at, READ, 1, READ);
	change(&s, _i);
	ck_assert_int_eq(ahead_lend(s.ahead, 8 * READ, READ, true, &loan), 0);
	if (_i == 0) {
		pass(&s, 2);
		settle();
		ck_assert_uint_gt(pass(&s, 2), 0);
	}
	tear_down(&s);
}
END_TEST

/* While anybody has it open for writing, or mapped, nothing is kept. */
START_TEST(somebody_writes)
{
	struct stream s;
	struct ahead_counters c;
	int fd;

	if (!set_up(&s, 64 * MIB))
		return;
	fd = open(s.path, O_WRONLY | O_CLOEXEC);
	ck_assert_uint_eq(pass(&s, 1), 0);
	ahead_read_counters(s.set, &c);
	ck_assert_uint_eq(c.bytes, 0);
	close(fd);
	tear_down(&s);
}
END_TEST

START_TEST(little_memory)
{
	struct stream s;
	struct pool_buffer buffer[2];

	if (!set_up(&s, 4 * MIB))
		return;
	ck_assert_uint_gt(pass(&s, 1), 0);
	for (uint64_t at = 0; at < 8 * READ; at += READ)
		get(s.ahead, at, READ, 1, READ);
	/* Half is left for what programs wait for. */
	ck_assert_int_eq(pool_lease(engine_pool(s.engine), MIB, 2, buffer, UINT64_MAX, NULL), 0);
	pool_return(engine_pool(s.engine), &buffer[0]);
	pool_return(engine_pool(s.engine), &buffer[1]);
	tear_down(&s);
}
END_TEST

/* A loan and requests in flight outlive the close. */
START_TEST(closed_meanwhile)
{
	struct stream s;
	struct ahead_loan loan;

	if (!set_up(&s, 64 * MIB))
		return;
	for (unsigned i = 0; i < 200; i++) {
		struct ahead *a = ahead_new(s.set, s.fd, 512);
		uint64_t at = 0;

		for (; at < (2 + i % 8) * READ; at += READ)
			get(a, at, READ, 1, READ);
		ahead_note(a, at, READ);
		if (ahead_lend(a, at, READ, true, &loan) == 1) {
			ahead_close(a);
			ck_assert_uint_eq(*(uint64_t *)loan.iov[0].iov_base, word_at(at, 1));
			ahead_return(a, &loan);
		} else {
			ahead_close(a);
		}
	}
	tear_down(&s);
}
END_TEST

static void *read_all(void *argument)
{
	struct stream *s = argument;

	for (unsigned i = 0; i < 8; i++)
		pass(s, 1);
	return NULL;
}

/* Threads share an open file, while another forgets what it holds. */
START_TEST(many_threads)
{
	pthread_t thread[4];
	struct stream s;

	if (!set_up(&s, 16 * MIB))
		return;
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, read_all, &s);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(chmod(s.path, i % 2 ? 0600 : 0400), 0);
		ahead_set_tick(s.set);
		settle();
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	tear_down(&s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("ahead");

	tcase_set_timeout(t, 100);
	tcase_add_test(t, in_order);
	tcase_add_test(t, end_of_file);
	tcase_add_loop_test(t, changed_meanwhile, 0, 3);
	tcase_add_test(t, somebody_writes);
	tcase_add_test(t, little_memory);
	tcase_add_test(t, closed_meanwhile);
	tcase_add_test(t, many_threads);
	return run_case("ahead", t);
}
