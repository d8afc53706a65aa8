/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* newer than Debian 12's headers; the same on every architecture */
#endif
#define PAGE	     4096
#define QUEUE	     1024u /* pieces */
#define RESIDENT_MAX (256u << 20)

struct fetch_file {
	_Atomic unsigned refs;
	int fd;
};

struct job {
	struct fetch_file *file;
	uint64_t offset, length;
};

struct fetcher {
	pthread_mutex_t lock; /* guards all below but `bytes` */
	pthread_cond_t work;
	struct job queue[QUEUE];
	unsigned head, count;
	bool stop;
	unsigned threads;
	pthread_t *thread;
	void (*prepare)(void *);
	void *argument;
	_Atomic uint64_t bytes;
};

struct fetch_file *fetch_file_new(int fd)
{
	struct fetch_file *file = calloc(1, sizeof(*file));

	if (!file) {
		close(fd);
		return NULL;
	}
	atomic_init(&file->refs, 1);
	file->fd = fd;
	return file;
}

struct fetch_file *fetch_file_ref(struct fetch_file *file)
{
	atomic_fetch_add(&file->refs, 1);
	return file;
}

void fetch_file_unref(struct fetch_file *file)
{
	if (!file || atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	close(file->fd);
	free(file);
}

int fetch_file_fd(const struct fetch_file *file)
{
	return file->fd;
}

/* Before Linux 6.5. Slow: 15 to 160 ns a page. -EFBIG for what would take longer than some 10 ms. */
static int64_t resident_by_mapping(int fd, uint64_t offset, uint64_t length)
{
	unsigned char page[1024];
	int64_t there = 0;
	struct stat st;
	char *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	if (offset >= (uint64_t)st.st_size)
		return 0;
	if (!length || length > (uint64_t)st.st_size - offset)
		length = (uint64_t)st.st_size - offset;
	length += offset % PAGE;
	offset -= offset % PAGE;
	if (length > RESIDENT_MAX)
		return -EFBIG;
	map = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (map == MAP_FAILED)
		return -errno;
	for (uint64_t at = 0; at < length; at += sizeof(page) * PAGE) {
		uint64_t n = length - at < sizeof(page) * PAGE ? length - at : sizeof(page) * PAGE;

		if (mincore(map + at, n, page) < 0)
			break;
		for (uint64_t i = 0; i < (n + PAGE - 1) / PAGE; i++)
			there += page[i] & 1 ? PAGE : 0;
	}
	munmap(map, length);
	return there;
}

int64_t fetch_resident(int fd, uint64_t offset, uint64_t length)
{
	struct {
		uint64_t offset, length;
	} range = { offset, length };
	struct {
		uint64_t cache, dirty, writeback, evicted, recently_evicted;
	} stat;

	if (syscall(SYS_cachestat, fd, &range, &stat, 0) < 0)
		return errno == ENOSYS ? resident_by_mapping(fd, offset, length) : -errno;
	return (int64_t)stat.cache * PAGE;
}

/* The kernel takes at most a readahead's worth at a time: again, until it has it all or stalls. */
static void fetch(const struct job *job)
{
	uint64_t done = 0;

	while (done < job->length) {
		int64_t there;

		posix_fadvise(job->file->fd, (off_t)(job->offset + done),
			      (off_t)(job->length - done), POSIX_FADV_WILLNEED);
		there = fetch_resident(job->file->fd, job->offset, job->length);
		if (there <= (int64_t)done)
			return;
		done = (uint64_t)there;
	}
}

static bool next_job(struct fetcher *f, struct job *job)
{
	pthread_mutex_lock(&f->lock);
	while (!f->count && !f->stop)
		pthread_cond_wait(&f->work, &f->lock);
	if (f->count) {
		*job = f->queue[f->head];
		f->head = (f->head + 1) % QUEUE;
		f->count--;
	} else {
		job->file = NULL;
	}
	pthread_mutex_unlock(&f->lock);
	return job->file;
}

static void *thread_main(void *argument)
{
	struct fetcher *f = argument;
	struct job job;

	f->prepare(f->argument);
	while (next_job(f, &job)) {
		fetch(&job);
		fetch_file_unref(job.file);
	}
	return NULL;
}

struct fetcher *fetcher_new(unsigned threads, void (*prepare)(void *), void *argument)
{
	struct fetcher *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->work, NULL);
	f->prepare = prepare;
	f->argument = argument;
	f->thread = calloc(threads, sizeof(*f->thread));
	if (!f->thread)
		return fetcher_free(f);
	while (f->threads < threads) {
		if (pthread_create(&f->thread[f->threads], NULL, thread_main, f))
			return f->threads ? f : fetcher_free(f);
		f->threads++;
	}
	return f;
}

struct fetcher *fetcher_free(struct fetcher *f)
{
	if (!f)
		return NULL;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	for (; f->count; f->count--, f->head = (f->head + 1) % QUEUE)
		fetch_file_unref(f->queue[f->head].file);
	pthread_cond_broadcast(&f->work);
	pthread_mutex_unlock(&f->lock);
	for (unsigned i = 0; i < f->threads; i++)
		pthread_join(f->thread[i], NULL);
	pthread_cond_destroy(&f->work);
	pthread_mutex_destroy(&f->lock);
	free(f->thread);
	free(f);
	return NULL;
}

uint64_t fetcher_queue(struct fetcher *f, struct fetch_file *file, uint64_t offset, uint64_t length)
{
	uint64_t queued = 0;

	pthread_mutex_lock(&f->lock);
	while (queued < length && f->count < QUEUE && !f->stop) {
		/* Pieces end at multiples of their size, where a disk's own stripes may end too. */
		uint64_t from = offset + queued, to = (from / FETCH_PIECE + 1) * FETCH_PIECE;

		if (to > offset + length)
			to = offset + length;
		f->queue[(f->head + f->count++) % QUEUE] =
			(struct job){ fetch_file_ref(file), from, to - from };
		queued += to - from;
	}
	if (f->count > 1)
		pthread_cond_broadcast(&f->work);
	else
		pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->lock);
	atomic_fetch_add_explicit(&f->bytes, queued, memory_order_relaxed);
	return queued;
}

uint64_t fetcher_bytes(const struct fetcher *f)
{
	return atomic_load_explicit(&f->bytes, memory_order_relaxed);
}
