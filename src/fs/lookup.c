/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names to nodes, and nodes forgotten. */
#include "fs/listed.h"
#include "fs/ops.h"
#include "fs/walking.h"
#include "util/cleanup.h"

void op_lookup(fuse_req_t req, fuse_ino_t parent_ino, const char *name)
{
	struct fs *fs = fs_of(req);
	struct node *parent = fs_node(fs, parent_ino);
	struct fd_lease lease;
	struct child child;
	int err = fs_reach(fs, parent, &lease);

	if (err) {
		reply_err(req, err);
		return;
	}
	err = fs_lookup(fs, parent, lease.fd, name, &child);
	if (!err) {
		walking_looked_up(req, fs, parent, lease.fd, &child);
		listed_looked_up(fs, parent_ino, name);
	}
	tree_return(&fs->tree, &lease);
	if (!err) {
		reply_child(req, fs, &child);
	} else if (err == -ENOENT && fs->negative_timeout > 0) {
		struct fuse_entry_param absent = { .entry_timeout = fs->negative_timeout };

		worker_self()->err = ENOENT;
		worker_replies(worker_self());
		fuse_reply_entry(req, &absent);
	} else {
		reply_err(req, err);
	}
}

static void forget(struct fs *fs, fuse_ino_t ino, uint64_t lookups)
{
	struct node *node = fs_node(fs, ino);
	bool pinned;

	if (!node)
		return;
	node_lock(fs->tree.nodes, node);
	pinned = node->open && node->open->pin >= 0;
	node_unlock(fs->tree.nodes, node);
	/* Letting go of a deleted object frees its blocks, which may take its time. */
	if (pinned)
		worker_might_block(worker_self());
	node_forget(fs->tree.nodes, node, lookups);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	forget(fs_of(req), ino, lookups);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct fs *fs = fs_of(req);

	for (size_t i = 0; i < count; i++)
		forget(fs, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}
