/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading directories. Offsets are SOURCE's own (d_off), so they stay valid for as long as SOURCE
 * keeps them valid, also after deletions in between.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "fs/habit.h"
#include "fs/listed.h"
#include "fs/ops.h"
#include "fs/walking.h"
#include "util/cleanup.h"
#include "util/dirent.h"

static void close_dir(struct fs *fs, uint64_t fh)
{
	struct openfile *of = openfile_get(fs->tree.openfiles, fh);

	if (of) {
		listed_close(fs, of);
		tree_unhold(&fs->tree, fs_node(fs, of->nodeid));
	}
	openfile_close(fs->tree.openfiles, fh);
}

/* An ordinary user's daemon gets past "." only where it may search, which reading doesn't need. */
static int open_dir(int path_fd, int flags)
{
	int fd = or_errno(openat(path_fd, ".", flags | O_CLOEXEC));

	return fd == -EACCES ? fs_reopen(path_fd, flags) : fd;
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct openfile *of = NULL;
	struct fd_lease lease;
	int fd = -1, err = openfile_room(fs->tree.openfiles, true);

	if (!err)
		err = fs_reach(fs, fs_node(fs, ino), &lease);

	if (!err) {
		fd = open_dir(lease.fd, O_RDONLY | O_DIRECTORY | (fi->flags & O_NOATIME));
		tree_return(&fs->tree, &lease);
		err = fd < 0 ? fd : 0;
	}
	if (!err) {
		of = openfile_new(fs->tree.openfiles, ino, &fi->fh);
		if (of)
			of->dir = dirstream_new();
		err = of && of->dir ? 0 : -ENOMEM;
	}
	if (err) {
		if (fd >= 0)
			close(fd);
		if (of)
			openfile_close(fs->tree.openfiles, fi->fh);
		reply_err(req, err);
		return;
	}
	openfile_keep(fs->tree.openfiles, of, fd);
	tree_hold(&fs->tree, fs_node(fs, ino), fd);
	walking_listed(req, fs, fs_node(fs, ino), fd);
	listed_open(fs, of, fi);
	worker_replies(worker_self());
	if (fuse_reply_open(req, fi) != 0)
		close_dir(fs, fi->fh);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_dir(fs_of(req), fi->fh);
	reply_err(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	op_fsync(req, ino, datasync, fi);
}

/* The next entry, or NULL: at the end (*err 0) or on error. Called with the stream's lock held. */
static struct dirent_record *next_record(struct openfile *of, int *err)
{
	struct dirstream *d = of->dir;

	if (d->at == d->filled) {
		long n = syscall(SYS_getdents64, of->fd, d->buffer, sizeof(d->buffer));

		*err = n < 0 ? -errno : 0;
		if (n <= 0)
			return NULL;
		d->at = 0;
		d->filled = (uint32_t)n;
	}
	return (struct dirent_record *)(void *)(d->buffer + d->at);
}

static int go_to(struct openfile *of, off_t off)
{
	struct dirstream *d = of->dir;

	/* Offset 0 is always read afresh: rewinddir() must see what has changed. */
	if (d->position == off && off != 0)
		return 0;
	if (lseek(of->fd, off, SEEK_SET) < 0)
		return -errno;
	d->position = off;
	d->at = d->filled = 0;
	if (off == 0)
		d->entries = 0;
	return 0;
}

/* A listing in the making. */
struct listing {
	fuse_req_t req;
	struct fs *fs;
	struct node *node;
	struct openfile *of;
	bool plus;
	char *out;
	size_t size, used;
};

/*
 * With attributes, for an entry whose inode is in memory. Others go out bare: reading an inode that
 * `find -name` or `ls -U` never asks about would make a listing wait for the disk once per entry.
 */
static void entry_with_attributes(struct listing *l, const struct dirent_record *r,
				  struct fuse_entry_param *e)
{
	const struct dirstream *d = l->of->dir;
	struct child child;

	if (is_dot(r->name) || d->bare || (d->sampled && habit_samples(r->name)) ||
	    tree_lookup(&l->fs->tree, l->node, l->of->fd, r->name, false, &child))
		return;
	fill_entry(l->fs, &child, e);
	close(child.fd);
}

static size_t add_plus(struct listing *l, const struct dirent_record *r)
{
	size_t room = l->size - l->used;
	size_t need = fuse_add_direntry_plus(l->req, NULL, 0, r->name, NULL, 0);
	struct fuse_entry_param e = { 0 };

	if (need > room)
		return need; /* before the look-up, which would count */
	e.attr.st_ino = r->ino;
	e.attr.st_mode = DTTOIF(r->type);
	entry_with_attributes(l, r, &e);
	return fuse_add_direntry_plus(l->req, l->out + l->used, room, r->name, &e, r->next);
}

static size_t add_plain(struct listing *l, const struct dirent_record *r)
{
	struct stat st = { .st_ino = r->ino, .st_mode = DTTOIF(r->type) };

	return fuse_add_direntry(l->req, l->out + l->used, l->size - l->used, r->name, &st,
				 r->next);
}

static int list(struct listing *l)
{
	struct dirstream *d = l->of->dir;
	struct dirent_record *r;
	int err = 0;

	while ((r = next_record(l->of, &err))) {
		size_t need = l->plus ? add_plus(l, r) : add_plain(l, r);

		if (need > l->size - l->used)
			break;
		l->used += need;
		d->at += r->length;
		d->position = r->next;
		d->entries++;
	}
	if (!l->used && !err)
		listed_entries(l->fs, l->of, d->entries);
	/* What was gathered goes out first; the error comes again with the next request. */
	return l->used ? 0 : err;
}

static void read_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi, bool plus)
{
	struct fs *fs = fs_of(req);
	struct worker *w = worker_self();
	struct listing l = {
		.req = req,
		.fs = fs,
		.node = fs_node(fs, ino),
		.of = openfile_get(fs->tree.openfiles, fi->fh),
		.plus = plus,
		.out = w->out,
		.size = size < WORKER_MAX_DATA ? size : WORKER_MAX_DATA,
	};
	int err;

	if (!l.of || !l.of->dir || !l.node) {
		reply_err(req, -EBADF);
		return;
	}
	worker_might_block(w);
	pthread_mutex_lock(&l.of->dir->lock);
	err = go_to(l.of, off);
	if (!err)
		err = list(&l);
	pthread_mutex_unlock(&l.of->dir->lock);
	if (err)
		reply_err(req, err);
	else
		reply_buf(req, l.out, l.used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	read_directory(req, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	read_directory(req, ino, size, off, fi, true);
}
