/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "prefetch/visit.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "prefetch/fetch.h"
#include "util/cleanup.h"
#include "util/dirent.h"

#define BUFFER 32768
#define PAGE   4096u

/*
 * By mode, and strictly: a caller's other groups are not known here, so somebody who is not the
 * owner gets only what every group may have.
 */
static bool may_read(const struct stat *st, const struct who *who, unsigned bits)
{
	if (who->uid == 0)
		return true;
	if (who->uid == st->st_uid)
		return (st->st_mode >> 6 & bits) == bits;
	return (st->st_mode & bits) == bits && (st->st_mode >> 3 & bits) == bits;
}

/* What an ACL says of him can't be asked for somebody else, so it stands for no. */
static bool may_be_refused(int fd, const struct stat *st, const struct who *who)
{
	return who->uid != 0 && who->uid != st->st_uid &&
	       fgetxattr(fd, "system.posix_acl_access", NULL, 0) > 0;
}

/* Opens for reading what an O_PATH descriptor names. */
static int reopen(struct tree *t, int fd, int flags)
{
	return source_reopen(&t->source, fd, O_RDONLY | O_NOATIME | O_NONBLOCK | flags);
}

static int reach(struct tree *t, uint64_t id, struct fd_lease *lease)
{
	struct node *node = node_get(t->nodes, id);

	*lease = FD_LEASE_NONE;
	return node ? tree_reach(t, node, true, lease) : -ESTALE;
}

void visit_let_go(struct tree *t, struct folder *f)
{
	if (!f || !folder_unref(f))
		return;
	if (f->node)
		node_forget(t->nodes, node_get(t->nodes, f->node), 1);
	folder_free(f);
}

/* The directory's node, held, and a descriptor of it; -errno. */
static int enter(struct tree *t, const struct guess *g, struct fd_lease *lease, uint64_t *node)
{
	struct child child;
	int err;

	*node = g->node;
	if (!g->folder)
		return reach(t, g->node, lease);
	err = reach(t, g->folder->node, lease);
	if (err)
		return err;
	err = tree_lookup(t, node_get(t->nodes, g->folder->node), lease->fd,
			  folder_name(g->folder, g->index), true, &child);
	tree_return(t, lease);
	*lease = FD_LEASE_NONE;
	if (err)
		return err;
	*node = child.node->id;
	fdcache_put(t->fdcache, child.node->id, child.fd, lease);
	return 0;
}

/* False without memory. */
static bool read_entries(int fd, struct folder *f, atomic_flag *large)
{
	autofree char *buffer = malloc(BUFFER);
	bool room = buffer, is_large = false;
	long n;

	while (room && (n = syscall(SYS_getdents64, fd, buffer, BUFFER)) > 0) {
		if (f->n >= FOLDER_LARGE && !is_large) {
			is_large = !atomic_flag_test_and_set(large);
			if (!is_large)
				break;
		}
		for (long at = 0; at < n && room;) {
			struct dirent_record *r = (void *)(buffer + at);

			if (!is_dot(r->name))
				room = folder_add(f, r->name, r->ino, r->type);
			at += r->length;
		}
	}
	room = folder_sort(f);
	if (is_large)
		atomic_flag_clear(large);
	return room;
}

static bool is_cached(struct tree *t, int directory, const char *name)
{
	autoclose int fd = -1;

	if (!t->kernel.has[KERNEL_RESOLVE_CACHED])
		return false;
	fd = source_open_child(directory, name, true);
	return fd != -EAGAIN;
}

/* One file tells whether a tree is in memory: whoever has listed it lately has looked at it too. */
static bool first_is_cached(struct tree *t, int directory, const struct folder *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->entries[i].type != DT_DIR)
			return is_cached(t, directory, folder_name(f, i));
	return f->n && is_cached(t, directory, folder_name(f, 0));
}

struct folder *visit_list(struct tree *t, const struct guess *g, atomic_flag *large, bool *hot)
{
	struct fd_lease lease = FD_LEASE_NONE;
	struct folder *f = NULL;
	autoclose int fd = -1;
	struct stat st;
	uint64_t node;
	int err = enter(t, g, &lease, &node);

	*hot = false;
	if (!err)
		err = or_errno(fstat(lease.fd, &st));
	if (!err && (!S_ISDIR(st.st_mode) || !may_read(&st, &g->who, 5)))
		err = -EACCES;
	if (!err) {
		fd = or_errno(
			openat(lease.fd, ".", O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC));
		f = fd < 0 || may_be_refused(fd, &st, &g->who) ? NULL : folder_new(st.st_ino);
	}
	if (f && read_entries(fd, f, large)) {
		f->node = node;
		*hot = first_is_cached(t, lease.fd, f);
	} else {
		folder_free(f);
		f = NULL;
		if (node)
			node_forget(t->nodes, node_get(t->nodes, node), 1);
	}
	tree_return(t, &lease);
	return f;
}

uint32_t visit_inodes(struct tree *t, const struct guess *g)
{
	struct fd_lease lease;
	uint32_t hot = 0;
	int err = reach(t, g->folder->node, &lease);

	for (uint32_t i = 0; !err && i < g->count; i++) {
		const char *name =
			folder_name(g->folder, folder_at(g->folder, ORDER_INODE, g->index + i));
		int fd;

		if (is_cached(t, lease.fd, name)) {
			hot++;
			continue;
		}
		fd = source_open_child(lease.fd, name, false);
		if (fd >= 0)
			close(fd);
	}
	tree_return(t, &lease);
	return hot;
}

/* All that the kernel takes at a time is less than a large file. */
static void bring_in(int fd, uint64_t length)
{
	for (uint64_t at = 0; at < length; at += FETCH_PIECE)
		posix_fadvise(fd, (off_t)at,
			      (off_t)(length - at < FETCH_PIECE ? length - at : FETCH_PIECE),
			      POSIX_FADV_WILLNEED);
}

static int open_by_handle(struct tree *t, const struct recall_file *file)
{
	struct identity id = { .type = file->handle_type, .length = file->handle_length };

	memcpy(id.bytes, file->handle, id.length);
	return identity_open(t->source.root, &id, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static int open_path(struct tree *t, const struct guess *g)
{
	struct fd_lease lease;
	int fd;

	if (g->kind == GUESS_RECALL)
		return open_by_handle(t, &g->file);
	fd = reach(t, g->folder->node, &lease);
	if (!fd)
		fd = source_open_child(lease.fd, folder_name(g->folder, g->index), false);
	tree_return(t, &lease);
	return fd;
}

uint32_t visit_content(struct tree *t, const struct guess *g, bool *hot)
{
	autoclose int path = open_path(t, g), fd = -1;
	uint64_t length;
	int64_t there;
	struct stat st;

	*hot = false;
	if (path < 0 || fstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0 ||
	    !may_read(&st, &g->who, 4))
		return 0;
	fd = reopen(t, path, 0);
	if (fd < 0 || may_be_refused(fd, &st, &g->who))
		return 0;
	length = (uint64_t)st.st_size < g->bytes ? (uint64_t)st.st_size : g->bytes;
	length = (length + PAGE - 1) / PAGE * PAGE;
	there = fetch_resident(fd, 0, length);
	*hot = there >= (int64_t)length;
	if (*hot)
		return 0;
	bring_in(fd, length);
	return (uint32_t)((length - (there > 0 ? (uint64_t)there : 0)) / PAGE);
}
