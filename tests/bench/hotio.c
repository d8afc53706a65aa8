// The measuring half of tests/bench/hot: one kind of access to hot data in one
// place, timed.  Prints one number: operations (or MB) a second.
//
// The file's pages are SOURCE's page cache's; nothing here drops them (as fio
// does at its start).
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_THREADS = 16 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// xorshift64*: a few ns, so that it is the read that is measured.
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1DULL;
}

struct job {
	const char *path;
	size_t block;	// bytes of one access
	double seconds; // how long to go on
	uint64_t seed;
	double done; // out: accesses
	double took; // out: seconds
	enum { RANDOM_READ, RANDOM_WRITE, STREAM, MAPPED } kind;
};

// The descriptor of an open of its own, and the file's size.
static int open_sized(const struct job *job, off_t *size)
{
	int fd = open(job->path, job->kind == RANDOM_WRITE ? O_WRONLY : O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", job->path);
	*size = st.st_size;
	if (*size < (off_t)job->block)
		errx(1, "%s: too small", job->path);
	return fd;
}

static void *run(void *arg)
{
	struct job *job = arg;
	off_t size, at = 0;
	int fd = open_sized(job, &size);
	char *buf = aligned_alloc(PAGE, job->block);
	const volatile char *map = NULL;
	uint64_t state = job->seed, blocks = (uint64_t)size / job->block;
	double start, end;
	unsigned sum = 0;

	if (!buf)
		err(1, "memory");
	memset(buf, 'h', job->block);
	if (job->kind == MAPPED) {
		map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			err(1, "mmap");
	}
	start = now();
	end = start + job->seconds;
	do {
		// 64 accesses between two looks at the clock; large ones fewer.
		for (int i = 0; i < (job->block > 65536 ? 4 : 64); i++) {
			off_t where = (off_t)(next_random(&state) % blocks * job->block);
			ssize_t n = (ssize_t)job->block;

			switch (job->kind) {
			case RANDOM_READ:
				n = pread(fd, buf, job->block, where);
				break;
			case RANDOM_WRITE:
				n = pwrite(fd, buf, job->block, where);
				break;
			case STREAM:
				if (at + (off_t)job->block > size)
					at = lseek(fd, 0, SEEK_SET);
				n = read(fd, buf, job->block);
				at += n;
				break;
			case MAPPED:
				sum += (unsigned char)map[where];
				break;
			}
			if (n != (ssize_t)job->block)
				err(1, "%s: %zd", job->path, n);
			job->done++;
		}
	} while (now() < end);
	job->took = now() - start;
	if (map)
		munmap((void *)(uintptr_t)map, (size_t)size);
	job->done += sum == 1; // so that the sum is needed
	free(buf);
	close(fd);
	return NULL;
}

// Prints accesses a second of all threads, or MB for streams.
static void measure(struct job *model, int threads)
{
	pthread_t ids[MAX_THREADS];
	struct job jobs[MAX_THREADS];
	double rate = 0;

	for (int i = 0; i < threads; i++) {
		jobs[i] = *model;
		jobs[i].seed += (uint64_t)i * 7919;
		if (pthread_create(&ids[i], NULL, run, &jobs[i]))
			errx(1, "pthread_create");
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		rate += jobs[i].done / jobs[i].took;
	}
	if (model->kind == STREAM)
		rate *= (double)model->block / 1e6;
	printf("%.1f\n", rate);
}

// DIR/f0 … DIR/fN-1, opened, read and closed, or asked for by stat. Once before, so that what is
// measured is known.
static void small_files(const char *dir, int count, double seconds, bool read_them)
{
	char path[4096], buf[16384];
	double start = 0, done = -count;

	do {
		if (done == 0)
			start = now();
		for (int i = 0; i < count; i++) {
			struct stat st;
			int fd;

			snprintf(path, sizeof(path), "%s/f%d", dir, i);
			if (!read_them) {
				if (stat(path, &st) < 0)
					err(1, "%s", path);
				continue;
			}
			fd = open(path, O_RDONLY);
			if (fd < 0 || read(fd, buf, sizeof(buf)) < 0)
				err(1, "%s", path);
			close(fd);
		}
		done += count;
	} while (done <= 0 || now() < start + seconds);
	printf("%.1f\n", done / (now() - start));
}

// Names a second from reading a directory.
static void names(const char *path, double seconds)
{
	double start = now(), done = 0;

	do {
		DIR *dir = opendir(path);

		if (!dir)
			err(1, "%s", path);
		while (readdir(dir))
			done++;
		closedir(dir);
	} while (now() < start + seconds);
	printf("%.1f\n", done / (now() - start));
}

int main(int argc, char **argv)
{
	struct job job = { .seed = 88172645463325252ULL };
	int count;

	if (argc != 5)
		errx(1, "hotio KIND PATH SIZE-OR-COUNT SECONDS\n"
			"KIND: read[N] write mmap stream (N: threads), files stat names");
	job.path = argv[2];
	job.block = strtoul(argv[3], NULL, 10);
	count = (int)job.block;
	job.seconds = strtod(argv[4], NULL);
	if (!job.block)
		errx(1, "%s: a size or count", argv[3]);
	if (!strcmp(argv[1], "files") || !strcmp(argv[1], "stat")) {
		small_files(job.path, count, job.seconds, !strcmp(argv[1], "files"));
		return 0;
	}
	if (!strcmp(argv[1], "names")) {
		names(job.path, job.seconds);
		return 0;
	}
	if (!strncmp(argv[1], "read", 4)) {
		count = argv[1][4] ? atoi(argv[1] + 4) : 1;
		if (count < 1 || count > MAX_THREADS)
			errx(1, "1 to %d threads", MAX_THREADS);
		job.kind = RANDOM_READ;
		measure(&job, count);
		return 0;
	}
	if (!strcmp(argv[1], "write"))
		job.kind = RANDOM_WRITE;
	else if (!strcmp(argv[1], "mmap"))
		job.kind = MAPPED;
	else if (!strcmp(argv[1], "stream"))
		job.kind = STREAM;
	else
		errx(1, "%s: no such kind", argv[1]);
	measure(&job, 1);
	return 0;
}
