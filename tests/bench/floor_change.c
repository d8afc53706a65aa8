/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The requests to floor.c that change names and attributes: one system call each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "floor.h"

static struct timespec new_time(unsigned valid, unsigned set, unsigned now, uint64_t s, uint32_t ns)
{
	long how = valid & now ? UTIME_NOW : valid & set ? (long)ns : UTIME_OMIT;

	return (struct timespec){ .tv_sec = (time_t)s, .tv_nsec = how };
}

static void set_time(const struct timespec *t, const struct fuse_attr *now, uint64_t *s,
		     uint32_t *ns)
{
	long how = t->tv_nsec;

	if (how == UTIME_OMIT)
		return;
	*s = how == UTIME_NOW ? now->ctime : (uint64_t)t->tv_sec;
	*ns = how == UTIME_NOW ? now->ctimensec : (uint32_t)how;
}

int op_setattr(const struct call *c)
{
	const struct fuse_setattr_in *in = c->in;
	struct node *n = c->node;
	struct timespec times[2] = {
		new_time(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
		new_time(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};
	bool owner = in->valid & (FATTR_UID | FATTR_GID);
	int dir = n == c->floor->root ? floor_reach(n) : floor_reach(n->entry->parent);
	const char *name = n == c->floor->root ? "." : n->entry->name;

	if (in->valid & FATTR_SIZE && ftruncate(floor_real(n), (off_t)in->size) < 0)
		return -errno;
	if (in->valid & FATTR_MODE && fchmodat(dir, name, in->mode & 07777, 0) < 0)
		return -errno;
	if (owner && fchownat(dir, name, in->valid & FATTR_UID ? in->uid : (uid_t)-1,
			      in->valid & FATTR_GID ? in->gid : (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (in->valid & (FATTR_ATIME | FATTR_MTIME) &&
	    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* What this changes is known; but not what is still being written. */
	n->stale |= in->valid & FATTR_SIZE || owner;
	floor_touch(n, false);
	if (in->valid & FATTR_MODE)
		n->attr.mode = (n->attr.mode & S_IFMT) | (in->mode & 07777);
	set_time(&times[0], &n->attr, &n->attr.atime, &n->attr.atimensec);
	set_time(&times[1], &n->attr, &n->attr.mtime, &n->attr.mtimensec);
	return op_getattr(c);
}

struct node *floor_made(const struct call *c, const char *name, mode_t mode)
{
	struct node *n = floor_node_new(), *parent = c->node;

	n->attr = (struct fuse_attr){ .ino = ++c->floor->last_ino,
				      .mode = mode,
				      .uid = c->header->uid,
				      .gid = c->header->gid,
				      .blksize = 4096,
				      .nlink = S_ISDIR(mode) ? 2 : 1 };
	floor_touch(n, true);
	n->attr.atime = n->attr.mtime;
	n->attr.atimensec = n->attr.mtimensec;
	floor_link_in(c->floor, parent, name, n);
	parent->attr.nlink += S_ISDIR(mode);
	floor_touch(parent, true);
	return n;
}

int op_symlink(const struct call *c)
{
	const char *name = c->in, *target = name + strlen(name) + 1;
	struct node *n;

	if (symlinkat(target, floor_reach(c->node), name) < 0)
		return -errno;
	n = floor_made(c, name, S_IFLNK | 0777);
	n->target = strdup(target);
	n->attr.size = strlen(target);
	return floor_give_entry(n, c->out);
}

int op_mkdir(const struct call *c)
{
	const struct fuse_mkdir_in *in = c->in;
	const char *name = (const char *)(in + 1);
	mode_t mode = in->mode & ~in->umask & 07777;

	if (mkdirat(floor_reach(c->node), name, mode) < 0)
		return -errno;
	return floor_give_entry(floor_made(c, name, S_IFDIR | mode), c->out);
}

static int remove_name(const struct call *c, const char *name, int flags)
{
	struct node *parent = c->node;

	if (unlinkat(floor_reach(parent), name, flags) < 0)
		return -errno;
	parent->attr.nlink -= flags == AT_REMOVEDIR;
	floor_take_out(c->floor, parent, name);
	return 0;
}

int op_unlink(const struct call *c)
{
	return remove_name(c, c->in, 0);
}

int op_rmdir(const struct call *c)
{
	return remove_name(c, c->in, AT_REMOVEDIR);
}

static int move(const struct call *c, uint64_t to, unsigned flags, const char *name)
{
	struct node *from = c->node, *dir = floor_node_of(c->floor, to), *n;
	const char *new_name = name + strlen(name) + 1;

	if (renameat2(floor_reach(from), name, floor_reach(dir), new_name, flags) < 0)
		return -errno;
	n = (*floor_find(c->floor, from, name))->node;
	if (*floor_find(c->floor, dir, new_name))
		floor_take_out(c->floor, dir, new_name);
	floor_link_in(c->floor, dir, new_name, n);
	n->attr.nlink += S_ISDIR(n->attr.mode) ? 2 : 1;
	floor_take_out(c->floor, from, name);
	floor_touch(dir, true);
	return 0;
}

int op_rename(const struct call *c)
{
	const struct fuse_rename_in *in = c->in;

	return move(c, in->newdir, 0, (const char *)(in + 1));
}

int op_rename2(const struct call *c)
{
	const struct fuse_rename2_in *in = c->in;

	if (in->flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	return move(c, in->newdir, in->flags, (const char *)(in + 1));
}

int op_link(const struct call *c)
{
	const struct fuse_link_in *in = c->in;
	const char *name = (const char *)(in + 1);
	struct node *n = floor_node_of(c->floor, in->oldnodeid), *dir = c->node;

	if (linkat(floor_reach(n), "", floor_reach(dir), name, AT_EMPTY_PATH) < 0)
		return -errno;
	floor_link_in(c->floor, dir, name, n);
	n->attr.nlink++;
	floor_touch(n, false);
	floor_touch(dir, true);
	return floor_give_entry(n, c->out);
}
