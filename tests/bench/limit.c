/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit data|head|stat|dirs THREADS <LIST: what the disk can do at most. The paths in LIST, each
 * ended by a NUL, are read (whole, or the first byte), looked at (statx) or listed (a directory)
 * by that many threads at once.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_THREADS 256

static char **paths;
static size_t count;
static atomic_size_t next;
static char how;

static void data(const char *path, size_t at_most)
{
	static _Thread_local char buffer[1 << 17];
	size_t room = at_most < sizeof(buffer) ? at_most : sizeof(buffer);
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return;
	while (read(fd, buffer, room) > 0 && room == sizeof(buffer))
		;
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

static void *run(void *unused)
{
	struct stat st;
	size_t i;

	while ((i = atomic_fetch_add(&next, 1)) < count) {
		if (how == 'd')
			data(paths[i], SIZE_MAX);
		else if (how == 'h')
			data(paths[i], 1);
		else if (how == 's')
			lstat(paths[i], &st);
		else
			list(paths[i]);
	}
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
