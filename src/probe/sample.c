/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/sample.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "probe/leases.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define QUEUE	     64 /* folders that wait for their turn */
#define FOLDER_SHARE 25 /* entries looked at of each but the first */

struct search {
	struct sample *sample;
	uint64_t enough, found, deadline_ns;
	struct statx top;
	struct leases leases;
	int queue[QUEUE]; /* descriptors */
	unsigned head, tail;
};

/* Somebody else's, so that O_NOATIME is refused, but no access time is kept here anyway. */
static bool leaves_no_trace(int at)
{
	struct statvfs fs;

	return errno == EPERM && fstatvfs(at, &fs) == 0 && (fs.f_flag & (ST_NOATIME | ST_RDONLY));
}

/* By a path, which a mount over anything but /proc does not lead astray. */
static int reopen(int path_fd, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, flags | O_NOATIME | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && leaves_no_trace(path_fd))
		fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	return or_errno(fd);
}

int sample_open_direct(const struct sample_file *file)
{
	return reopen(file->path_fd, O_RDONLY | O_DIRECT);
}

/* A folder below, on the same mount, by no link. The first is listed in any case, as by ls. */
static int open_below(int at, const char *name, bool first)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOATIME,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, at, name, &how, sizeof(how));

	if (fd < 0 && (leaves_no_trace(at) || (first && errno == EPERM))) {
		how.flags &= ~(uint64_t)O_NOATIME;
		fd = syscall(SYS_openat2, at, name, &how, sizeof(how));
	}
	if (fd < 0 && errno == ENOSYS)
		fd = openat(at, name, (int)how.flags);
	return or_errno(fd);
}

/* Mounts can't be told apart by device on btrfs, nor by id before Linux 5.8. */
static bool same_mount(const struct statx *a, const struct statx *b)
{
	if (a->stx_mask & b->stx_mask & STATX_MNT_ID)
		return a->stx_mnt_id == b->stx_mnt_id;
	return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

static int ask(int at, const char *name, struct statx *st)
{
	return or_errno(syscall(SYS_statx, at, name,
				AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT,
				STATX_BASIC_STATS | STATX_MNT_ID, st));
}

static void close_file(struct sample_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	close(f->path_fd);
}

/* Where there is data: reading a hole would measure nothing. */
static void find_data(struct sample_file *f, uint64_t size)
{
	off_t begin = lseek(f->fd, 0, SEEK_DATA), end;

	if (begin < 0) {
		f->begin = 0;
		f->end = errno == ENXIO ? 0 : size;
		return;
	}
	end = lseek(f->fd, begin, SEEK_HOLE);
	f->begin = (uint64_t)begin;
	f->end = end < 0 ? size : (uint64_t)end;
}

static uint64_t length(const struct sample_file *f)
{
	return f->end - f->begin;
}

/* Keeps the largest, in order. */
static void keep(struct search *s, struct sample_file *f)
{
	struct sample *all = s->sample;
	unsigned at = all->count;

	while (at > 0 && length(&all->files[at - 1]) < length(f))
		at--;
	if (at == SAMPLE_FILES) {
		close_file(f);
		return;
	}
	if (all->count == SAMPLE_FILES) {
		struct sample_file *last = &all->files[--all->count];

		s->found -= length(last);
		close_file(last);
	}
	memmove(&all->files[at + 1], &all->files[at], (all->count - at) * sizeof(*f));
	all->files[at] = *f;
	all->count++;
	s->found += length(f);
}

static void consider(struct search *s, int at, const char *name, const struct statx *seen)
{
	const struct sample *all = s->sample;
	struct sample_file f = { .fd = -1, .end = 0 };
	struct statx st;

	/* Not worth opening: all that are kept are larger. */
	if (all->count == SAMPLE_FILES && seen->stx_size <= length(&all->files[SAMPLE_FILES - 1]))
		return;
	f.path_fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (f.path_fd < 0)
		return;
	/* It may be another file by now. */
	if (ask(f.path_fd, "", &st) < 0 || !S_ISREG(st.stx_mode) || !same_mount(&st, &s->top) ||
	    leases_has(&s->leases, st.stx_ino)) {
		close(f.path_fd);
		return;
	}
	f.fd = reopen(f.path_fd, O_RDONLY);
	if (f.fd >= 0)
		find_data(&f, st.stx_size);
	else
		s->sample->denied++;
	f.fd = f.fd < 0 ? -1 : f.fd;
	keep(s, &f);
}

static void visit(struct search *s, int at, const char *name, unsigned char type)
{
	struct statx st;

	s->sample->entries++;
	if (type != DT_REG && type != DT_DIR && type != DT_UNKNOWN)
		return;
	if (ask(at, name, &st) < 0 || !same_mount(&st, &s->top))
		return;
	if (S_ISREG(st.stx_mode) && st.stx_size > 0) {
		consider(s, at, name, &st);
	} else if (S_ISDIR(st.stx_mode) && s->tail < QUEUE) {
		int fd = open_below(at, name, false);

		if (fd >= 0)
			s->queue[s->tail++] = fd;
	}
}

static bool over(const struct search *s)
{
	return s->found >= s->enough || s->sample->entries >= SAMPLE_ENTRIES ||
	       clock_ns() >= s->deadline_ns;
}

/* A folder takes its share only, so that a large one does not hide the others. */
static void read_folder(struct search *s, int fd, unsigned share)
{
	unsigned limit = s->sample->entries + share;
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close(fd);
		return;
	}
	while (s->sample->entries < limit && !over(s) && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			visit(s, dirfd(dir), entry->d_name, entry->d_type);
	closedir(dir);
}

int sample_init(struct sample *s, int dir_fd, uint64_t enough, uint64_t deadline_ns)
{
	struct search search = { .sample = s, .enough = enough, .deadline_ns = deadline_ns };
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int err;

	*s = (struct sample){ 0 };
	leases_read(proc, &search.leases);
	err = ask(dir_fd, "", &search.top);
	if (err < 0)
		return err;
	search.queue[0] = open_below(dir_fd, ".", true);
	if (search.queue[0] < 0)
		return search.queue[0];
	search.tail = 1;
	read_folder(&search, search.queue[search.head++], SAMPLE_ENTRIES / 2);
	/* By turns the folder seen first and the one seen last: some breadth, and some depth. */
	for (unsigned turn = 0; search.head < search.tail && !over(&search); turn++)
		read_folder(&search, search.queue[turn % 2 ? search.head++ : --search.tail],
			    FOLDER_SHARE);
	while (search.head < search.tail)
		close(search.queue[search.head++]);
	return 0;
}

void sample_deinit(struct sample *s)
{
	for (unsigned i = 0; i < s->count; i++)
		close_file(&s->files[i]);
	s->count = 0;
}
