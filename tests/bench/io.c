/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each backend reads of a file, by size of request and depth. Prints, asserts nothing.
 *
 *	io FILE [SECONDS for each row]
 *
 * Depth "call" is io_transfer() from one thread; the others keep that many requests in flight, each
 * submitted again as it is done. CPU is the process's, user and system; the ring's helpers count.
 */
#include "io/backend.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"

#define DEPTH_MAX 64u

struct bench {
	const struct io_backend_ops *ops;
	struct io_backend *backend;
	struct pool *pool;
	int fd;
	uint64_t blocks; /* of the file, of `length` bytes */
	uint32_t length;
	bool random;
	uint64_t end_ns;
	_Atomic uint64_t turn, bytes, count;
	_Atomic int err;
	sem_t over;
};

static uint64_t next_offset(struct bench *b)
{
	uint64_t turn = b->turn++;

	if (b->random)
		turn = (turn + 1) * 0x9e3779b97f4a7c15 >> 20;
	return turn % b->blocks * b->length;
}

static void count(struct bench *b, ssize_t result)
{
	if (result < 0)
		b->err = (int)-result;
	else
		b->bytes += (uint64_t)result;
	b->count++;
}

static void bench_done(struct io_request *request, ssize_t result)
{
	struct bench *b = request->argument;

	count(b, result);
	if (clock_ns() >= b->end_ns || b->err) {
		sem_post(&b->over);
		return;
	}
	request->offset = next_offset(b);
	b->ops->submit(b->backend, &request, 1);
}

static void run(struct bench *b, unsigned depth, struct io_request *request)
{
	struct io_request *requests[DEPTH_MAX];
	bool call = !depth;

	for (unsigned i = 0; i < depth + call; i++) {
		request[i] = (struct io_request){ .fd = b->fd, .length = b->length };
		request[i].done = bench_done;
		request[i].argument = b;
		requests[i] = &request[i];
		if (pool_lease(b->pool, b->length, 1, &request[i].buffer, UINT64_MAX, NULL)) {
			b->err = 1;
			return;
		}
		memset(request[i].buffer.data, 0, b->length);
		request[i].offset = next_offset(b);
	}
	if (!call) {
		b->ops->submit(b->backend, requests, depth);
		for (unsigned i = 0; i < depth; i++)
			while (sem_wait(&b->over))
				;
	}
	while (call && clock_ns() < b->end_ns && !b->err) {
		count(b, io_transfer(b->ops, b->backend, request));
		request->offset = next_offset(b);
	}
	for (unsigned i = 0; i < depth + call; i++)
		pool_return(b->pool, &request[i].buffer);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* depth 0: by io_transfer. */
static void bench_row(struct bench b, unsigned depth, double seconds)
{
	static struct io_request request[DEPTH_MAX];
	struct io_limits limits = { .depth = depth ? depth : 1 };
	struct io_counters counters = { 0 };
	char name[8] = "call";
	double cpu, took;
	uint64_t start;
	int err = 0;

	b.pool = limits.pool = pool_new((DEPTH_MAX + 1) * (size_t)POOL_CHUNK, &err);
	err = b.pool ? b.ops->open(&b.backend, &limits) : err;
	if (err) {
		fprintf(stderr, "%-9s %s\n", b.ops->name, strerror(-err));
		pool_free(b.pool);
		return;
	}
	sem_init(&b.over, 0, 0);
	posix_fadvise(b.fd, 0, 0, POSIX_FADV_DONTNEED);
	cpu = cpu_seconds();
	start = clock_ns();
	b.end_ns = start + (uint64_t)(seconds * NSEC_PER_SEC);
	run(&b, depth, request);
	took = (double)(clock_ns() - start) / NSEC_PER_SEC;
	cpu = cpu_seconds() - cpu;
	b.ops->read_counters(b.backend, &counters);
	if (depth)
		snprintf(name, sizeof(name), "%u", depth);
	printf("%-9s %-6s %5u KiB %5s %9.1f MB/s %9.0f IOPS %7.1f us CPU/req %3.0f %% fixed%s\n",
	       b.ops->name, b.random ? "random" : "seq", b.length >> 10, name,
	       (double)b.bytes / took / 1e6, (double)b.count / took, cpu * 1e6 / (double)b.count,
	       100.0 * (double)counters.fixed / (double)b.count, b.err ? "  FAILED" : "");
	fflush(stdout);
	sem_destroy(&b.over);
	b.ops->close(b.backend);
	pool_free(b.pool);
}

int main(int argc, char **argv)
{
	static const struct io_backend_ops *const ops[] = { &io_ring_ops, &io_direct_ops,
							    &io_buffered_ops };
	static const unsigned depths[] = { 0, 1, 4, 16, DEPTH_MAX };
	static const uint32_t lengths[] = { 4096, 65536, 1u << 20 };
	double seconds = argc > 2 ? atof(argv[2]) : 1.0;
	struct stat st;

	if (argc < 2 || stat(argv[1], &st) || st.st_size < 1 << 20) {
		fprintf(stderr, "usage: %s FILE [SECONDS]; FILE of 1 MiB at least\n", argv[0]);
		return 2;
	}
	for (unsigned l = 0; l < 3; l++)
		for (unsigned o = 0; o < 3; o++)
			for (unsigned d = 0; d < 5; d++) {
				struct bench b = { .ops = ops[o], .length = lengths[l] };

				b.random = b.length < 1u << 20;
				b.blocks = (uint64_t)st.st_size / b.length;
				b.fd = open(argv[1], O_RDONLY | (o < 2 ? O_DIRECT : 0));
				if (b.fd < 0) {
					perror(argv[1]);
					break;
				}
				bench_row(b, depths[d], seconds);
				close(b.fd);
			}
	return 0;
}
