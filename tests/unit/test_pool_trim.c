/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory goes back, and registration with it; no byte read afterwards is wrong. */
#include "pool_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define CHUNKS 4

START_TEST(test_all)
{
	struct pool *pool = new_pool(CHUNKS * MIB);
	struct pool_buffer b[CHUNKS], one;
	size_t before;

	ck_assert_uint_eq(pool_trim(pool, true), 0);
	ck_assert_int_eq(pool_lease(pool, MIB, CHUNKS, b, 0, NULL), 0);
	for (int i = 0; i < CHUNKS; i++)
		memset(b[i].data, 0x55, MIB);
	ck_assert_uint_eq(pool_trim(pool, true), 0);
	before = resident_bytes();
	return_all(pool, b + 1, CHUNKS - 1);
	ck_assert_uint_eq(pool_trim(pool, true), (CHUNKS - 1) * MIB);
	ck_assert_uint_le(resident_bytes() + 2 * MIB, before);
	ck_assert_uint_eq(counters_of(pool).committed, MIB);
	ck_assert_uint_eq(counters_of(pool).peak, CHUNKS * MIB);
	ck_assert(all_bytes(b[0].data, MIB, 0x55));
	one = lease_one(pool, 4096);
	ck_assert(all_bytes(one.data, one.size, 0));
	pool_return(pool, &one);
	pool_return(pool, &b[0]);
	ck_assert_uint_eq(pool_trim(pool, true), 2 * MIB);
	ck_assert_int_eq(pool_lease(pool, MIB, CHUNKS, b, 0, NULL), 0);
	for (int i = 0; i < CHUNKS; i++)
		ck_assert(all_bytes(b[i].data, MIB, 0));
	return_all(pool, b, CHUNKS);
	pool_free(pool);
}
END_TEST

START_TEST(test_idle)
{
	struct pool *pool = new_pool(CHUNKS * MIB);
	struct pool_buffer b[2];
	void *kept;

	ck_assert_int_eq(pool_lease(pool, MIB, 2, b, 0, NULL), 0);
	return_all(pool, b, 2);
	ck_assert_uint_eq(pool_trim(pool, false), 0); /* used since the last call */
	for (int i = 0; i < 10; i++) {
		b[0] = lease_one(pool, MIB);
		kept = b[0].data;
		memset(kept, i + 1, MIB);
		pool_return(pool, &b[0]);
		ck_assert_uint_eq(pool_trim(pool, false), i ? 0 : MIB); /* the other one */
	}
	ck_assert_uint_eq(pool_trim(pool, false), MIB);
	ck_assert_uint_eq(counters_of(pool).committed, 0);
	pool_free(pool);
}
END_TEST

/* What a ring would hold: which chunks are registered, and how many leases of each are out. */
struct table {
	_Atomic int registered[CHUNKS], out[CHUNKS];
	_Atomic unsigned committed, released, bad;
	char *data[CHUNKS];
};

static void on_committed(void *argument, uint32_t chunk, void *data, size_t size)
{
	struct table *t = argument;

	if (size != POOL_CHUNK || t->out[chunk] || atomic_exchange(&t->registered[chunk], 1))
		t->bad++;
	if (!all_bytes(data, size, 0))
		t->bad++;
	t->data[chunk] = data;
	t->committed++;
}

static void on_releasing(void *argument, uint32_t chunk)
{
	struct table *t = argument;

	/* Still there: what was last written into it. */
	if (t->data[chunk][0] == 0)
		t->bad++;
	if (t->out[chunk] || !atomic_exchange(&t->registered[chunk], 0))
		t->bad++;
	t->released++;
}

START_TEST(test_hooks)
{
	struct table t = { 0 };
	struct pool_observer observer = { on_committed, on_releasing, &t };
	struct pool *pool = new_pool(CHUNKS * MIB);
	struct pool_buffer b[CHUNKS];

	pool_observe(pool, &observer);
	ck_assert_int_eq(pool_lease(pool, MIB, CHUNKS, b, 0, NULL), 0);
	ck_assert_uint_eq(t.committed, CHUNKS);
	for (int i = 0; i < CHUNKS; i++)
		memset(b[i].data, 1, MIB);
	return_all(pool, b, CHUNKS);
	b[0] = lease_one(pool, 4096); /* another class, the same memory */
	ck_assert_uint_eq(t.committed, CHUNKS);
	ck_assert_uint_eq(pool_trim(pool, true), (CHUNKS - 1) * MIB);
	ck_assert_uint_eq(t.released, CHUNKS - 1);
	pool_free(pool);
	ck_assert_uint_eq(t.released, CHUNKS - 1);
	pool_return(pool, &b[0]);
	ck_assert_uint_eq(t.released, CHUNKS);
	ck_assert_uint_eq(t.bad, 0);
	/* Taken away: the ring is gone, the pool goes on. */
	pool = new_pool(CHUNKS * MIB);
	pool_observe(pool, &observer);
	b[0] = lease_one(pool, MIB);
	pool_return(pool, &b[0]);
	pool_observe(pool, NULL);
	ck_assert_uint_eq(pool_trim(pool, true), MIB);
	ck_assert_uint_eq(t.released, CHUNKS);
	pool_free(pool);
}
END_TEST

#define FILE_BLOCKS 1024
struct traffic {
	struct table table;
	struct pool *pool;
	int fd;
	_Atomic bool stop;
	_Atomic unsigned reads, number;
};

static bool block_right(const uint32_t *block, uint32_t number)
{
	for (unsigned i = 0; i < 1024; i++)
		if (block[i] != number * 1024 + i + 1)
			return false;
	return true;
}

static bool read_right(struct traffic *t, struct pool_buffer *b, uint32_t block)
{
	uint32_t blocks = b->size / 4096;

	if (t->table.registered[b->chunk] != 1)
		return false;
	if (pread(t->fd, b->data, b->size, (off_t)block * 4096) != (ssize_t)b->size)
		return false;
	sched_yield();
	for (uint32_t i = 0; i < blocks; i++)
		if (!block_right((uint32_t *)b->data + (size_t)i * 1024, block + i))
			return false;
	return true;
}

static void *traffic_thread(void *argument)
{
	struct traffic *t = argument;
	unsigned state = atomic_fetch_add(&t->number, 1) * 7919 + 1;

	while (!atomic_load(&t->stop)) {
		struct pool_buffer b;

		state = state * 1664525 + 1013904223;
		if (pool_lease(t->pool, (size_t)4096 << (state >> 10) % 9, 1, &b, LONG_ENOUGH,
			       NULL)) {
			t->table.bad++;
			break;
		}
		t->table.out[b.chunk]++;
		if (!read_right(t, &b, (state >> 16) % (FILE_BLOCKS - 255)))
			t->table.bad++;
		/* For on_releasing(): neighbours may be in use, the first byte of the chunk not. */
		if (b.data == t->table.data[b.chunk])
			*(char *)b.data = 1;
		t->table.out[b.chunk]--;
		pool_return(t->pool, &b);
		t->reads++;
	}
	return NULL;
}

static int make_file(void)
{
	char name[] = "/tmp/test_pool_trim.XXXXXX";
	int fd = mkstemp(name);
	uint32_t block[1024];

	ck_assert_int_ge(fd, 0);
	unlink(name);
	for (uint32_t n = 0; n < FILE_BLOCKS; n++) {
		for (uint32_t i = 0; i < 1024; i++)
			block[i] = n * 1024 + i + 1;
		ck_assert_int_eq(write(fd, block, sizeof(block)), sizeof(block));
	}
	return fd;
}

static void on_releasing_busy(void *argument, uint32_t chunk)
{
	struct table *t = argument;

	t->data[chunk][0] = 1; /* must be accessible, may never have been used */
	on_releasing(t, chunk);
}

/* Reads of a file by some threads while another gives the memory back all the time. */
START_TEST(test_traffic)
{
	static struct traffic t;
	struct pool_observer observer = { on_committed, on_releasing_busy, &t.table };
	uint64_t until = clock_ns() + 2 * NSEC_PER_SEC;
	pthread_t thread[3];

	t.pool = new_pool(CHUNKS * MIB);
	t.fd = make_file();
	pool_observe(t.pool, &observer);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, traffic_thread, &t), 0);
	while (clock_ns() < until || atomic_load(&t.reads) <= 100 || t.table.released <= 10) {
		pool_trim(t.pool, true);
		usleep(50);
	}
	atomic_store(&t.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	printf("%u reads, %u chunks given back\n", t.reads, t.table.released);
	ck_assert_uint_eq(t.table.bad, 0);
	ck_assert_uint_gt(t.reads, 100);
	ck_assert_uint_gt(t.table.released, 10);
	pool_free(t.pool);
	ck_assert_uint_eq(t.table.released, t.table.committed);
	close(t.fd);
}
END_TEST

RUN_CASES("pool_trim", test_all, test_idle, test_hooks, test_traffic)
