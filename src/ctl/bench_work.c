/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "prefetch/fetch.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define MAX_DEPTH    64
#define PIECE	     (128u << 10) /* what cp, tar and cat ask for at a time */
#define STREAM_LEAST (8ull << 20)
#define STREAM_MOST  (1ull << 30)

struct walk {
	const struct bench_sample *limits;
	struct bench_sample *survey; /* NULL: no survey */
	bool read;
	dev_t dev;
	uint64_t files, directories, bytes;
	char *buffer;
	int err;
};

static bool stopped(const struct bench_sample *s)
{
	sigset_t pending;

	if (!s->signals || sigpending(&pending) < 0)
		return false;
	for (int i = 1; i < NSIG; i++)
		if (sigismember(s->signals, i) == 1 && sigismember(&pending, i) == 1)
			return true;
	return false;
}

static bool enough(const struct walk *w)
{
	return w->err || w->files >= w->limits->max_files || w->bytes >= w->limits->max_bytes;
}

/* 0, or -errno of what ends the bench; a file that can't be read is passed over, on both sides. */
static int read_file(struct walk *w, int fd, uint64_t most)
{
	uint64_t done = 0;
	ssize_t n;

	while (done < most && (n = read(fd, w->buffer, PIECE)) > 0) {
		done += (uint64_t)n;
		if (done % (16 * PIECE) == 0 && stopped(w->limits))
			return -EINTR;
	}
	return 0;
}

static int open_file(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | flags);

	/* Only the owner may leave the time of access alone. */
	if (fd < 0 && errno == EPERM)
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return fd;
}

static void survey_file(struct walk *w, int dir, const char *name, const char *path,
			const struct stat *st)
{
	struct bench_sample *s = w->survey;
	autoclose int fd = open_file(dir, name, O_NOATIME);
	int64_t resident =
		fd < 0 || !st->st_size ? -1 : fetch_resident(fd, 0, (uint64_t)st->st_size);

	if (resident > 0 && resident * 2 >= st->st_size)
		s->resident_files++;
	if (fd >= 0 && (uint64_t)st->st_size > s->largest_size) {
		free(s->largest);
		s->largest_size = (uint64_t)st->st_size;
		if (asprintf(&s->largest, "%s%s", path, name) < 0)
			s->largest = NULL;
	}
}

static void walk(struct walk *w, int fd, const char *path, unsigned depth);

static void visit(struct walk *w, int dir, const char *name, const char *path, unsigned depth)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISDIR(st.st_mode) && st.st_dev == w->dev && depth < MAX_DEPTH) {
		int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		char below[PATH_MAX];

		if (fd < 0)
			return;
		if (snprintf(below, sizeof(below), "%s%s/", path, name) < (int)sizeof(below))
			walk(w, fd, below, depth + 1);
		else
			close(fd);
	} else if (S_ISREG(st.st_mode)) {
		autoclose int fd = w->read ? open_file(dir, name, 0) : -1;

		w->files++;
		w->bytes += (uint64_t)st.st_size;
		if (w->survey)
			survey_file(w, dir, name, path, &st);
		/* One file does not make a tree: the rest of a large one is the stream's. */
		if (fd >= 0 && !w->err)
			w->err = read_file(w, fd, w->limits->max_bytes / 4);
	}
}

/* Takes fd over. */
static void walk(struct walk *w, int fd, const char *path, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close(fd);
		return;
	}
	w->directories++;
	while (!enough(w) && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		visit(w, fd, entry->d_name, path, depth);
		if (stopped(w->limits))
			w->err = -EINTR;
	}
	closedir(dir);
}

static int walk_from(struct walk *w, int root)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return err;
	}
	w->dev = st.st_dev;
	walk(w, fd, "", 0);
	return w->err;
}

int bench_survey(struct bench_sample *s, int root)
{
	struct walk w = { .limits = s, .survey = s };
	int err = walk_from(&w, root);

	s->files = w.files;
	s->directories = w.directories;
	s->bytes = w.bytes;
	if (s->largest_size < STREAM_LEAST)
		s->largest_size = 0;
	if (s->largest_size > STREAM_MOST)
		s->largest_size = STREAM_MOST;
	if (s->largest_size > s->max_bytes)
		s->largest_size = s->max_bytes;
	return err;
}

int bench_work(const struct bench_sample *s, int root, enum bench_row row, double *seconds)
{
	autofree char *buffer = malloc(PIECE);
	struct walk w = { .limits = s, .read = row == BENCH_TREE, .buffer = buffer };
	uint64_t start = clock_ns();
	int err;

	if (!buffer)
		return -ENOMEM;
	if (row == BENCH_STREAM) {
		autoclose int fd = open_file(root, s->largest, 0);

		err = fd < 0 ? -errno : read_file(&w, fd, s->largest_size);
	} else {
		err = walk_from(&w, root);
	}
	*seconds = (double)(clock_ns() - start) / 1e9;
	return err;
}
