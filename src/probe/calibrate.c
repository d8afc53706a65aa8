/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/calibrate.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define BLOCK		4096u
#define LATENCY_SAMPLES 64u
#define MIN_SAMPLES	3u
#define PIECE_MAX	(512u << 10)
#define PIECE_MIN	(128u << 10)
#define MIN_BYTES	(4u << 20) /* fewer tell more of starting threads than of a disk, */
#define LONG_ENOUGH_NS	20000000u  /* unless they took that long */

/*
 * One measurement. Shared by its threads and the caller, who may leave before they are done; the
 * last one frees it. `lock` guards all below it; the rest is fixed before the first thread.
 */
struct run {
	struct sample sample;
	int direct[SAMPLE_FILES]; /* O_DIRECT descriptors */
	struct calibrate_limits limits;
	char *buffers; /* one for each thread; touched before the clock starts */
	size_t buffers_size;
	uint32_t piece;
	unsigned pieces;      /* to be read */
	uint64_t all_pieces;  /* there are */
	uint64_t first_piece; /* to be read: any; then in order */
	_Atomic unsigned next_piece, next_buffer;
	_Atomic unsigned references;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool finished;
	unsigned working;	    /* threads that read pieces */
	uint64_t first_ns, last_ns; /* of the pieces' reads */
	uint64_t piece_bytes;
	uint32_t latency[LATENCY_SAMPLES];
	struct device_measured result;
};

static void run_unref(struct run *run)
{
	/* acq_rel: the last one sees what the others have done. */
	if (atomic_fetch_sub_explicit(&run->references, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < run->sample.count; i++)
		if (run->direct[i] >= 0)
			close(run->direct[i]);
	if (run->buffers)
		munmap(run->buffers, run->buffers_size);
	sample_deinit(&run->sample);
	pthread_cond_destroy(&run->changed);
	pthread_mutex_destroy(&run->lock);
	free(run);
}

static int start_thread(struct run *run, void *(*body)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	atomic_fetch_add_explicit(&run->references, 1, memory_order_relaxed);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256u << 10);
	err = pthread_create(&thread, &attr, body, run);
	pthread_attr_destroy(&attr);
	if (err)
		run_unref(run);
	return -err;
}

/* Aligned pieces of `size` that the files hold together. */
static uint64_t count_pieces(const struct run *run, uint64_t size)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < run->sample.count; i++) {
		const struct sample_file *f = &run->sample.files[i];
		uint64_t begin = (f->begin + size - 1) / size;

		if (run->direct[i] >= 0 && f->end / size > begin)
			n += f->end / size - begin;
	}
	return n;
}

/* Where piece n is; counts as count_pieces does. */
static int find_piece(const struct run *run, uint64_t size, uint64_t n, uint64_t *offset)
{
	for (unsigned i = 0; i < run->sample.count; i++) {
		const struct sample_file *f = &run->sample.files[i];
		uint64_t begin = (f->begin + size - 1) / size;
		uint64_t here = f->end / size > begin ? f->end / size - begin : 0;

		if (run->direct[i] < 0)
			continue;
		if (n < here) {
			*offset = (begin + n) * size;
			return run->direct[i];
		}
		n -= here;
	}
	return -1;
}

static uint64_t random_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void add_latency(struct run *run, uint64_t ns, ssize_t bytes)
{
	struct device_measured *m = &run->result;
	uint32_t sorted[LATENCY_SAMPLES];

	pthread_mutex_lock(&run->lock);
	run->latency[m->samples++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
	memcpy(sorted, run->latency, m->samples * sizeof(*sorted));
	qsort(sorted, m->samples, sizeof(*sorted), by_size);
	m->latency_ns = sorted[m->samples / 2];
	m->latency_p90_ns = sorted[m->samples * 9 / 10];
	m->read_bytes += (uint64_t)bytes;
	pthread_mutex_unlock(&run->lock);
}

static void say_why(struct run *run, const char *text)
{
	pthread_mutex_lock(&run->lock);
	snprintf(run->result.why_not, sizeof(run->result.why_not), "%s", text);
	pthread_mutex_unlock(&run->lock);
}

/* 4 KiB here and there, one after another, for at most half of the time that is left. */
static int measure_latency(struct run *run)
{
	uint32_t align = run->limits.align > BLOCK ? run->limits.align : BLOCK;
	autofree void *buffer = aligned_alloc(align, align);
	uint64_t state = clock_ns() | 1, blocks = count_pieces(run, align), offset = 0;
	uint64_t start = clock_ns(), until = start + (run->limits.deadline_ns - start) / 2;
	unsigned wanted = blocks / 2 < LATENCY_SAMPLES ? (unsigned)(blocks / 2) : LATENCY_SAMPLES;

	if (wanted < MIN_SAMPLES || !buffer || start >= run->limits.deadline_ns)
		return -ENODATA;
	for (unsigned i = 0; i < wanted; i++) {
		int fd = find_piece(run, align, random_number(&state) % blocks, &offset);
		uint64_t before = clock_ns();
		ssize_t n = pread(fd, buffer, align, (off_t)offset);

		if (n < 0)
			return -errno;
		add_latency(run, clock_ns() - before, n);
		if (clock_ns() > until)
			break;
	}
	return 0;
}

static int nth_piece(const struct run *run, unsigned n, uint64_t *offset)
{
	if (n >= run->pieces)
		return -1;
	return find_piece(run, run->piece, (run->first_piece + n) % run->all_pieces, offset);
}

/* Reads pieces until there are none, or it is time. */
static void *read_pieces(void *argument)
{
	struct run *run = argument;
	unsigned mine = atomic_fetch_add_explicit(&run->next_buffer, 1, memory_order_relaxed);
	char *buffer = run->buffers + (size_t)mine * run->piece;
	uint64_t offset = 0, before;

	while ((before = clock_ns()) < run->limits.deadline_ns) {
		unsigned n = atomic_fetch_add_explicit(&run->next_piece, 1, memory_order_relaxed);
		int fd = nth_piece(run, n, &offset);
		ssize_t bytes = fd < 0 ? -1 : pread(fd, buffer, run->piece, (off_t)offset);

		if (bytes <= 0)
			break;
		pthread_mutex_lock(&run->lock);
		if (!run->first_ns || before < run->first_ns)
			run->first_ns = before;
		run->last_ns = clock_ns();
		run->piece_bytes += (uint64_t)bytes;
		run->result.read_bytes += (uint64_t)bytes;
		pthread_mutex_unlock(&run->lock);
	}
	pthread_mutex_lock(&run->lock);
	run->working--;
	pthread_cond_broadcast(&run->changed);
	pthread_mutex_unlock(&run->lock);
	run_unref(run);
	return NULL;
}

/* As large as leaves each thread two; what was read for the latency is taken off. */
static bool plan_pieces(struct run *run)
{
	uint64_t state = clock_ns() | 1,
		 budget = run->limits.bytes - LATENCY_SAMPLES * (uint64_t)BLOCK;

	if (run->limits.bytes < 2 * LATENCY_SAMPLES * (uint64_t)BLOCK)
		return false;
	for (run->piece = PIECE_MAX; run->piece >= PIECE_MIN; run->piece /= 2) {
		uint64_t n = count_pieces(run, run->piece);

		run->all_pieces = n;
		run->first_piece = n ? random_number(&state) % n : 0;
		n = n < budget / run->piece ? n : budget / run->piece;
		run->pieces = (unsigned)n;
		if (n >= 2u * run->limits.threads - 1 ||
		    (run->piece == PIECE_MIN && n * run->piece >= MIN_BYTES))
			return true;
	}
	return false;
}

static void measure_throughput(struct run *run)
{
	unsigned threads = run->pieces < run->limits.threads ? run->pieces : run->limits.threads;
	void *buffers;

	run->buffers_size = (size_t)threads * run->piece;
	buffers = mmap(NULL, run->buffers_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffers == MAP_FAILED) {
		say_why(run, strerror(errno));
		return;
	}
	run->buffers = buffers;
	pthread_mutex_lock(&run->lock);
	run->result.depth = threads;
	run->result.piece = run->piece;
	pthread_mutex_unlock(&run->lock);
	for (unsigned i = 0; i < threads; i++) {
		pthread_mutex_lock(&run->lock);
		run->working++;
		pthread_mutex_unlock(&run->lock);
		if (start_thread(run, read_pieces) == 0)
			continue;
		pthread_mutex_lock(&run->lock);
		run->working--;
		pthread_mutex_unlock(&run->lock);
	}
	pthread_mutex_lock(&run->lock);
	while (run->working)
		pthread_cond_wait(&run->changed, &run->lock);
	pthread_mutex_unlock(&run->lock);
}

static unsigned open_all(struct run *run)
{
	unsigned opened = 0;

	for (unsigned i = 0; i < run->sample.count; i++) {
		const struct sample_file *f = &run->sample.files[i];

		run->direct[i] = f->fd >= 0 ? sample_open_direct(f) : -1;
		opened += run->direct[i] >= 0;
	}
	return opened;
}

static void *coordinate(void *argument)
{
	struct run *run = argument;
	int err;

	if (!open_all(run)) {
		say_why(run, "no file can be read with Direct IO");
	} else if ((err = measure_latency(run)) < 0) {
		say_why(run, err == -ENODATA ? "no file large enough" : strerror(-err));
	} else if (plan_pieces(run)) {
		measure_throughput(run);
	} else {
		say_why(run, "the files are too small for throughput");
	}
	pthread_mutex_lock(&run->lock);
	run->finished = true;
	pthread_cond_broadcast(&run->changed);
	pthread_mutex_unlock(&run->lock);
	run_unref(run);
	return NULL;
}

static struct run *run_new(struct sample *sample, const struct calibrate_limits *limits)
{
	struct run *run = calloc(1, sizeof(*run));
	pthread_condattr_t attr;

	if (!run)
		return NULL;
	run->sample = *sample;
	*sample = (struct sample){ 0 };
	run->limits = *limits;
	if (run->limits.threads < 1 || run->limits.threads > CALIBRATE_THREADS)
		run->limits.threads = CALIBRATE_THREADS;
	for (unsigned i = 0; i < SAMPLE_FILES; i++)
		run->direct[i] = -1;
	atomic_init(&run->references, 1);
	pthread_mutex_init(&run->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&run->changed, &attr);
	pthread_condattr_destroy(&attr);
	return run;
}

/* What is known now; the lock is held. */
static void take_result(const struct run *run, struct device_measured *m)
{
	uint64_t took = run->last_ns - run->first_ns;

	*m = run->result;
	if (took && (run->piece_bytes >= MIN_BYTES || took >= LONG_ENOUGH_NS))
		m->throughput = run->piece_bytes * NSEC_PER_SEC / took;
	else
		m->depth = m->piece = 0;
	if (!m->why_not[0] && !m->throughput)
		snprintf(m->why_not, sizeof(m->why_not), "%s",
			 m->samples ? "no time was left for the throughput"
				    : "no read was answered in time");
}

void calibrate(struct device_measured *m, struct sample *sample,
	       const struct calibrate_limits *limits)
{
	struct timespec until = {
		.tv_sec = (time_t)(limits->deadline_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(limits->deadline_ns % NSEC_PER_SEC),
	};
	uint64_t start = clock_ns();
	struct run *run = run_new(sample, limits);
	int err = run ? start_thread(run, coordinate) : -ENOMEM;

	*m = (struct device_measured){ 0 };
	if (err < 0) {
		snprintf(m->why_not, sizeof(m->why_not), "%s", strerror(-err));
	} else {
		pthread_mutex_lock(&run->lock);
		while (!run->finished && err == 0)
			err = pthread_cond_timedwait(&run->changed, &run->lock, &until);
		take_result(run, m);
		pthread_mutex_unlock(&run->lock);
	}
	m->elapsed_ms = (uint32_t)((clock_ns() - start) / 1000000);
	if (run)
		run_unref(run);
}
