/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writers stamp blocks of a file in every way there is; readers with read-ahead, and without, never
 * see an older stamp than the one that was finished before they asked. OVERDRIVE_LONG: 60 s.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "io/engine.h"
#include "prefetch/ahead.h"
#include "prefetch/still.h"
#include "suite.h"

enum { WRITERS = 4, READERS = 4, BLOCK = 4096, BLOCKS = 2048, READ_MAX = 64, RUN = 32 };

struct stress {
	struct engine *engine;
	struct ahead_set *set;
	char path[64];
	time_t end;
	_Atomic uint64_t hits, misses, errors, wrong;
	_Atomic uint32_t begun[BLOCKS], done[BLOCKS];
};

struct thread {
	struct stress *s;
	unsigned self;
	uint64_t seed;
	pthread_t id;
};

static uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void put(struct stress *s, uint64_t *words, unsigned from, unsigned n, unsigned how)
{
	size_t length = (size_t)n * BLOCK;
	off_t at = (off_t)from * BLOCK;
	int fd = open(s->path, O_RDWR | (how == 1 ? O_DIRECT : 0) | O_CLOEXEC);
	char *map;

	for (unsigned b = 0; b < n; b++)
		s->begun[from + b] = s->done[from + b] + 1;
	for (unsigned i = 0; i < length / 8; i++)
		words[i] =
			(uint64_t)(from + i / (BLOCK / 8)) << 32 | s->begun[from + i / (BLOCK / 8)];
	if (how < 2) {
		s->errors += pwrite(fd, words, length, at) != (ssize_t)length;
	} else {
		map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
		if (how == 3)
			close(fd); /* the mapping outlives it */
		memcpy(map, words, length);
		munmap(map, length);
	}
	for (unsigned b = 0; b < n; b++)
		s->done[from + b] = s->begun[from + b];
	if (how != 3)
		close(fd);
}

static void *writer(void *argument)
{
	struct thread *t = argument;
	uint64_t *words = aligned_alloc(BLOCK, (size_t)RUN * BLOCK);
	unsigned part = BLOCKS / WRITERS;

	while (time(NULL) < t->s->end) {
		unsigned n = 1 + draw(&t->seed) % RUN, burst = 1 + draw(&t->seed) % 8;

		while (burst--)
			put(t->s, words, t->self * part + draw(&t->seed) % (part - n), n,
			    draw(&t->seed) % 4);
		usleep(draw(&t->seed) % 200000);
	}
	free(words);
	return NULL;
}

static void check(struct stress *s, unsigned block, const uint64_t *words, unsigned count,
		  uint32_t least)
{
	uint32_t most = s->begun[block];

	for (unsigned i = 0; i < count; i++) {
		uint32_t state = (uint32_t)words[i];

		s->wrong += words[i] ? words[i] >> 32 != block || state < least || state > most
				     : least != 0;
	}
}

static void by_loan(struct stress *s, const struct ahead_loan *loan, unsigned from,
		    const uint32_t *least)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < loan->count; i++)
		for (size_t k = 0; k < loan->iov[i].iov_len; k += BLOCK, at += BLOCK)
			check(s, from + (unsigned)(at / BLOCK),
			      (uint64_t *)((char *)loan->iov[i].iov_base + k), BLOCK / 8,
			      least[at / BLOCK]);
	s->hits++;
}

static void by_demand(struct stress *s, int fd, unsigned from, unsigned n, const uint32_t *least)
{
	struct engine_piece piece = { .request = {
					      .kind = IO_READ,
					      .fd = fd,
					      .offset = (uint64_t)from * BLOCK,
					      .length = n * BLOCK,
				      } };

	ck_assert_int_eq(pool_lease(engine_pool(s->engine), (size_t)n * BLOCK, 1,
				    &piece.request.buffer, UINT64_MAX, NULL),
			 0);
	engine_move(s->engine, true, &piece, 1);
	if (piece.result == -EIO) { /* a collision, as fs/direct_read.c has it */
		piece.request.fd = open(s->path, O_RDONLY | O_CLOEXEC);
		engine_move(s->engine, false, &piece, 1);
		close(piece.request.fd);
	}
	if (piece.result != (ssize_t)n * BLOCK) {
		fprintf(stderr, "read of %u at %u: %zd\n", n, from, piece.result);
		s->errors++;
	} else {
		for (unsigned b = 0; b < n; b++)
			check(s, from + b,
			      (uint64_t *)((char *)piece.request.buffer.data + (size_t)b * BLOCK),
			      BLOCK / 8, least[b]);
	}
	pool_return(engine_pool(s->engine), &piece.request.buffer);
	s->misses++;
}

static void read_one(struct stress *s, struct ahead *a, int fd, unsigned from, unsigned n)
{
	uint32_t least[READ_MAX];
	struct ahead_loan loan;

	for (unsigned b = 0; b < n; b++)
		least[b] = s->done[from + b];
	if (a)
		ahead_note(a, (uint64_t)from * BLOCK, (uint64_t)n * BLOCK);
	if (a && ahead_lend(a, (uint64_t)from * BLOCK, (uint64_t)n * BLOCK, true, &loan) == 1) {
		by_loan(s, &loan, from, least);
		ahead_return(a, &loan);
	} else {
		by_demand(s, fd, from, n, least);
	}
}

static void *reader(void *argument)
{
	struct thread *t = argument;
	struct stress *s = t->s;

	while (time(NULL) < s->end) {
		int fd = open(s->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		struct ahead *a = draw(&t->seed) % 8 ? ahead_new(s->set, fd, 512) : NULL;
		unsigned n = 1u << draw(&t->seed) % 7, how = draw(&t->seed) % 4;
		unsigned at = how == 2 ? BLOCKS - n : draw(&t->seed) % (BLOCKS / 2);

		for (unsigned i = 0; i < 64 && at < BLOCKS && at + n <= BLOCKS; i++) {
			read_one(s, a, fd, at, n);
			if (draw(&t->seed) % 8 == 0)
				usleep(draw(&t->seed) % 20000); /* what was read ahead gets old */
			at = how == 2 ? at - n : how == 3 ? at + 2 * n : at + n;
		}
		ahead_close(a);
		close(fd);
	}
	return NULL;
}

static void run(struct stress *s)
{
	struct thread t[WRITERS + READERS];
	const char *is_long = getenv("OVERDRIVE_LONG");

	s->end = time(NULL) + (is_long && atoi(is_long) ? 60 : 3);
	for (unsigned i = 0; i < WRITERS + READERS; i++) {
		t[i] = (struct thread){ .s = s,
					.self = i % WRITERS,
					.seed = i + (unsigned)time(NULL) };
		ck_assert_int_eq(
			pthread_create(&t[i].id, NULL, i < WRITERS ? writer : reader, &t[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS + READERS; i++)
		pthread_join(t[i].id, NULL);
	printf("%llu answers from ahead, %llu without\n", (unsigned long long)s->hits,
	       (unsigned long long)s->misses);
}

static bool set_up(struct stress *s, const struct io_backend_ops *ops)
{
	struct still still;
	int err, fd;

	signal(SIGIO, SIG_IGN);
	memset(s, 0, sizeof(*s));
	strcpy(s->path, "/tmp/test_stamps.XXXXXX");
	fd = mkostemp(s->path, O_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, (off_t)BLOCKS * BLOCK), 0);
	close(fd);
	usleep(80000);
	fd = open(s->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	err = fd < 0 ? -errno : still_begin(fd, &still);
	close(fd);
	if (!err)
		s->engine = engine_new(ops, 32u << 20, 64, &err);
	if (!s->engine || engine_ops(s->engine) != ops) {
		fprintf(stderr, "skip: no Direct IO, no leases, or no such backend here\n");
		unlink(s->path);
		engine_free(s->engine);
		return false;
	}
	s->set = ahead_set_new(s->engine);
	return true;
}

START_TEST(stamps)
{
	static struct stress s;

	if (!set_up(&s, _i ? &io_ring_ops : &io_direct_ops))
		return;
	run(&s);
	ahead_set_close(s.set);
	engine_free(s.engine);
	ahead_set_free(s.set);
	unlink(s.path);
	ck_assert_uint_eq(s.wrong, 0);
	ck_assert_uint_eq(s.errors, 0);
	ck_assert_uint_gt(s.hits + s.misses, 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("ahead_stamps");

	tcase_set_timeout(t, 110);
	tcase_add_loop_test(t, stamps, 0, 2);
	return run_case("ahead_stamps", t);
}
