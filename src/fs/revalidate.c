/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fs/revalidate.h"

#include <pthread.h>

#include "util/cleanup.h"

/* Lock order: a node's lock, then this one. */
struct revalidate {
	pthread_mutex_t lock;
	uint64_t *nodeid; /* inodes open this way */
	size_t count, room;
};

struct revalidate *revalidate_new(void)
{
	struct revalidate *r = calloc(1, sizeof(*r));

	if (r)
		pthread_mutex_init(&r->lock, NULL);
	return r;
}

struct revalidate *revalidate_free(struct revalidate *r)
{
	if (!r)
		return NULL;
	pthread_mutex_destroy(&r->lock);
	free(r->nodeid);
	free(r);
	return NULL;
}

void revalidate_add(struct fs *fs, struct node *node)
{
	struct revalidate *r = fs->revalidate;

	pthread_mutex_lock(&r->lock);
	if (r->count == r->room) {
		size_t room = r->room ? r->room * 2 : 64;
		uint64_t *more = realloc(r->nodeid, room * sizeof(*more));

		if (more) {
			r->nodeid = more;
			r->room = room;
		}
	}
	if (r->count < r->room) /* else it is looked at when it is opened the next time */
		r->nodeid[r->count++] = node->id;
	pthread_mutex_unlock(&r->lock);
}

void revalidate_remove(struct fs *fs, struct node *node)
{
	struct revalidate *r = fs->revalidate;

	pthread_mutex_lock(&r->lock);
	for (size_t i = r->count; i-- > 0;) /* most recent first: opens are short */
		if (r->nodeid[i] == node->id) {
			r->nodeid[i] = r->nodeid[--r->count];
			break;
		}
	pthread_mutex_unlock(&r->lock);
}

/* A number that changes whenever the content may have changed; never 0. */
static uint64_t content_version(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return 0;
	return ((uint64_t)st.st_mtim.tv_sec * 1000003 + (uint64_t)st.st_mtim.tv_nsec) * 1000003 +
	       (uint64_t)st.st_ctim.tv_nsec * 31 + (uint64_t)st.st_size + 1;
}

bool revalidate_at_open(struct fs *fs, struct node *node, const struct openfile *of)
{
	uint64_t now = content_version(of->fd);
	bool others_write, keep;

	node_lock(fs->tree.nodes, node);
	others_write = node->open->writers > of->writer;
	keep = others_write || (now && atomic_load(&node->version) == now);
	if (!others_write)
		atomic_store(&node->version, now);
	node_unlock(fs->tree.nodes, node);
	return keep;
}

/* 0: they are not known to be, and stay so. */
uint64_t revalidate_before(struct node *node, int fd)
{
	uint64_t known = node ? atomic_load(&node->version) : 0;

	return known && content_version(fd) == known ? known : 0;
}

void revalidate_after(struct node *node, int fd, uint64_t before)
{
	/* Two at once: the second finds another version, and the pages are asked for anew some time. */
	if (before)
		atomic_compare_exchange_strong(&node->version, &before, content_version(fd));
}

/* Whether the file has changed behind the mount; nobody writes it through the mount. */
static bool changed(struct fs *fs, struct node *node)
{
	struct fd_lease lease;
	uint64_t now;
	bool news = false;

	if (tree_reach(&fs->tree, node, true, &lease) != 0)
		return false;
	node_lock(fs->tree.nodes, node);
	if (node->open && open_inode_cached(node->open) && !node->open->writers) {
		now = content_version(lease.fd);
		news = atomic_exchange(&node->version, now) != now;
	}
	node_unlock(fs->tree.nodes, node);
	tree_return(&fs->tree, &lease);
	return news;
}

/* The i-th open inode, held; NULL when there is none. While it is listed, its node is alive. */
static struct node *hold(struct fs *fs, size_t i)
{
	struct revalidate *r = fs->revalidate;
	struct node *node = NULL;

	pthread_mutex_lock(&r->lock);
	if (i < r->count)
		node = fs_node(fs, r->nodeid[i]);
	if (node)
		node_hold(fs->tree.nodes, node);
	pthread_mutex_unlock(&r->lock);
	return node;
}

bool revalidate_tick(struct fs *fs)
{
	struct node *node;
	size_t i;

	/* One that moves to an earlier place meanwhile is looked at a second later. */
	for (i = 0; (node = hold(fs, i)); i++) {
		if (changed(fs, node))
			fuse_lowlevel_notify_inval_inode(fs->fuse, node->id, 0, 0);
		node_forget(fs->tree.nodes, node, 1);
	}
	return i > 0;
}
