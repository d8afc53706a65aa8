/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first look at a file of which something is in memory. In a memfd only what was written is: who
 * writes stands for a reader, and nothing that is fetched appears.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prefetch/watch.h"
#include "suite.h"

#define KIB 1024u
#define MIB (1024u * KIB)

static void prepare(void *unused)
{
	(void)unused;
}

struct setting {
	struct fetcher *fetcher;
	struct watch watch;
	struct watch_counts counts;
	int fd; /* the watch's */
};

static void put(int fd, uint64_t from, uint64_t to)
{
	static char data[64 * KIB];

	memset(data, 'x', sizeof(data));
	while (from < to) {
		size_t n = to - from < sizeof(data) ? to - from : sizeof(data);

		ck_assert_int_eq(pwrite(fd, data, n, (off_t)from), (ssize_t)n);
		from += n;
	}
}

static void set_up(struct setting *s, uint64_t size)
{
	memset(s, 0, sizeof(*s));
	s->fd = memfd_create("watch", MFD_CLOEXEC);
	ck_assert_int_ge(s->fd, 0);
	ck_assert_int_eq(ftruncate(s->fd, (off_t)size), 0);
	s->fetcher = fetcher_new(1, prepare, NULL);
	ck_assert_ptr_nonnull(s->fetcher);
	watch_init(&s->watch, fetch_file_new(s->fd), size, 64 * MIB);
}

static void tear_down(struct setting *s)
{
	fetcher_free(s->fetcher);
	watch_deinit(&s->watch);
}

static enum watch_seen look(struct setting *s)
{
	return watch_look(&s->watch, s->fetcher, &s->counts);
}

/* What a walk brings in of a file, 8 MiB, is most of it and not all. */
START_TEST(test_tail)
{
	static const uint64_t sizes[] = { 8 * MIB + 512 * KIB, 9 * MIB, 10 * MIB, 10 * MIB + 1 };
	uint64_t fetched;
	struct setting s;

	set_up(&s, sizes[_i]);
	put(s.fd, 0, 8 * MIB);
	ck_assert_int_eq(look(&s), WATCH_NOTHING);
	ck_assert_int_eq(look(&s), WATCH_NOTHING);
	fetched = fetcher_bytes(s.fetcher);
	for (uint64_t end = 128 * KIB; end <= 256 * KIB; end += 128 * KIB) { /* one may be chance */
		put(s.fd, 8 * MIB, 8 * MIB + end);
		ck_assert_int_ne(look(&s), WATCH_NOTHING);
	}
	ck_assert_uint_gt(fetcher_bytes(s.fetcher), fetched);
	tear_down(&s);
}
END_TEST

START_TEST(test_tail_of_a_large_one)
{
	struct setting s;

	set_up(&s, 64 * MIB);
	put(s.fd, 0, 60 * MIB);
	ck_assert_int_eq(look(&s), WATCH_NOTHING);
	tear_down(&s);
}
END_TEST

/* Fewer bytes than a window has are not worth it, nor is a hole in what is hot. */
START_TEST(test_hot)
{
	static const uint64_t missing[] = { 0, 4 * KIB, 128 * KIB };
	struct setting s;

	set_up(&s, 9 * MIB);
	put(s.fd, 0, 9 * MIB - missing[_i]);
	ck_assert_int_eq(look(&s), WATCH_END);
	tear_down(&s);
}
END_TEST

START_TEST(test_cold)
{
	struct setting s;

	set_up(&s, 9 * MIB);
	ck_assert_int_eq(look(&s), WATCH_NOTHING);
	put(s.fd, 0, 128 * KIB);
	ck_assert_int_eq(look(&s), WATCH_READER);
	ck_assert_uint_gt(fetcher_bytes(s.fetcher), 0);
	tear_down(&s);
}
END_TEST

int main(void)
{
	int fd = memfd_create("watch", MFD_CLOEXEC);
	TCase *tc = tcase_create("watch");

	if (fetch_resident(fd, 0, 0) < 0) {
		fprintf(stderr, "skip: what is in memory can't be asked here: %s\n",
			strerror(errno));
		return 77;
	}
	close(fd);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, test_tail, 0, 4);
	tcase_add_test(tc, test_tail_of_a_large_one);
	tcase_add_loop_test(tc, test_hot, 0, 3);
	tcase_add_test(tc, test_cold);
	return run_case("watch", tc);
}
