/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stamps MOUNT SOURCE SECONDS [SEED]: writers stamp blocks of files, through the mount in every way
 * there is and behind its back; readers of the mount, in order and otherwise, never see a word of
 * another block, nor one older than what its writer had finished before the read began. Exit status
 * 1 and a line on stderr if one does.
 *
 * A block's state is counted: odd numbers are stamps, even ones zeros (a hole, or beyond the end).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WRITERS = 8, READERS = 8, FILES = 4, BLOCK = 4096, BLOCKS = 4096, MAX_READ = 256, RUN = 64 };

static struct {
	const char *dir[2]; /* the mount, SOURCE */
	time_t end;
	unsigned seed;
	_Atomic uint64_t reads, writes, bytes;
	_Atomic uint32_t begun[FILES][BLOCKS], done[FILES][BLOCKS];
} all; /* of this program, which is one test */

static void die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static bool over(void)
{
	return time(NULL) >= all.end;
}

static void rest(uint64_t *seed, unsigned max_ms)
{
	usleep(draw(seed) % (max_ms * 1000 + 1));
}

static int open_in(unsigned side, const char *what, unsigned number, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s%u", all.dir[side], what, number);
	fd = open(path, flags | O_CLOEXEC, 0644);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

/* The blocks' new state is about to be, and has come to be. */
static void begin(unsigned file, unsigned from, unsigned n, bool zeros)
{
	for (unsigned b = from; b < from + n; b++) {
		uint32_t now = all.done[file][b];

		all.begun[file][b] = now + ((now + zeros) % 2 ? 2 : 1);
	}
}

static void finish(unsigned file, unsigned from, unsigned n)
{
	for (unsigned b = from; b < from + n; b++)
		all.done[file][b] = all.begun[file][b];
	all.writes++;
}

static void fill(uint64_t *words, unsigned file, unsigned from, unsigned n)
{
	for (unsigned b = from; b < from + n; b++)
		for (unsigned i = 0; i < BLOCK / 8; i++)
			*words++ = (uint64_t)(file * BLOCKS + b) << 32 | all.begun[file][b];
}

static void put(int fd, const void *data, unsigned from, unsigned n)
{
	if (pwrite(fd, data, (size_t)n * BLOCK, (off_t)from * BLOCK) != (ssize_t)n * BLOCK)
		die("write: %s", strerror(errno));
}

/* Stores through a mapping, which may outlive its descriptor. */
static void store(int fd, const void *data, unsigned from, unsigned n, bool close_first)
{
	char *map = mmap(NULL, (size_t)n * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 (off_t)from * BLOCK);

	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	if (close_first) {
		close(fd);
		usleep(2000);
	}
	memcpy(map, data, (size_t)n * BLOCK);
	munmap(map, (size_t)n * BLOCK);
	if (!close_first)
		close(fd);
}

static void copy(int fd, unsigned self, const void *data, unsigned from, unsigned n)
{
	int in = open_in(0, "stage", self, O_RDWR | O_CREAT);
	off_t at = 0, to = (off_t)from * BLOCK;
	size_t left = (size_t)n * BLOCK;

	put(in, data, 0, n);
	while (left) {
		ssize_t got = copy_file_range(in, &at, fd, &to, left, 0);

		if (got <= 0)
			die("copy_file_range: %s", strerror(errno));
		left -= (size_t)got;
	}
	close(in);
}

/* The last writer has the last file for itself and cuts it, by its name. */
static void cut(unsigned file, unsigned from)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/file%u", all.dir[0], file);
	begin(file, from, BLOCKS - from, true);
	if (truncate(path, (off_t)from * BLOCK) < 0 || truncate(path, (off_t)BLOCKS * BLOCK) < 0)
		die("truncate: %s", strerror(errno));
	finish(file, from, BLOCKS - from);
}

static void punch(int fd, unsigned from, unsigned n)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from * BLOCK,
		      (off_t)n * BLOCK) < 0)
		die("fallocate: %s", strerror(errno));
}

static void change(unsigned self, unsigned file, unsigned from, unsigned n, uint64_t *words,
		   uint64_t *seed)
{
	unsigned how = draw(seed) % 8, side = draw(seed) % 4 == 0;
	int direct = draw(seed) % 4 == 0 ? O_DIRECT : 0, fd;

	if (self == WRITERS - 1 && how == 7) {
		cut(file, from);
		return;
	}
	fd = open_in(side, "file", file, how < 3 ? O_WRONLY | direct : O_RDWR);
	begin(file, from, n, how == 3);
	fill(words, file, from, n);
	if (how == 3)
		punch(fd, from, n);
	else if (how == 4 && side == 0)
		copy(fd, self, words, from, n);
	else if (how == 5)
		store(fd, words, from, n, draw(seed) % 2);
	else
		put(fd, words, from, n);
	finish(file, from, n);
	if (draw(seed) % 4 == 0)
		rest(seed, 20);
	if (how != 5)
		close(fd);
}

static void *writer(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument, part = BLOCKS / (WRITERS - 1);
	uint64_t seed = all.seed * 1000 + self;
	uint64_t *words = aligned_alloc(BLOCK, (size_t)RUN * BLOCK);

	while (!over()) {
		bool last =
			self == WRITERS - 1; /* has a file for itself; the others share theirs */
		unsigned file = last ? FILES - 1 : draw(&seed) % (FILES - 1);
		unsigned n = 1 + draw(&seed) % RUN;
		unsigned from =
			(last ? 0 : self * part) + draw(&seed) % ((last ? BLOCKS : part) - n);

		change(self, file, from, n, words, &seed);
		/* Between bursts the files are still for so long that they are read ahead. */
		rest(&seed, draw(&seed) % 4 ? 5 : 400);
	}
	free(words);
	return NULL;
}

static void check(unsigned file, unsigned block, const uint64_t *words, uint32_t least)
{
	uint32_t most = all.begun[file][block];

	for (unsigned i = 0; i < BLOCK / 8; i++) {
		uint32_t state = (uint32_t)words[i];

		if (!words[i] && (least != most || least % 2 == 0))
			continue;
		if (!words[i] || words[i] >> 32 != file * BLOCKS + block || state < least ||
		    state > most)
			die("file %u block %u word %u: %llx, between %x and %x is right", file,
			    block, i, (unsigned long long)words[i], least, most);
	}
}

static void look(int fd, unsigned file, unsigned from, unsigned n, uint64_t *words)
{
	static const uint64_t nothing[BLOCK / 8];
	uint32_t least[MAX_READ];
	ssize_t got;

	for (unsigned i = 0; i < n; i++)
		least[i] = all.done[file][from + i];
	got = pread(fd, words, (size_t)n * BLOCK, (off_t)from * BLOCK);
	if (got < 0)
		die("read %u at %u of file %u flags %o: %s", n, from, file, fcntl(fd, F_GETFL),
		    strerror(errno));
	for (unsigned i = 0; i < n; i++)
		check(file, from + i,
		      (ssize_t)(i + 1) * BLOCK <= got ? words + i * BLOCK / 8 : nothing, least[i]);
	all.reads++;
	all.bytes += (uint64_t)got;
}

/* A pass over some of a file: in order, backwards, in steps, or anywhere. */
static void pass(unsigned file, int fd, uint64_t *words, uint64_t *seed)
{
	static const unsigned sizes[] = { 1, 4, 32, 64, 256 };
	unsigned n = sizes[draw(seed) % 5], how = draw(seed) % 6, at = draw(seed) % (BLOCKS / 2);
	unsigned reads = 8 + draw(seed) % 64;

	if (how < 3 && draw(seed) % 2)
		at = 0;
	if (how == 3)
		at = BLOCKS - n - draw(seed) % 64;
	while (reads-- && at + n <= BLOCKS && !over()) {
		look(fd, file, at, n, words);
		if (draw(seed) % 16 == 0)
			rest(seed, 30); /* what was read ahead gets old */
		if (how < 3)
			at += n;
		else if (how == 3)
			at = at >= n ? at - n : BLOCKS;
		else
			at = how == 4 ? at + 4 * n : draw(seed) % (BLOCKS - n);
	}
}

static void *reader(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	uint64_t seed = all.seed * 1000 + 500 + self;
	uint64_t *words = aligned_alloc(BLOCK, (size_t)MAX_READ * BLOCK);

	while (!over()) {
		unsigned file = draw(&seed) % FILES;
		int fd = open_in(0, "file", file, O_RDONLY | (draw(&seed) % 8 ? 0 : O_DIRECT));

		for (unsigned i = draw(&seed) % 4 + 1; i && !over(); i--)
			pass(file, fd, words, &seed);
		close(fd);
	}
	free(words);
	return NULL;
}

static void make_files(void)
{
	for (unsigned file = 0; file < FILES; file++) {
		int fd = open_in(1, "file", file, O_RDWR | O_CREAT | O_TRUNC);

		if (ftruncate(fd, (off_t)BLOCKS * BLOCK) < 0)
			die("ftruncate: %s", strerror(errno));
		close(fd);
	}
}

int main(int argc, char **argv)
{
	pthread_t thread[WRITERS + READERS];

	if (argc < 4)
		die("usage: stamps MOUNT SOURCE SECONDS [SEED]");
	all.dir[0] = argv[1];
	all.dir[1] = argv[2];
	all.end = time(NULL) + atoi(argv[3]);
	all.seed = argc > 4 ? (unsigned)atoi(argv[4]) : (unsigned)getpid();
	make_files();
	for (unsigned i = 0; i < WRITERS + READERS; i++)
		if (pthread_create(&thread[i], NULL, i < WRITERS ? writer : reader,
				   (void *)(uintptr_t)(i < WRITERS ? i : i - WRITERS)) != 0)
			die("no thread");
	for (unsigned i = 0; i < WRITERS + READERS; i++)
		pthread_join(thread[i], NULL);
	printf("seed %u: %llu reads of %llu MiB, %llu writes\n", all.seed,
	       (unsigned long long)all.reads, (unsigned long long)all.bytes >> 20,
	       (unsigned long long)all.writes);
	return 0;
}
