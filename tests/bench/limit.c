/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit data|head|stat|dirs THREADS <LIST: what the disk can do at most. The paths in LIST, each
 * ended by a NUL, are read (whole, or the first byte), looked at (statx) or listed (a directory)
 * by that many threads at once. A large file is read by all that are free, in pieces.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_THREADS 256
#define PIECE	    (1 << 20) /* the kernel's own readahead would ask for 128 KiB and wait */

/* What is left of a large file. */
struct large {
	struct large *next;
	int fd;
	off_t at, size;
};

static char **paths;
static size_t count;
static char how;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static size_t next;
static unsigned opening; /* files of which it is not known whether they are large */
static struct large *large;

static void read_range(int fd, off_t at, off_t end)
{
	static _Thread_local char buffer[1 << 17];
	ssize_t n = 1;

	if (end - at > (off_t)sizeof(buffer))
		posix_fadvise(fd, at, end - at, POSIX_FADV_WILLNEED);
	for (; at < end && n > 0; at += n) {
		size_t want =
			end - at < (off_t)sizeof(buffer) ? (size_t)(end - at) : sizeof(buffer);

		n = pread(fd, buffer, want, at);
	}
}

/* The whole of a small file; NULL then, else what is left of it. */
static struct large *data(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct large *l = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size > PIECE)
		l = malloc(sizeof(*l));
	if (l) {
		*l = (struct large){ .fd = fd, .size = st.st_size };
		return l;
	}
	read_range(fd, 0, st.st_size);
	close(fd);
	return NULL;
}

static void head(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return;
	read_range(fd, 0, 1);
	close(fd);
}

static void list(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir)
		return;
	while (readdir(dir))
		;
	closedir(dir);
}

static struct large *visit(const char *path)
{
	struct stat st;

	if (how == 'd')
		return data(path);
	if (how == 'h')
		head(path);
	else if (how == 's')
		lstat(path, &st);
	else
		list(path);
	return NULL;
}

/* With the lock held: the next piece of a large file. Its descriptor stays open: they are few. */
static void take_piece(void)
{
	struct large *l = large;
	off_t at = l->at, end = l->size - at > PIECE ? at + PIECE : l->size;
	int fd = l->fd;

	l->at = end;
	if (end == l->size) {
		large = l->next;
		free(l);
	}
	pthread_mutex_unlock(&lock);
	read_range(fd, at, end);
	pthread_mutex_lock(&lock);
}

/* With the lock held. */
static void take_path(void)
{
	const char *path = paths[next++];
	struct large *found;

	opening++;
	pthread_mutex_unlock(&lock);
	found = visit(path);
	pthread_mutex_lock(&lock);
	opening--;
	if (found) {
		found->next = large;
		large = found;
	}
	if (found || next == count)
		pthread_cond_broadcast(&more);
}

static void *run(void *unused)
{
	pthread_mutex_lock(&lock);
	while (large || next < count || opening) {
		if (large)
			take_piece();
		else if (next < count)
			take_path();
		else
			pthread_cond_wait(&more, &lock);
	}
	pthread_mutex_unlock(&lock);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread[MAX_THREADS];
	char *line = NULL;
	size_t room = 0;
	int threads = argc == 3 ? atoi(argv[2]) : 0;

	if (threads < 1 || threads > MAX_THREADS)
		return 1;
	how = strcmp(argv[1], "dirs") == 0 ? 'l' : argv[1][0];
	while (getdelim(&line, &room, 0, stdin) > 0) {
		if (count % 4096 == 0 && !(paths = realloc(paths, (count + 4096) * sizeof(*paths))))
			return 2;
		paths[count++] = strdup(line);
	}
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, run, NULL))
			return 2;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
