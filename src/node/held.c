/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is open, held where nothing but a name leads to it. */
#include <fcntl.h>
#include <stdlib.h>

#include "node/tree.h"
#include "util/cleanup.h"

static bool needs_holding(const struct node *n)
{
	return n->handle_type == IDENTITY_BY_NUMBER && n->id != NODE_ROOT_ID;
}

bool tree_hold(struct tree *t, struct node *n, int fd)
{
	struct open_inode *oi;
	bool held;

	if (!needs_holding(n))
		return true;
	node_lock(t->nodes, n);
	if (!n->open)
		n->open = open_inode_new();
	oi = n->open;
	held = oi && (fd >= 0 || oi->held >= 0 || oi->pin >= 0);
	if (held) {
		oi->holders++;
		if (oi->held < 0 && oi->pin < 0 && openfile_spare(t->openfiles)) {
			/* Not a copy of a real descriptor, which would keep its flags, leases
			 * and ETXTBSY alive. */
			int path = source_reopen(&t->source, fd, O_PATH);

			if (path < 0)
				openfile_unpin(t->openfiles);
			else
				oi->held = path;
		}
	}
	node_unlock(t->nodes, n);
	return held;
}

void tree_unhold(struct tree *t, struct node *n)
{
	struct open_inode *oi;
	int fd = -1;

	if (!n || !needs_holding(n))
		return;
	node_lock(t->nodes, n);
	oi = n->open;
	if (oi && oi->holders && --oi->holders == 0) {
		fd = steal_fd(&oi->held);
		if (open_inode_unused(oi)) {
			open_inode_free(oi);
			n->open = NULL;
		}
	}
	node_unlock(t->nodes, n);
	if (fd >= 0) {
		openfile_unpin(t->openfiles);
		close(fd);
	}
}
