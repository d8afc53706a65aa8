/* SPDX-License-Identifier: GPL-2.0-or-later */
/* floor.c's tree: names, attributes, descriptors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"

struct node *floor_node_of(const struct floor *f, uint64_t id)
{
	return id == FUSE_ROOT_ID ? f->root : (struct node *)(uintptr_t)id;
}

struct entry **floor_find(struct floor *f, const struct node *parent, const char *name)
{
	uint64_t hash = (uintptr_t)parent >> 4;
	struct entry **e;

	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3ull;
	e = &f->table[(hash ^ hash >> 32) % TABLE];
	while (*e && ((*e)->parent != parent || strcmp((*e)->name, name) != 0))
		e = &(*e)->next;
	return e;
}

void floor_touch(struct node *n, bool content)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	n->attr.ctime = (uint64_t)now.tv_sec;
	n->attr.ctimensec = (uint32_t)now.tv_nsec;
	if (content) {
		n->attr.mtime = n->attr.ctime;
		n->attr.mtimensec = n->attr.ctimensec;
	}
}

void floor_take_attr(struct node *n, const struct stat *st)
{
	n->attr = (struct fuse_attr){
		.ino = n->attr.ino ? n->attr.ino : st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

struct node *floor_node_new(void)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		abort();
	n->fd = -1;
	return n;
}

void floor_link_in(struct floor *f, struct node *parent, const char *name, struct node *n)
{
	struct entry **place = floor_find(f, parent, name);
	struct entry *e = malloc(sizeof(*e) + strlen(name) + 1);

	if (parent->count == parent->room) {
		parent->room = parent->room ? parent->room * 2 : 8;
		parent->child = realloc(parent->child, parent->room * sizeof(struct entry *));
	}
	if (!e || !parent->child)
		abort();
	*e = (struct entry){ .parent = parent, .node = n, .at = parent->count };
	strcpy(e->name, name);
	*place = e;
	parent->child[parent->count++] = e;
	n->links++;
	n->entry = e;
}

int floor_reach(struct node *n)
{
	if (n->fd < 0)
		n->fd = openat(floor_reach(n->entry->parent), n->entry->name,
			       O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return n->fd;
}

int floor_real(struct node *n)
{
	char path[64];
	int fd;

	if (n->real)
		return n->fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", floor_reach(n));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;
	close(n->fd);
	n->real = true;
	return n->fd = fd;
}

const struct fuse_attr *floor_attr(struct node *n)
{
	struct stat st;

	if (n->stale && (n->fd >= 0 ? fstat(n->fd, &st)
				    : fstatat(floor_reach(n->entry->parent), n->entry->name, &st,
					      AT_SYMLINK_NOFOLLOW)) == 0) {
		floor_take_attr(n, &st);
		n->stale = n->writers;
	}
	return &n->attr;
}

void floor_let_go(struct floor *f, struct node *n)
{
	if (n->backing)
		ioctl(f->receive.fd, FUSE_DEV_IOC_BACKING_CLOSE, &n->backing);
	if (n->fd >= 0)
		close(n->fd);
	n->backing = 0;
	n->fd = -1;
	n->real = false;
}

void floor_free_unused(struct node *n)
{
	if (n->links || n->lookups || n->opens)
		return;
	free(n->child);
	free(n->target);
	free(n);
}

static struct entry *other_name(struct floor *f, const struct node *n)
{
	for (size_t i = 0; i < TABLE; i++)
		for (struct entry *e = f->table[i]; e; e = e->next)
			if (e->node == n)
				return e;
	return NULL;
}

void floor_take_out(struct floor *f, struct node *parent, const char *name)
{
	struct entry **place = floor_find(f, parent, name), *e = *place;
	struct node *n = e->node;

	*place = e->next;
	if (parent->opens) {
		parent->child[e->at] = NULL;
		parent->holes++;
	} else {
		parent->child[e->at] = parent->child[--parent->count];
		parent->child[e->at]->at = e->at;
	}
	if (n->entry == e && n->links > 1)
		n->entry = other_name(f, n);
	n->attr.nlink -= S_ISDIR(n->attr.mode) ? 2 : 1;
	if (--n->links == 0 && !n->opens)
		floor_let_go(f, n);
	free(e);
	floor_touch(parent, true);
	floor_touch(n, false);
	floor_free_unused(n);
}

void floor_mirror(struct floor *f, struct node *dir)
{
	int fd = openat(floor_reach(dir), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fdopendir(fd);
	struct dirent *d;
	struct stat st;
	char target[PATH_MAX] = "";

	while (list && (d = readdir(list))) {
		struct node *n;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		n = floor_node_new();
		floor_take_attr(n, &st);
		floor_link_in(f, dir, d->d_name, n);
		if (S_ISLNK(st.st_mode) && readlinkat(fd, d->d_name, target, PATH_MAX - 1) > 0)
			n->target = strndup(target, (size_t)st.st_size);
		if (S_ISDIR(st.st_mode))
			floor_mirror(f, n);
	}
	closedir(list);
}

int floor_give_entry(struct node *n, struct fuse_entry_out *o)
{
	n->lookups++;
	*o = (struct fuse_entry_out){
		.nodeid = (uintptr_t)n, .entry_valid = 1, .attr_valid = 1, .attr = *floor_attr(n)
	};
	return sizeof(*o);
}
