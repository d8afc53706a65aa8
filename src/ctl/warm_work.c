/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads of `overdrivectl warm`. What is to be opened is first looked at through O_PATH: a
 * FIFO or a device is never opened. Reads use O_NOATIME; where that is refused (another user's
 * file), WILLNEED does, which leaves the atime alone as well.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ctl/warm.h"
#include "probe/sysfile.h"
#include "util/cleanup.h"
#include "util/dirent.h"
#include "util/why.h"

#define PIECE	     (1u << 20) /* what is larger is shared out */
#define LIST_SIZE    (64u << 10)
#define SHOWN_ERRORS 10

struct worker {
	struct warm_job *job;
	char *buffer; /* PIECE bytes; what is read goes nowhere. NULL: there was no memory */
};

static void do_item(struct worker *w, struct warm_item *item, bool is_dir);

struct path {
	char text[512];
};

static struct path path_of(int fd)
{
	struct path path;
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path.text, sizeof(path.text) - 1);
	path.text[n > 0 ? n : 0] = 0;
	return path;
}

static void complain(struct warm_job *job, const char *dir, const char *name, int err)
{
	char path[PATH_MAX];

	if (atomic_fetch_add(&job->counts.errors, 1) >= SHOWN_ERRORS)
		return;
	snprintf(path, sizeof(path), "%s%s%s", dir, *dir && *name ? "/" : "", name);
	sys_clean(path); /* a terminal would obey a name that somebody has made for it */
	fprintf(stderr, "overdrivectl warm: %s: %s\n", path, why(-err));
}

/* What vanishes while a tree is walked is no failure; what was named and is not there is one. */
static void failed(struct worker *w, const struct warm_item *item, int err)
{
	if (!item->parent)
		complain(w->job, "", item->name, err);
	else if (err == -ENOENT || err == -ELOOP || err == -ESTALE)
		atomic_fetch_add(&w->job->counts.skipped, 1);
	else
		complain(w->job, path_of(item->parent->fd).text, item->name, err);
}

static int reopen(int path_fd, int flags)
{
	char link[32];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = or_errno(open(link, flags | O_NOATIME | O_CLOEXEC));
	return fd == -EPERM ? or_errno(open(link, flags | O_CLOEXEC)) : fd;
}

/* Within memory=: false when this would be too much. */
static bool reserve(struct warm_job *job, uint64_t bytes)
{
	if (atomic_fetch_add(&job->taken, bytes) + bytes <= job->memory)
		return true;
	atomic_fetch_sub(&job->taken, bytes);
	atomic_store(&job->memory_reached, true);
	warm_queue_stop(&job->queue);
	return false;
}

/* Bytes read, or -errno. Those that were in memory already are not counted as fetched. */
static ssize_t fetch(struct worker *w, int fd, uint64_t offset, size_t length)
{
	struct warm_job *job = w->job;
	struct iovec to = { w->buffer, length };
	ssize_t n;

	if (!w->buffer || !(fcntl(fd, F_GETFL) & O_NOATIME)) {
		int err = posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_WILLNEED);

		if (!err)
			atomic_fetch_add(&job->counts.bytes, length);
		return err ? -err : (ssize_t)length;
	}
	n = preadv2(fd, &to, 1, (off_t)offset, RWF_NOWAIT);
	if (n == (ssize_t)length) {
		atomic_fetch_add(&job->counts.cached, length);
		atomic_fetch_sub(&job->taken, length);
		return n;
	}
	n = pread(fd, w->buffer, length, (off_t)offset);
	if (n < 0)
		return -errno;
	atomic_fetch_add(&job->counts.bytes, (uint64_t)n);
	return n;
}

/* One piece of a file that is shared out; the file is done when its last reference goes. */
static void do_piece(struct worker *w, const struct warm_task *task)
{
	struct warm_file *file = task->file;
	ssize_t n = 0;

	if (reserve(w->job, task->length))
		n = fetch(w, file->fd, task->offset, (size_t)task->length);
	if (n < 0 && !atomic_exchange(&file->missed, true))
		complain(w->job, path_of(file->fd).text, "", (int)n);
	warm_file_unref(file);
}

static void do_file(struct worker *w, struct warm_item *item, int path_fd, uint64_t size)
{
	autoclose int fd = reopen(path_fd, O_RDONLY | O_NONBLOCK);
	struct warm_file *file;
	ssize_t n;

	if (fd < 0) {
		failed(w, item, fd);
		return;
	}
	if (size > PIECE && (file = calloc(1, sizeof(*file)))) {
		atomic_init(&file->refs, 1);
		file->fd = steal_fd(&fd);
		file->size = size;
		atomic_fetch_add(&w->job->counts.files, 1);
		warm_queue_large(&w->job->queue, file);
		return;
	}
	if (size > PIECE)
		size = PIECE; /* no memory to share it out: its beginning */
	if (!reserve(w->job, size))
		return;
	n = size ? fetch(w, fd, 0, (size_t)size) : 0;
	if (n < 0)
		failed(w, item, (int)n);
	else
		atomic_fetch_add(&w->job->counts.files, 1);
}

static void do_entry(struct worker *w, struct warm_dir *dir, const struct dirent_record *r,
		     struct warm_list *dirs)
{
	struct warm_item *item;

	if (is_dot(r->name))
		return;
	if (r->type != DT_REG && r->type != DT_DIR && r->type != DT_UNKNOWN) {
		atomic_fetch_add(&w->job->counts.skipped, 1);
		return;
	}
	item = warm_item_new(r->name, strlen(r->name), dir);
	if (!item) {
		atomic_fetch_add(&w->job->counts.errors, 1);
		return;
	}
	atomic_fetch_add(&w->job->counts.found, r->type != DT_DIR);
	if (r->type == DT_DIR)
		warm_list_add(dirs, item);
	else if (!warm_queue_file(&w->job->queue, item))
		do_item(w, item, false);
}

static void list(struct worker *w, const struct warm_item *item, struct warm_dir *dir)
{
	autofree char *entries = malloc(LIST_SIZE);
	struct warm_list dirs = { .count = 0 };
	long n = entries ? 1 : -1;

	if (!entries)
		errno = ENOMEM;
	while (n > 0 && !warm_queue_stopped(&w->job->queue)) {
		n = syscall(SYS_getdents64, dir->fd, entries, LIST_SIZE);
		for (long at = 0; at < n;) {
			struct dirent_record *r = (void *)(entries + at);

			do_entry(w, dir, r, &dirs);
			at += r->length;
		}
	}
	if (n < 0)
		failed(w, item, -errno);
	warm_queue_dirs(&w->job->queue, &dirs);
}

static void do_dir(struct worker *w, struct warm_item *item, int path_fd, const struct stat *st)
{
	struct warm_dir *dir;
	int fd;

	if (!warm_queue_first_visit(&w->job->queue, st->st_dev, st->st_ino))
		return;
	fd = reopen(path_fd, O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		failed(w, item, fd);
		return;
	}
	dir = calloc(1, sizeof(*dir));
	if (!dir) {
		close(fd);
		failed(w, item, -ENOMEM);
		return;
	}
	atomic_init(&dir->refs, 1);
	dir->fd = fd;
	dir->dev = st->st_dev;
	atomic_fetch_add(&w->job->counts.dirs, 1);
	list(w, item, dir);
	warm_dir_unref(dir);
}

/* Takes the item over. */
static void do_item(struct worker *w, struct warm_item *item, bool is_dir)
{
	int flags =
		O_PATH | O_CLOEXEC | (item->follow ? 0 : O_NOFOLLOW) | (is_dir ? O_DIRECTORY : 0);
	autoclose int fd =
		or_errno(openat(item->parent ? item->parent->fd : AT_FDCWD, item->name, flags));
	struct stat st = { .st_mode = 0 };

	if (fd < 0)
		failed(w, item, fd);
	else if (fstat(fd, &st) < 0)
		failed(w, item, -errno);
	else if (item->parent && st.st_dev != item->parent->dev) /* another filesystem */
		atomic_fetch_add(&w->job->counts.skipped, 1);
	else if (S_ISREG(st.st_mode))
		do_file(w, item, fd, st.st_size > 0 ? (uint64_t)st.st_size : 0);
	else if (S_ISDIR(st.st_mode))
		do_dir(w, item, fd, &st);
	else
		atomic_fetch_add(&w->job->counts.skipped, 1);
	if (!is_dir && fd >= 0 && S_ISDIR(st.st_mode)) /* it was counted as a file */
		atomic_fetch_sub(&w->job->counts.found, 1);
	warm_item_free(item);
}

void *warm_worker(void *argument)
{
	struct warm_job *job = argument;
	autofree char *buffer = malloc(PIECE);
	struct worker w = { job, buffer };
	struct warm_task task;

	while (warm_queue_take(&job->queue, &task)) {
		if (task.file)
			do_piece(&w, &task);
		else
			do_item(&w, task.item, task.is_dir);
		warm_queue_done(&job->queue);
	}
	atomic_fetch_sub(&job->alive, 1);
	pthread_kill(job->main, SIGUSR1);
	return NULL;
}
